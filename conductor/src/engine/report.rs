//! What a conductor has done so far: counts and times by chain, link and storage, for the summary and the metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::broadcast;
use vconductor_core::error::{Error, Result};
use vconductor_core::layers::instruments;
use vconductor_core::plugin::Outcome;
use vconductor_core::store::Claim;

use super::events::{Events, RunEvent};

/// How a passage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunOutcome {
    /// The run is done: stored and handed on.
    Done,
    /// A link stopped it: done without storages and egress.
    Stopped,
    /// It failed and is tried again later.
    Retried,
    /// It waits outside without a place.
    Parked,
    /// It waits for its document or another writer; not a failure.
    Waited,
    /// It failed for good.
    Dead,
}

impl RunOutcome {
    /// Its name for hooks and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            RunOutcome::Done => "done",
            RunOutcome::Stopped => "stopped",
            RunOutcome::Retried => "retried",
            RunOutcome::Parked => "parked",
            RunOutcome::Waited => "waited",
            RunOutcome::Dead => "dead",
        }
    }

    /// How the metrics count it; a run that only waited is not counted.
    fn counted(self) -> Option<instruments::RunOutcome> {
        match self {
            RunOutcome::Done => Some(instruments::RunOutcome::Ok),
            RunOutcome::Stopped => Some(instruments::RunOutcome::Skipped),
            RunOutcome::Retried => Some(instruments::RunOutcome::Retried),
            RunOutcome::Parked => Some(instruments::RunOutcome::Parked),
            RunOutcome::Waited => None,
            RunOutcome::Dead => Some(instruments::RunOutcome::Failed),
        }
    }
}

/// Calls of one plugin.
#[derive(Debug, Clone)]
pub struct Calls {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed, retried ones included.
    pub failed: u64,
    /// Not executed: `if` was false, or the vCon is signed.
    pub skipped: u64,
    /// What they cost in US dollars, as far as prices are known.
    pub cost: f64,
    /// Durations in microseconds.
    pub times: Histogram<u64>,
}

/// An empty histogram of microseconds: two digits up to ten hours.
fn times() -> Histogram<u64> {
    Histogram::new_with_max(36_000_000_000, 2).unwrap_or_else(|_| unreachable!("the bounds are valid"))
}

impl Calls {
    fn new() -> Self {
        Calls { succeeded: 0, failed: 0, skipped: 0, cost: 0.0, times: times() }
    }

    fn add(&mut self, took: Duration, succeeded: bool) {
        if succeeded {
            self.succeeded += 1;
        } else {
            self.failed += 1;
        }
        self.times.saturating_record(micros(took));
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// Counts of one chain.
#[derive(Debug, Clone)]
pub struct ChainFigures {
    /// Durations of finished passages in microseconds, from claim to the end of the last storage.
    pub times: Histogram<u64>,
    /// Passages by their outcome.
    pub outcomes: BTreeMap<RunOutcome, u64>,
    /// Its links in the order of their first call.
    pub links: Vec<(String, Calls)>,
}

impl Default for ChainFigures {
    fn default() -> Self {
        ChainFigures { times: times(), outcomes: BTreeMap::new(), links: Vec::new() }
    }
}

/// Everything at one moment.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// By chain.
    pub chains: BTreeMap<String, ChainFigures>,
    /// By storage.
    pub storages: BTreeMap<String, Calls>,
    /// Commits that came after the process was declared dead.
    pub lost: u64,
    /// Claims taken over from dead processes.
    pub recovered: u64,
}

impl ChainFigures {
    /// What its links cost in US dollars, as far as prices are known.
    pub fn cost(&self) -> f64 {
        // The sum of nothing is -0.
        self.links.iter().map(|(_, calls)| calls.cost).sum::<f64>() + 0.0
    }

    /// The same for each finished run; `None` before the first one.
    pub fn cost_of_one(&self) -> Option<f64> {
        let finished = [RunOutcome::Done, RunOutcome::Stopped].map(|outcome| self.outcomes.get(&outcome).unwrap_or(&0));
        let finished: u64 = finished.into_iter().sum();
        (finished > 0).then(|| self.cost() / finished as f64)
    }
}

impl Figures {
    /// What all calls cost in US dollars, as far as prices are known.
    pub fn cost(&self) -> f64 {
        self.chains.values().map(ChainFigures::cost).sum::<f64>() + 0.0
    }

    /// Passages with this outcome over all chains.
    pub fn total(&self, outcome: RunOutcome) -> u64 {
        self.chains.values().filter_map(|chain| chain.outcomes.get(&outcome)).sum()
    }
}

/// Collects the figures; shared by everything that runs.
pub struct Report {
    figures: Mutex<Figures>,
    started: Instant,
    events: Events,
}

impl Default for Report {
    fn default() -> Self {
        Report { figures: Mutex::default(), started: Instant::now(), events: Events::default() }
    }
}

impl Report {
    /// A copy of the figures.
    pub fn figures(&self) -> Figures {
        self.lock().clone()
    }

    /// Passages with this outcome so far, without copying the figures.
    pub fn total(&self, outcome: RunOutcome) -> u64 {
        self.lock().total(outcome)
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn link(&self, chain: &str, link: &str, took: Duration, attempt: u32, result: &Result<Outcome>) {
        let outcome = match result {
            Ok(Outcome::Stop) => "halt",
            Ok(_) => "success",
            Err(_) => "error",
        };
        instruments::link_finished(chain, link, outcome, took, attempt);
        if let Err(error) = result {
            instruments::link_failed(chain, link, error.class());
        }
        let mut figures = self.lock();
        calls_of(&mut figures, chain, link).add(took, result.is_ok());
    }

    /// A call cost money.
    pub(crate) fn paid(&self, chain: &str, link: &str, cost: f64) {
        calls_of(&mut self.lock(), chain, link).cost += cost;
    }

    pub(super) fn skipped(&self, chain: &str, link: &str) {
        calls_of(&mut self.lock(), chain, link).skipped += 1;
    }

    pub(super) fn storage(&self, storage: &str, took: Duration, result: &Result<()>) {
        instruments::storage_written(storage, took, result.as_ref().err().map(Error::class));
        let mut figures = self.lock();
        if !figures.storages.contains_key(storage) {
            figures.storages.insert(storage.to_owned(), Calls::new());
        }
        if let Some(calls) = figures.storages.get_mut(storage) {
            calls.add(took, result.is_ok());
        }
    }

    /// What becomes of runs from now on.
    pub fn listen(&self) -> broadcast::Receiver<RunEvent> {
        self.events.listen()
    }

    pub(super) fn run(&self, claim: &Claim, chain: &str, outcome: RunOutcome, took: Duration) {
        self.events.tell(claim, chain, outcome, took);
        if let Some(counted) = outcome.counted() {
            instruments::run_finished(chain, counted, took);
        }
        let mut figures = self.lock();
        if !figures.chains.contains_key(chain) {
            figures.chains.insert(chain.to_owned(), ChainFigures::default());
        }
        if let Some(figures) = figures.chains.get_mut(chain) {
            *figures.outcomes.entry(outcome).or_default() += 1;
            if matches!(outcome, RunOutcome::Done | RunOutcome::Stopped) {
                figures.times.saturating_record(micros(took));
            }
        }
    }

    pub(super) fn lost(&self) {
        self.lock().lost += 1;
    }

    pub(super) fn recovered(&self, list: &str) {
        instruments::recovered(list, 1);
        self.lock().recovered += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn calls_of<'a>(figures: &'a mut Figures, chain: &str, link: &str) -> &'a mut Calls {
    if !figures.chains.contains_key(chain) {
        figures.chains.insert(chain.to_owned(), ChainFigures::default());
    }
    let links = &mut figures.chains.get_mut(chain).unwrap_or_else(|| unreachable!("inserted above")).links;
    let index = links.iter().position(|(name, _)| name == link).unwrap_or_else(|| {
        links.push((link.to_owned(), Calls::new()));
        links.len() - 1
    });
    &mut links[index].1
}
