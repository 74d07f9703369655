//! One look at a store: lists, conductors and what is held, at one moment. `runs` and `doctor` judge by it.

use vconductor_core::clock::Millis;
use vconductor_core::store::{AtWork, Card, Conductor, Hold, ListStatus, ProcessId, RunRecord, Store};

use super::age;
use super::exit::Result;

/// A conductor that has told nothing for so many times its own period is silent.
const SILENT: i64 = 3;
/// What the network and a busy machine may add, in milliseconds.
const SLACK: Millis = 5_000;

/// What was seen.
pub(crate) struct Look {
    pub(crate) at: Millis,
    pub(crate) lists: Vec<ListStatus>,
    pub(crate) conductors: Vec<Conductor>,
    pub(crate) holds: Vec<Hold>,
}

impl Look {
    /// Looks at a store.
    pub(crate) async fn at(store: &dyn Store) -> Result<Self> {
        let (lists, conductors, holds) = (store.lists().await?, store.conductors().await?, store.holds().await?);
        Ok(Look { at: age::now(), lists, conductors, holds })
    }

    /// The conductor of a process.
    pub(crate) fn conductor(&self, process: &ProcessId) -> Option<&Conductor> {
        self.conductors.iter().find(|conductor| conductor.process == *process)
    }

    /// Conductors that live, without the parts that work beside them.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Conductor> {
        self.conductors.iter().filter(|conductor| conductor.alive && is_main(conductor))
    }

    /// Cards of everything that lives.
    pub(crate) fn cards(&self) -> impl Iterator<Item = &Card> {
        self.conductors.iter().filter(|conductor| conductor.alive).filter_map(|conductor| conductor.card.as_ref())
    }

    /// What its conductor tells of a run.
    pub(crate) fn at_work(&self, run: &RunRecord) -> Option<&AtWork> {
        let card = self.conductor(run.process.as_ref()?)?.card.as_ref()?;
        card.at_work.iter().find(|at_work| Some(at_work.run) == run.run)
    }

    /// The chain that takes from a list, as a living conductor tells.
    pub(crate) fn chain_of(&self, list: &str) -> Option<&str> {
        let chains = self.cards().flat_map(|card| &card.chains);
        let mut taking = chains.filter(|chain| chain.ingress_lists.iter().any(|own| own == list));
        taking.next().map(|chain| chain.name.as_str())
    }

    /// Whether what lies on a list is for another program: a living conductor hands on to it, and none takes from it.
    pub(crate) fn is_handed_on(&self, list: &str) -> bool {
        let chains = || self.cards().flat_map(|card| &card.chains);
        let has = |lists: &[String]| lists.iter().any(|own| own == list);
        chains().any(|chain| has(&chain.egress_lists)) && !chains().any(|chain| has(&chain.ingress_lists))
    }

    /// Whether a list is paused.
    pub(crate) fn is_paused(&self, list: &str) -> bool {
        self.lists.iter().any(|status| status.list == list && status.paused)
    }

    /// For how long a conductor that lives by its lease has told nothing, if that is too long.
    pub(crate) fn silence(&self, conductor: &Conductor) -> Option<Millis> {
        let card = conductor.card.as_ref().filter(|_| conductor.alive)?;
        let silent = self.at - card.told_at;
        let most = i64::try_from(card.every_ms).unwrap_or(Millis::MAX / SILENT).saturating_mul(SILENT) + SLACK;
        (silent > most).then_some(silent)
    }
}

/// Whether it is a conductor and not a part that works beside one. Older versions tell nothing; they are believed to be.
pub(crate) fn is_main(conductor: &Conductor) -> bool {
    conductor.card.as_ref().is_none_or(|card| card.role == "conductor" || card.role.is_empty())
}

/// A conductor for people: `web1, pid 4242`, or its process where it tells no more.
pub(crate) fn name(conductor: &Conductor) -> String {
    match &conductor.card {
        Some(card) => format!("{} (pid {} on {})", conductor.process, card.pid, super::output::plain(&card.host)),
        None => conductor.process.to_string(),
    }
}
