//! Loading the configuration of a command and telling what is wrong with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use vconductor_core::config::{
    self, AssumedEnvironment, Config, Environment, Finding, Loaded, Mode, ProcessEnvironment, Source, has_errors,
    nearest,
};
use vconductor_core::plugin::Registry;

use super::exit::{Exit, Failure, Result};
use super::output;
use super::plugins;
use crate::catalog::PluginCatalog;
use crate::{follow, sections};

/// The file that vcon-server reads when nobody says anything.
const FALLBACK: &str = "./example_config.yml";

/// A configuration with everything that was found out about it.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// As far as it could be read; `None`: a file is no YAML at all.
    pub(crate) config: Option<Config>,
    /// What is wrong, in file order.
    pub(crate) findings: Vec<Finding>,
    /// The files.
    pub(crate) sources: Vec<Arc<Source>>,
}

impl Configuration {
    /// Reads and checks files and folders.
    pub(crate) fn load(paths: &[PathBuf], registry: &Registry) -> Self {
        Self::load_in(paths, registry, &ProcessEnvironment)
    }

    /// Reads and checks files and folders in an environment.
    pub(crate) fn load_in(paths: &[PathBuf], registry: &Registry, environment: &dyn Environment) -> Self {
        Self::checked(config::load(paths, environment), registry)
    }

    /// Checks one configuration in a text, without judging what depends on variables that are not set.
    pub(crate) fn of_text(name: &str, text: &str, registry: &Registry) -> Self {
        Self::checked(config::load_text(name, text, &AssumedEnvironment), registry)
    }

    fn checked(loaded: Loaded, registry: &Registry) -> Self {
        let mut findings = loaded.findings;
        if let Some(config) = &loaded.config {
            findings.extend(config::check(config, &PluginCatalog::new(registry)));
            sections::check(config, &mut findings);
            findings = config::without_unknown(findings, &config.written);
        }
        findings = config::without_allowed(findings);
        let sources = loaded.sources;
        findings.sort_by_key(|finding| {
            let file = sources.iter().position(|source| Arc::ptr_eq(source, finding.span.source()));
            (file, finding.span.line(), finding.span.column())
        });
        Configuration { config: loaded.config, findings, sources }
    }

    /// The configuration, if it may run.
    pub(crate) fn usable(&self) -> Option<&Config> {
        self.config.as_ref().filter(|_| !has_errors(&self.findings))
    }

    pub(crate) fn errors(&self) -> u64 {
        self.findings.iter().filter(|finding| finding.is_error()).count() as u64
    }

    pub(crate) fn warnings(&self) -> u64 {
        self.findings.len() as u64 - self.errors()
    }

    /// The names of the files.
    pub(crate) fn files(&self) -> Vec<&str> {
        self.sources.iter().map(|source| source.name()).collect()
    }

    /// `2 chains, 5 links, 2 storages: no errors, 1 warning`.
    pub(crate) fn verdict(&self) -> String {
        let verdict = format!("{}, {}", counted(self.errors(), "error"), counted(self.warnings(), "warning"));
        match self.contents() {
            Some(contents) => format!("{contents}: {verdict}"),
            None => verdict,
        }
    }

    /// `2 chains, 5 links, 2 storages`.
    pub(crate) fn contents(&self) -> Option<String> {
        let config = self.config.as_ref()?;
        let mut parts = vec![
            counted(config.chains.len() as u64, "chain"),
            counted(config.links.len() as u64, "link"),
            counted(config.storages.len() as u64, "storage"),
        ];
        if !config.tracers.is_empty() {
            parts.push(counted(config.tracers.len() as u64, "tracer"));
        }
        Some(parts.join(", "))
    }
}

/// `no errors`, `1 error`, `2 errors`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

/// How the files are read, and by which key.
pub(crate) fn mode(mode: &Mode) -> String {
    match mode {
        Mode::Compatible => "compatibility mode, none of vConductor's own keys is used".to_owned(),
        Mode::Native { key, span } => {
            format!("native mode, by `{key}` ({}:{}:{})", span.source().name(), span.line(), span.column())
        }
    }
}

/// The files of a command line, else the one of `CONSERVER_CONFIG_FILE`, else vcon-server's default if it is there.
pub(crate) fn paths(given: &[PathBuf], command: &str) -> Result<Vec<PathBuf>> {
    if !given.is_empty() {
        return Ok(given.to_vec());
    }
    if let Some(file) = std::env::var_os("CONSERVER_CONFIG_FILE").filter(|file| !file.is_empty()) {
        return Ok(vec![file.into()]);
    }
    if Path::new(FALLBACK).exists() {
        return Ok(vec![FALLBACK.into()]);
    }
    Err(Failure::new(
        Exit::Usage,
        "no configuration: none is named, CONSERVER_CONFIG_FILE is not set, and there is no ./example_config.yml",
    )
    .help(format!("name one, for example `vconductor {command} chains.yml`")))
}

/// What commands besides `run` and `check` want of a configuration.
pub(crate) struct Configured {
    store: Option<String>,
    lists: Vec<String>,
    chains: Vec<Chain>,
    config: Config,
    registry: Registry,
}

/// A chain as far as commands besides `run` and `check` want to know it.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    /// Its name.
    pub(crate) name: String,
    /// The lists it takes from.
    pub(crate) ingress_lists: Vec<String>,
    /// The names of its links in order, those of `parallel` steps too.
    pub(crate) links: Vec<String>,
}

impl Configured {
    /// Its `store:`.
    pub(crate) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// Whether a chain, or a follower of the configuration, takes from the list.
    pub(crate) fn takes_from(&self, list: &str) -> bool {
        self.lists.iter().any(|own| own == list)
    }

    /// All of it. Whether it may run is not known.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The plugins that it was read with.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Its chains.
    pub(crate) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The lists that its chains and followers take from.
    pub(crate) fn lists(&self) -> &[String] {
        &self.lists
    }

    /// The list that was probably meant.
    pub(crate) fn nearest_list(&self, list: &str) -> Option<&str> {
        nearest(list, &self.lists)
    }
}

impl Chain {
    fn of(config: &config::ChainConfig) -> Self {
        Chain {
            name: config.name.value.clone(),
            ingress_lists: config.ingress_lists.iter().map(|list| list.value.clone()).collect(),
            links: config.steps().map(|step| step.link.value.clone()).collect(),
        }
    }
}

/// Store and chains of a configuration; `None` where none is named. Errors elsewhere in it are `check`'s business, but a
/// file that cannot be read at all names no store.
pub(crate) fn for_store(given: &[PathBuf]) -> Result<Option<Configured>> {
    if given.is_empty() {
        return Ok(None);
    }
    let registry = plugins::registry()?;
    let configuration = Configuration::load(given, &registry);
    let Some(config) = configuration.config else {
        complain(&configuration.findings);
        return Err(Failure::Silent(Exit::Configuration));
    };
    let chains: Vec<Chain> = config.chains.iter().map(Chain::of).collect();
    let taken = chains.iter().flat_map(|chain| chain.ingress_lists.iter().cloned());
    let lists = taken.chain(config.followers.iter().map(|follower| follow::list_of(&follower.name))).collect();
    let store = config.store.as_ref().map(|store| store.value.clone());
    Ok(Some(Configured { store, lists, chains, config, registry }))
}

/// Tells findings on stderr.
pub(crate) fn complain(findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    output::talk(config::render(findings, output::stderr_has_colour(), output::width()).trim_end());
}
