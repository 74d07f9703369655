//! What a store handle remembers of the claims that its processes hold.
//!
//! The server alone decides what is held. This memory only spares the questions: where a run's wip list is, what
//! revision its document has, which lane watches it. A claim that is not in here is looked up.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::commit::json_of;
use crate::run::RunId;
use crate::store::{Claim, Commit, End, ProcessId};

/// What is known of a stored document.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Copy {
    /// Its revision; 0 if it is not stored.
    pub(super) revision: u64,
    /// How long it is kept after its last run, in milliseconds.
    pub(super) keep: Option<u64>,
    /// Whether it is a RedisJSON value.
    pub(super) json: bool,
}

/// The runs that were taken from one list in one claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wip {
    /// The key of the list of these runs.
    pub(super) key: String,
    /// `<process>:<batch>`.
    pub(super) name: String,
    /// What the keys of the ingress list start with.
    pub(super) base: String,
    /// The ingress list.
    pub(super) list: String,
    /// The lane whose connection watches it.
    pub(super) lane: usize,
}

impl Hash for Wip {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // No two have one key.
        self.key.hash(state);
    }
}

/// A document as it was loaded.
#[derive(Debug, Clone)]
pub(super) struct Loaded {
    pub(super) document: Bytes,
    /// It is watched since then, as long as the lane counts the same.
    pub(super) watch: u64,
}

/// A held claim.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) wip: Arc<Wip>,
    /// The run as it stands in the wip list.
    pub(super) element: String,
    pub(super) entry: i64,
    pub(super) uuid: String,
    /// Whether there is a record of the run.
    pub(super) known: bool,
    /// Whether there is a ledger of the run.
    pub(super) ledger: bool,
    pub(super) copy: Copy,
    /// What the server holds of it, if that is watched.
    pub(super) loaded: Option<Loaded>,
    /// The other vCon that it writes after a switch.
    pub(super) target: Option<(String, Copy)>,
    pub(super) context: Option<String>,
    pub(super) crashes: u32,
}

/// How a commit ends its claim, or what it saves of it: a lost answer is for the commit that asked, and for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndKind {
    kind: Discriminant<End>,
    /// A run ends once but saves often.
    saved: Option<u64>,
}

impl EndKind {
    pub(super) fn of(commit: &Commit) -> Self {
        let saved = matches!(commit.end, End::Continue).then(|| {
            let mut hasher = DefaultHasher::new();
            commit.ledger.as_ref().map(json_of).hash(&mut hasher);
            commit.save.as_ref().map(|save| save.revision).hash(&mut hasher);
            hasher.finish()
        });
        EndKind { kind: discriminant(&commit.end), saved }
    }

    /// Whether the claim is held on.
    pub(super) fn goes_on(self) -> bool {
        self.saved.is_some()
    }
}

#[derive(Debug, Default)]
struct State {
    held: HashMap<ProcessId, HashMap<RunId, Held>>,
    /// Runs left in each wip list.
    left: HashMap<Arc<Wip>, usize>,
    /// Batches whose claim is under way.
    under_way: HashSet<String>,
    /// Wip lists of which the server holds more or less than is remembered.
    strange: HashSet<Arc<Wip>>,
    /// Claims that were ended without their caller knowing it yet.
    ended: HashMap<(ProcessId, RunId), EndKind>,
}

/// See the module's description.
#[derive(Debug, Default)]
pub(super) struct Memory {
    state: Mutex<State>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, process: &ProcessId, run: RunId, held: Held) {
        let mut state = self.lock();
        let wip = Arc::clone(&held.wip);
        if state.held.entry(process.clone()).or_default().insert(run, held).is_none() {
            *state.left.entry(wip).or_default() += 1;
        }
    }

    pub(super) fn get(&self, claim: &Claim) -> Option<Held> {
        self.lock().held.get(&claim.process)?.get(&claim.run).cloned()
    }

    /// The lane of a claim.
    pub(super) fn lane(&self, claim: &Claim) -> Option<usize> {
        self.lock().held.get(&claim.process)?.get(&claim.run).map(|held| held.wip.lane)
    }

    pub(super) fn change(&self, process: &ProcessId, run: RunId, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.lock().held.get_mut(process).and_then(|runs| runs.get_mut(&run)) {
            change(held);
        }
    }

    /// A claim has ended; returns how many runs its wip list has left.
    pub(super) fn forget(&self, process: &ProcessId, run: RunId) -> usize {
        let mut state = self.lock();
        let Some(runs) = state.held.get_mut(process) else { return 0 };
        let Some(held) = runs.remove(&run) else { return 0 };
        if runs.is_empty() {
            state.held.remove(process);
        }
        let Some(left) = state.left.get_mut(&held.wip) else { return 0 };
        *left = left.saturating_sub(1);
        let left = *left;
        if left == 0 {
            state.left.remove(&held.wip);
        }
        left
    }

    /// Runs left in a wip list.
    pub(super) fn left(&self, wip: &Arc<Wip>) -> usize {
        self.lock().left.get(wip).copied().unwrap_or(0)
    }

    /// Whether a wip list of this length holds just what is remembered of it. If not, it is looked at by the next
    /// comparison.
    pub(super) fn is_whole(&self, wip: &Arc<Wip>, length: i64) -> bool {
        let mut state = self.lock();
        let whole = usize::try_from(length).ok() == Some(state.left.get(wip).copied().unwrap_or(0));
        if !whole {
            state.strange.insert(Arc::clone(wip));
        }
        whole
    }

    /// The wip lists of a process that were found to be other than remembered.
    pub(super) fn strange(&self, process: &ProcessId) -> Vec<Arc<Wip>> {
        let prefix = format!("{process}:");
        self.lock().strange.iter().filter(|wip| wip.name.starts_with(&prefix)).cloned().collect()
    }

    /// These were compared, and are as they are remembered again.
    pub(super) fn compared(&self, wips: &[Arc<Wip>]) {
        self.lock().strange.retain(|wip| !wips.contains(wip));
    }

    /// Whether a run of a process is remembered.
    pub(super) fn knows(&self, process: &ProcessId, run: RunId) -> bool {
        self.lock().held.get(process).is_some_and(|runs| runs.contains_key(&run))
    }

    /// A whole wip list was lost.
    pub(super) fn forget_wip(&self, wip: &Wip) {
        let mut state = self.lock();
        for runs in state.held.values_mut() {
            runs.retain(|_, held| held.wip.key != wip.key);
        }
        state.held.retain(|_, runs| !runs.is_empty());
        state.left.retain(|known, _| known.key != wip.key);
    }

    /// A batch was claimed but could not be handed out.
    pub(super) fn forget_batch(&self, process: &ProcessId, batch: &str) {
        let mut state = self.lock();
        let name = format!("{process}:{batch}");
        if let Some(runs) = state.held.get_mut(process) {
            runs.retain(|_, held| held.wip.name != name);
        }
        state.held.retain(|_, runs| !runs.is_empty());
        state.left.retain(|wip, _| wip.name != name);
        state.under_way.remove(batch);
    }

    pub(super) fn forget_process(&self, process: &ProcessId) {
        let mut state = self.lock();
        state.held.remove(process);
        let prefix = format!("{process}:");
        state.left.retain(|wip, _| !wip.name.starts_with(&prefix));
        state.strange.retain(|wip| !wip.name.starts_with(&prefix));
        state.ended.retain(|(known, _), _| known != process);
    }

    /// Whether a process holds anything, and anything that must go alone.
    pub(super) fn holds(&self, process: &ProcessId, solo_at: u32) -> (bool, bool) {
        let state = self.lock();
        let Some(runs) = state.held.get(process) else { return (false, false) };
        (!runs.is_empty(), runs.values().any(|held| held.crashes >= solo_at))
    }

    /// The wip lists that a lane watches.
    pub(super) fn of_lane(&self, lane: usize) -> Vec<Arc<Wip>> {
        self.lock().left.keys().filter(|wip| wip.lane == lane).cloned().collect()
    }

    /// The batches of a process that are known or under way.
    pub(super) fn batches(&self, process: &ProcessId) -> HashSet<String> {
        let state = self.lock();
        let prefix = format!("{process}:");
        let known = state.left.keys().filter_map(|wip| wip.name.strip_prefix(&prefix).map(str::to_owned));
        known.chain(state.under_way.iter().cloned()).collect()
    }

    pub(super) fn start(&self, batch: &str) {
        self.lock().under_way.insert(batch.to_owned());
    }

    pub(super) fn stop(&self, batch: &str) {
        self.lock().under_way.remove(batch);
    }

    /// A lost answer was found out: the claim was ended.
    pub(super) fn was_ended(&self, process: &ProcessId, run: RunId, kind: EndKind) {
        self.lock().ended.insert((process.clone(), run), kind);
    }

    /// Whether this commit was executed by a transaction whose answer was lost.
    pub(super) fn take_ended(&self, commit: &Commit) -> bool {
        let mut state = self.lock();
        if state.ended.is_empty() {
            return false;
        }
        let key = (commit.claim.process.clone(), commit.claim.run);
        state.ended.remove(&key).is_some_and(|known| known == EndKind::of(commit))
    }
}
