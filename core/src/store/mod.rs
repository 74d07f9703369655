//! Where vCons and queues live while they are worked on.
//!
//! Two implementations keep the same contract and pass the same behaviour suite: [`embedded`] (SQLite,
//! no server) and Redis. The contract in one paragraph: a uuid leaves a list only into a claim; a claim
//! ends only by a [`Commit`] of its own process while that process is alive (the fence); a commit is
//! atomic over document, ledger, pushes, vCons that the run made, and queue. The queue is a multiset: a uuid that is enqueued
//! three times is three runs. Two runs of one uuid never overlap (the writer lease).

mod bounds;
mod catalogue;
mod commit;
mod coordination;
mod durability;
pub mod embedded;
mod indexed;
mod keyring;
mod oversight;
#[cfg(feature = "redis")]
pub mod redis;
mod replays;
mod status;
mod tenant;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;
use crate::error::Result;
use crate::run::{Ledger, RunId};

pub use catalogue::{Catalogue, Once, Replaced, Term, TermKind, TimeRange};
pub use commit::{Commit, Committed, End, Made, Push, Save};
pub use coordination::{Coordination, Hold, LocalCoordination, Permit, Taken, Want};
pub use durability::Durability;
pub use indexed::seconds;
pub use keyring::{Keyring, StoredKey};
pub use oversight::{
    AtWork, Card, CardChain, Conductor, EmbeddedVitals, Oversight, PastQuery, PastRun, RedisVitals, RunQuery,
    RunRecord, StepEnd, StepTime, Vitals,
};
pub use replays::{Advance, Replays, Retaken};
pub use status::{
    DeadLetter, DeadLetterQueue, Failure, Holder, ListStatus, Pending, Queued, Reaped, Revival, RunState, Standing,
    WaitReason, Waits,
};
pub use tenant::{NotTheirs, Tenant, TenantScope};

/// One start of a conductor. Random, and replaced when its lease was lost, so that a new process can
/// never be taken for a dead one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId(pub String);

impl ProcessId {
    /// A new identity: `<pid>-<random>`.
    pub fn random() -> Self {
        ProcessId(format!("{}-{}", std::process::id(), &Uuid::new_v4().simple().to_string()[..12]))
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A document as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The vCon's text, byte for byte as it came in or as links last saved it.
    pub document: Bytes,
    /// Grows with every save, also over expiry and restart (it is never less than the time of the save in
    /// milliseconds); storages use it to refuse an older copy.
    pub revision: u64,
}

/// A vCon to take in: stored and enqueued in one atomic step.
#[derive(Debug, Clone)]
pub struct NewVcon {
    /// Its uuid, lower-case with hyphens.
    pub uuid: String,
    /// Its text; `None` enqueues a vCon that is stored already (or will be: producers may be early).
    pub document: Option<Bytes>,
    /// The ingress lists it is put on; may be empty.
    pub lists: Vec<String>,
    /// How long it is kept when no run refers to it any more; `None` keeps it for ever.
    pub keep: Option<Duration>,
    /// Trace context of the producer, handed to the run unread.
    pub context: Option<String>,
    /// Whose it is. The first one who takes a uuid in says it for good: without a tenant it belongs to nobody and is seen
    /// by [`TenantScope::Everything`] alone. Later, `None` leaves it as it is; another tenant than the first is refused.
    pub tenant: Option<Tenant>,
}

/// How many runs of a list may be claimed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quota {
    /// The ingress list.
    pub list: String,
    /// At most so many of it in this claim.
    pub limit: usize,
    /// Its share of a busy round against the other lists; at least 1.
    pub weight: u32,
}

/// What a process can take now.
#[derive(Debug, Clone, Default)]
pub struct ClaimRequest {
    /// The lists that chains take from, each with its free places.
    pub quotas: Vec<Quota>,
    /// At most so many over all lists.
    pub limit: usize,
    /// At most so many bytes of documents; one document is always allowed while the process holds nothing.
    pub bytes: u64,
}

/// The proof that a process may work on a run.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The store's own number of the queue entry.
    pub entry: i64,
    /// The process that holds it.
    pub process: ProcessId,
    /// The list it was taken from.
    pub list: String,
    /// The vCon that was enqueued.
    pub uuid: String,
    /// The run; made at the first claim and kept until the run ends.
    pub run: RunId,
}

/// Why a parked run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Resumption {
    /// The thing it waited for came, with this payload.
    Called(serde_json::Value),
    /// The time it wanted to wait is over.
    TimedOut,
}

/// A claimed run with all that is needed to work on it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// The document; `None` if there is none under that uuid (yet).
    pub stored: Option<Stored>,
    /// What earlier passages finished.
    pub ledger: Option<Ledger>,
    /// Attempts that ended in a scheduled retry.
    pub attempts: u32,
    /// How often a process died while it held this run.
    pub crashes: u32,
    /// When the run was put on the list.
    pub enqueued_at: Millis,
    /// Since when the run has been waiting for the same thing without being at fault (no document, another
    /// writer); an attempt ends it. Having waited for a writer does not count for a missing document.
    pub waiting_since: Option<Millis>,
    /// Set when the run was parked. Handed out at every claim until the run parks again or ends, since the
    /// process may die before it has made use of it: the ledger says whether the parked step is finished.
    pub resumption: Option<Resumption>,
    /// Trace context of the producer.
    pub context: Option<String>,
}

/// Documents: what is stored under a uuid. Every query says which vCons it sees ([`TenantScope`]).
#[async_trait]
pub trait Documents: Send + Sync {
    /// Stores and enqueues vCons, all or none. Durable when it returns. `Err` of which [`NotTheirs`] is the cause if one of
    /// them is handed in for a tenant and is stored as somebody else's, or is to be enqueued only and is not the tenant's.
    async fn ingest(&self, vcons: Vec<NewVcon>) -> Result<()>;

    /// The document of a uuid; one whose time is over is gone, swept or not.
    async fn get(&self, scope: &TenantScope, uuid: &str) -> Result<Option<Stored>>;

    /// Deletes a document; runs that still want it end as `vcon_missing`. False if there was none. A run that
    /// holds the document at this moment stores it again when it saves.
    async fn delete(&self, scope: &TenantScope, uuid: &str) -> Result<bool>;

    /// Uuids of stored documents in order of their arrival, after `cursor` (the last uuid of the page before),
    /// at most `limit`. `Err` if the cursor was deleted meanwhile and the store cannot tell its place.
    async fn documents(&self, scope: &TenantScope, cursor: Option<String>, limit: usize) -> Result<Vec<String>>;
}

/// The queue: claims and what ends them.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Announces a process: from now on it is alive for the length of a lease. A process that is not
    /// announced, or was declared dead, claims nothing.
    async fn register(&self, process: &ProcessId) -> Result<()>;

    /// Renews the lease. Blocking, for a heartbeat thread of its own. False: the process was declared
    /// dead in the meantime and must take a new identity.
    fn renew(&self, process: &ProcessId) -> Result<bool>;

    /// Ends a process: whatever it still holds goes back to the head of its list, not counted as a crash.
    async fn deregister(&self, process: &ProcessId) -> Result<()>;

    /// Ends or saves claims and takes new ones, in one step towards the disk or server. The results are
    /// in the order of `commits`; a [`Committed::Lost`] one changed nothing at all. After an `Err` nothing at
    /// all was done. Claims that a cancelled caller did not receive are given back.
    async fn exchange(
        &self,
        process: &ProcessId,
        commits: Vec<Commit>,
        request: Option<ClaimRequest>,
    ) -> Result<(Vec<Committed>, Vec<Claimed>)>;

    /// Takes the writer lease of another vCon for a claimed run (a link switched to it) and loads it.
    /// `Err` is retryable while another run writes that vCon, or when the claim was lost (the commit then says
    /// so too); `None` if it is not stored. The lease ends with the claim or at the next switch; a run whose
    /// saved ledger says `switched_to` takes both leases at its next claim.
    async fn switch(&self, claim: &Claim, uuid: &str) -> Result<Option<Stored>>;

    /// Resumes a parked run. False if no run is parked under the token (it was resumed already, or is
    /// unknown). The payload is then kept for ten minutes in case the commit that parks the run is still on its
    /// way; so a token must not be used for two different parks.
    async fn resume(&self, token: &str, payload: serde_json::Value) -> Result<bool>;

    /// Puts due retries and parked runs whose time is over back on their lists; returns how many.
    async fn pump(&self) -> Result<usize>;

    /// Gives the claims of dead processes back to the head of their lists, order kept, and counts the crash;
    /// a run that was held at too many crashes becomes a dead letter of class poison.
    async fn reap(&self) -> Result<Vec<Reaped>>;

    /// Deletes documents whose time is over and that no run refers to; returns how many.
    async fn sweep(&self) -> Result<usize>;

    /// Returns when one of the lists may have something to claim, or after `timeout`.
    async fn doorbell(&self, lists: &[String], timeout: Duration);
}

/// What an operator asks and does. Lists and runs have no tenant: what is told here is told of all of them, so it is for
/// the operator alone.
#[async_trait]
pub trait Operations: Send + Sync {
    /// All lists that hold anything or are paused, by name.
    async fn lists(&self) -> Result<Vec<ListStatus>>;

    /// What keeps a conductor of these lists busy; `horizon` is how far ahead a retry counts as due.
    async fn pending(&self, lists: &[String], horizon: Duration) -> Result<Pending>;

    /// Who holds runs of a list, and what others of it wait for.
    async fn standing(&self, list: &str) -> Result<Standing>;

    /// The runs at the head of a list in the order of their claims, at most `limit`; none is touched.
    async fn peek(&self, list: &str, limit: usize) -> Result<Vec<Queued>>;

    /// Moves waiting runs from the head of one list to the tail of another, in order and in one atomic step;
    /// returns how many, at most `limit`. A run with a ledger, an attempt, a crash or a resumption has begun and
    /// belongs to its chain: it stays.
    async fn transfer(&self, from: &str, to: &str, limit: usize) -> Result<usize>;

    /// Stops claims from a list (true) or lets them go on (false). Survives restarts.
    async fn pause(&self, list: &str, paused: bool) -> Result<()>;

    /// The queues that hold dead letters, by name.
    async fn dead_letter_queues(&self) -> Result<Vec<DeadLetterQueue>>;

    /// Dead letters of a queue (`DLQ:<list>` or `DLQ:storage:<name>`), oldest first, after run `cursor`.
    async fn dead_letters(&self, queue: &str, cursor: Option<RunId>, limit: usize) -> Result<Vec<DeadLetter>>;

    /// Puts a dead run back at the tail of its list; it continues with its ledger, attempts and crashes are
    /// counted anew. False if it is not dead any more.
    async fn revive(&self, run: RunId) -> Result<bool>;

    /// Puts a dead run back as [`Operations::revive`] does, but changed. What it was resumed with is kept only while
    /// the new ledger says that it is parked. False, and nothing is done, if the letter is out of date: the run is not
    /// dead any more, or died again since (`failure.at` tells).
    async fn revive_as(&self, letter: &DeadLetter, revival: Revival) -> Result<bool>;

    /// Forgets a dead run. False if it is not dead any more.
    async fn bury(&self, run: RunId) -> Result<bool>;
}

/// A complete store.
pub trait Store: Documents + Queue + Operations + Oversight + Coordination + Catalogue + Keyring + Replays {
    /// The store as people name it, without secrets: `embedded:./vconductor-data`.
    fn describe(&self) -> String;
}

/// The dead-letter queue of an ingress list, as vcon-server names it.
pub fn dead_letter_queue(list: &str) -> String {
    format!("DLQ:{list}")
}

/// The dead-letter queue of a storage.
pub fn storage_dead_letter_queue(storage: &str) -> String {
    format!("DLQ:storage:{storage}")
}
