//! What a configuration names beside the store: storages that are tried, budgets, the configuration itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use vconductor_core::config::{Budget, ChainConfig, Config, Name};
use vconductor_core::error::Error;
use vconductor_core::plugin::{Asked, Registry, Storage};

use crate::cli::configuration::Configuration;

/// What was seen.
pub(super) struct Outside {
    /// The files of the configuration.
    pub(super) files: Vec<String>,
    /// Its hash.
    pub(super) hash: String,
    /// Errors in it.
    pub(super) errors: u64,
    /// Its storages, each as it answered.
    pub(super) storages: Vec<Tried>,
    /// The lists that its chains take from, and those that they hand on to.
    pub(super) ingress_lists: Vec<String>,
    pub(super) egress_lists: Vec<String>,
    /// Chains with a budget.
    pub(super) budgets: Vec<(String, Budget)>,
}

impl Outside {
    /// How a storage answered.
    pub(super) fn tried(&self, storage: &str) -> Option<&Tried> {
        self.storages.iter().find(|tried| tried.name == storage)
    }
}

/// A storage that was tried.
pub(super) struct Tried {
    pub(super) name: String,
    /// Chains whose runs wait for it while it is away.
    pub(super) required_by: Vec<String>,
    /// Chains that can do without it.
    pub(super) optional_for: Vec<String>,
    pub(super) took: Duration,
    pub(super) result: Result<(), Error>,
}

/// Tries every storage at the same time, each for at most `patience`.
pub(super) async fn look(
    configuration: &Configuration,
    config: &Config,
    registry: &Registry,
    patience: Duration,
) -> Outside {
    let tried = config.storages.iter().map(|storage| async move {
        let name = storage.name.value.clone();
        let chains = |required: bool| {
            let uses = |chain: &&ChainConfig| {
                let mut own = chain.storages.iter();
                chain.enabled && own.any(|one| *one.name == *name && one.required == required)
            };
            config.chains.iter().filter(uses).map(|chain| chain.name.value.clone()).collect::<Vec<_>>()
        };
        let (required_by, optional_for) = (chains(true), chains(false));
        let built: Option<Arc<dyn Storage>> = registry.storage(&storage.module).and_then(|entry| {
            let asked =
                Asked { name: &storage.name, module: &storage.module, options: &storage.options, mode: &config.mode };
            (entry.configure)(asked, &mut Vec::new())
        });
        // What cannot be built is an error of the configuration, and is told as that.
        let built = built?;
        let began = Instant::now();
        let result = tokio::time::timeout(patience, built.health()).await.unwrap_or_else(|_| {
            Err(Error::retryable(format!("no answer within {patience:?}"))
                .help("look whether its server is overloaded, or whether a firewall drops what is sent to it"))
        });
        Some(Tried { name, required_by, optional_for, took: began.elapsed(), result })
    });
    let storages = join_all(tried).await.into_iter().flatten().collect();
    let names = |of: fn(&ChainConfig) -> &[Name]| -> Vec<String> {
        let chains = config.chains.iter().filter(|chain| chain.enabled);
        chains.flat_map(|chain| of(chain).iter().map(|name| name.value.clone())).collect()
    };
    Outside {
        files: configuration.files().into_iter().map(str::to_owned).collect(),
        hash: config.hash.clone(),
        errors: configuration.errors(),
        storages,
        ingress_lists: names(|chain| &chain.ingress_lists),
        egress_lists: names(|chain| &chain.egress_lists),
        budgets: config.chains.iter().filter_map(|chain| Some((chain.name.value.clone(), chain.budget?))).collect(),
    }
}
