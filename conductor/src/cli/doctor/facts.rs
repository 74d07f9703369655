//! What is the case, as far as the store and the configuration tell. Nothing is judged here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vconductor_core::clock::Millis;
use vconductor_core::error::{Class, Error};
use vconductor_core::store::{DeadLetter, ListStatus, PastQuery, RunQuery, RunRecord, RunState, Store, Vitals};

use super::outside::Outside;
use crate::cli::exit::Result;
use crate::cli::look::Look;
use crate::cli::runs::JUDGED;
use crate::cli::runs::judge::{Judgement, judge};
use crate::engine::budget;

/// Dead letters of a queue that are looked at.
const LETTERS: usize = 1000;
/// Passages that ended lately, by which is told which lists are taken from.
const REMEMBERED: usize = 1000;
/// How long it takes to see whether a list moves.
const MOMENT: Duration = Duration::from_millis(1200);

/// What is the case.
pub(super) struct Facts {
    /// The store as people name it.
    pub(super) store: String,
    pub(super) vitals: std::result::Result<Vitals, Error>,
    pub(super) look: Look,
    /// The lists a moment later, where anything waited: whether they move.
    pub(super) later: Option<Vec<ListStatus>>,
    /// Runs that are claimed, scheduled or parked.
    pub(super) runs: Vec<(RunRecord, Judgement)>,
    pub(super) letters: Vec<Letters>,
    pub(super) outside: Option<Outside>,
    /// What chains with a budget spent today, by chain, in US dollars.
    pub(super) spent: BTreeMap<String, f64>,
    /// Lists that chains took from lately, and lists that they handed on to.
    pub(super) taken: BTreeSet<String>,
    pub(super) handed_on: BTreeSet<String>,
}

/// A queue of dead letters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Letters {
    /// Its name.
    pub(super) queue: String,
    /// How many there are.
    pub(super) count: u64,
    /// How many were looked at; the rest of this is about them.
    pub(super) seen: u64,
    /// When the oldest and the newest failed.
    pub(super) oldest: Option<Millis>,
    pub(super) newest: Option<Millis>,
    /// Those that killed their conductors.
    pub(super) poison: u64,
    /// The step in which most failed, the last message of it, and how many those are.
    pub(super) cause: Option<(String, String, u64)>,
}

impl Facts {
    /// Looks. What takes time takes at most `patience`.
    pub(super) async fn gather(store: &dyn Store, outside: Option<Outside>, patience: Duration) -> Result<Self> {
        let look = Look::at(store).await?;
        let moving = look.lists.iter().any(|status| status.waiting > 0 && !status.paused);
        let vitals = store.vitals(patience);
        let later = async {
            if !moving {
                return Ok(None);
            }
            tokio::time::sleep(MOMENT).await;
            store.lists().await.map(Some)
        };
        let (vitals, later) = tokio::join!(vitals, later);
        let states = vec![RunState::Claimed, RunState::Scheduled, RunState::Parked];
        let query = RunQuery { states, limit: JUDGED, ..RunQuery::default() };
        let runs = store.runs(&query).await?;
        // Judged by one look that is not older than what it judges.
        let look = Look::at(store).await?;
        let runs = runs.into_iter().map(|run| (judge(&run, &look), run)).map(|(judged, run)| (run, judged)).collect();
        let mut letters = Vec::new();
        for queue in store.dead_letter_queues().await? {
            let found = store.dead_letters(&queue.queue, None, LETTERS).await?;
            letters.push(Letters::of(queue.queue, queue.letters, &found));
        }
        let mut spent = BTreeMap::new();
        for (chain, _) in outside.iter().flat_map(|outside| &outside.budgets) {
            spent.insert(chain.clone(), budget::spent_today(store, chain).await?);
        }
        let (mut taken, mut handed_on) = (BTreeSet::new(), BTreeSet::new());
        for past in store.past(&PastQuery { limit: REMEMBERED, ..PastQuery::default() }).await? {
            taken.insert(past.list);
            handed_on.extend(past.pushed);
        }
        let (store, later) = (store.describe(), later?);
        Ok(Facts { store, vitals, look, later, runs, letters, outside, spent, taken, handed_on })
    }

    /// Whether what lies on a list is for another program: chains hand on to it, and none takes from it, as far as conductors,
    /// the configuration and what ended lately tell.
    pub(super) fn is_handed_on(&self, list: &str) -> bool {
        let chains = || self.look.cards().flat_map(|card| &card.chains);
        let has = |lists: &[String]| lists.iter().any(|own| own == list);
        let taken = self.taken.contains(list)
            || chains().any(|chain| has(&chain.ingress_lists))
            || self.outside.as_ref().is_some_and(|outside| has(&outside.ingress_lists));
        let handed_on = self.handed_on.contains(list)
            || chains().any(|chain| has(&chain.egress_lists))
            || self.outside.as_ref().is_some_and(|outside| has(&outside.egress_lists));
        handed_on && !taken
    }

    /// Runs that wait for their turn, are at work, and go on later by themselves.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let sum = |count: fn(&ListStatus) -> u64| self.look.lists.iter().map(count).sum::<u64>();
        (self.served_waiting(), sum(|status| status.claimed), sum(|status| status.scheduled + status.parked))
    }

    /// Waiting runs of lists from which somebody takes. What lies on an egress list waits for another program.
    fn served_waiting(&self) -> u64 {
        let served = self.look.lists.iter().filter(|status| self.look.chain_of(&status.list).is_some());
        served.map(|status| status.waiting).sum()
    }
}

impl Letters {
    fn of(queue: String, count: u64, letters: &[DeadLetter]) -> Self {
        let mut steps: BTreeMap<&str, u64> = BTreeMap::new();
        for letter in letters {
            *steps.entry(&letter.failure.step).or_default() += 1;
        }
        let cause = steps.into_iter().max_by_key(|(_, count)| *count).and_then(|(step, count)| {
            let failures = letters.iter().map(|letter| &letter.failure).filter(|failure| failure.step == step);
            let last = failures.max_by_key(|failure| failure.at)?;
            Some((step.to_owned(), last.message.clone(), count))
        });
        let times = || letters.iter().map(|letter| letter.failure.at);
        Letters {
            queue,
            count,
            seen: letters.len() as u64,
            oldest: times().min(),
            newest: times().max(),
            poison: letters.iter().filter(|letter| letter.failure.class == Class::Poison).count() as u64,
            cause,
        }
    }
}
