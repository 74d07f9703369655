//! Free places: how many runs and bytes may be worked on at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use vconductor_core::clock::Millis;
use vconductor_core::layers::instruments;
use vconductor_core::store::{ClaimRequest, Quota};

use super::chain::Chains;
use super::generation::Generation;
use super::holds::Holds;

/// The places of all chains; shared by the lanes. Each chain has a row, which is its own in every generation.
pub(super) struct Places {
    state: Mutex<State>,
    bytes: u64,
    /// So many lanes share the places; each reserves its share only, or one of them would wait for the other.
    lanes: usize,
    freed: Notify,
    reopened: Notify,
}

struct State {
    rows: Vec<Row>,
    /// Bytes of documents that are worked on.
    used_bytes: u64,
    /// Bytes that claims under way may still bring in.
    reserved_bytes: u64,
    /// Runs that are worked on or about to be committed.
    used: usize,
}

/// The places of one chain.
struct Row {
    chain: String,
    /// How many there are.
    all: usize,
    /// How many are taken or set aside; more than there are, while a generation with fewer begins.
    taken: usize,
}

impl Row {
    fn free(&self) -> usize {
        self.all.saturating_sub(self.taken)
    }
}

/// Places that were set aside for one claim.
pub(super) struct Reserved {
    by_row: Vec<usize>,
    bytes: u64,
}

impl Reserved {
    /// Whether anything is claimed for the chain of a row.
    pub(super) fn asks_for(&self, row: usize) -> bool {
        self.by_row[row] > 0
    }

    /// How many rows there were.
    pub(super) fn rows(&self) -> usize {
        self.by_row.len()
    }
}

impl Places {
    pub(super) fn new(bytes: u64, lanes: usize) -> Self {
        let state = Mutex::new(State { rows: Vec::new(), used_bytes: 0, reserved_bytes: 0, used: 0 });
        Places { state, bytes, lanes: lanes.max(1), freed: Notify::new(), reopened: Notify::new() }
    }

    /// Gives every chain its row, with as many places as it has from now on; returns the rows by chain. What is taken of
    /// them stays taken.
    pub(super) fn adopt(&self, chains: &Chains) -> Vec<usize> {
        let mut state = self.lock();
        let mut row_of = |name: &str, all| match state.rows.iter().position(|row| row.chain == name) {
            Some(row) => {
                state.rows[row].all = all;
                row
            }
            None => {
                state.rows.push(Row { chain: name.to_owned(), all, taken: 0 });
                state.rows.len() - 1
            }
        };
        chains.chains.iter().map(|chain| row_of(&chain.name, chain.concurrency)).collect()
    }

    /// Waits until a place may be free.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Waits until a chain that was held may be claimed for again.
    pub(super) async fn reopened(&self) {
        self.reopened.notified().await;
    }

    /// Has all lanes that wait look again whether they may claim.
    pub(super) fn wake(&self) {
        self.reopened.notify_waiters();
    }

    /// Sets places aside for a claim of at most `batch` runs; `None` if there are none.
    pub(super) fn reserve(
        &self,
        at: &Generation,
        holds: &Holds,
        now: Millis,
        batch: usize,
    ) -> Option<(Reserved, ClaimRequest)> {
        let mut state = self.lock();
        let taken = state.used_bytes + state.reserved_bytes;
        if taken >= self.bytes && state.used + usize::from(state.reserved_bytes > 0) > 0 {
            return None;
        }
        let mut quotas = Vec::new();
        let mut by_row = vec![0; state.rows.len()];
        for (chain, index) in at.chains.chains.iter().zip(&at.rows) {
            let row = &mut state.rows[*index];
            let share = chain.concurrency.div_ceil(self.lanes);
            let allowed = holds.allowance(chain, row.taken, now).unwrap_or(batch);
            let places = row.free().min(share).min(batch).min(allowed);
            by_row[*index] = places;
            row.taken += places;
            if places > 0 {
                for list in &chain.ingress_lists {
                    quotas.push(Quota { list: list.clone(), limit: places, weight: chain.weight });
                }
            }
        }
        if quotas.is_empty() {
            return None;
        }
        let bytes = self.bytes.saturating_sub(taken).min(self.bytes.div_ceil(self.lanes as u64));
        state.reserved_bytes += bytes;
        Some((Reserved { by_row, bytes }, ClaimRequest { quotas, limit: batch, bytes }))
    }

    /// Takes `claimed` runs' places (by row) and bytes out of the reservation and frees the rest. Returns how many
    /// runs of each row have a place; a chain with several lists may have claimed more, which must be given back.
    pub(super) fn settle(&self, reserved: &Reserved, claimed: &[usize], bytes: u64) -> Vec<usize> {
        let mut state = self.lock();
        let mut with_place = vec![0; claimed.len()];
        for (index, taken) in claimed.iter().enumerate() {
            let kept = (*taken).min(reserved.by_row[index]);
            with_place[index] = kept;
            state.rows[index].taken -= reserved.by_row[index] - kept;
            state.used += kept;
        }
        state.used_bytes += bytes;
        state.reserved_bytes -= reserved.bytes;
        self.freed.notify_one();
        with_place
    }

    /// A run has left its chain: another one may have its place.
    pub(super) fn leave(&self, row: usize) {
        self.lock().rows[row].taken -= 1;
        self.freed.notify_one();
    }

    /// A run that has left its chain is committed: its document is not held any more.
    pub(super) fn end(&self, bytes: u64) {
        let mut state = self.lock();
        state.used -= 1;
        state.used_bytes -= bytes;
        self.freed.notify_one();
    }

    /// Frees the bytes of a run that was claimed but is not worked on.
    pub(super) fn unload(&self, bytes: u64) {
        self.lock().used_bytes -= bytes;
        self.freed.notify_one();
    }

    /// Tells the metrics how many runs of each chain are worked on, and how large their documents are.
    pub(super) fn tell(&self) {
        let state = self.lock();
        state.rows.iter().for_each(|row| instruments::runs_at_work(&row.chain, row.taken as u64));
        instruments::documents_held(state.used_bytes);
    }

    /// Runs that are worked on.
    pub(super) fn used(&self) -> usize {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
