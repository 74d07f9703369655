//! Tells idle conductors that a list may have something to claim.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What a transaction found out about lists; applied when it is committed, the latest word counts.
#[derive(Debug, Default)]
pub(super) struct Signals {
    lists: HashMap<String, bool>,
    all: bool,
}

impl Signals {
    /// Something was put on the list.
    pub(super) fn ring(&mut self, list: &str) {
        self.set(list, true);
    }

    /// Any list may have something again.
    pub(super) fn ring_all(&mut self) {
        self.all = true;
        self.lists.clear();
    }

    /// A claim found nothing more that it could take from the list.
    pub(super) fn quiet(&mut self, list: &str) {
        self.set(list, false);
    }

    fn set(&mut self, list: &str, rings: bool) {
        match self.lists.get_mut(list) {
            Some(known) => *known = rings,
            None => {
                self.lists.insert(list.to_owned(), rings);
            }
        }
    }
}

/// The doorbell of one store handle. It remembers the lists that a claim found empty; all others ring,
/// so that nothing is missed between a claim and the call to [`Bell::wait`].
#[derive(Debug)]
pub(super) struct Bell {
    quiet: Mutex<HashSet<String>>,
    changes: watch::Sender<()>,
}

impl Bell {
    pub(super) fn new() -> Self {
        Bell { quiet: Mutex::default(), changes: watch::Sender::new(()) }
    }

    /// Applies what a committed transaction found out.
    pub(super) fn apply(&self, signals: Signals) {
        let mut rings = signals.all;
        {
            let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
            if signals.all {
                quiet.clear();
            }
            for (list, ringing) in signals.lists {
                if ringing {
                    quiet.remove(&list);
                    rings = true;
                } else {
                    quiet.insert(list);
                }
            }
        }
        if rings {
            self.changes.send_replace(());
        }
    }

    /// Returns when one of the lists rings, or after `timeout`.
    pub(super) async fn wait(&self, lists: &[String], timeout: Duration) {
        let mut changes = self.changes.subscribe();
        let ringing = async {
            while !self.rings(lists) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Running out of time is an answer like any other.
        tokio::time::timeout(timeout, ringing).await.unwrap_or_default();
    }

    fn rings(&self, lists: &[String]) -> bool {
        let quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        lists.iter().any(|list| !quiet.contains(list))
    }
}
