//! Writes to one storage: concurrent runs share batches, one time limit, one place for its figures.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};
use vconductor_core::error::{Error, Result};
use vconductor_core::plugin::{Capabilities, SaveItem, Storage};

use super::report::Report;
use super::step::panic_text;

/// At most so many vCons in one call of the backend.
const BATCH: usize = 64;
/// So many calls of the backend at once.
const WORKERS: usize = 4;

/// Hands vCons to a storage.
pub struct StorageWriter {
    storage: Arc<dyn Storage>,
    limit: Duration,
    queue: mpsc::Sender<Job>,
}

struct Job {
    item: SaveItem,
    answer: oneshot::Sender<Result<()>>,
}

impl StorageWriter {
    /// Starts the writer's tasks; they end when the last handle is dropped.
    pub fn start(name: String, storage: Arc<dyn Storage>, limit: Duration, report: &Arc<Report>) -> Arc<Self> {
        let (queue, jobs) = mpsc::channel(BATCH * WORKERS);
        let jobs = Arc::new(Mutex::new(jobs));
        let name = Arc::<str>::from(name);
        for _ in 0..WORKERS {
            let worker =
                Worker { name: Arc::clone(&name), storage: Arc::clone(&storage), limit, report: Arc::clone(report) };
            tokio::spawn(worker.work(Arc::clone(&jobs)));
        }
        Arc::new(StorageWriter { storage, limit, queue })
    }

    /// What the storage can do.
    pub fn capabilities(&self) -> Capabilities {
        self.storage.capabilities()
    }

    /// How long one call of the backend may take.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The storage itself, for reading and health.
    pub fn storage(&self) -> &Arc<dyn Storage> {
        &self.storage
    }

    /// Writes one vCon, together with others that are waiting.
    ///
    /// # Errors
    /// The storage's, or a retryable one after the time limit.
    pub async fn save(&self, item: SaveItem) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::retryable("the storage's writer has ended");
        self.queue.send(Job { item, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

struct Worker {
    name: Arc<str>,
    storage: Arc<dyn Storage>,
    limit: Duration,
    report: Arc<Report>,
}

impl Worker {
    async fn work(self, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taken = jobs.lock().await.recv_many(&mut batch, BATCH).await;
            if taken == 0 {
                return;
            }
            // A run that was given up meanwhile must not write any more.
            let wanted = batch.drain(..).filter(|job| !job.answer.is_closed());
            let (items, answers): (Vec<_>, Vec<_>) = wanted.map(|job| (job.item, job.answer)).unzip();
            let started = Instant::now();
            let results = self.save(&items).await;
            for (answer, result) in answers.into_iter().zip(results) {
                self.report.storage(&self.name, started.elapsed(), &result);
                // The run may have been given up meanwhile; nobody waits for the answer then.
                drop(answer.send(result));
            }
        }
    }

    async fn save(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        if items.is_empty() {
            return Vec::new();
        }
        let work = AssertUnwindSafe(self.storage.save_many(items)).catch_unwind();
        let failed = match tokio::time::timeout(self.limit, work).await {
            Ok(Ok(results)) if results.len() == items.len() => return results,
            Ok(Ok(results)) => format!("it answered {} results for {} vCons", results.len(), items.len()),
            // One vCon that the backend chokes on fails alone.
            Ok(Err(_)) if items.len() > 1 => {
                let mut results = Vec::with_capacity(items.len());
                for item in items.chunks(1) {
                    results.extend(Box::pin(self.save(item)).await);
                }
                return results;
            }
            Ok(Err(panic)) => format!("it panicked: {}", panic_text(panic.as_ref())),
            Err(_) => format!("no answer within {:?}", self.limit),
        };
        items.iter().map(|_| Err(Error::retryable(format!("storage `{}`: {failed}", self.name)))).collect()
    }
}
