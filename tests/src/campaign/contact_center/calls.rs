//! Recordings that differ from each other, as files and as vCons.

use std::ops::Range;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::stage::uuid;

/// Seconds of each recording.
const LENGTH: u32 = 1;
const RATE: u32 = 8000;

/// Writes recordings as WAV files.
///
/// # Errors
/// If the folder cannot be written.
pub(super) fn write(folder: &Path, numbers: Range<u32>) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for number in numbers {
        std::fs::write(folder.join(format!("call-{number:05}.wav")), recording(number))?;
    }
    Ok(())
}

/// A vCon with a recording in it, as a producer makes it.
pub(super) fn vcon(number: u32) -> (String, String) {
    let id = uuid(number);
    let document = json!({
        "vcon": "0.4.0", "uuid": id, "created_at": "2026-01-02T03:04:05Z",
        "parties": [{"tel": "+12025550123", "name": "Ada"}, {"tel": "+12025550199", "name": "Ben"}],
        "dialog": [{
            "type": "recording", "start": "2026-01-02T03:04:05Z", "duration": LENGTH, "parties": [0, 1],
            "mediatype": "audio/x-wav", "encoding": "base64url", "body": URL_SAFE_NO_PAD.encode(recording(number)),
        }],
        "analysis": [], "attachments": [],
    });
    (id, document.to_string())
}

/// 8 bits at 8 kHz: noise of its own, so that no two of them are the same.
fn recording(number: u32) -> Vec<u8> {
    let length = LENGTH * RATE;
    let mut bytes = Vec::new();
    for (text, numbers) in [
        ("RIFF", vec![36 + length]),
        ("WAVEfmt ", vec![16, 0x0001_0001, RATE, RATE, 0x0008_0001]),
        ("data", vec![length]),
    ] {
        bytes.extend_from_slice(text.as_bytes());
        numbers.iter().for_each(|number: &u32| bytes.extend_from_slice(&number.to_le_bytes()));
    }
    let mut rng = fastrand::Rng::with_seed(u64::from(number));
    bytes.extend((0..length).map(|_| rng.u8(100..156)));
    bytes
}
