//! Twilio Voice Intelligence sentences:
//! <https://www.twilio.com/docs/conversation-intelligence-classic/api/transcript-sentence-subresource>: a page with
//! `sentences[]`, each with `media_channel` (from 1), `start_time`, `end_time` and `confidence`, which are strings.

use serde_json::Value;

use super::super::fields::{confidence, filled, index, list, others, seconds};
use super::super::{Origin, Transcript, Turn, Word};

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let sentences = value.as_array().map_or_else(|| list(value, "sentences"), Vec::as_slice);
    let is_sentence =
        |sentence: &Value| sentence.get("transcript").is_some() && sentence.get("media_channel").is_some();
    if !sentences.iter().any(is_sentence) {
        return None;
    }
    let mut ordered: Vec<&Value> =
        sentences.iter().filter(|sentence| filled(sentence, "transcript").is_some()).collect();
    ordered.sort_by_key(|sentence| index(sentence, "sentence_index").unwrap_or(usize::MAX));
    Some(Transcript {
        turns: ordered.into_iter().map(turn).collect(),
        origin: Origin {
            provider: Some("twilio".into()),
            details: others(value, &["sentences", "meta"]),
            ..Origin::default()
        },
        ..Transcript::default()
    })
}

fn turn(sentence: &Value) -> Turn {
    Turn {
        text: filled(sentence, "transcript").unwrap_or_default().to_owned(),
        start: seconds(sentence, "start_time"),
        end: seconds(sentence, "end_time"),
        channel: index(sentence, "media_channel").map(|channel| channel.saturating_sub(1)),
        confidence: confidence(sentence, "confidence"),
        words: list(sentence, "words").iter().filter_map(word).collect(),
        ..Turn::default()
    }
}

fn word(word: &Value) -> Option<Word> {
    Some(Word {
        text: ["word", "text"].iter().find_map(|name| filled(word, name))?.to_owned(),
        start: seconds(word, "start_time"),
        end: seconds(word, "end_time"),
        ..Word::default()
    })
}
