//! Runs: one passage of one vCon through one chain, with the ledger of what is finished.

mod deviation;
mod ledger;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use deviation::Deviation;
pub use ledger::{Ledger, Recorded, Stage, StepEntry, StepKey, Usage};

/// Identifies a run from its first claim through crashes, retries, parking and the dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Uuid);

impl RunId {
    /// A new run's id (UUIDv7, so that runs sort by the time of their first claim).
    pub fn new() -> Self {
        RunId(Uuid::now_v7())
    }
}

impl Default for RunId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The idempotency key that goes outside: the same run, step and target always give the same id, so a
/// receiver that sees a call twice (crash between call and commit) can tell.
pub fn effect_id(run: RunId, step: &StepKey, target: &str) -> String {
    let mut hash = Sha256::new();
    for part in [run.0.as_bytes().as_slice(), step.link.as_bytes(), &step.occurrence.to_be_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.update(step.options.as_bytes());
    hash.update([0]);
    hash.update(target.as_bytes());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effect_ids_depend_on_run_step_and_target_only() {
        let run = RunId::new();
        let step = StepKey { link: "notify".into(), occurrence: 0, options: "abc".into() };
        let again = StepKey { occurrence: 1, ..step.clone() };
        assert_eq!(effect_id(run, &step, "a"), effect_id(run, &step.clone(), "a"));
        assert_ne!(effect_id(run, &step, "a"), effect_id(run, &step, "b"));
        assert_ne!(effect_id(run, &step, "a"), effect_id(run, &again, "a"));
        assert_ne!(effect_id(run, &step, "a"), effect_id(RunId::new(), &step, "a"));
        assert_eq!(effect_id(run, &step, "a").len(), 32);
    }
}
