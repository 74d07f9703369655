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
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A longer wait is left to the engine, which holds no place for it.
const LONGEST_HELD: Duration = Duration::from_secs(1);

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
    /// Why the last one failed.
    last_failure: String,
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
                used.slot.start_at = None;
                used.keep = true;
                return answer.failure().map_or(Ok(answer), Err);
            }
            Ok(Ok(Err(broken))) => broken,
            // The vCon cannot be sent, or no process can be started.
            Ok(Err(error)) => {
                used.keep = used.slot.worker.is_some();
                return Err(error);
            }
            Err(_) => Broken::TooSlow,
        };
        let error = match used.slot.worker.take() {
            Some(worker) => worker.error(&self.options, broken).await,
            None => Error::retryable("no process could be started in time").help("raise `timeout`"),
        };
        used.slot.note_failure(&error);
        Err(error)
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
            if let Some(start_at) = slot.start_at {
                let wait = start_at.saturating_duration_since(Instant::now());
                if wait > LONGEST_HELD {
                    return Err(slot.failing(wait));
                }
                sleep_until(start_at).await;
            }
            let started = Worker::start(&self.name, &self.options).await;
            // A command that is not there costs nothing to try, and stays an error that the operator must see.
            let transient = |error: &&Error| error.is_retryable();
            if let Some(error) = started.as_ref().err().filter(transient) {
                slot.note_failure(error);
            }
            slot.worker = Some(started?);
        }
        slot.worker.as_mut().ok_or_else(|| Error::retryable("the process was lost"))
    }
}

impl Slot {
    fn note_failure(&mut self, error: &Error) {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.start_at = Some(Instant::now() + wait);
        self.last_failure = error.chain_text();
    }

    /// The error while no process is started because the last ones failed.
    fn failing(&self, wait: Duration) -> Error {
        let (failures, last) = (self.failures, &self.last_failure);
        Error::retryable(format!("the process failed {failures} times in a row and is not started yet; last: {last}"))
            .help("mend what the last failure names; the process is started again by itself")
            .retry_after(wait)
    }
}
