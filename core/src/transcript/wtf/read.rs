//! Reading a body of the World Transcription Format.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::super::assemble::{distribute, is_punctuation};
use super::super::fields::{confidence, filled, index, list, number, object, others, owned, seconds, speaker, text};
use super::super::{Format, Origin, Speaker, Transcript, Turn, Word, language};

/// Members without a place in the model.
pub(super) const EXTRAS: [&str; 5] = ["alternatives", "enrichments", "extensions", "quality", "streaming"];

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let head = value.get("transcript").filter(|head| head.is_object())?;
    let segments = value.get("segments").and_then(Value::as_array);
    if segments.is_none() && value.get("metadata").is_none() {
        return None;
    }
    let segments = segments.map_or(&[][..], Vec::as_slice);
    let mut turns: Vec<Turn> = segments.iter().map(turn).collect();
    words(value, segments, &mut turns);
    if turns.is_empty() {
        turns.push(Turn { text: text(head, "text").unwrap_or_default().to_owned(), ..Turn::default() });
    }
    let mut transcript = Transcript {
        text: text(head, "text").unwrap_or_default().to_owned(),
        language: filled(head, "language").and_then(language::tag).filter(|tag| tag != "und"),
        duration: seconds(head, "duration").filter(|duration| *duration > 0.0),
        confidence: confidence(head, "confidence"),
        turns,
        labels: labels(value),
        origin: origin(value),
    };
    forget_unmeasured(&mut transcript);
    Some(transcript)
}

fn turn(segment: &Value) -> Turn {
    Turn {
        text: filled(segment, "text").unwrap_or_default().to_owned(),
        start: seconds(segment, "start"),
        end: seconds(segment, "end"),
        speaker: speaker(segment, "speaker"),
        channel: index(segment, "channel"),
        confidence: confidence(segment, "confidence"),
        ..Turn::default()
    }
}

/// Segments may list the ids of their words; the words of the others go by their time.
fn words(value: &Value, segments: &[Value], turns: &mut [Turn]) {
    let words = list(value, "words");
    let mut owners: HashMap<u64, usize> = HashMap::new();
    for (number, segment) in segments.iter().enumerate() {
        for id in list(segment, "words").iter().filter_map(Value::as_u64) {
            owners.entry(id).or_insert(number);
        }
    }
    let mut rest = Vec::new();
    for (position, item) in words.iter().enumerate() {
        let Some(read) = word(item) else { continue };
        let id = item.get("id").and_then(Value::as_u64).unwrap_or(position as u64);
        match owners.get(&id).and_then(|owner| turns.get_mut(*owner)) {
            Some(turn) => turn.words.push(read),
            None => rest.push(read),
        }
    }
    distribute(turns, rest);
}

fn word(item: &Value) -> Option<Word> {
    let text = filled(item, "text")?;
    Some(Word {
        text: text.to_owned(),
        start: seconds(item, "start"),
        end: seconds(item, "end"),
        confidence: confidence(item, "confidence"),
        speaker: speaker(item, "speaker"),
        is_punctuation: item.get("is_punctuation").and_then(Value::as_bool).unwrap_or_else(|| is_punctuation(text)),
    })
}

/// Labels that say more than the id.
fn labels(value: &Value) -> Vec<(Speaker, String)> {
    let speakers = object(value, "speakers").into_iter().flatten();
    let labels = speakers.filter_map(|(key, speaker)| {
        let id = speaker.get("id").and_then(Speaker::of).unwrap_or_else(|| Speaker::Name(key.clone()));
        Some((id, owned(speaker, "label")?))
    });
    labels.collect()
}

fn origin(value: &Value) -> Origin {
    let none = Value::Null;
    let metadata = value.get("metadata").unwrap_or(&none);
    let map = |name: &str| -> Map<String, Value> { others(metadata.get(name).unwrap_or(&none), &["duration"]) };
    let mut extras = Map::new();
    for name in EXTRAS {
        if let Some(extra) = value.get(name).filter(|extra| !extra.is_null()) {
            extras.insert(name.to_owned(), extra.clone());
        }
    }
    Origin {
        format: Format::Wtf,
        provider: filled(metadata, "provider").map(str::to_lowercase),
        model: owned(metadata, "model"),
        created_at: owned(metadata, "created_at"),
        processed_at: owned(metadata, "processed_at"),
        processing_time: number(metadata, "processing_time").filter(|seconds| *seconds >= 0.0),
        audio: map("audio"),
        options: object(metadata, "options").cloned().unwrap_or_default(),
        details: Map::new(),
        extras,
    }
}

/// Confidences are required members: programs that know none write 0 throughout, which is none.
fn forget_unmeasured(transcript: &mut Transcript) {
    let is_unmeasured = |confidence: Option<f64>| confidence.is_none_or(|confidence| confidence == 0.0);
    if is_unmeasured(transcript.confidence)
        && transcript.turns.iter().all(|turn| is_unmeasured(turn.confidence))
        && transcript.words().all(|word| is_unmeasured(word.confidence))
    {
        transcript.confidence = None;
        for turn in &mut transcript.turns {
            turn.confidence = None;
            turn.words.iter_mut().for_each(|word| word.confidence = None);
        }
    }
}
