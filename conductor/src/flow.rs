//! How vCons go through a configuration: sources, lists, chains, links, storages.

use std::collections::BTreeSet;

use vconductor_core::config::{Catalog as _, ChainConfig, Config, Step, StepLink};
use vconductor_core::plugin::Registry;

use crate::catalog::PluginCatalog;
use crate::follow;

/// All ways through a configuration.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// Ingress adapters and followers.
    pub sources: Vec<Source>,
    /// The chains, in the order of the configuration.
    pub chains: Vec<FlowChain>,
}

/// What puts vCons on a list from outside.
#[derive(Debug, Clone)]
pub struct Source {
    /// `ingress twilio_main`, `follower north`.
    pub name: String,
    /// The list.
    pub list: String,
}

/// A chain.
#[derive(Debug, Clone)]
pub struct FlowChain {
    /// Its name.
    pub name: String,
    /// Whether it takes vCons.
    pub enabled: bool,
    /// Its ingress lists.
    pub from: Vec<String>,
    /// Its steps that run.
    pub steps: Vec<FlowStep>,
    /// Its storages, and whether egress waits for them.
    pub storages: Vec<(String, bool)>,
    /// Its egress lists.
    pub to: Vec<String>,
}

/// One link, or several that run at the same time.
#[derive(Debug, Clone)]
pub struct FlowStep {
    /// The links.
    pub links: Vec<FlowLink>,
}

/// A link in a chain.
#[derive(Debug, Clone)]
pub struct FlowLink {
    /// Its name.
    pub name: String,
    /// Its plugin.
    pub module: String,
    /// Whether it has a condition.
    pub conditional: bool,
    /// Lists that it may push vCons to.
    pub pushes: Vec<String>,
    /// Types of analyses that it works on.
    pub reads: Vec<String>,
    /// Types of analyses that it writes.
    pub writes: Vec<String>,
}

impl FlowChain {
    /// Lists that its links push to: link and list.
    pub fn pushes(&self) -> impl Iterator<Item = (&str, &str)> {
        let links = self.steps.iter().flat_map(|step| &step.links);
        links.flat_map(|link| link.pushes.iter().map(|list| (link.name.as_str(), list.as_str())))
    }
}

impl Flow {
    /// The ways through a configuration.
    pub fn of(config: &Config, registry: &Registry) -> Self {
        let adapters = config
            .ingress
            .iter()
            .map(|adapter| Source { name: format!("ingress {}", adapter.name), list: adapter.list.value.clone() });
        let followers = config.followers.iter().map(|follower| Source {
            name: format!("follower {}", follower.name),
            list: follow::list_of(&follower.name),
        });
        let chains = config.chains.iter().map(|chain| chain_of(config, chain, registry)).collect();
        Flow { sources: adapters.chain(followers).collect(), chains }
    }

    /// Every list that is named.
    pub fn lists(&self) -> BTreeSet<&str> {
        let sources = self.sources.iter().map(|source| source.list.as_str());
        let chains = self.chains.iter().flat_map(|chain| {
            let own = chain.from.iter().chain(&chain.to).map(String::as_str);
            own.chain(chain.pushes().map(|(_, list)| list))
        });
        sources.chain(chains).collect()
    }
}

fn chain_of(config: &Config, chain: &ChainConfig, registry: &Registry) -> FlowChain {
    let steps = chain.links.iter().map(|step| match step {
        Step::Link(link) => std::slice::from_ref(&**link),
        Step::Parallel { links, .. } => links.as_slice(),
    });
    let steps = steps.map(|links| {
        let running = links.iter().filter(|link| link.enabled);
        FlowStep { links: running.filter_map(|step| link_of(config, step, registry)).collect() }
    });
    let names = |names: &[vconductor_core::config::Name]| names.iter().map(|name| name.value.clone()).collect();
    FlowChain {
        name: chain.name.value.clone(),
        enabled: chain.enabled,
        from: names(&chain.ingress_lists),
        steps: steps.filter(|step| !step.links.is_empty()).collect(),
        storages: chain.storages.iter().map(|storage| (storage.name.value.clone(), storage.required)).collect(),
        to: names(&chain.egress_lists),
    }
}

fn link_of(config: &Config, step: &StepLink, registry: &Registry) -> Option<FlowLink> {
    let (link, options) = (config.link(&step.link)?, config.step_options(step)?);
    let facts = PluginCatalog::new(registry).link_facts(&link.module, &options, &config.mode);
    Some(FlowLink {
        name: step.link.value.clone(),
        module: link.module.value.clone(),
        conditional: step.condition.is_some(),
        pushes: facts.pushes,
        reads: facts.reads,
        writes: facts.writes,
    })
}
