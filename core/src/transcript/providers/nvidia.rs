//! NVIDIA Parakeet and Canary, as the transcript tools around vCons write them: Whisper's shape with segments that list
//! the ids of their words, and a `model` such as `nvidia/canary-1b-v2` (the model cards are at
//! <https://huggingface.co/nvidia/canary-1b-v2> and <https://huggingface.co/nvidia/parakeet-tdt-0.6b-v3>).

use serde_json::{Map, Value};

use super::super::assemble::distribute;
use super::super::fields::{confidence, filled, index, list, others, owned, seconds, text};
use super::super::{Origin, Transcript, Turn, Word, language};
use super::whisper;

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let model = ["model", "model_name"].iter().find_map(|name| owned(value, name))?;
    let lower = model.to_lowercase();
    let provider = ["canary", "parakeet", "nvidia"].into_iter().find(|name| lower.contains(name))?;
    let whole = text(value, "text")?;
    let words: Vec<Word> = list(value, "words").iter().filter_map(whisper::word).collect();
    let mut turns: Vec<Turn> = list(value, "segments").iter().map(whisper::segment_turn).collect();
    if turns.is_empty() {
        turns.push(Turn { text: whole.to_owned(), ..Turn::default() });
    }
    distribute(&mut turns, words);
    let mut audio = Map::new();
    if let Some(rate) = index(value, "sample_rate") {
        audio.insert("sample_rate".into(), rate.into());
    }
    Some(Transcript {
        text: whole.to_owned(),
        language: filled(value, "language").and_then(language::tag),
        duration: seconds(value, "duration"),
        confidence: confidence(value, "confidence"),
        turns,
        labels: Vec::new(),
        origin: Origin {
            provider: Some(provider.to_owned()),
            model: Some(model),
            audio,
            details: others(value, &["text", "language", "duration", "segments", "words", "model", "sample_rate"]),
            ..Origin::default()
        },
    })
}
