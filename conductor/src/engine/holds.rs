//! What is held: links whose credentials or settings somebody must mend, and chains that somebody stopped for a while.
//!
//! A configuration fault of an external link is hardly ever the fault of the one vCon that met it. So the link is held for all
//! conductors: nothing is claimed for its chains, runs that come to it wait, and when the time is over a few runs try it
//! first. A link that takes one of them is let go.
//!
//! What is decided here holds in this process at once; [`keep`] brings it to the store, and what others decided from there.

mod keeper;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use vconductor_core::clock::Millis;
use vconductor_core::error::{Error, Result};
use vconductor_core::layers::instruments;
use vconductor_core::store::Hold;

pub(super) use self::keeper::{begin, keep};
use super::chain::{Chain, Step};

/// The longest that a link is held, in times of the first.
const LONGEST: Millis = 60;
/// So many runs of a chain try a link whose time is over, until it has taken one.
pub(super) const TRIAL: usize = 4;
/// The longest that a waiting run does not look again, so that it goes on soon when somebody lets the link go.
const PATIENCE: Millis = 30_000;
/// The wait of a run that finds the places of a trial taken, or that met a fault which others do not meet.
const SHORT: Millis = 1000;

/// What a fault of a link means for the run that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The run waits until this time; it is not to blame, as far as is known.
    Waits(Millis),
    /// The link took others since this run failed before: the run itself is at fault.
    Own,
}

/// What this process knows of holds.
#[derive(Debug)]
pub(crate) struct Holds {
    /// How long a link is held at first; it doubles with each fault in a row.
    first: Millis,
    state: Mutex<State>,
    /// Whether anything is known to be held; the common case needs no lock.
    any: AtomicBool,
    /// Rings when something was decided here.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    holds: BTreeMap<String, Hold>,
    /// What the store does not know yet, by name.
    unsaved: BTreeMap<String, Change>,
    /// Per link, when the latest execution began that the other side took.
    taken: BTreeMap<String, Millis>,
    /// Per link whose time is over, how many are trying it.
    trying: BTreeMap<String, usize>,
}

/// A change that the store does not know yet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    Held(Hold),
    LetGo,
}

/// The right to execute a link; a trial ends when it is dropped.
#[derive(Debug)]
pub(super) struct Admission<'a> {
    trial: Option<(&'a Holds, String)>,
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if let Some((holds, what)) = self.trial.take()
            && let Some(trying) = holds.lock().trying.get_mut(&what)
        {
            *trying = trying.saturating_sub(1);
        }
    }
}

impl Holds {
    pub(super) fn new(first: Duration) -> Self {
        let first = Millis::try_from(first.as_millis()).unwrap_or(Millis::MAX / 100);
        Holds { first, state: Mutex::default(), any: AtomicBool::new(false), changed: Notify::new() }
    }

    /// Whether a link may be executed now; `Err`: when it may be asked again.
    pub(super) fn admit(&self, link: &str, now: Millis) -> Result<Admission<'_>, Millis> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(Admission { trial: None });
        }
        let what = of_link(link);
        let mut state = self.lock();
        let Some(hold) = state.holds.get(&what) else { return Ok(Admission { trial: None }) };
        if hold.until > now {
            return Err(due(hold.until, now));
        }
        let trying = state.trying.entry(what.clone()).or_default();
        if *trying >= TRIAL {
            return Err(due(now + SHORT, now));
        }
        *trying += 1;
        Ok(Admission { trial: Some((self, what)) })
    }

    /// The other side took what a link sent, in an execution that began at `started`.
    pub(super) fn taken(&self, link: &str, started: Millis) {
        let mut state = self.lock();
        match state.taken.get_mut(link) {
            Some(latest) => *latest = started.max(*latest),
            None => {
                state.taken.insert(link.to_owned(), started);
            }
        }
        let what = of_link(link);
        // What began before the fault was allowed before the fault, and proves nothing.
        if state.holds.get(&what).is_some_and(|hold| hold.since <= started) {
            state.let_go(&what);
            state.unsaved.insert(what, Change::LetGo);
            self.publish(&state);
            self.changed.notify_one();
        }
    }

    /// A link failed with a configuration fault, in an execution that began at `started`. `failed_before`: when the same
    /// run met one in this link, if it did.
    pub(super) fn fault(
        &self,
        link: &str,
        error: &Error,
        started: Millis,
        failed_before: Option<Millis>,
        now: Millis,
    ) -> Fault {
        let what = of_link(link);
        let mut state = self.lock();
        let taken = state.taken.get(link).copied();
        if failed_before.is_some_and(|before| taken.is_some_and(|taken| taken > before)) {
            return Fault::Own;
        }
        let known = state.holds.get(&what);
        match known {
            Some(hold) if hold.until > now => return Fault::Waits(due(hold.until, now)),
            // It began before the trial, and says nothing about it.
            Some(hold) if started < hold.until => return Fault::Waits(due(now + SHORT, now)),
            // The other side took something that began later: so the fault is over, or this run's own.
            _ if taken.is_some_and(|taken| taken > started) => return Fault::Waits(due(now + SHORT, now)),
            _ => {}
        }
        let times = known.map_or(0, |hold| hold.times).saturating_add(1);
        let hold = Hold {
            what: what.clone(),
            reason: error.chain_text(),
            help: error.help_text().map(str::to_owned),
            since: known.map_or(now, |hold| hold.since),
            until: now + self.first * (1 << times.saturating_sub(1).min(6)).min(LONGEST),
            times,
        };
        let until = hold.until;
        state.unsaved.insert(what, Change::Held(hold.clone()));
        state.hold(hold, now);
        self.publish(&state);
        self.changed.notify_one();
        Fault::Waits(due(until, now))
    }

    /// Holds something that is not a link: at once here, and soon for the others.
    pub(super) fn stop(&self, hold: Hold, now: Millis) {
        let mut state = self.lock();
        state.unsaved.insert(hold.what.clone(), Change::Held(hold.clone()));
        state.hold(hold, now);
        self.publish(&state);
        self.changed.notify_one();
    }

    /// How many more runs of a chain may be claimed, of which `working` are worked on; `None`: as many as there are places.
    pub(super) fn allowance(&self, chain: &Chain, working: usize, now: Millis) -> Option<usize> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let state = self.lock();
        if state.until(chain).is_some_and(|until| until > now) {
            return Some(0);
        }
        let on_trial = links(chain).any(|link| state.holds.contains_key(&of_link(link)));
        on_trial.then(|| TRIAL.saturating_sub(working))
    }

    /// Until when nothing is claimed for a chain, if it is held.
    pub(super) fn until(&self, chain: &Chain) -> Option<Millis> {
        self.lock().until(chain)
    }

    /// All holds as this process knows them.
    pub(super) fn known(&self) -> Vec<Hold> {
        self.lock().holds.values().cloned().collect()
    }

    /// Takes over what the store says, except where this process knows better.
    fn learn(&self, stored: Vec<Hold>, now: Millis) {
        let mut state = self.lock();
        let mut stored: BTreeMap<String, Hold> = stored.into_iter().map(|hold| (hold.what.clone(), hold)).collect();
        stored.retain(|what, _| !state.unsaved.contains_key(what));
        let gone: Vec<String> = state
            .holds
            .keys()
            .filter(|what| !stored.contains_key(*what) && !state.unsaved.contains_key(*what))
            .cloned()
            .collect();
        for what in gone {
            state.let_go(&what);
        }
        for hold in stored.into_values() {
            if state.holds.get(&hold.what) != Some(&hold) {
                state.hold(hold, now);
            }
        }
        self.publish(&state);
    }

    fn publish(&self, state: &State) {
        self.any.store(!state.holds.is_empty(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Until when nothing is claimed for a chain, if it or a link of it is held.
    fn until(&self, chain: &Chain) -> Option<Millis> {
        let own = self.holds.get(&format!("chain:{}", chain.name));
        links(chain).filter_map(|link| self.holds.get(&of_link(link))).chain(own).map(|hold| hold.until).max()
    }

    fn hold(&mut self, hold: Hold, now: Millis) {
        let seconds = (hold.until - now).max(0) / 1000;
        if self.holds.contains_key(&hold.what) {
            tracing::info!(what = hold.what, times = hold.times, seconds, reason = hold.reason, "still held");
        } else if hold.until > now {
            let help = hold.help.as_deref().unwrap_or_default();
            tracing::warn!(
                what = hold.what,
                reason = hold.reason,
                help,
                seconds,
                "held; its runs wait and nothing is claimed for it"
            );
        }
        instruments::circuit_changed(&hold.what, true);
        self.holds.insert(hold.what.clone(), hold);
    }

    fn let_go(&mut self, what: &str) {
        if let Some(hold) = self.holds.remove(what) {
            tracing::info!(what, times = hold.times, "let go; its runs go on");
            instruments::circuit_changed(what, false);
        }
    }
}

/// When a run that waits until `until` is due: not all at the same moment.
fn due(until: Millis, now: Millis) -> Millis {
    let wait = (until - now).clamp(0, PATIENCE);
    now + wait + fastrand::i64(0..=100 + wait / 10)
}

/// How a link is named among what is held.
fn of_link(link: &str) -> String {
    format!("link:{link}")
}

/// The links of a chain that touch anything outside.
fn links(chain: &Chain) -> impl Iterator<Item = &str> {
    let steps = chain.steps.iter().flat_map(|step| match step {
        Step::Link(link) => std::slice::from_ref(&**link),
        Step::Parallel(links) => links,
    });
    steps.filter(|link| link.may_be_held()).map(|link| link.held_as.as_str())
}
