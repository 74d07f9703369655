//! What becomes of runs, told to whoever listens.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::run::RunId;
use vconductor_core::store::Claim;

use super::report::RunOutcome;

/// Events that a slow listener may be behind; it misses older ones.
const BEHIND: usize = 1024;

/// The end of a passage through a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvent {
    /// When its end was stored, in milliseconds since the epoch.
    pub at: Millis,
    /// The vCon.
    pub uuid: String,
    /// The run; of one that is tried again there are several events.
    pub run: RunId,
    /// The list that it came from.
    pub list: String,
    /// The chain.
    pub chain: String,
    /// What became of it: done, stopped, retried, parked, waited or dead.
    pub outcome: &'static str,
    /// Milliseconds from the claim to the end of the last storage.
    pub took_ms: u64,
}

/// Tells events to all that listen, and keeps none.
#[derive(Debug)]
pub(super) struct Events(broadcast::Sender<RunEvent>);

impl Default for Events {
    fn default() -> Self {
        Events(broadcast::channel(BEHIND).0)
    }
}

impl Events {
    /// Tells what became of a run. Costs nothing while nobody listens.
    pub(super) fn tell(&self, claim: &Claim, chain: &str, outcome: RunOutcome, took: Duration) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let event = RunEvent {
            at: SystemClock.now(),
            uuid: claim.uuid.clone(),
            run: claim.run,
            list: claim.list.clone(),
            chain: chain.to_owned(),
            outcome: outcome.as_str(),
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        // The last listener may have gone a moment ago.
        drop(self.0.send(event));
    }

    /// Everything from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<RunEvent> {
        self.0.subscribe()
    }
}
