//! What conductors share besides documents and queue: how much of a provider's limits is used up, what was spent, what is
//! held until somebody mends it, and results that were paid for.

mod local;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::error::Result;

pub use local::LocalCoordination;

/// A limit in a sliding window, and what a call wants of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    /// The limit's name, the same in every conductor, for example `deepgram:4f1c:requests`.
    pub limit: String,
    /// How much may be used within `window`, counted to the thousandth; another number than last time holds at once.
    /// Zero lets nothing through.
    pub most: f64,
    /// The length of the window.
    pub window: Duration,
    /// How much the call is expected to use. More than `most` is taken as `most`: such a call is let through alone.
    pub amount: f64,
}

/// An answer to [`Coordination::take`].
#[derive(Debug, Clone, PartialEq)]
pub enum Taken {
    /// The alternative of this index was taken, under this permit.
    Granted {
        /// Which of the alternatives.
        index: usize,
        /// The permit, for [`Coordination::settle`].
        permit: Permit,
    },
    /// Nothing was taken; there may be room after this time.
    Wait(Duration),
}

/// What was taken: it leaves the windows `window` after the call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// The permit's own name, unique.
    pub id: String,
    /// The limits that it counts in.
    pub limits: Vec<String>,
}

/// Something that is stopped until somebody mends it, or until it is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What is held: `link:<name>`, `key:<provider>:<fingerprint>` or `chain:<name>`.
    pub what: String,
    /// Why, in one sentence without secrets.
    pub reason: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Since when, in milliseconds since the epoch.
    pub since: Millis,
    /// When it is tried again by itself.
    pub until: Millis,
    /// How often it was held in a row.
    pub times: u32,
}

/// What conductors on one store share.
///
/// Time is the store's: the server's clock on Redis, this machine's on the embedded store.
#[async_trait]
pub trait Coordination: Send + Sync {
    /// Takes a permit out of the first alternative that has room in all of its windows, all wants or none. An alternative without
    /// wants is always granted. Without room in any, the answer is the shortest wait: until enough of what has ended leaves
    /// its window, or a quarter of a second where that depends on calls that are under way.
    ///
    /// What is taken counts from now on until [`Coordination::settle`], however long that takes, and `window` longer: the
    /// other side counted a call between its start and its end, and nobody knows when. What a process held that is
    /// declared dead ends at that moment; what belongs to no process ends after an hour. A permit whose caller went away before
    /// it was told of it is given back.
    ///
    /// The windows go by the store's clock. When that is turned back nothing counts longer than it would from now on; when it
    /// jumps ahead, what was used before the jump may leave early.
    ///
    /// # Errors
    ///
    /// Permanent: there is no alternative, or a limit stands twice in one.
    async fn take(&self, alternatives: &[Vec<Want>]) -> Result<Taken>;

    /// The call of a permit ended. `used` has the true amounts of limits whose amount was an estimate; zero gives back what a
    /// call did not come to use. A permit that has ended already stays as it is.
    async fn settle(&self, permit: &Permit, used: &[(String, f64)]) -> Result<()>;

    /// Adds to a counter and answers with its sum; it is forgotten `keep` after the last addition.
    async fn add(&self, counter: &str, amount: f64, keep: Duration) -> Result<f64>;

    /// Holds something, or holds it longer: replaces an earlier hold of the same name.
    async fn hold(&self, hold: &Hold) -> Result<()>;

    /// All holds, by name, those whose time is over too (they say how often something was held in a row) for an hour.
    async fn holds(&self) -> Result<Vec<Hold>>;

    /// Lets go of something. False if it was not held.
    async fn release(&self, what: &str) -> Result<bool>;

    /// A result that was kept under a key.
    async fn result(&self, key: &str) -> Result<Option<Bytes>>;

    /// Keeps a result that was paid for, instead of an earlier one under that key. It is deleted with the vCon it was made
    /// for.
    ///
    /// # Errors
    ///
    /// Permanent: it is larger than 256 MiB.
    async fn keep_result(&self, key: &str, uuid: &str, value: Bytes, keep: Duration) -> Result<()>;
}
