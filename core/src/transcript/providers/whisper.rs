//! Whisper and what answers like it: OpenAI (`json`, `verbose_json`, `diarized_json`), Groq, the `whisper` command.
//!
//! <https://platform.openai.com/docs/api-reference/audio/json-object> and the pages beside it: `text`; with
//! `verbose_json` also `language` (an English name), `duration` (a string in older answers), `segments` with
//! `avg_logprob`, and `words`; with `diarized_json` segments of type `transcript.text.segment` with a `speaker`. Groq
//! (<https://console.groq.com/docs/speech-to-text>) adds `x_groq`. The command line writes words into their segments.

use serde_json::Value;

use super::super::assemble::{Piece, by_sentence, distribute};
use super::super::fields::{
    confidence, filled, index, list, mean, number, of_logarithm, others, owned, seconds, speaker, text,
};
use super::super::{Format, Origin, Transcript, Turn, Word, language};

/// Members that have a place in the model. `chunked_transcription` repeats the rest: vcon-server's link keeps the answers
/// of all parts of a long recording in it.
const DESCRIBED: [&str; 8] =
    ["text", "language", "duration", "segments", "words", "confidence", "model", "chunked_transcription"];

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let whole = text(value, "text");
    let segments = list(value, "segments");
    if whole.is_none() && !segments.iter().any(|segment| filled(segment, "text").is_some()) {
        return None;
    }
    let mut turns: Vec<Turn> = segments.iter().map(segment_turn).collect();
    let words: Vec<Word> = list(value, "words").iter().filter_map(word).collect();
    if !turns.iter().any(|turn| !turn.words.is_empty()) && !turns.is_empty() {
        distribute(&mut turns, words);
    } else if turns.is_empty() {
        turns = by_sentence(words.into_iter().map(Piece::from).collect(), " ");
    }
    if turns.is_empty() {
        turns.push(Turn { text: whole.unwrap_or_default().to_owned(), ..Turn::default() });
    }
    let logarithms = mean(segments.iter().filter_map(|segment| number(segment, "avg_logprob")));
    Some(Transcript {
        text: whole.unwrap_or_default().to_owned(),
        language: filled(value, "language").and_then(language::tag),
        duration: seconds(value, "duration").or_else(|| seconds(value.get("usage")?, "seconds")),
        confidence: confidence(value, "confidence").or_else(|| logarithms.and_then(of_logarithm)),
        turns,
        labels: Vec::new(),
        origin: origin(value, segments),
    })
}

fn origin(value: &Value, segments: &[Value]) -> Origin {
    let is_whisper = segments.iter().any(|segment| segment.get("avg_logprob").is_some());
    let is_openai = segments.iter().any(|segment| text(segment, "type") == Some("transcript.text.segment"));
    let provider = match value {
        _ if value.get("x_groq").is_some() => Some("groq"),
        _ if is_openai => Some("openai"),
        _ if is_whisper => Some("whisper"),
        _ => None,
    };
    Origin {
        format: Format::Whisper,
        provider: provider.map(str::to_owned),
        model: owned(value, "model"),
        details: others(value, &DESCRIBED),
        ..Origin::default()
    }
}

pub(super) fn segment_turn(segment: &Value) -> Turn {
    let own = confidence(segment, "confidence");
    Turn {
        text: filled(segment, "text").unwrap_or_default().to_owned(),
        start: seconds(segment, "start"),
        end: seconds(segment, "end"),
        speaker: speaker(segment, "speaker"),
        // Where channels were transcribed one by one.
        channel: index(segment, "channel"),
        confidence: own.or_else(|| number(segment, "avg_logprob").and_then(of_logarithm)),
        words: list(segment, "words").iter().filter_map(word).collect(),
        ..Turn::default()
    }
}

pub(super) fn word(word: &Value) -> Option<Word> {
    let text = ["word", "text"].iter().find_map(|name| filled(word, name))?;
    Some(Word {
        text: text.to_owned(),
        start: seconds(word, "start"),
        end: seconds(word, "end"),
        confidence: ["probability", "confidence"].iter().find_map(|name| confidence(word, name)),
        speaker: speaker(word, "speaker"),
        is_punctuation: super::super::assemble::is_punctuation(text),
    })
}
