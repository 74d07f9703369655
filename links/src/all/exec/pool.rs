//! The processes of one link: started when needed, one call each at a time, slowly started again when they fail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use vconductor_core::{Error, Result};

use super::Options;
use super::child::{Broken, Worker};
use super::protocol::{Answer, Call};

/// Wait before a process is started again after the first failure; it doubles with each one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The processes of one link.
pub(super) struct Pool {
    name: String,
    options: Options,
    free: Semaphore,
    /// Those that nobody uses. The last one used is the first one taken, so that no more run than are needed.
    slots: Mutex<Vec<Slot>>,
}

/// A place for one process.
#[derive(Default)]
struct Slot {
    worker: Option<Worker>,
    /// Failures since the last answer.
    failures: u32,
    /// When a process may be started.
    start_at: Option<Instant>,
}

/// A slot in use. It goes back in any case; its process only if the call came to its end.
struct InUse<'a> {
    pool: &'a Pool,
    slot: Slot,
    keep: bool,
}

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        let mut slot = std::mem::take(&mut self.slot);
        if !self.keep {
            // Half an answer may be under way, which must not reach the next vCon.
            slot.worker = None;
        }
        self.pool.slots.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
    }
}

impl Pool {
    pub(super) fn new(name: &str, options: Options) -> Pool {
        let slots = (0..options.workers).map(|_| Slot::default()).collect();
        Pool { name: name.to_owned(), free: Semaphore::new(options.workers), options, slots: Mutex::new(slots) }
    }

    /// Has one vCon worked on. Dropping this kills the process that works on it.
    pub(super) async fn call(&self, call: &Call<'_>) -> Result<Answer> {
        let stopped = |_| Error::retryable("the link is being stopped");
        let _permit = self.free.acquire().await.map_err(stopped)?;
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let mut used = InUse { pool: self, slot, keep: false };
        let result = timeout(self.options.timeout.0, self.call_in(&mut used.slot, call)).await;
        let broken = match result {
            Ok(Ok(Ok(answer))) => {
                used.slot.failures = 0;
                used.keep = true;
                return answer.failure().map_or(Ok(answer), Err);
            }
            Ok(Ok(Err(broken))) => broken,
            // The vCon cannot be sent, or no process can be started.
            Ok(Err(error)) => {
                used.keep = used.slot.worker.is_some();
                if !used.keep {
                    used.slot.note_failure();
                }
                return Err(error);
            }
            Err(_) => Broken::TooSlow,
        };
        used.slot.note_failure();
        match used.slot.worker.take() {
            Some(worker) => Err(worker.error(&self.options, broken).await),
            None => Err(Error::retryable(format!("link `{}`: its process could not be started in time", self.name))
                .help("raise `timeout`, or see in the log why the process keeps failing")),
        }
    }

    async fn call_in(&self, slot: &mut Slot, call: &Call<'_>) -> Result<Result<Answer, Broken>> {
        let limit = usize::try_from(self.options.max_output.0).unwrap_or(usize::MAX - 1).min(usize::MAX - 1);
        loop {
            let worker = self.worker(slot).await?;
            let result = worker.call(call, limit).await?;
            if let Err(Broken::Died(Some(status))) = &result
                && status.success()
                && worker.has_answered()
            {
                // It ended properly between two calls, just when this one was sent. The next one is new.
                slot.worker = None;
                continue;
            }
            return Ok(result);
        }
    }

    /// The slot's process; a new one where there is none that can be used.
    async fn worker<'s>(&self, slot: &'s mut Slot) -> Result<&'s mut Worker> {
        if slot.worker.as_mut().is_none_or(|worker| !worker.is_ready()) {
            slot.worker = None;
            if let Some(start_at) = slot.start_at.take() {
                sleep_until(start_at).await;
            }
            slot.worker = Some(Worker::start(&self.name, &self.options).await?);
        }
        slot.worker.as_mut().ok_or_else(|| Error::retryable("the process was lost"))
    }
}

impl Slot {
    fn note_failure(&mut self) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.start_at = Some(Instant::now() + wait);
    }
}
