//! A transcript as it is answered: turns with times, and who speaks.

use serde_json::{Map, Value, json};
use vconductor_core::transcript::{Found, Place, Transcript, Turn, figures};
use vconductor_core::vcon::Vcon;

use super::summary::party;

/// How sure a transcript is: what it says, else the mean of its turns.
pub(super) fn confidence(transcript: &Transcript) -> Option<f64> {
    let told: Vec<f64> = transcript.turns.iter().filter_map(|turn| turn.confidence).collect();
    let mean = (!told.is_empty()).then(|| told.iter().sum::<f64>() / told.len() as f64);
    transcript.confidence.or(mean).map(|sure| (sure * 1e4).round() / 1e4)
}

/// What a list says of a transcript.
pub(super) fn head(found: &Found) -> Value {
    let (kind, index) = match found.place {
        Place::Analysis(index) => ("analysis", index),
        Place::Attachment(index) => ("attachment", index),
    };
    let transcript = &found.transcript;
    json!({
        kind: index,
        "dialogs": found.dialogs,
        "language": transcript.language,
        "duration": transcript.duration,
        "confidence": confidence(transcript),
        "turns": transcript.turns.len(),
        "speakers": transcript.speakers().iter().map(|speaker| transcript.label(speaker)).collect::<Vec<_>>(),
    })
}

/// A whole transcript. `words`: with the times of the single words.
pub(super) fn whole(found: &Found, vcon: &Vcon, words: bool) -> Value {
    let mut told = head(found);
    let dialog = found.dialogs.first().and_then(|index| vcon.dialogs().find(|dialog| dialog.index() == *index));
    let transcript = &found.transcript;
    told["text"] = json!(transcript.text);
    told["turns"] = transcript.turns.iter().map(|one| turn(one, transcript, vcon, words)).collect();
    told["statistics"] = figures(transcript, dialog.and_then(|dialog| dialog.duration()), vcon);
    told
}

fn turn(turn: &Turn, transcript: &Transcript, vcon: &Vcon, words: bool) -> Value {
    let mut told = Map::new();
    let mut add = |name: &str, value: Option<Value>| drop(value.map(|value| told.insert(name.to_owned(), value)));
    add("start", turn.start.map(|seconds| json!(seconds)));
    add("end", turn.end.map(|seconds| json!(seconds)));
    add("speaker", turn.speaker.as_ref().map(|speaker| json!(transcript.label(speaker))));
    add("channel", turn.channel.map(|channel| json!(channel)));
    let who = turn.party.and_then(|index| vcon.parties().find(|party| party.index() == index));
    if let Some(Value::Object(members)) = who.map(|who| party(&who)) {
        members.into_iter().for_each(|(name, value)| add(&name, Some(value)));
    }
    add("confidence", turn.confidence.map(|sure| json!(sure)));
    add("text", Some(json!(turn.text)));
    if words {
        let words = turn.words.iter().map(
            |word| json!({"text": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}),
        );
        add("words", Some(words.collect()));
    }
    Value::Object(told)
}
