//! AssemblyAI: <https://www.assemblyai.com/docs/api-reference/transcripts/get>. Times of words and utterances are whole
//! milliseconds, `audio_duration` is in seconds. `utterances` (with speaker labels or several channels) are turns.

use serde_json::{Map, Value};

use super::super::assemble::{Piece, by_speaker, is_punctuation};
use super::super::fields::{confidence, filled, index, list, number, others, owned, seconds, speaker, text};
use super::super::{Origin, Transcript, Turn, Word, language};

/// Members of the answer that say how it was asked for.
const OPTIONS: [&str; 12] = [
    "punctuate",
    "format_text",
    "dual_channel",
    "speaker_labels",
    "speakers_expected",
    "speech_model",
    "auto_highlights",
    "filter_profanity",
    "redact_pii",
    "sentiment_analysis",
    "auto_chapters",
    "summarization",
];

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let whole = text(value, "text")?;
    let marks = ["audio_duration", "language_code", "utterances", "audio_url"];
    if !marks.iter().any(|mark| value.get(mark).is_some()) {
        return None;
    }
    let (words, utterances) = (list(value, "words"), list(value, "utterances"));
    let unit = unit(value, words.iter().chain(utterances));
    let mut turns: Vec<Turn> = utterances.iter().map(|utterance| turn(utterance, unit)).collect();
    if turns.is_empty() {
        turns = by_speaker(words.iter().filter_map(|item| word(item, unit)).map(Piece::from).collect(), " ");
    }
    match turns.as_mut_slice() {
        [] => turns.push(Turn { text: whole.to_owned(), ..Turn::default() }),
        [only] => only.text = whole.to_owned(),
        _ => {}
    }
    let mut options = Map::new();
    for name in OPTIONS {
        if let Some(option) = value.get(name).filter(|option| !option.is_null()) {
            options.insert(name.to_owned(), option.clone());
        }
    }
    let model = owned(value, "speech_model");
    let version = filled(value, "speech_model_version");
    let known = ["text", "words", "utterances", "audio_duration", "confidence", "created"];
    let mut details = others(value, &known);
    details.retain(|name, _| !OPTIONS.contains(&name.as_str()));
    Some(Transcript {
        text: whole.to_owned(),
        language: filled(value, "language_code").and_then(language::tag),
        duration: seconds(value, "audio_duration"),
        confidence: confidence(value, "confidence"),
        turns,
        labels: Vec::new(),
        origin: Origin {
            provider: Some("assemblyai".into()),
            model: model.map(|model| version.map_or(model.clone(), |version| format!("{model}-{version}"))),
            created_at: owned(value, "created"),
            options,
            details,
            ..Origin::default()
        },
    })
}

/// What the times are to be divided by. The service writes whole milliseconds; programs that pass its answers on write
/// seconds, recognisable by fractions, or by fitting into a duration that milliseconds would leave almost empty.
fn unit<'a>(value: &Value, items: impl Iterator<Item = &'a Value>) -> f64 {
    let times: Vec<f64> = items.flat_map(|item| [number(item, "start"), number(item, "end")]).flatten().collect();
    let last = times.iter().copied().fold(0.0, f64::max);
    let fits = seconds(value, "audio_duration").is_some_and(|duration| last <= duration + 1.0 && times.len() > 4);
    if times.iter().any(|time| time.fract() != 0.0) || fits { 1.0 } else { 1000.0 }
}

fn at(item: &Value, name: &str, unit: f64) -> Option<f64> {
    number(item, name).map(|time| time / unit).filter(|seconds| (0.0..=31_536_000.0).contains(seconds))
}

fn turn(utterance: &Value, unit: f64) -> Turn {
    Turn {
        text: filled(utterance, "text").unwrap_or_default().to_owned(),
        start: at(utterance, "start", unit),
        end: at(utterance, "end", unit),
        speaker: speaker(utterance, "speaker"),
        // Channels are counted from 1.
        channel: index(utterance, "channel").and_then(|channel| channel.checked_sub(1)),
        confidence: confidence(utterance, "confidence"),
        words: list(utterance, "words").iter().filter_map(|item| word(item, unit)).collect(),
        ..Turn::default()
    }
}

fn word(item: &Value, unit: f64) -> Option<Word> {
    let text = filled(item, "text")?;
    Some(Word {
        text: text.to_owned(),
        start: at(item, "start", unit),
        end: at(item, "end", unit),
        confidence: confidence(item, "confidence"),
        speaker: speaker(item, "speaker"),
        is_punctuation: is_punctuation(text),
    })
}
