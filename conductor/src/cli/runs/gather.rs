//! Runs as rows: from the store, from what conductors tell, and from what has ended.

use serde::Serialize;
use vconductor_core::clock::Millis;
use vconductor_core::run::RunId;
use vconductor_core::store::{AtWork, PastQuery, PastRun, RunQuery, RunRecord, RunState, Store};

use super::judge::{Judgement, State, judge};
use crate::cli::age;
use crate::cli::configuration::Configured;
use crate::cli::exit::Result;
use crate::cli::look::Look;

/// So many runs of a list are judged, however few are shown: one of them may be stuck.
pub(crate) const JUDGED: usize = 2000;

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) chain: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) states: Vec<State>,
    /// Only what stands as it does since then.
    pub(super) since: Option<Millis>,
    /// At most so many of each state.
    pub(super) limit: usize,
}

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) run: Option<RunId>,
    pub(super) uuid: String,
    pub(super) chain: Option<String>,
    pub(super) list: String,
    pub(super) step: Option<String>,
    #[serde(serialize_with = "moment")]
    pub(super) since: Option<Millis>,
    pub(super) age_seconds: Option<u64>,
    pub(super) attempts: u32,
    pub(super) crashes: u32,
    pub(super) cost_usd: Option<f64>,
    pub(super) took_ms: Option<u64>,
    #[serde(serialize_with = "moment")]
    pub(super) until: Option<Millis>,
    pub(super) reason: Option<String>,
    /// [`Judgement::cause`].
    #[serde(skip)]
    pub(super) cause: Option<String>,
    pub(super) fix: Option<String>,
    pub(super) conductor: Option<String>,
}

pub(super) fn moment<S: serde::Serializer>(at: &Option<Millis>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(age::moment).serialize(serializer)
}

/// Rows, those first of which the operator should know first.
pub(super) struct Rows {
    pub(super) shown: Vec<Row>,
    /// Whether there are more of a state than are shown.
    pub(super) more: bool,
    /// Runs that wait on lists for their turn, however many are shown.
    pub(super) queued: u64,
}

impl Wanted {
    fn wants(&self, state: State) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }

    /// In which states of the store runs may be that are asked for.
    fn states_of_store(&self) -> Vec<RunState> {
        let waiting = self.states.contains(&State::Waiting) || self.uuid.is_some();
        let mut states = Vec::new();
        // A backlog is `queue`'s business; here it is told by a number unless it is asked for.
        if waiting {
            states.push(RunState::Waiting);
        }
        if self.wants(State::Stuck) || self.wants(State::Running) {
            states.push(RunState::Claimed);
        }
        if self.wants(State::Stuck) || self.wants(State::Waiting) {
            states.push(RunState::Scheduled);
        }
        if self.wants(State::Stuck) || self.wants(State::Parked) {
            states.push(RunState::Parked);
        }
        if self.wants(State::Failed) {
            states.push(RunState::Dead);
        }
        states
    }

    /// What is asked for.
    pub(super) async fn gather(&self, store: &dyn Store, configured: Option<&Configured>) -> Result<Rows> {
        let look = Look::at(store).await?;
        let lists = lists_of(self.chain.as_deref(), &look, configured);
        let mut rows = Vec::new();
        for state in self.states_of_store() {
            let (states, uuid) = (vec![state], self.uuid.clone());
            // One more than is shown, to know whether there are more.
            let limit = self.limit.saturating_add(1);
            let query = RunQuery { lists: lists.clone(), states, uuid, run: None, ledgers: true, limit };
            let mut found = store.runs(&query).await?;
            if state == RunState::Claimed {
                // Any of them may be stuck. What is scheduled or parked comes by when it is due: if one is overdue, it is the first.
                let all = store.runs(&RunQuery { ledgers: false, limit: JUDGED.max(limit), ..query }).await?;
                let known = |run: &RunRecord| found.iter().any(|known| known.run == run.run);
                let more: Vec<RunRecord> = all.into_iter().filter(|run| !known(run)).collect();
                found.extend(more);
            }
            rows.extend(found.iter().map(|record| Row::of(record, &look, configured)));
        }
        if self.wants(State::Done) {
            let query = PastQuery {
                run: None,
                uuid: self.uuid.clone(),
                chain: self.chain.clone(),
                outcomes: ["done", "stopped"].map(str::to_owned).to_vec(),
                since: self.since,
                limit: self.limit.saturating_add(1),
            };
            rows.extend(store.past(&query).await?.iter().map(Row::past));
        }
        let since = self.since.unwrap_or(Millis::MIN);
        rows.retain(|row| {
            self.wants(row.state)
                && !(row.state == State::Waiting && look.is_handed_on(&row.list))
                && self.chain.as_ref().is_none_or(|chain| row.chain.as_ref() == Some(chain))
                && row.since.is_none_or(|at| at >= since)
        });
        let queued = look.lists.iter().filter(|status| !look.is_handed_on(&status.list));
        Ok(self.cut(rows, queued.map(|status| status.waiting).sum()))
    }

    /// The worst first, each state in the order in which one looks at it: what is at work by its age, what waits by when it goes
    /// on, what has ended by its end.
    fn cut(&self, mut rows: Vec<Row>, queued: u64) -> Rows {
        rows.sort_by_key(|row| {
            let order = match row.state {
                State::Stuck | State::Running => row.since.unwrap_or(Millis::MIN),
                State::Waiting | State::Parked => row.until.unwrap_or(Millis::MIN),
                State::Failed | State::Done => row.since.map_or(Millis::MAX, |at| -at),
            };
            (row.state, order)
        });
        let all = rows.len();
        let (mut state, mut count) = (None, 0);
        rows.retain(|row| {
            if state != Some(row.state) {
                (state, count) = (Some(row.state), 0);
            }
            count += 1;
            count <= self.limit
        });
        Rows { more: all > rows.len(), shown: rows, queued }
    }
}

/// The lists of a chain; none named means all.
fn lists_of(chain: Option<&str>, look: &Look, configured: Option<&Configured>) -> Vec<String> {
    let Some(chain) = chain else { return Vec::new() };
    let told = look.cards().flat_map(|card| &card.chains).filter(|own| own.name == chain);
    let mut lists: Vec<String> = told.flat_map(|own| own.ingress_lists.iter().cloned()).collect();
    let named = configured.into_iter().flat_map(Configured::chains).filter(|own| own.name == chain);
    lists.extend(named.flat_map(|own| own.ingress_lists.iter().cloned()));
    lists.sort();
    lists.dedup();
    lists
}

/// The chain of a run: as its ledger says, else the one that takes from its list.
pub(super) fn chain_of(record: &RunRecord, look: &Look, configured: Option<&Configured>) -> Option<String> {
    let ledger = record.ledger.as_ref().map(|ledger| &ledger.chain).filter(|chain| !chain.is_empty());
    let at_work = look.at_work(record).map(|at_work| &at_work.chain);
    ledger.or(at_work).cloned().or_else(|| look.chain_of(&record.list).map(str::to_owned)).or_else(|| {
        let mut chains = configured?.chains().iter();
        chains.find(|chain| chain.ingress_lists.contains(&record.list)).map(|chain| chain.name.clone())
    })
}

/// What a run cost so far: what its ledger has and what it used since.
pub(super) fn cost_of(record: &RunRecord, at_work: Option<&AtWork>) -> Option<f64> {
    let ledger = record.ledger.as_ref().and_then(vconductor_core::run::Ledger::cost);
    // A step that is finished stands in both.
    match (ledger, at_work.and_then(AtWork::cost)) {
        (Some(one), Some(other)) => Some(one.max(other)),
        (one, other) => one.or(other),
    }
}

/// Tries so far, the present one included.
fn tries(record: &RunRecord, at_work: Option<&AtWork>) -> u32 {
    match (record.state, at_work) {
        (RunState::Claimed, Some(at_work)) => at_work.attempt,
        (RunState::Claimed, None) => record.attempts + 1,
        _ => record.failure.as_ref().map_or(record.attempts, |failure| failure.attempts.max(record.attempts)),
    }
}

impl Row {
    /// What it has in common with other rows of its state.
    pub(super) fn cause(&self) -> Option<&str> {
        self.cause.as_deref().or(self.reason.as_deref())
    }

    fn of(record: &RunRecord, look: &Look, configured: Option<&Configured>) -> Self {
        let Judgement { state, step, since, reason, cause, fix, .. } = judge(record, look);
        let at_work = look.at_work(record);
        Row {
            state,
            run: record.run,
            uuid: record.uuid.clone(),
            chain: chain_of(record, look, configured),
            list: record.list.clone(),
            step,
            since,
            age_seconds: since.map(|at| age::since(at).as_secs()),
            attempts: tries(record, at_work),
            crashes: record.crashes,
            cost_usd: cost_of(record, at_work),
            took_ms: None,
            until: record.due,
            reason,
            cause,
            fix,
            conductor: record.process.as_ref().map(ToString::to_string),
        }
    }

    fn past(past: &PastRun) -> Self {
        Row {
            state: State::Done,
            run: Some(past.run),
            uuid: past.uuid.clone(),
            chain: Some(past.chain.clone()),
            list: past.list.clone(),
            step: None,
            since: Some(past.ended),
            age_seconds: Some(age::since(past.ended).as_secs()),
            attempts: past.attempt,
            crashes: 0,
            cost_usd: past.cost(),
            took_ms: u64::try_from(past.ended - past.began).ok(),
            until: None,
            reason: (past.outcome == "stopped").then(|| "a link stopped the chain".to_owned()),
            cause: None,
            fix: None,
            conductor: Some(past.process.to_string()),
        }
    }
}
