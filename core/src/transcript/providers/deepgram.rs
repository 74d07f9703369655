//! Deepgram: pre-recorded audio, <https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded>.
//!
//! `results.channels[]` holds a list of alternatives per channel, times in seconds. `utterances` (an option) are turns
//! over all channels; `paragraphs` (an option) are turns of one channel. vcon-server's link keeps the first
//! alternative of the first channel and adds `detected_language` to it.

use serde_json::{Map, Value};

use super::super::assemble::{Piece, by_speaker, distribute};
use super::super::fields::{confidence, filled, index, list, number, object, others, owned, seconds, speaker};
use super::super::{Format, Origin, Transcript, Turn, Word, language};

/// A whole answer.
pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let results = value.get("results")?;
    let channels = results.get("channels")?.as_array()?;
    let first = channels.iter().flat_map(|channel| list(channel, "alternatives").first());
    let alternatives: Vec<&Value> = first.filter(|alternative| alternative.is_object()).collect();
    alternatives.first()?;
    let several = channels.len() > 1;
    let mut turns = Vec::new();
    for (number, channel) in channels.iter().enumerate() {
        if let Some(alternative) = list(channel, "alternatives").first() {
            turns.extend(turns_of(alternative, several.then_some(number)));
        }
    }
    let utterances = list(results, "utterances");
    if !utterances.is_empty() {
        turns = utterances.iter().map(|utterance| utterance_turn(utterance, several)).collect();
    }
    let languages = channels.iter().filter_map(|channel| filled(channel, "detected_language"));
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    Some(Transcript {
        text: if several {
            String::new()
        } else {
            filled(alternatives[0], "transcript").unwrap_or_default().to_owned()
        },
        language: languages.chain(filled(alternatives[0], "detected_language")).find_map(language::tag),
        duration: seconds(metadata, "duration"),
        confidence: if several { None } else { confidence(alternatives[0], "confidence") },
        turns,
        labels: Vec::new(),
        origin: origin(metadata),
    })
}

/// One alternative alone.
pub(in super::super) fn read_alternative(value: &Value) -> Option<Transcript> {
    let text = value.get("transcript")?.as_str()?;
    // Twilio's sentences have a `transcript` as well; only Deepgram's are certain of it as a whole.
    let marks = ["confidence", "words", "paragraphs", "detected_language"];
    let is_list = |name: &str| value.get(name).is_none_or(|member| !member.is_string());
    if value.as_object()?.len() > 1 && !marks.iter().any(|mark| value.get(mark).is_some()) || !is_list("words") {
        return None;
    }
    Some(Transcript {
        text: text.to_owned(),
        language: filled(value, "detected_language").and_then(language::tag),
        confidence: confidence(value, "confidence"),
        turns: turns_of(value, None),
        origin: Origin { provider: marked_provider(value), format: Format::DeepgramAlternative, ..Origin::default() },
        ..Transcript::default()
    })
}

/// Text alone is also what other services answer.
fn marked_provider(value: &Value) -> Option<String> {
    let is_own = value.get("words").is_some() || value.get("paragraphs").is_some();
    is_own.then(|| "deepgram".to_owned())
}

fn origin(metadata: &Value) -> Origin {
    let mut audio = Map::new();
    if let Some(channels) = index(metadata, "channels") {
        audio.insert("channels".into(), channels.into());
    }
    Origin {
        provider: Some("deepgram".into()),
        model: model(metadata),
        created_at: owned(metadata, "created"),
        audio,
        details: others(metadata, &["duration", "created", "channels", "warnings"]),
        ..Origin::default()
    }
}

/// `model_info` is an object of models by their uuid; older answers have one model there.
fn model(metadata: &Value) -> Option<String> {
    let info = metadata.get("model_info")?;
    owned(info, "name").or_else(|| info.as_object()?.values().find_map(|model| owned(model, "name")))
}

fn utterance_turn(utterance: &Value, several: bool) -> Turn {
    Turn {
        text: filled(utterance, "transcript").unwrap_or_default().to_owned(),
        start: seconds(utterance, "start"),
        end: seconds(utterance, "end"),
        speaker: speaker(utterance, "speaker"),
        channel: index(utterance, "channel").filter(|_| several),
        confidence: confidence(utterance, "confidence"),
        words: list(utterance, "words").iter().filter_map(word).collect(),
        ..Turn::default()
    }
}

fn turns_of(alternative: &Value, channel: Option<usize>) -> Vec<Turn> {
    let paragraphs = object(alternative, "paragraphs").and_then(|paragraphs| paragraphs.get("paragraphs"));
    let paragraphs = paragraphs.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut turns: Vec<Turn> = paragraphs.iter().map(paragraph_turn).collect();
    let words = list(alternative, "words");
    if turns.iter().all(|turn| turn.text.is_empty()) {
        turns = by_speaker(words.iter().filter_map(piece).collect(), " ");
        repair(&mut turns, alternative);
    } else {
        distribute(&mut turns, words.iter().filter_map(word).collect());
    }
    turns.iter_mut().for_each(|turn| turn.channel = channel);
    turns
}

/// One speaker means that all of the text is theirs, also where only a part of its words is listed.
fn repair(turns: &mut Vec<Turn>, alternative: &Value) {
    let text = filled(alternative, "transcript").unwrap_or_default();
    match turns.as_mut_slice() {
        [] => turns.push(Turn { text: text.to_owned(), ..Turn::default() }),
        [only] if !text.is_empty() => only.text = text.to_owned(),
        _ => {}
    }
}

fn paragraph_turn(paragraph: &Value) -> Turn {
    let sentences: Vec<&str> =
        list(paragraph, "sentences").iter().filter_map(|sentence| filled(sentence, "text")).collect();
    Turn {
        text: sentences.join(" "),
        start: seconds(paragraph, "start"),
        end: seconds(paragraph, "end"),
        speaker: speaker(paragraph, "speaker"),
        ..Turn::default()
    }
}

fn word(word: &Value) -> Option<Word> {
    Some(Word {
        text: filled(word, "word").or_else(|| filled(word, "punctuated_word"))?.to_owned(),
        start: seconds(word, "start"),
        end: seconds(word, "end"),
        confidence: confidence(word, "confidence"),
        speaker: number(word, "speaker").and_then(|_| speaker(word, "speaker")),
        is_punctuation: false,
    })
}

fn piece(value: &Value) -> Option<Piece> {
    Some(Piece { word: word(value)?, written: owned(value, "punctuated_word"), attaches: false })
}
