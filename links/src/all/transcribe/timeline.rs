//! Parts of a recording on one time line.

use serde_json::{Map, Value, json};

use super::vendor::Piece;

/// A member that is text, trimmed.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default().trim()
}

/// The beginning of a text from outside, for a message.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

/// The items of a list with times and speakers as they are in the whole recording.
pub(super) fn shifted(items: &Value, piece: &Piece, several_parts: bool) -> Vec<Value> {
    items.as_array().into_iter().flatten().map(|item| shift(item, piece, several_parts)).collect()
}

fn shift(item: &Value, piece: &Piece, several_parts: bool) -> Value {
    let Value::Object(members) = item else { return item.clone() };
    let later =
        |value: &Value| value.as_f64().map_or_else(|| value.clone(), |seconds| json!(rounded(seconds + piece.offset)));
    let shifted = members.iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("start" | "end", value) => later(value),
            ("timestamp", Value::Array(times)) => times.iter().map(later).collect(),
            ("words" | "sentences", list) => shifted(list, piece, several_parts).into(),
            // What a vendor calls A in one part is not who it calls A in the next.
            ("speaker", speaker) if several_parts && piece.index > 0 => renamed(speaker, piece.index),
            (_, value) => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(shifted.collect())
}

/// A tenth of a millisecond is finer than any vendor's times.
fn rounded(seconds: f64) -> f64 {
    (seconds * 10_000.0).round() / 10_000.0
}

fn renamed(speaker: &Value, index: usize) -> Value {
    let part = index + 1;
    match speaker {
        Value::Number(number) => json!(format!("Speaker {number} (part {part})")),
        Value::String(mark) if mark.chars().count() == 1 => json!(format!("Speaker {mark} (part {part})")),
        Value::String(name) => json!(format!("{name} (part {part})")),
        other => other.clone(),
    }
}

/// Joins answers of the form that OpenAI, Groq and Hugging Face share: `text`, and where the vendor gives them `segments`,
/// `words`, `chunks`, `usage`. The members are those of vcon-server's joined answer (contract, section 2.8).
pub(super) fn join(mut pieces: Vec<Piece>) -> Value {
    pieces.sort_by_key(|piece| (piece.index, piece.channel));
    if let [Piece { offset: 0.0, answer: Some(answer), .. }] = pieces.as_slice() {
        return answer.clone();
    }
    let several_parts = pieces.iter().any(|piece| piece.index > 0);
    let by_channel = pieces.iter().any(|piece| piece.channel.is_some_and(|channel| channel > 0));
    let heard: Vec<(&Piece, &Value)> =
        pieces.iter().filter_map(|piece| Some((piece, piece.answer.as_ref()?))).collect();
    let mut joined = match heard.first() {
        Some((_, Value::Object(first))) => first.clone(),
        _ => Map::new(),
    };
    let mut segments = Vec::new();
    let (mut words, mut chunks) = (Vec::new(), Vec::new());
    for (piece, answer) in &heard {
        let mut own = shifted(&answer["segments"], piece, several_parts);
        let own_words = shifted(&answer["words"], piece, several_parts);
        chunks.extend(shifted(&answer["chunks"], piece, several_parts));
        if by_channel {
            if own.is_empty() && !text(answer, "text").is_empty() {
                own.push(json!({
                    "start": rounded(piece.offset), "end": rounded(piece.offset + piece.seconds), "text": text(answer, "text"),
                }));
            }
            // In one list the words of two channels could not be told apart.
            give(&mut own, own_words);
            own.iter_mut().for_each(|segment| segment["channel"] = json!(piece.channel));
        } else {
            words.extend(own_words);
        }
        segments.extend(own);
    }
    let start = |segment: &Value| segment["start"].as_f64().unwrap_or(0.0);
    segments.sort_by(|one, two| start(one).total_cmp(&start(two)));
    for (id, segment) in segments.iter_mut().enumerate() {
        if segment["id"].is_number() {
            segment["id"] = json!(id);
        }
    }
    let said: Vec<&str> = if by_channel {
        segments.iter().map(|segment| text(segment, "text")).collect()
    } else {
        heard.iter().map(|(_, answer)| text(answer, "text")).filter(|said| !said.is_empty()).collect()
    };
    joined.insert("text".into(), said.join(" ").into());
    for (name, list) in [("segments", segments), ("words", words), ("chunks", chunks)] {
        joined.remove(name);
        if !list.is_empty() {
            joined.insert(name.into(), list.into());
        }
    }
    if joined.contains_key("duration") {
        let end = pieces.iter().map(|piece| piece.offset + piece.seconds).fold(0.0, f64::max);
        joined.insert("duration".into(), json!(rounded(end)));
    }
    let usages: Vec<&Value> = heard.iter().filter_map(|(_, answer)| answer.get("usage")).collect();
    if let Some(usage) = usages.into_iter().cloned().reduce(|sum, usage| added(&sum, &usage)) {
        joined.insert("usage".into(), usage);
    }
    if pieces.len() > 1 {
        let results: Vec<&Value> = heard.iter().map(|(_, answer)| *answer).collect();
        joined.insert("chunked_transcription".into(), json!({"total_chunks": pieces.len(), "chunk_results": results}));
    }
    Value::Object(joined)
}

/// Gives each word to the segment in which it begins.
fn give(segments: &mut [Value], words: Vec<Value>) {
    let start = |value: &Value| value["start"].as_f64().unwrap_or(0.0);
    for word in words {
        let at = segments.iter().rposition(|segment| start(segment) <= start(&word) + 0.005).unwrap_or(0);
        if let Some(segment) = segments.get_mut(at) {
            match segment["words"].as_array_mut() {
                Some(list) => list.push(word),
                None => segment["words"] = json!([word]),
            }
        }
    }
}

/// The sum of two objects of counts.
fn added(one: &Value, two: &Value) -> Value {
    match (one, two) {
        (Value::Number(one), Value::Number(two)) => match (one.as_u64(), two.as_u64()) {
            (Some(one), Some(two)) => json!(one + two),
            _ => json!(one.as_f64().unwrap_or(0.0) + two.as_f64().unwrap_or(0.0)),
        },
        (Value::Object(one), Value::Object(two)) => {
            let mut sum = one.clone();
            for (name, value) in two {
                let value = sum.get(name).map_or_else(|| value.clone(), |known| added(known, value));
                sum.insert(name.clone(), value);
            }
            Value::Object(sum)
        }
        (one, _) => one.clone(),
    }
}

#[cfg(test)]
mod tests {
    use vconductor_core::transcript;

    use super::*;

    fn piece(index: usize, channel: Option<u16>, offset: f64, answer: Value) -> Piece {
        Piece { index, channel, offset, seconds: 10.0, answer: Some(answer) }
    }

    #[test]
    fn parts_are_joined_as_vcon_server_joins_them() {
        let usage = |input: u64| json!({"type": "tokens", "input_tokens": input, "output_tokens": 2, "total_tokens": input + 2});
        let one = json!({"text": "One. ", "usage": usage(10)});
        let two = json!({"text": "Two.", "usage": usage(20)});
        let joined = join(vec![piece(1, None, 10.0, two.clone()), piece(0, None, 0.0, one.clone())]);
        let expected = json!({
            "text": "One. Two.",
            "usage": {"type": "tokens", "input_tokens": 30, "output_tokens": 4, "total_tokens": 34},
            "chunked_transcription": {"total_chunks": 2, "chunk_results": [one, two]},
        });
        assert_eq!(joined, expected);
        assert_eq!(join(vec![piece(0, None, 0.0, json!({"text": "x", "other": 1}))]), json!({"text": "x", "other": 1}));
        assert_eq!(join(vec![Piece { answer: None, ..piece(0, None, 0.0, json!(null)) }]), json!({"text": ""}));
    }

    #[test]
    fn times_are_those_of_the_whole_and_speakers_are_kept_apart() {
        let said = |speaker: &str, start: f64| {
            json!({
                "type": "transcript.text.segment", "id": "seg_0", "start": start, "end": start + 1.0, "text": "Hi.", "speaker": speaker,
            })
        };
        let answer = |speaker: &str| json!({"text": "Hi.", "duration": 10.0, "segments": [said(speaker, 0.5)]});
        let joined = join(vec![piece(0, None, 0.0, answer("A")), piece(1, None, 10.25, answer("A"))]);
        assert_eq!(joined["segments"][1]["start"], json!(10.75));
        assert_eq!(joined["duration"], json!(20.25));
        let read = transcript::read(&joined, None).unwrap();
        let speakers: Vec<String> = read.speakers().iter().map(|speaker| speaker.to_string()).collect();
        assert_eq!(speakers, ["Speaker A", "Speaker A (part 2)"]);
    }

    #[test]
    fn channels_are_told_apart_also_without_times() {
        let worded = json!({
            "text": "Yes. No.", "segments": [{"id": 0, "start": 1.0, "end": 2.0, "text": "Yes."}, {"id": 1, "start": 6.0, "end": 7.0, "text": "No."}],
            "words": [{"word": "Yes", "start": 1.0, "end": 1.5}, {"word": "No", "start": 6.0, "end": 6.5}],
        });
        let joined = join(vec![piece(0, Some(0), 0.0, worded), piece(0, Some(1), 0.0, json!({"text": "Really?"}))]);
        let read = transcript::read(&joined, None).unwrap();
        let turns: Vec<_> =
            read.turns.iter().map(|turn| (turn.channel, turn.text.as_str(), turn.words.len())).collect();
        assert_eq!(turns, [(Some(1), "Really?", 0), (Some(0), "Yes.", 1), (Some(0), "No.", 1)]);
        assert_eq!(joined["text"], "Really? Yes. No.");
    }
}
