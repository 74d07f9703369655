//! Entries of an outbox: what a finished run wants done in other slots.

use serde::{Deserialize, Serialize};

/// One thing to do, with a name that is the same whenever it is tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `<run>:<number>`.
    pub name: String,
    /// What to do.
    pub work: Work,
}

/// What there is to do elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Append to a list: a uuid to an egress list or a queue of dead letters, a trace to the contexts of its next list.
    Append {
        /// The list.
        list: String,
        /// What is appended.
        value: String,
    },
    /// End the writer lease of a vCon.
    Free {
        /// The vCon.
        uuid: String,
        /// The run that holds it.
        run: String,
        /// Its claim.
        token: String,
    },
}

impl Entry {
    /// The entries of a run, in the order in which they are carried out.
    pub fn of_run(run: &str, works: impl IntoIterator<Item = Work>) -> Vec<Entry> {
        let named = |(number, work)| Entry { name: format!("{run}:{number}"), work };
        works.into_iter().enumerate().map(named).collect()
    }

    /// As it stands in the outbox.
    pub fn text(&self) -> String {
        super::super::commit::json_of(self)
    }

    /// Reads an entry; none if it was not written by [`Entry::text`].
    pub fn read(text: &str) -> Option<Entry> {
        serde_json::from_str(text).ok()
    }
}
