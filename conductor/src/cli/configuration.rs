//! Loading the configuration of a command and telling what is wrong with it.

use super::exit::Result;

/// What commands besides `run` and `check` want of a configuration.
pub(crate) struct Configured {
    store: Option<String>,
    lists: Vec<String>,
}

impl Configured {
    /// Its `store:`.
    pub(crate) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// Whether a chain takes from the list.
    pub(crate) fn takes_from(&self, list: &str) -> bool {
        self.lists.iter().any(|own| own == list)
    }

    /// The list that was probably meant.
    pub(crate) fn nearest_list(&self, list: &str) -> Option<&str> {
        vconductor_core::config::nearest(list, &self.lists)
    }
}

pub(crate) fn for_store(paths: &[String]) -> Result<Option<Configured>> {
    drop(paths);
    Ok(None)
}
