//! The texts that a link works on: `source` (contract 2.0).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vconductor_core::transcript::{self, wtf};
use vconductor_core::vcon::{Analysis, Body, Vcon};
use vconductor_core::{Error, Result};

use super::{is_analysed, speaks_of};

/// The type under which vcon-server looks for transcripts.
pub(super) const TRANSCRIPT: &str = "transcript";

/// Where the text of a dialog is found.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceOptions {
    /// The `type` of the analysis that holds the text.
    analysis_type: String,
    /// The place in the analysis, such as `body.paragraphs.transcript` or `body.results[0].text`. A JSON body may be
    /// text or native.
    text_location: String,
}

/// Finds texts.
#[derive(Debug)]
pub(crate) struct Source {
    analysis_type: String,
    location: Vec<String>,
}

/// A text and the dialogs that it is of.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) dialogs: Vec<usize>,
    pub(crate) text: String,
}

impl Target {
    /// Its name in the ledger.
    pub(crate) fn part(&self) -> String {
        let dialogs: Vec<String> = self.dialogs.iter().map(usize::to_string).collect();
        format!("dialog {}", dialogs.join(","))
    }
}

impl Source {
    /// From the option, or vcon-server's default for the link.
    pub(crate) fn new(options: Option<SourceOptions>, default_location: &str) -> Result<Self> {
        let SourceOptions { analysis_type, text_location } = options.unwrap_or_else(|| SourceOptions {
            analysis_type: TRANSCRIPT.to_owned(),
            text_location: default_location.to_owned(),
        });
        let location: Vec<String> =
            text_location.split(['.', '[', ']']).filter(|step| !step.is_empty()).map(str::to_owned).collect();
        if location.is_empty() {
            return Err(Error::configuration("option `source.text_location` names no place")
                .help("write a path such as body.paragraphs.transcript"));
        }
        Ok(Source { analysis_type, location })
    }

    /// The types of analyses in which it finds texts.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &str> {
        let known: &[&str] = if self.analysis_type == TRANSCRIPT { &[wtf::NAME] } else { &[] };
        std::iter::once(self.analysis_type.as_str()).chain(known.iter().copied())
    }

    /// The texts of dialogs that have no analysis of type `result` yet, each with all dialogs that it is of.
    pub(crate) fn targets(&self, vcon: &Vcon, result: &str) -> Vec<Target> {
        let mut targets: Vec<(usize, Target)> = Vec::new();
        let dialogs = vcon.dialogs().map(|dialog| dialog.index());
        for dialog in dialogs.filter(|dialog| !is_analysed(vcon, result, *dialog)) {
            let Some((id, text)) = self.find(vcon, dialog) else { continue };
            match targets.iter_mut().find(|(known, _)| *known == id) {
                Some((_, target)) => target.dialogs.push(dialog),
                None => targets.push((id, Target { dialogs: vec![dialog], text })),
            }
        }
        targets.into_iter().map(|(_, target)| target).collect()
    }

    /// The text of a dialog, and a number that is the same for the same place.
    fn find(&self, vcon: &Vcon, dialog: usize) -> Option<(usize, String)> {
        let named = vcon
            .analyses()
            .filter(|analysis| analysis.kind().is_some_and(|kind| kind == self.analysis_type))
            .find(|analysis| speaks_of(vcon, &analysis.dialogs(), dialog));
        if let Some(analysis) = named {
            return Some((analysis.index(), self.text_of(&analysis)?));
        }
        if self.analysis_type != TRANSCRIPT {
            return None;
        }
        // Others call it `transcription` or `wtf_transcription`, or put it into an attachment.
        let found = transcript::find(vcon).into_iter().find(|found| speaks_of(vcon, &found.dialogs, dialog))?;
        let id = match found.place {
            transcript::Place::Analysis(index) => index,
            transcript::Place::Attachment(index) => usize::MAX - index,
        };
        Some((id, readable(&found.transcript)?))
    }

    /// What stands at the place; where nothing does, the transcript in whatever shape it has.
    fn text_of(&self, analysis: &Analysis<'_>) -> Option<String> {
        let body = analysis.body().ok()?;
        let at_place = match self.location.split_first() {
            Some((first, rest)) if first == "body" => match &body {
                Body::Json(value) => walk(value, rest).cloned(),
                Body::Text(text) if rest.is_empty() => Some(Value::from(text.as_ref())),
                _ => None,
            },
            Some((first, rest)) => walk(&analysis.entry().get(first)?.to_value(), rest).cloned(),
            None => None,
        };
        let text = match at_place {
            Some(Value::String(text)) => text,
            other => match transcript::of_body(&body, None) {
                Some(transcript) => readable(&transcript)?,
                None => match other {
                    Some(Value::Null) | None => return None,
                    // vcon-server would put it into the prompt as Python prints it.
                    Some(value) => value.to_string(),
                },
            },
        };
        (!text.trim().is_empty()).then_some(text)
    }
}

fn readable(transcript: &transcript::Transcript) -> Option<String> {
    let text = transcript::text(transcript);
    (!text.trim().is_empty()).then_some(text)
}

fn walk<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Array(elements) => elements.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn targets(location: &str, dialogs: usize, analysis: Value) -> Vec<(Vec<usize>, String)> {
        let dialog: Vec<Value> = (0..dialogs).map(|_| json!({"type": "recording"})).collect();
        let mut vcon = json!({"uuid": "u", "dialog": dialog});
        vcon["analysis"] = analysis;
        let vcon = Vcon::read(vcon.to_string()).unwrap();
        let source = Source::new(None, location).unwrap();
        source.targets(&vcon, "summary").into_iter().map(|target| (target.dialogs, target.text)).collect()
    }

    #[test]
    fn the_text_is_found_in_string_and_native_bodies() {
        let body = json!({"transcript": "hello", "paragraphs": {"transcript": "Speaker 0: hello"}, "results": [{"text": "x"}]});
        for (location, body, text) in [
            ("body.paragraphs.transcript", body.clone(), Some("Speaker 0: hello")),
            ("body.paragraphs.transcript", json!(body.to_string()), Some("Speaker 0: hello")),
            ("body.transcript", body.clone(), Some("hello")),
            ("body.results[0].text", body.clone(), Some("x")),
            ("body.results.0.text", body, Some("x")),
            ("body", json!("just text"), Some("just text")),
            ("body.paragraphs.transcript", json!("just text"), Some("just text\n")),
            ("body.paragraphs.transcript", json!([{"speaker": "Ann", "message": "hi"}]), Some("Ann: hi\n")),
            ("body", json!([{"speaker": "Ann", "message": "hi"}]), Some("Ann: hi\n")),
            ("body.paragraphs.transcript", json!({"text": "by whisper"}), Some("by whisper\n")),
            ("body.paragraphs.transcript", json!(""), None),
            ("body.paragraphs.transcript", json!(null), None),
        ] {
            let found = targets(location, 1, json!([{"type": "transcript", "dialog": 0, "body": body}]));
            assert_eq!(found.first().map(|(_, text)| text.as_str()), text, "{location} in {body}");
        }
    }

    #[test]
    fn dialogs_are_integers_or_lists_or_missing() {
        let entry = |dialog: Value| json!({"type": "transcript", "dialog": dialog, "body": "hello"});
        let dialogs = |count, analysis| -> Vec<Vec<usize>> {
            targets("body", count, analysis).into_iter().map(|(dialogs, _)| dialogs).collect()
        };
        assert_eq!(dialogs(2, json!([entry(json!(0)), entry(json!([1]))])), [[0], [1]]);
        assert_eq!(dialogs(3, json!([entry(json!([0, 2]))])), [[0, 2]], "one text is worked on once");
        assert_eq!(dialogs(1, json!([{"type": "transcript", "body": "hello"}])), [[0]]);
        assert_eq!(dialogs(2, json!([{"type": "transcript", "body": "hello"}])), [] as [Vec<usize>; 0]);
        // The first entry counts, and what is there already is not made again.
        let done = json!({"type": "summary", "dialog": [0], "body": "x"});
        assert_eq!(dialogs(2, json!([entry(json!([0, 1])), done])), [[1]]);
    }

    #[test]
    fn transcripts_under_other_names_are_found() {
        let analysis = json!([{"type": "transcription", "dialog": 0, "body": {"text": "hello"}}]);
        assert_eq!(targets("body.paragraphs.transcript", 1, analysis), [(vec![0], "hello\n".to_owned())]);
        let summary = json!([{"type": "sentiment", "dialog": 0, "body": "hello"}]);
        assert!(targets("body", 1, summary).is_empty());
    }
}
