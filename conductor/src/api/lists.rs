//! The names of lists that callers may use, and how much may wait on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::json;
use vconductor_core::store::Store;

use super::answer::{Invalid, Refusal, Result};

/// The longest name, in bytes.
const LONGEST: usize = 200;
/// What names of other things start with: on Redis all of them lie beside the lists.
const RESERVED: &[&str] = &["vcon:", "vconductor:", "DLQ:", "context:", "tel:", "mailto:", "name:", "followers:", "{"];
/// The index of all vCons.
const INDEX: &str = "vcons";
/// How long a count is believed; what is put on the list meanwhile is added.
const BELIEVED: Duration = Duration::from_millis(500);

/// Lists as callers may use them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// Lists of the configuration; only they are labels of metrics.
    known: RwLock<BTreeSet<String>>,
    limits: BTreeMap<String, u64>,
    counts: Mutex<HashMap<String, Count>>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    at: Instant,
    waiting: u64,
}

impl Lists {
    pub(super) fn new(known: BTreeSet<String>, limits: BTreeMap<String, u64>) -> Self {
        Lists { known: RwLock::new(known), limits, counts: Mutex::default() }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, Count>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on these are the lists of the configuration.
    pub(super) fn adopt(&self, known: BTreeSet<String>) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The label of a list in metrics.
    pub(super) fn label<'l>(&self, list: &'l str) -> &'l str {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(list) { list } else { "other" }
    }

    /// Refuses (429) what a list with a limit has no room for.
    pub(super) async fn room(&self, store: &dyn Store, list: &str, more: u64) -> Result<()> {
        let Some(most) = self.limits.get(list).copied() else { return Ok(()) };
        let known = self.counts().get(list).copied().filter(|count| count.at.elapsed() < BELIEVED);
        let waiting = match known {
            Some(count) => count.waiting,
            None => {
                let asked = store.pending(&[list.to_owned()], Duration::ZERO).await;
                let pending = asked.map_err(|error| Refusal::of(&error, "Failed to look at the list"))?;
                pending.waiting + pending.paused
            }
        };
        let at = known.map_or_else(Instant::now, |count| count.at);
        if waiting + more > most {
            self.counts().insert(list.to_owned(), Count { at, waiting });
            let detail = format!("The list '{list}' has no room: {waiting} of {most} wait");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, detail).after(5));
        }
        self.counts().insert(list.to_owned(), Count { at, waiting: waiting + more });
        Ok(())
    }
}

/// Refuses names that belong to something else.
pub(super) fn named(list: &str, parameter: &str) -> Result<(), Invalid> {
    let wrong = |message: &str| {
        Err(Invalid::new(
            "list_name",
            json!(["query", parameter]),
            message,
            json!(list.chars().take(80).collect::<String>()),
        ))
    };
    if list.is_empty() || list.len() > LONGEST || list.chars().any(char::is_control) {
        return wrong("A list's name has 1 to 200 bytes and no control characters");
    }
    if list == INDEX || RESERVED.iter().any(|reserved| list.starts_with(reserved)) {
        return wrong("This name belongs to something else than an ingress or egress list");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_things_are_no_lists() {
        for name in ["calls", "test_list", "a:b", "Größe", "my list", "vcons_in"] {
            assert!(named(name, "l").is_ok(), "{name}");
        }
        for name in ["", "DLQ:calls", "vcon:1", "vcons", "{calls}:due", "vconductor:dead", "a\nb", &"x".repeat(201)] {
            assert!(named(name, "l").is_err(), "{name}");
        }
    }

    #[test]
    fn only_lists_of_the_configuration_are_labels() {
        let lists = Lists::new(BTreeSet::from(["calls".to_owned()]), BTreeMap::new());
        assert_eq!((lists.label("calls"), lists.label("made up")), ("calls", "other"));
    }
}
