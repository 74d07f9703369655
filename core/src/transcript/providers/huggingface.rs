//! Hugging Face pipelines: <https://huggingface.co/docs/transformers/main_classes/pipelines>, automatic speech
//! recognition: `text`, and with `return_timestamps` also `chunks` with `timestamp: [start, end]` in seconds, where the
//! last end may be null. Chunks are segments, or single words with `return_timestamps="word"`.

use serde_json::Value;

use super::super::assemble::{Piece, by_sentence};
use super::super::fields::{filled, list, number_of, others, text};
use super::super::{Origin, Transcript, Turn, Word, language};

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let chunks = list(value, "chunks");
    if !chunks.iter().any(|chunk| chunk.get("timestamp").is_some()) {
        return None;
    }
    let single = |chunk: &&Value| filled(chunk, "text").is_some_and(|text| !text.contains(char::is_whitespace));
    let are_words = chunks.len() > 3 && chunks.iter().filter(single).count() * 10 > chunks.len() * 9;
    let turns = if are_words {
        by_sentence(chunks.iter().filter_map(word).map(Piece::from).collect(), " ")
    } else {
        chunks.iter().map(turn).collect()
    };
    Some(Transcript {
        text: text(value, "text").unwrap_or_default().to_owned(),
        language: chunks.iter().find_map(|chunk| language::tag(filled(chunk, "language")?)),
        turns,
        origin: Origin {
            provider: Some("hugging_face".into()),
            details: others(value, &["text", "chunks"]),
            ..Origin::default()
        },
        ..Transcript::default()
    })
}

fn turn(chunk: &Value) -> Turn {
    let (start, end) = times(chunk);
    Turn { text: filled(chunk, "text").unwrap_or_default().to_owned(), start, end, ..Turn::default() }
}

fn word(chunk: &Value) -> Option<Word> {
    let (start, end) = times(chunk);
    Some(Word { text: filled(chunk, "text")?.to_owned(), start, end, ..Word::default() })
}

fn times(chunk: &Value) -> (Option<f64>, Option<f64>) {
    let at = |index: usize| list(chunk, "timestamp").get(index).and_then(number_of).filter(|seconds| *seconds >= 0.0);
    (at(0), at(1))
}
