//! The lines that are exchanged with the process; `docs/exec-protocol.md` describes them for authors of links.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vconductor_core::document::{Document, Edit, Json, diff};
use vconductor_core::plugin::Outcome;
use vconductor_core::{Class, Error, Result};

/// Raised when a change would make older processes fail.
const PROTOCOL: u32 = 1;

/// The first line that a process gets.
#[derive(Serialize)]
pub(super) struct Hello<'a> {
    r#type: &'static str,
    protocol: u32,
    link: &'a str,
    options: &'a Value,
}

impl<'a> Hello<'a> {
    pub(super) fn new(link: &'a str, options: &'a Value) -> Self {
        Hello { r#type: "hello", protocol: PROTOCOL, link, options }
    }
}

/// One vCon for the process.
pub(super) struct Call<'a> {
    pub(super) uuid: &'a str,
    pub(super) run: String,
    pub(super) attempt: u32,
    pub(super) effect_id: String,
    pub(super) vcon: &'a Value,
}

#[derive(Serialize)]
struct Request<'a> {
    r#type: &'static str,
    id: u64,
    uuid: &'a str,
    run: &'a str,
    attempt: u32,
    effect_id: &'a str,
    vcon: &'a Value,
}

impl Call<'_> {
    /// The line for it, as the process's call number `id`.
    pub(super) fn line(&self, id: u64) -> Result<Vec<u8>> {
        let (uuid, run, effect_id) = (self.uuid, self.run.as_str(), self.effect_id.as_str());
        line(&Request { r#type: "run", id, uuid, run, attempt: self.attempt, effect_id, vcon: self.vcon })
    }
}

/// One line of JSON: written by `serde_json` without line breaks inside.
pub(super) fn line(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)
        .map_err(|error| Error::permanent("the vCon cannot be written as JSON").caused_by(error))?;
    line.push(b'\n');
    Ok(line)
}

/// What the process answers. Members that we do not know are refused: a misspelt `edits` would lose them silently.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) id: u64,
    outcome: Option<Decision>,
    uuid: Option<String>,
    #[serde(default)]
    edits: Vec<Edit>,
    vcon: Option<Json>,
    #[serde(default)]
    pub(super) pushes: Vec<String>,
    #[serde(default)]
    pub(super) notes: Vec<String>,
    error: Option<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Decision {
    Continue,
    Stop,
    Switch,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    class: FailureClass,
    message: String,
    help: Option<String>,
    /// Seconds.
    retry_after: Option<f64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FailureClass {
    Retryable,
    Permanent,
    Configuration,
}

impl Answer {
    /// Reads a line; the problem otherwise, for the author of the link.
    pub(super) fn read(line: &[u8], id: u64) -> Result<Answer, String> {
        let answer: Answer = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        if answer.id != id {
            return Err(format!("it is for call {}, and call {id} is under way", answer.id));
        }
        if answer.error.is_some() != answer.outcome.is_none() {
            return Err("it needs either `outcome` or `error`".to_owned());
        }
        if answer.vcon.is_some() && !answer.edits.is_empty() {
            return Err("it has both `vcon` and `edits`".to_owned());
        }
        let switches = answer.outcome == Some(Decision::Switch);
        if switches != answer.uuid.as_ref().is_some_and(|uuid| !uuid.is_empty()) {
            return Err("`uuid` belongs to the outcome `switch`, and only to it".to_owned());
        }
        Ok(answer)
    }

    /// The error that the link itself reported.
    pub(super) fn failure(&self) -> Option<Error> {
        let failure = self.error.as_ref()?;
        let class = match failure.class {
            FailureClass::Retryable => Class::Retryable,
            FailureClass::Permanent => Class::Permanent,
            FailureClass::Configuration => Class::Configuration,
        };
        let mut error = Error::new(class, &failure.message);
        if let Some(help) = &failure.help {
            error = error.help(help);
        }
        match failure.retry_after.map(Duration::try_from_secs_f64) {
            Some(Ok(wait)) => Some(error.retry_after(wait)),
            _ => Some(error),
        }
    }

    /// The outcome, and the edits; those between `seen` and the whole document when the process answered one.
    pub(super) fn decide(&self, seen: &Value) -> Result<(Outcome, Vec<Edit>)> {
        let edits = match &self.vcon {
            None => self.edits.clone(),
            Some(whole) => diff(&Document::from_value(seen)?, &Document::parse(whole.bytes().clone())?),
        };
        let outcome = match (self.outcome, &self.uuid) {
            (Some(Decision::Stop), _) => Outcome::Stop,
            (Some(Decision::Switch), Some(uuid)) => Outcome::Switch(uuid.clone()),
            _ => Outcome::Continue,
        };
        Ok((outcome, edits))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(line: &str) -> String {
        Answer::read(line.as_bytes(), 7).unwrap_err()
    }

    #[test]
    fn answers_that_contradict_themselves_are_refused() {
        for (line, expected) in [
            ("hello", "expected value"),
            (r#"{"id":6,"outcome":"continue"}"#, "call 6"),
            (r#"{"id":7}"#, "either `outcome` or `error`"),
            (r#"{"id":7,"outcome":"continue","error":{"class":"permanent","message":"x"}}"#, "either"),
            (r#"{"id":7,"outcome":"continue","edit":[]}"#, "unknown field `edit`"),
            (r#"{"id":7,"outcome":"continue","edits":[{"op":"add"}]}"#, "unknown variant `add`"),
            (r#"{"id":7,"outcome":"continue","vcon":{},"edits":[{"op":"remove","pointer":"/a"}]}"#, "both"),
            (r#"{"id":7,"outcome":"switch"}"#, "`uuid` belongs"),
            (r#"{"id":7,"outcome":"stop","uuid":"u"}"#, "`uuid` belongs"),
            (r#"{"id":7,"outcome":"park"}"#, "unknown variant `park`"),
            (r#"{"id":7,"error":{"class":"fatal","message":"x"}}"#, "unknown variant `fatal`"),
        ] {
            assert!(problem(line).contains(expected), "{line}: {}", problem(line));
        }
    }

    #[test]
    fn a_whole_document_becomes_the_edits_that_made_it() {
        let seen = json!({"uuid": "u", "subject": "old", "analysis": [{"type": "a"}]});
        let line =
            r#"{"id":7,"outcome":"continue","vcon":{"analysis":[{"type":"a"},{"n":1e3}],"subject":"new","uuid":"u"}}"#;
        let (outcome, edits) = Answer::read(line.as_bytes(), 7).unwrap().decide(&seen).unwrap();
        assert_eq!(outcome, Outcome::Continue);
        let expected =
            [Edit::append("/analysis", Json::parse(r#"{"n":1e3}"#).unwrap()), Edit::set("/subject", json!("new"))];
        assert_eq!(edits, expected);
    }

    #[test]
    fn a_reported_error_keeps_its_class_help_and_wait() {
        let line = r#"{"id":7,"error":{"class":"retryable","message":"busy","help":"wait","retry_after":1.5}}"#;
        let error = Answer::read(line.as_bytes(), 7).unwrap().failure().unwrap();
        assert_eq!((error.class(), error.message(), error.help_text()), (Class::Retryable, "busy", Some("wait")));
        assert_eq!(error.wait(), Some(Duration::from_millis(1500)));
    }
}
