//! Reloading: another configuration takes the place of the one that a process works by, or is refused and changes nothing.
//!
//! Whoever wants it (a signal, a changed file, the HTTP API) asks by [`Reloads`]; the command that runs answers the
//! [`Ask`]s one after the other and says how it stands.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tokio::sync::{mpsc, oneshot, watch};
use vconductor_core::config::Finding;

/// Who asks for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The HTTP API.
    Api,
    /// SIGHUP.
    Signal,
    /// A file has changed (`--watch`).
    Watch,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trigger::Api => "the API",
            Trigger::Signal => "SIGHUP",
            Trigger::Watch => "a changed file",
        })
    }
}

/// What became of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// The new generation works.
    Applied,
    /// The files say what they said before.
    Unchanged,
    /// The generation of before works on.
    Refused,
}

/// One reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reload {
    /// When it was asked for.
    pub at: Timestamp,
    /// By whom.
    pub by: Trigger,
    /// What became of it.
    pub result: Became,
    /// Why it is refused, where that is not in the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What is wrong with the files, and what is doubtful. Their text is not told to others: it may be a secret.
    #[serde(serialize_with = "places", skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the change leaves behind.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Reload {
    /// Whether the generation of before works on although another was asked for.
    pub fn is_refused(&self) -> bool {
        self.result == Became::Refused
    }

    /// Why it was refused, a sentence for each reason.
    pub fn reasons(&self) -> Vec<String> {
        let told = |finding: &Finding| {
            let (source, span) = (finding.span.source().name(), &finding.span);
            format!("{source}:{}:{}: {}", span.line(), span.column(), finding.message)
        };
        let wrong = self.findings.iter().filter(|finding| finding.is_error()).map(told);
        self.error.iter().cloned().chain(wrong).collect()
    }
}

/// How the configuration of a process stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The number of the generation that works; 1 is the one of the start.
    pub generation: u64,
    /// SHA-256 (hex) of its content; comments and layout do not count.
    pub hash: String,
    /// Since when it works.
    pub since: Timestamp,
    /// The files.
    pub files: Vec<String>,
    /// The last reload that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Reload>,
}

fn places<S: Serializer>(findings: &[Finding], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Place<'f> {
        level: &'static str,
        code: &'static str,
        file: &'f str,
        line: usize,
        column: usize,
        message: &'f str,
        #[serde(skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    }
    serializer.collect_seq(findings.iter().map(|finding| Place {
        level: finding.level.as_str(),
        code: finding.code.as_str(),
        file: finding.span.source().name(),
        line: finding.span.line(),
        column: finding.span.column(),
        message: &finding.message,
        help: finding.advice(),
    }))
}

/// Somebody waits for a reload.
pub struct Ask {
    /// Who.
    pub by: Trigger,
    /// Takes the answer.
    pub answer: oneshot::Sender<Reload>,
}

/// Asks for reloads, and knows how the configuration stands.
#[derive(Debug, Clone)]
pub struct Reloads {
    asks: mpsc::Sender<Ask>,
    status: watch::Receiver<Status>,
}

impl Reloads {
    /// Both sides, of a process that works by this.
    pub fn channel(status: Status) -> (Self, mpsc::Receiver<Ask>, watch::Sender<Status>) {
        let (asks, asked) = mpsc::channel(16);
        let (status, seen) = watch::channel(status);
        (Reloads { asks, status: seen }, asked, status)
    }

    /// Reloads, and waits for the end of it. `None`: the process is ending.
    pub async fn ask(&self, by: Trigger) -> Option<Reload> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { by, answer }).await.ok()?;
        answered.await.ok()
    }

    /// How the configuration stands.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }
}
