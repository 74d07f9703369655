//! Writing a body of the World Transcription Format.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::fields::mean;
use super::super::{Speaker, Transcript, Turn, Word};

/// Below it a word counts as one of low confidence.
const LOW: f64 = 0.5;
/// Characters that are spoken in a second, for turns whose times nobody measured.
const PACE: f64 = 15.0;
/// The shortest segment: a segment must end after its start.
const SHORTEST: f64 = 0.001;

/// The body. What the format requires and nobody measured is written and named in `quality.processing_warnings`: times
/// are estimated from the length of the text, confidences are 0, the language is `und`.
///
/// `now` stands for the times of processing that the provider does not give.
pub fn body(transcript: &Transcript, now: Timestamp) -> Map<String, Value> {
    let mut warnings = Vec::new();
    let times = times(transcript, &mut warnings);
    let mut words = Vec::new();
    let mut segments = Vec::new();
    let mut measured = transcript.confidence.is_some();
    for (id, (turn, (start, end))) in transcript.turns.iter().zip(&times).enumerate() {
        measured &= turn.confidence.is_some();
        let first = words.len();
        words.extend(turn.words.iter().enumerate().map(|(offset, item)| word(item, first + offset, *start)));
        let mut segment = Map::new();
        segment.insert("id".into(), id.into());
        segment.insert("start".into(), json!(start));
        segment.insert("end".into(), json!(end));
        segment.insert("text".into(), turn.text.clone().into());
        segment.insert("confidence".into(), json!(turn.confidence.unwrap_or(0.0)));
        if let Some(speaker) = &turn.speaker {
            segment.insert("speaker".into(), spoken_by(speaker));
        }
        if let Some(channel) = turn.channel {
            segment.insert("channel".into(), channel.into());
        }
        if words.len() > first {
            segment.insert("words".into(), (first..words.len()).collect());
        }
        segments.push(Value::Object(segment));
    }
    if !measured {
        warnings.push(json!("confidence: 0 stands for what the provider does not give"));
    }
    let duration = transcript.duration.or_else(|| times.iter().map(|(_, end)| *end).reduce(f64::max)).unwrap_or(0.0);
    let speakers = speakers(transcript, &times);
    let mut body = Map::new();
    body.insert(
        "transcript".into(),
        json!({
            "text": transcript.text,
            "language": transcript.language.as_deref().unwrap_or("und"),
            "duration": duration,
            "confidence": transcript.confidence.unwrap_or(0.0),
        }),
    );
    body.insert("segments".into(), segments.into());
    body.insert("metadata".into(), metadata(transcript, duration, now));
    if !words.is_empty() {
        body.insert("words".into(), words.into());
    }
    if !speakers.is_empty() {
        body.insert("speakers".into(), speakers.into());
    }
    extras(&mut body, transcript, &warnings);
    body
}

/// The times of all segments; those that are missing are estimated.
pub(in crate::transcript) fn times(transcript: &Transcript, warnings: &mut Vec<Value>) -> Vec<(f64, f64)> {
    let mut estimated = 0usize;
    let mut last = 0.0;
    let mut times: Vec<(f64, f64)> = Vec::with_capacity(transcript.turns.len());
    for (index, turn) in transcript.turns.iter().enumerate() {
        let start = turn.start.unwrap_or(last);
        let end = turn.end.unwrap_or_else(|| {
            let next = transcript.turns.get(index + 1).and_then(|next| next.start).filter(|next| *next > start);
            next.unwrap_or(start + turn.text.chars().count() as f64 / PACE)
        });
        estimated += usize::from(turn.start.is_none() || turn.end.is_none());
        let end = end.max(start + SHORTEST);
        last = end;
        times.push((start, end));
    }
    if estimated > 0 {
        warnings.push(json!(format!("times: those of {estimated} segments are estimated from the length of the text")));
        // What is known to last so long is stretched or squeezed into that.
        let squeeze = transcript.duration.filter(|duration| *duration > SHORTEST && estimated == times.len());
        if let Some(duration) = squeeze.filter(|_| last > 0.0) {
            times
                .iter_mut()
                .for_each(|(start, end)| (*start, *end) = (*start * duration / last, *end * duration / last));
        }
    }
    times
}

fn word(word: &Word, id: usize, begin: f64) -> Value {
    let start = word.start.unwrap_or(begin);
    let mut item = json!({
        "id": id,
        "start": start,
        "end": word.end.unwrap_or(start).max(start),
        "text": word.text,
        "confidence": word.confidence.unwrap_or(0.0),
        "is_punctuation": word.is_punctuation,
    });
    if let (Some(speaker), Some(item)) = (&word.speaker, item.as_object_mut()) {
        item.insert("speaker".into(), spoken_by(speaker));
    }
    item
}

fn spoken_by(speaker: &Speaker) -> Value {
    match speaker {
        Speaker::Number(number) => (*number).into(),
        Speaker::Name(name) => name.clone().into(),
    }
}

fn speakers(transcript: &Transcript, times: &[(f64, f64)]) -> Map<String, Value> {
    let mut all = Map::new();
    for speaker in transcript.speakers() {
        let own = |turn: &Turn| turn.speaker.as_ref() == Some(speaker);
        let turns = || transcript.turns.iter().enumerate().filter(|(_, turn)| own(turn));
        let total: f64 = turns().map(|(index, turn)| spoken(turn).unwrap_or(times[index].1 - times[index].0)).sum();
        let key = match speaker {
            Speaker::Number(number) => number.to_string(),
            Speaker::Name(name) => name.clone(),
        };
        let mut entry = json!({
            "id": spoken_by(speaker),
            "label": transcript.label(speaker),
            "segments": turns().map(|(index, _)| index).collect::<Vec<_>>(),
            "total_time": total,
        });
        let confidence = mean(turns().filter_map(|(_, turn)| turn.confidence));
        if let (Some(confidence), Some(entry)) = (confidence, entry.as_object_mut()) {
            entry.insert("confidence".into(), json!(confidence));
        }
        all.insert(key, entry);
    }
    all
}

/// The time that the words of a turn take, without the silences between them.
fn spoken(turn: &Turn) -> Option<f64> {
    let words = turn.words.iter().map(|word| Some((word.end? - word.start?).max(0.0)));
    let times: Vec<f64> = words.collect::<Option<_>>()?;
    (!times.is_empty()).then(|| times.iter().sum())
}

fn metadata(transcript: &Transcript, duration: f64, now: Timestamp) -> Value {
    let origin = &transcript.origin;
    let now = now.to_string();
    let mut audio = Map::new();
    audio.insert("duration".into(), json!(duration));
    audio.extend(origin.audio.clone());
    let mut metadata = json!({
        "created_at": origin.created_at.as_deref().unwrap_or(&now),
        "processed_at": origin.processed_at.as_deref().unwrap_or(&now),
        "provider": origin.provider.as_deref().unwrap_or("unknown").to_lowercase(),
        "model": origin.model.as_deref().unwrap_or("unknown"),
        "audio": audio,
    });
    if let Some(members) = metadata.as_object_mut() {
        if let Some(seconds) = origin.processing_time {
            members.insert("processing_time".into(), json!(seconds));
        }
        if !origin.options.is_empty() {
            members.insert("options".into(), Value::Object(origin.options.clone()));
        }
    }
    metadata
}

/// What the body came with, the provider's own members, and the quality.
fn extras(body: &mut Map<String, Value>, transcript: &Transcript, warnings: &[Value]) {
    let origin = &transcript.origin;
    for (name, extra) in &origin.extras {
        body.insert(name.clone(), extra.clone());
    }
    if !origin.details.is_empty() {
        let provider = origin.provider.clone().unwrap_or_else(|| "unknown".to_owned());
        body.entry("extensions").or_insert_with(|| json!({provider: origin.details}));
    }
    if !body.contains_key("quality") {
        let low = transcript.words().filter(|word| word.confidence.is_some_and(|confidence| confidence < LOW)).count();
        let mut quality = json!({"low_confidence_words": low, "processing_warnings": warnings});
        if let Some(quality) = quality.as_object_mut() {
            if let Some(confidence) = transcript.confidence {
                quality.insert("average_confidence".into(), json!(confidence));
            }
            let speakers = transcript.speakers().len();
            if speakers > 0 {
                quality.insert("multiple_speakers".into(), json!(speakers > 1));
            }
        }
        body.insert("quality".into(), quality);
    }
}
