//! The link against its vendors' servers.

mod channels;
mod contract;
mod failures;
mod long;
mod options;
mod paid;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vconductor_core::config::{Environment, Finding, Mode, load_text};
use vconductor_core::plugin::{Asked, Link, LinkPlugin, Registry};
use vconductor_core::vcon::Vcon;

use super::Transcribe;
use crate::link_stage::{LinkStage, Ran};

/// A key that looks like one, so that leaks are found.
const KEY: &str = "dg-key-0123456789abcdef";
const URL: &str = "https://media.example.com/call.wav?sig=url-secret-42";

/// The link in the form of today.
fn link(options: &Value) -> Transcribe {
    let options = serde_json::from_value(options.clone()).unwrap_or_else(|error| panic!("{options}: {error}"));
    Transcribe::new("transcribe", options).unwrap_or_else(|error| panic!("{}", error.chain_text()))
}

struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> std::io::Result<String> {
        Err(std::io::Error::other("none"))
    }
}

/// The link that a configuration of vcon-server asks for under one of its modules.
fn configured(module: &str, options: &Value) -> Arc<dyn Link> {
    let text = json!({"links": {"speech": {"module": module, "options": options}}}).to_string();
    let config = load_text("a.yml", &text, &NoEnvironment).config.expect("a configuration");
    let mut findings = Vec::<Finding>::new();
    let asked = Asked { name: "speech", module, options: &config.links[0].options, mode: &Mode::Compatible };
    let entry = Registry::collect().unwrap().link(module).unwrap_or_else(|| panic!("{module} is unknown"));
    let link = (entry.configure)(asked, &mut findings);
    assert!(findings.is_empty(), "{:?}", findings.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>());
    link.expect("a link")
}

/// A recording of 8 bits at 8 kHz: a tone, with silence where `is_silent` says so of a channel and a second.
fn wav(seconds: u32, channels: u16, is_silent: impl Fn(u16, f64) -> bool) -> Vec<u8> {
    const RATE: u32 = 8000;
    let length = seconds * RATE * u32::from(channels);
    let mut bytes = Vec::with_capacity(length as usize + 44);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + length).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16u32.to_le_bytes());
    bytes.extend_from_slice(&1u16.to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&RATE.to_le_bytes());
    bytes.extend_from_slice(&(RATE * u32::from(channels)).to_le_bytes());
    bytes.extend_from_slice(&channels.to_le_bytes());
    bytes.extend_from_slice(&8u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&length.to_le_bytes());
    for sample in 0..seconds * RATE {
        for channel in 0..channels {
            let silent = is_silent(channel, f64::from(sample) / f64::from(RATE));
            let period = 16 + u32::from(channel) * 8;
            bytes.push(if silent || sample % period < period / 2 { 128 } else { 200 });
        }
    }
    bytes
}

fn tone(seconds: u32) -> Vec<u8> {
    wav(seconds, 1, |_, _| false)
}

/// A dialog with the recording in its body.
fn inline(recording: &[u8], parties: &Value) -> Value {
    json!({
        "type": "recording", "start": "2026-01-01T00:00:00Z", "parties": parties, "mediatype": "audio/x-wav",
        "filename": "call.wav", "encoding": "base64url", "body": URL_SAFE_NO_PAD.encode(recording),
    })
}

/// A dialog whose recording is elsewhere.
fn external(duration: f64) -> Value {
    json!({
        "type": "recording", "start": "2026-01-01T00:00:00Z", "parties": [0, 1], "mediatype": "audio/x-wav", "url": URL,
        "duration": duration,
    })
}

fn vcon(dialogs: &[Value]) -> Vcon {
    let vcon = json!({
        "vcon": "0.4.0", "uuid": "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10", "created_at": "2026-01-01T00:00:00Z",
        "parties": [{"name": "Ann", "tel": "+15550100"}, {"name": "Bob", "tel": "+15550101"}],
        "dialog": dialogs, "analysis": [], "attachments": [],
    });
    Vcon::read(vcon.to_string()).unwrap()
}

fn stage() -> LinkStage {
    LinkStage::new("018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10")
}

/// Another run, of the same conductor.
fn next_run(stage: &LinkStage) -> LinkStage {
    let mut next = self::stage();
    next.services = stage.services.clone();
    next
}

/// The analyses that a run added, their bodies as JSON.
fn written(ran: &Ran, before: &Vcon) -> Vec<Value> {
    if let Err(error) = &ran.result {
        panic!("{}: {:?}", error.chain_text(), ran.requested.notes);
    }
    let after = ran.applied(before).unwrap().normalised();
    let mut all = after["analysis"].as_array().cloned().unwrap_or_default();
    for analysis in &mut all {
        assert_eq!(analysis["encoding"], "json");
        analysis["body"] = serde_json::from_str(analysis["body"].as_str().expect("JSON text")).expect("JSON");
    }
    all
}

/// The text of a transcript, turn by turn.
fn turns(body: &Value) -> Vec<String> {
    let transcript = vconductor_core::transcript::read(body, None).expect("a transcript");
    let turn = |turn: &vconductor_core::transcript::Turn| {
        let speaker = turn.speaker.as_ref().map(|speaker| format!("{}: ", transcript.label(speaker)));
        let channel = turn.channel.map(|channel| format!("channel {channel}: "));
        format!("{:.1} {}{}", turn.start.unwrap_or(-1.0), speaker.or(channel).unwrap_or_default(), turn.text)
    };
    transcript.turns.iter().map(turn).collect()
}

const QUICK: Duration = Duration::from_millis(300);
