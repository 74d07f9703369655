//! The janitor: wakes what is due, recovers what dead processes held, deletes what is expired, and drains the dead
//! letters of a storage that is back.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::watch;
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::layers::timeout::with_timeout;
use vconductor_core::run::RunId;
use vconductor_core::store::storage_dead_letter_queue;

use super::chain::StorageStep;
use super::generation::Generation;
use super::step::panic_text;
use super::{Shared, backoff};

/// How often due retries are looked for; the finest delay that a schedule keeps.
const PUMP: Duration = Duration::from_millis(100);
/// The first wait before a storage with dead letters is tried, and the longest.
const DRAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Dead letters that are put back at once.
const DRAIN_BATCH: usize = 256;

/// How long a storage may take to say how it is.
const HEALTH: Duration = Duration::from_secs(10);

/// Wakes what is due, recovers and sweeps.
pub(super) async fn work(shared: Arc<Shared>) {
    let mut swept = None::<Instant>;
    let mut failures = 0;
    loop {
        let sweep_due = swept.is_none_or(|at| at.elapsed() >= shared.settings.sweep);
        match round(&shared, sweep_due).await {
            Ok(()) => {
                failures = 0;
                if sweep_due {
                    swept = Some(Instant::now());
                }
                tokio::time::sleep(PUMP).await;
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(error = %error.chain_text(), "the store does not answer the janitor");
                tokio::time::sleep(backoff(failures)).await;
            }
        }
    }
}

async fn round(shared: &Shared, sweep_due: bool) -> Result<()> {
    shared.store.pump().await?;
    if sweep_due {
        for reaped in shared.store.reap().await? {
            shared.report.recovered(&reaped.list);
            tracing::warn!(
                list = %reaped.list, run = %reaped.run, process = %reaped.process, crashes = reaped.crashes, dead = reaped.dead,
                "took over the run of a dead process"
            );
        }
        shared.store.sweep().await?;
    }
    Ok(())
}

/// Drains the dead letters of storages. A task of its own: a storage that hangs must not keep the janitor from its work.
pub(super) async fn drain(shared: Arc<Shared>, mut generations: watch::Receiver<Arc<Generation>>) {
    let mut drains = Drains::default();
    drains.adopt(&generations.borrow_and_update());
    loop {
        if let Err(error) = drains.drain(&shared).await {
            tracing::warn!(error = %error.chain_text(), "cannot look for dead letters of storages");
        }
        tokio::select! {
            () = tokio::time::sleep(shared.settings.sweep) => {}
            // A storage that was mended by the new configuration is tried at once.
            Ok(()) = generations.changed() => drains.adopt(&generations.borrow_and_update()),
        }
    }
}

/// Storages by name, each with its next try.
#[derive(Default)]
struct Drains {
    storages: BTreeMap<String, (StorageStep, Duration, Option<Instant>)>,
}

impl Drains {
    fn adopt(&mut self, generation: &Generation) {
        let steps = generation.chains.chains.iter().flat_map(|chain| chain.awaited());
        self.storages = steps.map(|step| (step.name.clone(), (step.clone(), DRAIN.0, None))).collect();
    }

    /// Puts runs back whose storage was down and answers again. Failures that trying again does not mend stay.
    async fn drain(&mut self, shared: &Shared) -> Result<()> {
        for (name, (step, wait, next)) in &mut self.storages {
            if next.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            let waiting = waiting(shared, name).await?;
            if waiting.is_empty() {
                (*wait, *next) = (DRAIN.0, None);
                continue;
            }
            if let Err(error) = healthy(step).await {
                tracing::info!(storage = %name, waiting = waiting.len(), error = %error.chain_text(), "the storage is still away");
                *wait = (*wait * 2).min(DRAIN.1);
                *next = Some(Instant::now() + *wait);
                continue;
            }
            for run in &waiting {
                shared.store.revive(*run).await?;
            }
            tracing::info!(storage = %name, runs = waiting.len(), "the storage answers again; its runs go on");
        }
        Ok(())
    }
}

/// The oldest runs that wait for a storage, past those that waiting does not mend.
async fn waiting(shared: &Shared, storage: &str) -> Result<Vec<RunId>> {
    let queue = storage_dead_letter_queue(storage);
    let (mut found, mut cursor) = (Vec::new(), None);
    while found.len() < DRAIN_BATCH {
        let page = shared.store.dead_letters(&queue, cursor, DRAIN_BATCH).await?;
        found.extend(page.iter().filter(|letter| letter.failure.class == Class::Retryable).map(|letter| letter.run));
        match page.last() {
            Some(last) if page.len() == DRAIN_BATCH => cursor = Some(last.run),
            _ => break,
        }
    }
    Ok(found)
}

/// A storage that panics or hangs when it is asked is not healthy.
async fn healthy(step: &StorageStep) -> Result<()> {
    let health = AssertUnwindSafe(step.writer.storage().health()).catch_unwind();
    with_timeout(HEALTH, &step.name, async { Ok(health.await) })
        .await?
        .unwrap_or_else(|panic| Err(Error::permanent(format!("its health panicked: {}", panic_text(panic.as_ref())))))
}
