//! Passages that ended.

use serde::{Deserialize, Serialize};

use super::conductor::{StepTime, cost, shift};
use crate::clock::Millis;
use crate::run::RunId;
use crate::store::{Failure, ProcessId};

/// A passage of a run through its chain that ended: the whole run, or an attempt of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PastRun {
    /// The run.
    pub run: RunId,
    /// Its vCon.
    pub uuid: String,
    /// Its ingress list.
    pub list: String,
    /// Its chain.
    pub chain: String,
    /// The process that worked on it.
    pub process: ProcessId,
    /// When it began.
    pub began: Millis,
    /// When its end was stored.
    pub ended: Millis,
    /// Which passage it was, from 1.
    pub attempt: u32,
    /// What became of it: done, stopped, retried, parked or dead.
    pub outcome: String,
    /// When the run goes on by itself, if it was retried or parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Millis>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Its steps; none where they take no time worth telling (chains of pure links alone).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepTime>,
    /// Lists that the vCon was handed on to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushed: Vec<String>,
}

impl PastRun {
    /// Whether the run ended with this passage.
    pub fn is_end(&self) -> bool {
        matches!(self.outcome.as_str(), "done" | "stopped" | "dead")
    }

    /// What its steps cost in US dollars; `None` if nothing of a known price was used.
    pub fn cost(&self) -> Option<f64> {
        cost(&self.steps)
    }

    /// All times as another clock says them, which is ahead by this much.
    pub(in crate::store) fn shifted(mut self, ahead: Millis) -> Self {
        if ahead != 0 {
            self.began += ahead;
            self.ended += ahead;
            self.until = self.until.map(|until| until + ahead);
            if let Some(failure) = &mut self.failure {
                failure.at += ahead;
            }
            shift(&mut self.steps, ahead);
        }
        self
    }
}

/// Which passages are wanted.
#[derive(Debug, Clone, Default)]
pub struct PastQuery {
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only of this vCon.
    pub uuid: Option<String>,
    /// Only of this chain.
    pub chain: Option<String>,
    /// Only with one of these outcomes; all where none is named.
    pub outcomes: Vec<String>,
    /// Only what ended since then.
    pub since: Option<Millis>,
    /// At most so many.
    pub limit: usize,
}

impl PastQuery {
    /// Whether this one is wanted.
    pub fn wants(&self, past: &PastRun) -> bool {
        self.run.is_none_or(|run| run == past.run)
            && self.uuid.as_ref().is_none_or(|uuid| *uuid == past.uuid)
            && self.chain.as_ref().is_none_or(|chain| *chain == past.chain)
            && (self.outcomes.is_empty() || self.outcomes.contains(&past.outcome))
            && self.since.is_none_or(|since| past.ended >= since)
    }
}
