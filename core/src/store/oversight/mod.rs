//! What an operator looks at when nothing moves: single runs, the conductors, what has ended lately, and how the store
//! itself is.

mod conductor;
mod past;
mod vitals;

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use super::status::{Failure, RunState, WaitReason};
use super::{ProcessId, dead_letter_queue};
use crate::clock::Millis;
use crate::error::Result;
use crate::run::{Ledger, RunId};

pub use conductor::{AtWork, Card, CardChain, Conductor, StepEnd, StepTime};
pub use past::{PastQuery, PastRun};
pub use vitals::{EmbeddedVitals, RedisVitals, Vitals};

/// How long the record of a passage, and the card of a conductor that is gone, are kept.
pub(super) const KEPT: Duration = Duration::from_secs(86_400);

/// What an operator looks at closely. As [`super::Operations`], it is told of all tenants' runs.
#[async_trait]
pub trait Oversight: Send + Sync {
    /// Runs that have not ended and those that are dead, list by list in the order of [`RunState`]: at most `limit` of each
    /// state of each list. Waiting ones in the order of their claims, scheduled and parked ones by when they are due, dead ones
    /// the latest first.
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunRecord>>;

    /// Puts what a process tells of itself in the place of what it told before. It is kept for a day after the last
    /// time, or until the process leaves.
    async fn announce(&self, process: &ProcessId, card: &Card) -> Result<()>;

    /// Forgets what a process told: it goes on under another name.
    async fn withdraw(&self, process: &ProcessId) -> Result<()>;

    /// Every conductor that is registered, holds runs, or has told of itself within the last day and did not leave.
    async fn conductors(&self) -> Result<Vec<Conductor>>;

    /// Keeps records of passages that ended, in the order in which they ended; of all that are kept only the last `most`.
    /// They are for people: a crash may lose the last ones.
    async fn note(&self, past: &[PastRun], most: usize) -> Result<()>;

    /// Passages that ended, the latest first.
    async fn past(&self, query: &PastQuery) -> Result<Vec<PastRun>>;

    /// How the store itself is. `patience` bounds what may take long: the look at a whole file.
    async fn vitals(&self, patience: Duration) -> Result<Vitals>;
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Only of these lists; all where none is named.
    pub lists: Vec<String>,
    /// Only in these states; all where none is named.
    pub states: Vec<RunState>,
    /// Only of this vCon.
    pub uuid: Option<String>,
    /// Only this run.
    pub run: Option<RunId>,
    /// Whether their ledgers are wanted, which may be large.
    pub ledgers: bool,
    /// At most so many of each state of each list.
    pub limit: usize,
}

impl RunQuery {
    /// Whether runs in this state are wanted.
    pub fn wants(&self, state: RunState) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// Whether the run is one that is asked for by its own name or that of its vCon.
    pub(super) fn names(&self, run: Option<RunId>, uuid: &str) -> bool {
        self.run.is_none_or(|wanted| run == Some(wanted)) && self.uuid.as_ref().is_none_or(|wanted| wanted == uuid)
    }

    /// Whether single runs are asked for, which must be looked for.
    pub(super) fn is_narrow(&self) -> bool {
        self.run.is_some() || self.uuid.is_some()
    }
}

/// A run as the store knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRecord {
    /// The run, once it has an identity.
    pub run: Option<RunId>,
    /// Its vCon.
    pub uuid: String,
    /// Its ingress list.
    pub list: String,
    /// Where it is.
    pub state: RunState,
    /// When it was put on the list, where that is known.
    pub enqueued_at: Option<Millis>,
    /// Attempts that ended in a scheduled retry.
    pub attempts: u32,
    /// How often a process died while it held the run.
    pub crashes: u32,
    /// Who holds it, while it is claimed.
    pub process: Option<ProcessId>,
    /// When it goes on by itself, while it is scheduled or parked.
    pub due: Option<Millis>,
    /// What it waits for without being at fault, and since when.
    pub waits: Option<(WaitReason, Millis)>,
    /// The queue of dead letters that it lies in.
    pub queue: Option<String>,
    /// Its last failure.
    pub failure: Option<Failure>,
    /// What it has finished, if it was asked for.
    pub ledger: Option<Ledger>,
}

impl RunRecord {
    /// A run on its list of which nothing more is known.
    pub(super) fn waiting(list: &str, uuid: String) -> Self {
        RunRecord {
            run: None,
            uuid,
            list: list.to_owned(),
            state: RunState::Waiting,
            enqueued_at: None,
            attempts: 0,
            crashes: 0,
            process: None,
            due: None,
            waits: None,
            queue: None,
            failure: None,
            ledger: None,
        }
    }

    /// The storage that keeps it from going on, if it is one.
    pub fn missing_storage(&self) -> Option<&str> {
        let queue = self.queue.as_deref()?;
        queue.strip_prefix(&dead_letter_queue("storage:"))
    }
}
