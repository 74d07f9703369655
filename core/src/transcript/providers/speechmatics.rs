//! Speechmatics json-v2: <https://docs.speechmatics.com/speech-to-text/batch/output>. `results[]` are words and
//! punctuation marks in the order of time, in seconds, each with alternatives that carry the speaker (`S1`; `UU` is
//! nobody known). `attaches_to` says on which side a mark has no space.

use serde_json::Value;

use super::super::assemble::{Piece, by_sentence, by_speaker};
use super::super::fields::{confidence, filled, list, object, others, owned, seconds, text};
use super::super::{Origin, Speaker, Transcript, Turn, Word, language};

/// The marks of speakers that are not known.
const UNKNOWN: [&str; 2] = ["UU", "UNK"];

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let results = value.get("results")?.as_array()?;
    let is_result = |result: &Value| {
        matches!(text(result, "type"), Some("word" | "punctuation" | "entity")) && result.get("alternatives").is_some()
    };
    let is_own =
        text(value, "format").is_some_and(|format| format.starts_with("2.")) && value.get("metadata").is_some();
    let has_results =
        results.iter().any(|result| is_result(result) && result.get("start_time").is_some_and(Value::is_number));
    let says_nothing = is_own && results.is_empty();
    if !has_results && !says_nothing {
        return None;
    }
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let job = value.get("job").unwrap_or(&Value::Null);
    let pack = metadata.get("language_pack_info").unwrap_or(&Value::Null);
    let delimiter = text(pack, "word_delimiter").unwrap_or(" ");
    let mut turns = channels(results, delimiter);
    turns.retain(|turn| !turn.text.is_empty());
    let config = object(metadata, "transcription_config").or_else(|| object(job, "transcription_config"));
    let spoken = results.iter().flat_map(|result| list(result, "alternatives").first());
    Some(Transcript {
        language: spoken
            .filter_map(|alternative| filled(alternative, "language"))
            .chain(config.and_then(|config| config.get("language")?.as_str()))
            .find_map(language::tag),
        duration: seconds(job, "duration"),
        turns,
        origin: Origin {
            provider: Some("speechmatics".into()),
            model: config.and_then(|config| config.get("operating_point")?.as_str()).map(str::to_owned),
            created_at: owned(metadata, "created_at").or_else(|| owned(job, "created_at")),
            options: config.cloned().unwrap_or_default(),
            details: others(value, &["results", "format"]),
            ..Origin::default()
        },
        ..Transcript::default()
    })
}

/// The turns of each channel; without channels, of everything.
fn channels(results: &[Value], delimiter: &str) -> Vec<Turn> {
    let mut names: Vec<&str> = results.iter().filter_map(|result| text(result, "channel")).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return turns(results.iter(), delimiter);
    }
    let mut all = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let own = results.iter().filter(|result| text(result, "channel") == Some(name));
        let channel = turns(own, delimiter).into_iter();
        all.extend(channel.map(|turn| Turn { channel: Some(number), ..turn }));
    }
    all
}

fn turns<'a>(results: impl Iterator<Item = &'a Value>, delimiter: &str) -> Vec<Turn> {
    let pieces: Vec<Piece> = pieces(results);
    let is_diarised = pieces.iter().any(|piece| piece.word.speaker.is_some());
    if is_diarised { by_speaker(pieces, delimiter) } else { by_sentence(pieces, delimiter) }
}

fn pieces<'a>(results: impl Iterator<Item = &'a Value>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut next_attaches = false;
    for result in results {
        let Some(alternative) = list(result, "alternatives").first() else { continue };
        let Some(content) = filled(alternative, "content") else { continue };
        let is_punctuation = text(result, "type") == Some("punctuation");
        let attaches = text(result, "attaches_to").unwrap_or(if is_punctuation { "previous" } else { "none" });
        let speaker = filled(alternative, "speaker").filter(|speaker| !UNKNOWN.contains(speaker));
        pieces.push(Piece {
            word: Word {
                text: content.to_owned(),
                start: seconds(result, "start_time"),
                end: seconds(result, "end_time"),
                confidence: confidence(alternative, "confidence"),
                speaker: speaker.map(|name| Speaker::Name(name.to_owned())),
                is_punctuation,
            },
            written: None,
            attaches: next_attaches || matches!(attaches, "previous" | "both"),
        });
        next_attaches = matches!(attaches, "next" | "both");
    }
    pieces
}
