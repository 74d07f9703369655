//! What the operator's commands share: the store that they work on and the form of their output.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use vconductor_core::store::{ListStatus, Store, dead_letter_queue};

use super::configuration::{self, Configured};
use super::exit::Result;
use super::output::Format;
use super::store;

/// The options of every command that works on queues.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// A configuration: for its store and the names of its chains and lists
    #[arg(long, value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// The store, for example embedded:./vconductor-data
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Format,
}

/// An open store, and the configuration where one was named.
pub(crate) struct Desk {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) configured: Option<Configured>,
}

impl Common {
    /// Opens the store; one that is not there is not made.
    pub(crate) async fn open(&self) -> Result<Desk> {
        let configured = configuration::for_store(&self.config)?;
        let named = configured.as_ref().and_then(|all| all.store());
        let store = store::open_existing(self.store.as_deref(), named).await?;
        Ok(Desk { store, configured })
    }

    /// Opens the store, and makes it where it is not there.
    pub(crate) async fn open_or_make(&self) -> Result<Desk> {
        let configured = configuration::for_store(&self.config)?;
        let named = configured.as_ref().and_then(|all| all.store());
        let store = store::open(self.store.as_deref(), named).await?;
        Ok(Desk { store, configured })
    }
}

/// Lets the store look at a list that it may not have heard of, so that what another program left on its queue of dead letters
/// becomes letters; how the list stands, if there is anything.
pub(crate) async fn meet(store: &dyn Store, list: &str) -> Result<Option<ListStatus>> {
    store.dead_letters(&dead_letter_queue(list), None, 1).await?;
    Ok(store.lists().await?.into_iter().find(|status| status.list == list))
}
