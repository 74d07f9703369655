//! A vCon around a recording.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{Timestamp, Unit};
use serde::Serialize;
use vconductor_core::audio::{content_hash, probe};
use vconductor_core::error::{Error, Result};
use vconductor_core::vcon::uuid8::Generator;

use super::party::Party;
use super::taken::Taken;

#[derive(Serialize)]
struct NewVcon<'a> {
    vcon: &'static str,
    uuid: &'a str,
    created_at: String,
    parties: &'a [Party],
    dialog: [Dialog<'a>; 1],
    analysis: [(); 0],
    attachments: [(); 0],
}

#[derive(Serialize)]
struct Dialog<'a> {
    r#type: &'static str,
    start: String,
    duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parties: Option<Vec<usize>>,
    mediatype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<&'a str>,
    body: String,
    encoding: &'static str,
    content_hash: String,
}

/// Makes a vCon of a recording's bytes. The file's time is the start of the dialog, for want of a better one. A
/// recording with several channels gets a party per channel, which is how a vCon says how many there are.
///
/// # Errors
/// If the bytes are no recording that can be read.
pub(super) fn take(
    bytes: &[u8],
    filename: Option<&str>,
    modified: Option<SystemTime>,
    parties: &[Party],
    generator: &Generator,
) -> Result<Taken> {
    let audio = probe(bytes)?;
    let now = Timestamp::now();
    let start = modified.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(now);
    let channels = usize::from(audio.channels);
    let mut parties = parties.to_vec();
    if channels > 1 {
        parties.resize(parties.len().max(channels), Party::default());
    }
    let heard = if channels > 1 { channels } else { parties.len() };
    let uuid = generator.next().to_string();
    let vcon = NewVcon {
        vcon: "0.4.0",
        uuid: &uuid,
        created_at: date(now)?,
        parties: &parties,
        dialog: [Dialog {
            r#type: "recording",
            start: date(start)?,
            duration: (audio.duration.as_secs_f64() * 1000.0).round() / 1000.0,
            parties: (heard > 0).then(|| (0..heard).collect()),
            mediatype: audio.mediatype(),
            filename,
            body: URL_SAFE_NO_PAD.encode(bytes),
            encoding: "base64url",
            content_hash: content_hash(bytes),
        }],
        analysis: [],
        attachments: [],
    };
    let text = serde_json::to_vec(&vcon)
        .map_err(|error| Error::permanent("cannot write the recording as JSON").caused_by(error))?;
    Ok(Taken { uuid, text: text.into(), given: true })
}

/// RFC 3339 in UTC, to the millisecond.
fn date(time: Timestamp) -> Result<String> {
    let time = time.round(Unit::Millisecond).map_err(|error| Error::permanent("impossible time").caused_by(error))?;
    Ok(time.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../tests/fixtures/audio/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    fn vcon(name: &str, parties: &[Party]) -> Value {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
        let taken = take(&fixture(name), Some(name), Some(time), parties, &Generator::new("example.com")).unwrap();
        let value: Value = serde_json::from_slice(&taken.text).unwrap();
        assert_eq!(value["uuid"], taken.uuid.as_str());
        value
    }

    #[test]
    fn a_recording_becomes_a_vcon_that_tells_what_it_is() {
        let vcon = vcon("ab_call.mp3", &["name=Alice,tel=+15550100".parse().unwrap()]);
        let dialog = &vcon["dialog"][0];
        assert_eq!(vcon["vcon"], "0.4.0");
        assert_eq!(dialog["type"], "recording");
        assert_eq!(dialog["start"], "2023-11-14T22:13:20.25Z");
        assert_eq!(dialog["mediatype"], "audio/x-mp3");
        assert_eq!(dialog["filename"], "ab_call.mp3");
        assert_eq!(dialog["encoding"], "base64url");
        assert_eq!(URL_SAFE_NO_PAD.decode(dialog["body"].as_str().unwrap()).unwrap(), fixture("ab_call.mp3"));
        assert!(dialog["content_hash"].as_str().unwrap().starts_with("sha512-"));
        assert!(dialog["duration"].as_f64().unwrap() > 1.0);
        assert_eq!(vcon["parties"][0], json!({"tel": "+15550100", "name": "Alice"}));
    }

    #[test]
    fn every_known_format_is_taken_and_others_are_refused() {
        for name in ["ab_call.wav", "ab_call.flac", "ab_call.m4a", "ab_call_opus.ogg", "ab_call_vorbis.ogg"] {
            let vcon = vcon(name, &[]);
            let parties = vcon["parties"].as_array().unwrap().len();
            assert_ne!(parties, 1, "{name}: one channel says nothing about who speaks");
            assert_eq!(vcon["dialog"][0]["parties"].as_array().map_or(0, Vec::len), parties, "{name}");
        }
        assert!(take(b"GIF89a", None, None, &[], &Generator::new("example.com")).is_err());
    }
}
