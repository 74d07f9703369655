mod providers;
mod texts;
mod vcons;
mod world;

use serde_json::Value;

use super::{Transcript, read};

fn fixture(name: &str) -> Value {
    let path = format!("{}/../tests/fixtures/transcripts/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

fn transcript(value: &Value) -> Transcript {
    read(value, None).unwrap_or_else(|| panic!("no transcript: {value}"))
}

/// Start, end, speaker and text of each turn, in one line.
fn turns(transcript: &Transcript) -> Vec<String> {
    let time = |time: Option<f64>| time.map_or("-".to_owned(), |seconds| format!("{seconds:.2}"));
    let line = |turn: &super::Turn| {
        let who = match (&turn.speaker, turn.channel) {
            (Some(speaker), _) => transcript.label(speaker),
            (None, Some(channel)) => format!("channel {channel}"),
            (None, None) => "-".to_owned(),
        };
        format!("{} {} {who}: {}", time(turn.start), time(turn.end), turn.text)
    };
    transcript.turns.iter().map(line).collect()
}
