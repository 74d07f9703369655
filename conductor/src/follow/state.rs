//! How a follower stands: counts for progress, summary and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use vconductor_core::error::{Class, Error};
use vconductor_core::layers::instruments;
use vconductor_core::store::dead_letter_queue;

/// What a follower has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Answers of the other server.
    pub pulls: u64,
    /// Times it could not be asked, or refused.
    pub failed_pulls: u64,
    /// Ids or vCons that it handed out.
    pub taken: u64,
    /// vCons that are stored here and on their list.
    pub stored: u64,
    /// vCons that were handed out again, and were here already.
    pub repeated: u64,
    /// Attempts to fetch one that are made again later.
    pub retried: u64,
    /// vCons that became dead letters.
    pub dead: u64,
}

/// A follower's state.
#[derive(Debug)]
pub struct State {
    name: String,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    counts: Counts,
    fetching: u64,
    asked: bool,
    brought: bool,
    trouble: Option<(String, Instant)>,
    /// Failed pulls in a row.
    failures: u32,
}

impl State {
    pub(super) fn new(name: &str) -> Self {
        State { name: name.to_owned(), now: Mutex::default() }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The follower's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it has done so far.
    pub fn counts(&self) -> Counts {
        self.now().counts.clone()
    }

    /// Whether it has asked, got nothing, and fetches nothing.
    pub(super) fn is_idle(&self) -> bool {
        let now = self.now();
        now.asked && !now.brought && now.fetching == 0
    }

    /// Whether the other server answers as it should.
    pub(super) fn remote_is_well(&self) -> bool {
        let now = self.now();
        now.asked && now.trouble.is_none()
    }

    pub(super) fn pulled(&self, taken: usize) {
        instruments::follower_pulled(&self.name, None);
        instruments::follower_vcons(&self.name, "taken", taken as u64);
        let mut now = self.now();
        now.counts.pulls += 1;
        now.counts.taken += taken as u64;
        (now.asked, now.brought, now.trouble, now.failures) = (true, taken > 0, None, 0);
    }

    /// Notes a failed pull; how many in a row there were, and whether the trouble is a new one.
    pub(super) fn pull_failed(&self, error: &Error, again_in: Duration) -> bool {
        instruments::follower_pulled(&self.name, Some(error.class()));
        let mut now = self.now();
        now.counts.failed_pulls += 1;
        now.failures += 1;
        (now.asked, now.brought) = (true, false);
        let text = error.message().to_owned();
        let is_new = now.trouble.as_ref().is_none_or(|(known, _)| *known != text);
        now.trouble = Some((text, Instant::now() + again_in));
        is_new
    }

    pub(super) fn failures(&self) -> u32 {
        self.now().failures
    }

    pub(super) fn stored(&self, count: usize) {
        instruments::follower_vcons(&self.name, "stored", count as u64);
        self.now().counts.stored += count as u64;
    }

    pub(super) fn repeated(&self, count: usize) {
        instruments::follower_vcons(&self.name, "repeated", count as u64);
        self.now().counts.repeated += count as u64;
    }

    pub(super) fn retried(&self) {
        instruments::follower_vcons(&self.name, "retried", 1);
        self.now().counts.retried += 1;
    }

    pub(super) fn dead(&self, list: &str, class: Class) {
        instruments::follower_vcons(&self.name, "dead", 1);
        instruments::dead_lettered(&dead_letter_queue(list), class);
        self.now().counts.dead += 1;
    }

    pub(super) fn fetching(&self, count: usize) {
        self.now().fetching = count as u64;
    }

    /// One line for people.
    pub fn line(&self) -> String {
        let now = self.now();
        let Counts { taken, stored, dead, .. } = now.counts;
        let mut text = format!("follower {}: {stored} stored of {taken}", self.name);
        if dead > 0 {
            text.push_str(&format!(", {dead} failed"));
        }
        if let Some((trouble, again)) = &now.trouble {
            let wait = again.saturating_duration_since(Instant::now()).as_secs();
            text.push_str(&format!("; {trouble}, again in {wait} s"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_trouble_until_it_is_over() {
        let state = State::new("north");
        assert!(!state.is_idle(), "it has not asked yet");
        let error = Error::retryable("GET http://north: cannot connect");
        assert!(state.pull_failed(&error, Duration::from_millis(2900)));
        assert!(!state.pull_failed(&error, Duration::from_millis(2900)), "the same trouble is told once");
        assert_eq!(state.line(), "follower north: 0 stored of 0; GET http://north: cannot connect, again in 2 s");
        assert!(state.is_idle() && !state.remote_is_well());
        state.pulled(3);
        state.stored(2);
        state.dead("followers:north", Class::Permanent);
        assert_eq!(state.line(), "follower north: 2 stored of 3, 1 failed");
        assert!(!state.is_idle() && state.remote_is_well());
    }
}
