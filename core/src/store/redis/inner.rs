//! What all parts of a store handle share, and the way of an exchange over its lanes.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, oneshot};

use super::bell::Bell;
use super::claim::Rota;
use super::crowd::{self, Crowd};
use super::durability::Safety;
use super::lane::{Lane, Wanted};
use super::memory::{EndKind, Memory};
use super::settings::{Encoding, Settings};
use super::watched::Connection;
use super::wire::Wire;
use super::{bulk, process, sweep};
use crate::clock::{Clock, Millis, SystemClock};
use crate::error::{Error, Result};
use crate::run::RunId;
use crate::store::{ClaimRequest, Claimed, Commit, Committed, ProcessId};

/// Lanes of a handle; each has a connection once it is used.
pub(super) const LANES: usize = 4;

/// A smaller difference of two clocks is the network's.
const AGREEMENT: Millis = 250;

/// What all parts of a handle share.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) wire: Arc<Wire>,
    pub(super) memory: Memory,
    pub(super) bell: Arc<Bell>,
    pub(super) lanes: Vec<Arc<AsyncMutex<Lane>>>,
    /// Who waits for each lane.
    pub(super) crowds: Vec<Crowd>,
    pub(super) next_lane: AtomicUsize,
    pub(super) rota: Mutex<Rota>,
    /// Lists that are in the server's set of lists.
    pub(super) announced: Mutex<HashSet<String>>,
    /// Processes of this handle, and whether they may hold what nobody was told of.
    pub(super) own: Mutex<HashSet<ProcessId>>,
    pub(super) strays: Mutex<HashSet<ProcessId>>,
    /// Whether something that falls due soon is waited for.
    pub(super) pumping: AtomicBool,
    /// The server's start that was met last (its `run_id`), and when that was by its clock.
    pub(super) met: Mutex<(String, i64)>,
    /// Where the sweep goes on.
    pub(super) swept: Mutex<sweep::Place>,
    /// Whether what is taken in is safe.
    pub(super) safety: Safety,
    /// The connection of [`super::watched`].
    pub(super) watched: AsyncMutex<Option<Connection>>,
    pub(super) has_json: bool,
    /// Whether saves may send the end of a document alone.
    pub(super) tails: bool,
    /// The server's `maxmemory-policy`, if it may evict keys.
    pub(super) eviction: Option<String>,
    /// How far the server's clock is ahead of this machine's; the server's is the one that all go by.
    pub(super) ahead: AtomicI64,
}

impl Inner {
    pub(super) fn shift(&self) -> i64 {
        self.settings.clock_shift.load(Ordering::SeqCst)
    }

    /// The server's time.
    pub(super) fn now(&self) -> Millis {
        self.there(SystemClock.now()) + self.shift()
    }

    /// A time of this machine as the server would say it.
    pub(super) fn there(&self, here: Millis) -> Millis {
        here.saturating_add(self.ahead.load(Ordering::Relaxed))
    }

    /// A time of the server as this machine would say it.
    pub(super) fn here(&self, there: Millis) -> Millis {
        there.saturating_sub(self.ahead.load(Ordering::Relaxed))
    }

    /// Compares the clocks: the server has just said that it is this late.
    pub(super) fn compare_clocks(&self, server: Millis) {
        let ahead = server - SystemClock.now();
        let ahead = if ahead.abs() < AGREEMENT { 0 } else { ahead };
        if self.ahead.swap(ahead, Ordering::Relaxed) == 0 && ahead != 0 {
            tracing::warn!(ahead_ms = ahead, "the server's clock and this machine's differ; the server's counts");
        }
    }

    pub(super) fn solo_at(&self) -> u32 {
        self.settings.poison_at.saturating_sub(1).max(1)
    }

    pub(super) fn new_as_json(&self) -> bool {
        match self.settings.encoding {
            Encoding::Auto => self.has_json,
            Encoding::String => false,
            Encoding::Json => true,
        }
    }

    pub(super) fn turn<T>(&self, with: impl FnOnce(&mut Rota) -> T) -> T {
        with(&mut lock(&self.rota))
    }

    /// Whether a list must still be made known to the server.
    pub(super) fn announce(&self, list: &str) -> bool {
        let mut announced = lock(&self.announced);
        !announced.contains(list) && announced.insert(list.to_owned())
    }

    /// What was to make lists known may not have been executed.
    pub(super) fn announce_again(&self) {
        lock(&self.announced).clear();
    }

    /// A claim's answer was lost: its wip list may exist without anybody knowing.
    pub(super) fn has_strays(&self, process: &ProcessId) {
        lock(&self.strays).insert(process.clone());
        self.announce_again();
    }

    /// A lane that is free, or the next in turn.
    pub(super) async fn any_lane(&self) -> OwnedMutexGuard<Lane> {
        for lane in &self.lanes {
            if let Ok(free) = Arc::clone(lane).try_lock_owned() {
                return free;
            }
        }
        let next = self.next_lane.fetch_add(1, Ordering::Relaxed) % self.lanes.len();
        Arc::clone(&self.lanes[next]).lock_owned().await
    }

    pub(super) async fn lane(&self, index: Option<usize>) -> OwnedMutexGuard<Lane> {
        match index.and_then(|index| self.lanes.get(index)) {
            Some(lane) => Arc::clone(lane).lock_owned().await,
            None => self.any_lane().await,
        }
    }

    /// Commits over a lane, together with others that wait for it.
    async fn commit(&self, lane: Option<usize>, owner: &ProcessId, wanted: Vec<Wanted>) -> crowd::Answer {
        let Some(index) = lane.filter(|index| *index < self.crowds.len()) else {
            // A claim that is not remembered is looked up.
            return self.any_lane().await.exchange(self, owner, wanted, None).await.map(|(results, _)| results);
        };
        let mut answered = self.crowds[index].join(owner.clone(), wanted);
        loop {
            tokio::select! {
                biased;
                answer = &mut answered => {
                    return answer.map_err(|_| Error::retryable("a commit that went along with others was cut off"))?;
                }
                // The answers, also of a failure, go to all whom it was for.
                mut lane = self.lane(Some(index)) => drop(lane.exchange(self, owner, Vec::new(), None).await),
            }
        }
    }

    /// Commits go over the lane that watches their claims; the new claim goes with the last group.
    pub(super) async fn exchange(
        &self,
        process: &ProcessId,
        commits: Vec<Commit>,
        request: Option<&ClaimRequest>,
    ) -> Result<(Vec<Committed>, Vec<Claimed>)> {
        if lock(&self.strays).contains(process) {
            process::give_back_strays(self, process).await?;
        }
        bulk::draft(self, &commits).await?;
        let mut results = vec![Committed::Lost; commits.len()];
        // One process per transaction, since its mark is the process's.
        type Group = (Option<usize>, ProcessId);
        let mut groups: Vec<(Group, Vec<Wanted>)> = Vec::new();
        for (index, commit) in commits.into_iter().enumerate() {
            let group = (self.memory.lane(&commit.claim), commit.claim.process.clone());
            let wanted = Wanted { index, commit };
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, members)) => members.push(wanted),
                None => groups.push((group, vec![wanted])),
            }
        }
        let mut ends = Vec::new();
        let mut done = Vec::new();
        // The claim goes with the last group.
        let last = request.and_then(|_| groups.pop());
        for ((lane, owner), wanted) in groups {
            ends.extend(wanted.iter().map(|wanted| (wanted.index, wanted.end())));
            let answer = self.commit(lane, &owner, wanted).await;
            done.extend(answer.inspect_err(|_| self.remember_done(&ends, &done))?);
        }
        let Some(request) = request else {
            for (index, committed) in done {
                results[index] = committed;
            }
            return Ok((results, Vec::new()));
        };
        let (lane, wanted) = last.map_or((None, Vec::new()), |((lane, _), wanted)| (lane, wanted));
        let mut lane = self.lane(lane).await;
        let answer = lane.exchange(self, process, wanted, Some(request)).await;
        let large = std::mem::take(&mut lane.large);
        drop(lane);
        let (committed, mut claimed) = answer.inspect_err(|_| self.remember_done(&ends, &done))?;
        if let Err(error) = bulk::load(self, &mut claimed, &large).await {
            // What was committed is committed.
            tracing::warn!(error = %error.chain_text(), "a large document could not be loaded; its claim goes back");
            process::return_unheard(self, process, &claimed).await;
            claimed.clear();
        }
        for (index, committed) in done.into_iter().chain(committed) {
            results[index] = committed;
        }
        Ok((results, claimed))
    }

    /// An exchange that fails half-way is tried again as a whole by the caller: what is done already answers so then.
    pub(super) fn remember_done(&self, ends: &[(usize, (ProcessId, RunId, EndKind))], results: &[(usize, Committed)]) {
        for (index, (process, run, end)) in ends {
            if results.contains(&(*index, Committed::Done)) {
                self.memory.was_ended(process, *run, *end);
            }
        }
    }
}

pub(super) type Exchanged = Result<(Vec<Committed>, Vec<Claimed>)>;

/// Waits for an exchange. If it is dropped when the answer is there but was not looked at, the claims go back.
pub(super) struct Heard {
    pub(super) answer: oneshot::Receiver<Exchanged>,
    pub(super) inner: Arc<Inner>,
    pub(super) process: ProcessId,
}

impl Drop for Heard {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Ok((_, claimed))) = self.answer.try_recv()
            && !claimed.is_empty()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let (inner, process) = (Arc::clone(&self.inner), self.process.clone());
            runtime.spawn(async move { process::return_unheard(&inner, &process, &claimed).await });
        }
    }
}

/// Locks; what a panic left behind is still consistent, since nothing here spans more than one change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
