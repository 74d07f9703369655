//! What a store must offer to be put through the cases.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use vconductor_core::clock::Millis;
use vconductor_core::store::{ProcessId, Store};

/// The lease that every instance is opened with.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How long every instance keeps dead letters.
pub(crate) const DEAD_LETTER_KEEP: Duration = Duration::from_secs(604_800);

/// A kind of store.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Its name in trial names.
    fn name(&self) -> &'static str;

    /// Whether it promises less than a case asks for.
    fn leaves_out(&self, _case: &str) -> bool {
        false
    }

    /// An empty store of its own.
    async fn open(&self) -> Box<dyn Instance>;
}

/// One store under test. A run is poison at its third crash.
#[async_trait]
pub(crate) trait Instance: Send + Sync {
    /// The handle that cases work with.
    fn store(&self) -> Arc<dyn Store>;

    /// Another handle on the same data, as another program has it.
    async fn another(&self) -> Arc<dyn Store>;

    /// The store's time.
    fn now(&self) -> Millis;

    /// Lets time pass: moves the clock, or sleeps where the server has a clock of its own.
    async fn advance(&self, by: Duration);

    /// Turns the store's clock back.
    fn turn_back(&self, by: Duration);

    /// Ends the program and starts it again on the same data; its processes are dead then.
    async fn reopen(&mut self);

    /// Kills a process as `kill -9` does.
    async fn kill(&self, process: &ProcessId);
}
