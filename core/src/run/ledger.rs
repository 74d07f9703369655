//! The ledger: what a run has finished, so that nothing is done or paid twice.
//!
//! It is saved in one atomic step with the document as edited so far. A resumed run loads that
//! document and skips every finished entry. Pure steps have no entry: they are simply run again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Deviation;
use crate::clock::Millis;
use crate::store::Push;

/// How far a run has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The chain's links are being run.
    #[default]
    Links,
    /// All links are done; storages are being written.
    Storages,
    /// Every required storage holds the vCon; only the egress pushes and the ack are missing.
    Egress,
}

/// Names a step independently of its position, so that editing the chain does not confuse a resumed run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepKey {
    /// The link's name in the configuration.
    pub link: String,
    /// 0 for the first step of that name in the chain, 1 for the second ...
    pub occurrence: u32,
    /// Hash of the options that change the step's result; secrets, time-outs, retry and limits are not in it.
    pub options: String,
}

/// What a finished step decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recorded {
    /// The step is not finished: it failed or was parked half-way; its sub-results are kept.
    Unfinished,
    /// The chain goes on.
    Continue,
    /// The chain ends here, without storages and egress.
    Stop,
    /// The chain goes on with another vCon.
    Switch(String),
    /// The step failed for good and the chain says `on_error: continue`.
    Failed(String),
}

/// What a step used of a paid service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Counts by unit, for example `input_tokens` or `audio_seconds`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, f64>,
    /// Cost in US dollars where a price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// One external step of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEntry {
    /// Which step.
    pub key: StepKey,
    /// What it decided.
    pub outcome: Recorded,
    /// What is pushed when the run ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushes: Vec<Push>,
    /// Finished parts of the step (a dialog, an endpoint) and their results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Value>,
    /// How often the step was tried.
    pub attempts: u32,
    /// What it used of a paid service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// When it was finished, in milliseconds since the epoch.
    pub finished_at: Millis,
    /// Hash of the configuration that it ran under.
    pub generation: String,
}

/// Everything that a run has finished. The wire form is JSON; unknown members of later versions are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// The chain that the run passes.
    pub chain: String,
    /// The vCon that the run works on now, where a link switched to another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_to: Option<String>,
    /// How far the run has come.
    pub stage: Stage,
    /// Finished and half-finished external steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepEntry>,
    /// Pushes that links before the storages stage asked for; kept from that stage on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushes: Vec<Push>,
    /// The step that the run was parked in; it is told why the run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<StepKey>,
    /// Failed attempts of the storages stage; links have their own count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub storage_attempts: u32,
    /// Storages that hold the vCon, with the revision that was written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub storages: BTreeMap<String, u64>,
    /// What is different for this run alone.
    #[serde(default, skip_serializing_if = "Deviation::is_none")]
    pub deviation: Deviation,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Usage {
    /// Both together.
    pub fn sum(used: Option<Usage>, more: Option<Usage>) -> Option<Usage> {
        let (mut used, more) = match (used, more) {
            (Some(used), Some(more)) => (used, more),
            (used, more) => return used.or(more),
        };
        for (unit, amount) in more.units {
            *used.units.entry(unit).or_default() += amount;
        }
        if let Some(cost) = more.cost {
            *used.cost.get_or_insert(0.0) += cost;
        }
        Some(used)
    }
}

impl Ledger {
    /// What the run has cost in US dollars; `None` if nothing of a known price was used.
    pub fn cost(&self) -> Option<f64> {
        self.steps.iter().filter_map(|entry| entry.usage.as_ref()?.cost).reduce(|sum, cost| sum + cost)
    }

    /// The entry of a step, finished or not.
    pub fn step(&self, key: &StepKey) -> Option<&StepEntry> {
        self.steps.iter().find(|entry| entry.key == *key)
    }

    /// Adds an entry or replaces the step's earlier one.
    pub fn record(&mut self, entry: StepEntry) {
        match self.steps.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry,
            None => self.steps.push(entry),
        }
    }
}

impl StepEntry {
    /// Whether the step must not be executed again.
    pub fn is_finished(&self) -> bool {
        self.outcome != Recorded::Unfinished
    }
}
