//! Rev AI: <https://docs.rev.ai/api/asynchronous/reference/>, the transcript in JSON: `monologues[]` of one speaker with
//! `elements[]` of type `text` (with `ts` and `end_ts` in seconds), `punct` (also the spaces) and `unknown`.

use serde_json::Value;

use super::super::fields::{confidence, list, others, owned, seconds, speaker, text};
use super::super::{Origin, Speaker, Transcript, Turn, Word, language};

pub(in super::super) fn read(value: &Value) -> Option<Transcript> {
    let monologues = value.get("monologues")?.as_array()?;
    let mut labels = Vec::new();
    for monologue in monologues {
        let name = monologue.get("speaker_info").and_then(|info| owned(info, "display_name"));
        if let (Some(speaker), Some(name)) = (speaker(monologue, "speaker"), name)
            && !labels.iter().any(|(found, _)| *found == speaker)
        {
            labels.push((speaker, name));
        }
    }
    Some(Transcript {
        language: text(value, "language").and_then(language::tag),
        turns: monologues.iter().map(turn).collect(),
        labels,
        origin: Origin {
            provider: Some("rev.ai".into()),
            model: owned(value, "transcriber"),
            details: others(value, &["monologues", "language", "transcriber"]),
            ..Origin::default()
        },
        ..Transcript::default()
    })
}

fn turn(monologue: &Value) -> Turn {
    let speaker = speaker(monologue, "speaker");
    let elements = list(monologue, "elements");
    Turn {
        text: elements.iter().filter_map(|element| text(element, "value")).collect(),
        words: elements.iter().filter_map(|element| word(element, speaker.as_ref())).collect(),
        speaker,
        ..Turn::default()
    }
}

fn word(element: &Value, speaker: Option<&Speaker>) -> Option<Word> {
    let value = text(element, "value")?.trim();
    let is_word = text(element, "type") != Some("punct");
    (is_word && !value.is_empty()).then(|| Word {
        text: value.to_owned(),
        start: seconds(element, "ts"),
        end: seconds(element, "end_ts"),
        confidence: confidence(element, "confidence"),
        speaker: speaker.cloned(),
        is_punctuation: false,
    })
}
