//! A lane: ends the last batch and claims the next in one exchange with the store, and runs what it claimed.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, watch};
use tokio_util::sync::CancellationToken;
use vconductor_core::error::{Class, Error};
use vconductor_core::failpoint;
use vconductor_core::layers::{instruments, trace};
use vconductor_core::store::{ClaimRequest, Claimed, Commit, Committed, End, dead_letter_queue};

use super::chain::Chain;
use super::generation::Generation;
use super::journal::Did;
use super::passage::{Passage, Passed};
use super::places::{Places, Reserved};
use super::report::RunOutcome;
use super::step::panic_text;
use super::{Shared, backoff, refuses};
use crate::telemetry::run::{Flight, Told};

/// Runs of one exchange. 64 fill a transaction without making the first of them wait.
const BATCH: usize = 64;
/// How long a lane takes runs of chains that never wait along by itself. They need no task then, but links that
/// compute for long must use every thread.
const BY_ITSELF: Duration = Duration::from_millis(1);
/// How long an idle lane listens before it looks by itself.
const DOORBELL: Duration = Duration::from_secs(2);

/// A run that has left its passage.
struct Finished {
    chain: Arc<Chain>,
    row: usize,
    bytes: u64,
    took: Duration,
    passed: Option<Passed>,
    told: Told,
}

/// What is to be told of a run once its commit is done.
struct Left {
    chain: Arc<Chain>,
    bytes: u64,
    told: Told,
    cost: Option<f64>,
    did: Did,
}

/// What became of a run's last commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    Lost,
    /// The store refused it for good; the run is a dead letter.
    Refused,
}

impl From<Committed> for Ended {
    fn from(committed: Committed) -> Self {
        match committed {
            Committed::Done => Ended::Done,
            Committed::Lost => Ended::Lost,
        }
    }
}

pub(super) struct Lane {
    shared: Arc<Shared>,
    generations: watch::Receiver<Arc<Generation>>,
    /// The one by which is claimed.
    at: Arc<Generation>,
    places: Arc<Places>,
    finished: mpsc::UnboundedSender<Finished>,
    arrivals: mpsc::UnboundedReceiver<Finished>,
    running: usize,
    /// Exchanges that failed one after the other.
    failures: u32,
    /// Held by the lane that listens for work, until it has claimed: one that rings would wake all of them for nothing.
    door: Arc<Mutex<()>>,
    listened: Option<OwnedMutexGuard<()>>,
    /// Where runs go on that the lane does not take along by itself.
    tasks: Handle,
    /// Claims beyond the places of their chain; given back with the next exchange.
    excess: Vec<Commit>,
    /// By chain, whether the last claim was for it, too.
    asked: Vec<bool>,
}

impl Lane {
    /// To be called on the runtime that links work on.
    pub(super) fn new(
        shared: Arc<Shared>,
        generations: watch::Receiver<Arc<Generation>>,
        places: Arc<Places>,
        door: Arc<Mutex<()>>,
    ) -> Self {
        let (finished, arrivals) = mpsc::unbounded_channel();
        let at = Arc::clone(&generations.borrow());
        Lane {
            shared,
            generations,
            at,
            places,
            finished,
            arrivals,
            running: 0,
            failures: 0,
            door,
            listened: None,
            tasks: Handle::current(),
            excess: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// Works until the conductor stops and every run of this lane has ended.
    pub(super) async fn work(mut self) {
        let mut arrived = Vec::with_capacity(BATCH);
        loop {
            let stopping = self.shared.stop.is_cancelled();
            while arrived.len() < BATCH
                && let Ok(finished) = self.arrivals.try_recv()
            {
                arrived.push(finished);
            }
            // What ends with the next exchange makes room for what that claims.
            for finished in &arrived {
                self.places.leave(finished.row);
            }
            let reserved = if stopping { None } else { self.reserve() };
            if reserved.is_none() && arrived.is_empty() && self.excess.is_empty() {
                if stopping && self.running == 0 {
                    return;
                }
                self.full(&mut arrived, stopping).await;
                continue;
            }
            let claimed = self.exchange(&mut arrived, reserved).await;
            if self.failures > 0 {
                // A doorbell that rings while the store fails would have it asked without a pause.
                self.pause(&mut arrived).await;
            } else if claimed == 0 && arrived.is_empty() && !self.shared.stop.is_cancelled() {
                self.idle(&mut arrived).await;
            }
        }
    }

    /// Sets places aside for the next claim.
    fn reserve(&mut self) -> Option<(Reserved, ClaimRequest)> {
        self.at.clone_from(&self.generations.borrow_and_update());
        let (holds, now) = (&self.shared.holds, self.shared.clock.now());
        let reserved = self.places.reserve(&self.at, holds, now, BATCH);
        self.asked.clear();
        if let Some((reserved, _)) = &reserved {
            self.asked.extend(self.at.rows.iter().map(|row| reserved.asks_for(*row)));
        }
        reserved
    }

    /// Waits for a run to finish or, while there is no free place, for one.
    async fn full(&mut self, arrived: &mut Vec<Finished>, stopping: bool) {
        self.listened = None;
        tokio::select! {
            _ = self.arrivals.recv_many(arrived, BATCH) => {}
            () = self.places.freed() => {}
            () = self.places.reopened(), if !stopping => {}
            _ = self.generations.changed(), if !stopping => {}
            () = tokio::time::sleep(DOORBELL), if !stopping => {}
            () = self.shared.stop.cancelled(), if !stopping => {}
        }
    }

    /// Waits a while for the store to come back, or for a run to finish.
    async fn pause(&mut self, arrived: &mut Vec<Finished>) {
        tokio::select! {
            _ = self.arrivals.recv_many(arrived, BATCH) => {}
            () = tokio::time::sleep(backoff(self.failures)) => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    /// Waits for a run to finish or something to claim. Lists that were not asked for, since their chain is full or held, are
    /// not listened to: what waits there would ring without end.
    async fn idle(&mut self, arrived: &mut Vec<Finished>) {
        self.listened = None;
        let asked = self.at.chains.chains.iter().zip(&self.asked).filter(|(_, asked)| **asked);
        let lists: Vec<String> = asked.flat_map(|(chain, _)| chain.ingress_lists.iter().cloned()).collect();
        let listen = async {
            let listens = Arc::clone(&self.door).lock_owned().await;
            self.shared.store.doorbell(&lists, DOORBELL).await;
            listens
        };
        tokio::select! {
            _ = self.arrivals.recv_many(arrived, BATCH) => {}
            listens = listen => self.listened = Some(listens),
            () = self.places.reopened() => {}
            _ = self.generations.changed() => {}
            () = self.shared.stop.cancelled() => {}
        }
    }

    /// Commits what has arrived and claims as much as there are places; returns how many runs were claimed.
    async fn exchange(&mut self, arrived: &mut Vec<Finished>, reserved: Option<(Reserved, ClaimRequest)>) -> usize {
        let mut commits = std::mem::take(&mut self.excess);
        let given_back = commits.len();
        let mut ended = Vec::with_capacity(arrived.len());
        for finished in arrived.drain(..) {
            self.running -= 1;
            match finished.passed {
                Some(passed) => {
                    commits.push(passed.commit);
                    let did = Did { attempt: passed.attempt, steps: passed.steps, took: finished.took };
                    let Finished { chain, bytes, told, .. } = finished;
                    ended.push((Left { chain, bytes, told, cost: passed.cost, did }, passed.outcome));
                }
                None => {
                    self.places.end(finished.bytes);
                    self.shared.report.lost();
                    finished.told.lost();
                }
            }
        }
        let (reserved, request) = match reserved {
            Some((reserved, request)) => (Some(reserved), Some(request)),
            None => (None, None),
        };
        if commits.is_empty() && request.is_none() {
            return 0;
        }
        let (identity, began) = (self.shared.identity(), trace::now());
        let (results, claimed) = match self.shared.store.exchange(&identity.process, commits.clone(), request).await {
            Ok((results, claimed)) => {
                self.failures = 0;
                (results.into_iter().map(Ended::from).collect(), claimed)
            }
            Err(error) => {
                self.failures += 1;
                tracing::error!(error = %error.chain_text(), "the store does not answer; finished runs are kept and tried again");
                (self.end_all(&commits, error).await, Vec::new())
            }
        };
        self.listened = None;
        failpoint::hit("after-ack");
        let results = commits.iter().zip(&results).skip(given_back);
        for ((left, outcome), (commit, result)) in ended.into_iter().zip(results) {
            self.places.end(left.bytes);
            let outcome = match result {
                Ended::Done => outcome,
                Ended::Refused => RunOutcome::Dead,
                Ended::Lost => {
                    self.shared.report.lost();
                    left.told.lost();
                    continue;
                }
            };
            let took = left.did.took;
            self.shared.report.run(&commit.claim, &left.chain.name, outcome, took);
            match (&commit.end, result) {
                (End::Dead { queue, failure }, Ended::Done) => instruments::dead_lettered(queue, failure.class),
                (_, Ended::Refused) => {
                    instruments::dead_lettered(&dead_letter_queue(&commit.claim.list), Class::Permanent);
                }
                _ => {}
            }
            left.told.end(commit, &left.chain.name, outcome, took, left.cost, began);
            self.shared.journal.ended(commit, &left.chain, outcome, left.did, &*self.shared.clock);
        }
        let flight = began.map(|began| Flight { began, ended: SystemTime::now(), runs: claimed.len() });
        self.start(reserved, claimed, flight, &identity.over, arrived)
    }

    /// Ends runs after an exchange that failed with `error`: together again when the store was away, and each alone
    /// when it refused something, so that one run that it cannot take holds up no other.
    async fn end_all(&mut self, commits: &[Commit], error: Error) -> Vec<Ended> {
        if commits.is_empty() {
            return Vec::new();
        }
        let mut error = error;
        loop {
            if refuses(&error) {
                match commits {
                    [commit] => {
                        if let Some(ended) = self.end_refused(commit, &error).await {
                            return vec![ended];
                        }
                    }
                    several => {
                        let mut ended = Vec::with_capacity(several.len());
                        for commit in several.chunks(1) {
                            ended.extend(match self.try_to_end(commit).await {
                                Ok(alone) => alone,
                                Err(error) => Box::pin(self.end_all(commit, error)).await,
                            });
                        }
                        return ended;
                    }
                }
            }
            if self.shared.abort.is_cancelled() && self.failures > 3 {
                return vec![Ended::Lost; commits.len()];
            }
            tokio::time::sleep(backoff(self.failures)).await;
            match self.try_to_end(commits).await {
                Ok(ended) => return ended,
                Err(again) => {
                    tracing::error!(error = %again.chain_text(), attempt = self.failures, "the store still does not answer");
                    error = again;
                }
            }
        }
    }

    async fn try_to_end(&mut self, commits: &[Commit]) -> Result<Vec<Ended>, Error> {
        let process = self.shared.process();
        let (results, _) =
            self.shared.store.exchange(&process, commits.to_vec(), None).await.inspect_err(|_| self.failures += 1)?;
        self.failures = 0;
        Ok(results.into_iter().map(Ended::from).collect())
    }

    /// The store will never take this commit: the run becomes a dead letter that carries nothing but the reason.
    /// `None`: not even that is taken, so it is the store that ails and not the run.
    async fn end_refused(&mut self, commit: &Commit, refusal: &Error) -> Option<Ended> {
        let passed = Passed::refused(&self.shared, commit.claim.clone(), refusal);
        let ended = self.try_to_end(&[passed.commit]).await.ok()?;
        Some(if ended.first() == Some(&Ended::Done) { Ended::Refused } else { Ended::Lost })
    }

    /// Starts the passages of claimed runs.
    fn start(
        &mut self,
        reserved: Option<Reserved>,
        claimed: Vec<Claimed>,
        flight: Option<Flight>,
        over: &CancellationToken,
        arrived: &mut Vec<Finished>,
    ) -> usize {
        let Some(reserved) = reserved else { return 0 };
        if !claimed.is_empty() {
            failpoint::hit("after-claim");
        }
        for runs in claimed.chunk_by(|one, other| one.claim.list == other.claim.list) {
            instruments::claimed(&runs[0].claim.list, runs.len() as u64);
        }
        let at = Arc::clone(&self.at);
        let mut by_row = vec![0; reserved.rows()];
        let mut bytes = 0;
        let total = claimed.len();
        let runs: Vec<_> = claimed
            .into_iter()
            .filter_map(|claimed| {
                let (index, chain) = at.chains.of_list(&claimed.claim.list)?;
                by_row[at.rows[index]] += 1;
                bytes += size(&claimed);
                Some((at.rows[index], chain, claimed))
            })
            .collect();
        let mut kept = self.places.settle(&reserved, &by_row, bytes);
        let started = Instant::now();
        for (row, chain, claimed) in runs {
            if kept[row] > 0 {
                kept[row] -= 1;
                let by_itself = chain.never_waits() && started.elapsed() < BY_ITSELF;
                let told = Told::begin(&claimed, chain, flight);
                arrived.extend(self.begin(row, chain, claimed, told, over.child_token(), by_itself));
            } else {
                self.give_back(claimed);
            }
        }
        total
    }

    fn give_back(&mut self, claimed: Claimed) {
        self.places.unload(size(&claimed));
        self.excess.push(Commit::ending(claimed.claim, End::Release));
    }

    /// Begins a passage. `by_itself`: goes through it here as far as it gets without waiting; a run that is finished
    /// then is returned. Otherwise, and from there on, it has a task of its own.
    fn begin(
        &mut self,
        row: usize,
        chain: &Arc<Chain>,
        claimed: Claimed,
        told: Told,
        over: CancellationToken,
        by_itself: bool,
    ) -> Option<Finished> {
        self.running += 1;
        let bytes = size(&claimed);
        let shared = Arc::clone(&self.shared);
        let claim = claimed.claim.clone();
        let started = Instant::now();
        let chain = Arc::clone(chain);
        let (generation, own) = (Arc::clone(&self.at), Arc::clone(&chain));
        let passage = Passage::run(Arc::clone(&shared), generation, own, claimed, over.clone());
        let mut passage = told.enclose(Box::pin(AssertUnwindSafe(passage).catch_unwind().map(move |passed| {
            passed.unwrap_or_else(|panic| Some(Passed::defect(&shared, claim, &panic_text(panic.as_ref()))))
        })));
        if by_itself && let Some(passed) = (&mut passage).now_or_never() {
            return Some(Finished { chain, row, bytes, took: started.elapsed(), passed, told });
        }
        let finished = self.finished.clone();
        self.tasks.spawn(async move {
            // Dropped when the claim was lost, and at the end of the grace time: then it goes back as the process leaves.
            let passed = tokio::select! {
                passed = passage => passed,
                () = over.cancelled() => None,
            };
            // The lane outlives its runs, except when the whole process ends.
            drop(finished.send(Finished { chain, row, bytes, took: started.elapsed(), passed, told }));
        });
        None
    }
}

fn size(claimed: &Claimed) -> u64 {
    claimed.stored.as_ref().map_or(0, |stored| stored.document.len() as u64)
}
