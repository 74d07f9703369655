//! The janitor: wakes what is due, recovers what dead processes held, deletes what is expired, and drains the dead
//! letters of a storage that is back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vconductor_core::error::{Class, Result};
use vconductor_core::store::storage_dead_letter_queue;

use super::chain::{Chains, StorageStep};
use super::{Shared, backoff};

/// How often due retries are looked for; the finest delay that a schedule keeps.
const PUMP: Duration = Duration::from_millis(100);
/// The first wait before a storage with dead letters is tried, and the longest.
const DRAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Dead letters that are put back at once.
const DRAIN_BATCH: usize = 256;

pub(super) async fn work(shared: Arc<Shared>, chains: Arc<Chains>) {
    let mut swept = None::<Instant>;
    let mut drains = Drains::new(&chains);
    let mut failures = 0;
    loop {
        let sweep_due = swept.is_none_or(|at| at.elapsed() >= shared.settings.sweep);
        match round(&shared, sweep_due, &mut drains).await {
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

async fn round(shared: &Shared, sweep_due: bool, drains: &mut Drains) -> Result<()> {
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
        drains.drain(shared).await?;
    }
    Ok(())
}

/// Storages by name, each with its next try.
struct Drains {
    storages: BTreeMap<String, (StorageStep, Duration, Option<Instant>)>,
}

impl Drains {
    fn new(chains: &Chains) -> Self {
        let steps = chains.chains.iter().flat_map(|chain| &chain.storages);
        Drains { storages: steps.map(|step| (step.name.clone(), (step.clone(), DRAIN.0, None))).collect() }
    }

    /// Puts runs back whose storage was down and answers again. Failures that trying again does not mend stay.
    async fn drain(&mut self, shared: &Shared) -> Result<()> {
        for (name, (step, wait, next)) in &mut self.storages {
            if next.is_some_and(|at| Instant::now() < at) {
                continue;
            }
            let letters = shared.store.dead_letters(&storage_dead_letter_queue(name), None, DRAIN_BATCH).await?;
            let waiting: Vec<_> = letters.iter().filter(|letter| letter.failure.class == Class::Retryable).collect();
            if waiting.is_empty() {
                (*wait, *next) = (DRAIN.0, None);
                continue;
            }
            if let Err(error) = step.writer.storage().health().await {
                tracing::info!(storage = %name, waiting = waiting.len(), error = %error.chain_text(), "the storage is still away");
                *wait = (*wait * 2).min(DRAIN.1);
                *next = Some(Instant::now() + *wait);
                continue;
            }
            for letter in &waiting {
                shared.store.revive(letter.run).await?;
            }
            tracing::info!(storage = %name, runs = waiting.len(), "the storage answers again; its runs go on");
        }
        Ok(())
    }
}
