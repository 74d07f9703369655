//! What ends or saves a claim.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::Claim;
use super::status::{Failure, WaitReason};
use crate::clock::Millis;
use crate::run::Ledger;

/// A document to save with a commit.
#[derive(Debug, Clone)]
pub struct Save {
    /// The vCon's uuid (another one than the claim's after a switch).
    pub uuid: String,
    /// The whole document.
    pub document: Bytes,
    /// Its new revision.
    pub revision: u64,
}

/// One atomic step of one run.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The claim; the commit is refused when it is not held any more.
    pub claim: Claim,
    /// The document, if it changed.
    pub save: Option<Save>,
    /// The ledger, if it changed.
    pub ledger: Option<Ledger>,
    /// New time to keep the vCon after its last run, set by a link (`expire_vcon`).
    pub keep: Option<Duration>,
    /// What is enqueued in the same step, whatever the end: in order, duplicates are kept.
    pub pushes: Vec<Push>,
    /// vCons that the run made, taken in in the same step.
    pub made: Vec<Made>,
    /// Trace context for what is enqueued and made; `None` hands on that of the producer.
    pub context: Option<String>,
    /// What becomes of the claim.
    pub end: End,
}

impl Commit {
    /// A commit that only ends the claim.
    pub fn ending(claim: Claim, end: End) -> Self {
        Commit { claim, save: None, ledger: None, keep: None, pushes: Vec::new(), made: Vec::new(), context: None, end }
    }
}

/// Another vCon that a run made (a redacted version, an amended one): stored, and enqueued as a new run on each list.
/// It is kept as long as the vCon of the run it was made in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its uuid, which is no other vCon's.
    pub uuid: String,
    /// The whole document.
    pub document: Bytes,
    /// The lists it is put on; may be empty.
    pub lists: Vec<String>,
}

/// A uuid to put at the tail of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The target list.
    pub list: String,
    /// The vCon; another one than the claim's after a switch.
    pub uuid: String,
}

/// What becomes of a claim.
#[derive(Debug, Clone)]
pub enum End {
    /// The run goes on; only document and ledger are saved.
    Continue,
    /// Ack: the run is done.
    Done,
    /// Back to its old place in the list, as if it had not been claimed.
    Release,
    /// Tried again at `due`; counts as an attempt.
    Retry {
        /// When, in milliseconds since the epoch.
        due: Millis,
        /// Why.
        failure: Failure,
    },
    /// Tried again at `due` without counting as an attempt: the run is not at fault.
    Wait {
        /// When, in milliseconds since the epoch.
        due: Millis,
        /// What it waits for.
        reason: WaitReason,
    },
    /// Waits for something outside without holding a place.
    Park {
        /// The name under which [`super::Queue::resume`] finds it; unique among parked runs.
        token: String,
        /// When it goes on by itself.
        until: Millis,
    },
    /// Failed for good.
    Dead {
        /// `DLQ:<list>` or `DLQ:storage:<name>`.
        queue: String,
        /// Why.
        failure: Failure,
    },
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Everything, durably.
    Done,
    /// Nothing: the claim was not held any more (the process was declared dead).
    Lost,
}
