//! What the store tells operators: lists, runs, failures.

use serde::{Deserialize, Serialize};

use super::ProcessId;
use crate::clock::Millis;
use crate::error::Class;
use crate::run::{Ledger, RunId};

/// Why a run failed, as it is kept with scheduled retries and dead letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure.
    pub class: Class,
    /// The step that failed: a link's or storage's name, or a phase of the engine.
    pub step: String,
    /// Message and causes.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it happened.
    pub at: Millis,
}

/// What a run waits for without being at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// Another run is working on the same vCon.
    Writer,
    /// There is no document under its uuid yet.
    MissingDocument,
    /// The document does not fit into the byte budget now.
    Bytes,
    /// A required storage is down; links are done.
    Storage,
    /// A link is held until its credentials or settings are mended, or until it is tried again.
    Held,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// On its list.
    Waiting,
    /// Held by a process.
    Claimed,
    /// Waits for its next attempt.
    Scheduled,
    /// Waits for something outside.
    Parked,
    /// Failed for good.
    Dead,
}

/// How a list stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ListStatus {
    /// Its name.
    pub list: String,
    /// Runs on the list.
    pub waiting: u64,
    /// Runs held by processes.
    pub claimed: u64,
    /// Runs that wait for their next attempt.
    pub scheduled: u64,
    /// Parked runs.
    pub parked: u64,
    /// Dead letters of the list.
    pub dead: u64,
    /// When its oldest waiting run was enqueued.
    pub oldest: Option<Millis>,
    /// Whether claims are stopped.
    pub paused: bool,
}

/// What keeps a conductor busy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Runs on unpaused lists.
    pub waiting: u64,
    /// Runs on paused lists, what is due on them included.
    pub paused: u64,
    /// Runs held by processes, dead ones included.
    pub claimed: u64,
    /// Retries and parked runs on unpaused lists that are due within the horizon.
    pub due: u64,
    /// Retries that are due later.
    pub scheduled: u64,
    /// Parked runs that are due later.
    pub parked: u64,
}

impl Pending {
    /// Whether nothing is queued, claimed or due soon.
    pub fn is_idle(&self) -> bool {
        self.waiting + self.claimed + self.due == 0
    }
}

/// Who holds runs of a list, and what others of it wait for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The processes that hold claimed runs, by id.
    pub holders: Vec<Holder>,
    /// What scheduled runs wait for without being at fault, one entry per reason in the order of [`WaitReason`].
    pub waits: Vec<Waits>,
}

/// A process that holds runs of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process.
    pub process: ProcessId,
    /// Runs of the list that it holds.
    pub runs: u64,
    /// When its lease ends or ended; `None`: it has none any more, its runs are about to be taken over.
    pub lease_until: Option<Millis>,
}

/// Runs that wait for the same kind of thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// What they wait for.
    pub reason: WaitReason,
    /// How many wait.
    pub runs: u64,
}

/// A run on its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queued {
    /// Its vCon.
    pub uuid: String,
    /// The run, once it has an identity.
    pub run: Option<RunId>,
    /// When it was put on the list, where that is known.
    pub enqueued_at: Option<Millis>,
    /// Attempts that ended in a scheduled retry.
    pub attempts: u32,
}

/// A queue of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetterQueue {
    /// `DLQ:<list>` or `DLQ:storage:<name>`.
    pub queue: String,
    /// Runs in it.
    pub letters: u64,
}

/// How a dead run goes on, where it does not simply continue.
#[derive(Debug, Clone, PartialEq)]
pub struct Revival {
    /// Its id from now on; another one than before makes it a new run.
    pub run: RunId,
    /// The list at whose tail it is put.
    pub list: String,
    /// Its ledger from now on.
    pub ledger: Option<Ledger>,
}

/// A run that failed for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The run.
    pub run: RunId,
    /// Its vCon.
    pub uuid: String,
    /// The ingress list it came from.
    pub list: String,
    /// The queue it lies in.
    pub queue: String,
    /// Why.
    pub failure: Failure,
    /// What it had finished.
    pub ledger: Option<Ledger>,
}

/// A claim that was taken from a dead process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaped {
    /// The dead process.
    pub process: ProcessId,
    /// The run.
    pub run: RunId,
    /// Its list.
    pub list: String,
    /// Crashes of the run so far, this one included.
    pub crashes: u32,
    /// Whether it became a dead letter.
    pub dead: bool,
}
