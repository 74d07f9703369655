//! What is wrong with a configuration beyond its form: names, modules, options, conditions.

use super::code::Code;
use super::described::Described;
use super::finding::{Finding, Level};
use super::lists::Running;
use super::mode::Mode;
use super::model::{ChainConfig, Config, Name, PluginConfig, Step, StepLink};
use super::nearest::nearest;
use super::node::{Node, Value};
use super::typed::{Options, push_once};
use super::{described, flow, lists, secrets, surprise, template};
use crate::jq::{CompileError, advice};
use crate::plugin::Facts;

/// Whether a catalog has a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It has; its options were checked.
    Yes,
    /// It has not.
    No,
}

/// What a plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A step of chains.
    Link,
    /// Takes finished vCons.
    Storage,
    /// Sees every hop.
    Tracer,
    /// Takes what vendors post.
    Ingress,
}

/// A plugin as a configuration names it.
#[derive(Debug, Clone, Copy)]
pub struct Plugin<'a> {
    /// What it does.
    pub kind: Kind,
    /// The section that it stands in.
    pub section: &'static str,
    /// Its name there.
    pub name: &'a Name,
    /// Its module, which may be an alias.
    pub module: &'a Name,
    /// Its options as written.
    pub options: &'a Options,
}

impl Config {
    /// All plugins that the configuration names, section by section.
    pub fn plugins(&self) -> impl Iterator<Item = Plugin<'_>> {
        fn of<'c>(kind: Kind, section: &'static str, plugins: &'c [PluginConfig]) -> impl Iterator<Item = Plugin<'c>> {
            plugins.iter().map(move |plugin| Plugin {
                kind,
                section,
                name: &plugin.name,
                module: &plugin.module,
                options: &plugin.options,
            })
        }
        let ingress = self.ingress.iter().map(|adapter| Plugin {
            kind: Kind::Ingress,
            section: "ingress",
            name: &adapter.name,
            module: &adapter.module,
            options: &adapter.options,
        });
        of(Kind::Link, "links", &self.links)
            .chain(of(Kind::Storage, "storages", &self.storages))
            .chain(of(Kind::Tracer, "tracers", &self.tracers))
            .chain(ingress)
    }
}

/// What the plugin registry knows. `core` knows no plugin by name, so the caller brings it.
pub trait Catalog {
    /// Checks the options of a link module (aliases included); what is wrong goes into `findings`.
    fn check_link_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known;

    /// Checks the options of a storage module.
    fn check_storage_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>)
    -> Known;

    /// Checks the options of a tracer module.
    fn check_tracer_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known;

    /// Module names of all links, such as `links.tag`.
    fn link_modules(&self) -> Vec<String>;

    /// Module names of all storages, such as `storage.s3`.
    fn storage_modules(&self) -> Vec<String>;

    /// Module names of all tracers, such as `tracers.jlinc`.
    fn tracer_modules(&self) -> Vec<String>;

    /// Compiles a condition.
    ///
    /// # Errors
    /// What is wrong with the program, and where.
    fn compile_jq(&self, program: &str) -> Result<(), CompileError>;

    /// What a link with these options tells about itself; nothing where it cannot be built.
    fn link_facts(&self, _module: &str, _options: &Options, _mode: &Mode) -> Facts {
        Facts::default()
    }

    /// The options of a plugin with their schema; `None`: the module is not known.
    fn describe(&self, _plugin: &Plugin<'_>) -> Option<Described> {
        None
    }
}

/// All findings that need more than one place, or the plugin registry, to see.
pub fn check(config: &Config, catalog: &dyn Catalog) -> Vec<Finding> {
    let mut checker = Checker { config, catalog, findings: Vec::new() };
    checker.links();
    checker.storages();
    checker.tracers();
    for chain in &config.chains {
        checker.chain(chain);
    }
    checker.flow();
    checker.drop_consequences();
    let written = described::written(config, catalog);
    template::check(config, &written, &mut checker.findings);
    secrets::check(config, &written, &mut checker.findings);
    surprise::check(&written, &mut checker.findings);
    checker.findings
}

struct Checker<'a> {
    config: &'a Config,
    catalog: &'a dyn Catalog,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    fn links(&mut self) {
        for link in &self.config.links {
            let used = self.config.chains.iter().flat_map(ChainConfig::steps).any(|step| *step.link == *link.name);
            if !used {
                self.findings.push(
                    Finding::warning(Code::Unused, &link.name.span, format!("the link `{}` is in no chain", link.name))
                        .help("use it in a chain or remove it"),
                );
            }
            if link.module.is_empty() {
                continue;
            }
            let known =
                self.catalog.check_link_options(&link.module, &link.options, &self.config.mode, &mut self.findings);
            if known == Known::No {
                let unknown = unknown_module("link", link, &self.catalog.link_modules());
                // vcon-server loads a module when a chain first comes to it.
                let harmless = !used && !self.config.mode.is_native();
                self.findings.push(if harmless { lowered(unknown) } else { unknown });
            }
        }
    }

    fn storages(&mut self) {
        for storage in self.config.storages.iter().filter(|storage| !storage.module.is_empty()) {
            let known = self.catalog.check_storage_options(
                &storage.module,
                &storage.options,
                &self.config.mode,
                &mut self.findings,
            );
            if known == Known::No {
                self.findings.push(unknown_module("storage", storage, &self.catalog.storage_modules()));
            }
        }
        for storage in &self.config.storages {
            let is_for_media =
                self.config.media.as_ref().and_then(|media| media.node.get("storage")).and_then(Node::as_str);
            let mut chains = self.config.chains.iter().flat_map(|chain| &chain.storages);
            if chains.all(|used| *used.name != *storage.name) && is_for_media != Some(&*storage.name) {
                self.findings.push(
                    Finding::warning(
                        Code::Unused,
                        &storage.name.span,
                        format!("the storage `{}` is in no chain: nothing is written to it", storage.name),
                    )
                    .help("add it to the `storages` of a chain; if it is there to be read only, write `# check: allow VC0405` behind it"),
                );
            }
        }
    }

    fn tracers(&mut self) {
        for tracer in self.config.tracers.iter().filter(|tracer| !tracer.module.is_empty()) {
            let known = self.catalog.check_tracer_options(
                &tracer.module,
                &tracer.options,
                &self.config.mode,
                &mut self.findings,
            );
            if known == Known::No {
                self.findings.push(unknown_module("tracer", tracer, &self.catalog.tracer_modules()));
            }
        }
        let chains = &self.config.chains;
        for tracer in &self.config.tracers {
            // A chain that names none has all of them.
            let names = |chain: &ChainConfig| {
                chain.tracers.as_ref().map(|names| names.iter().any(|name| **name == *tracer.name))
            };
            if !chains.is_empty() && chains.iter().all(|chain| names(chain) == Some(false)) {
                let message = format!("every chain names its tracers, and none names `{}`", tracer.name);
                self.findings.push(
                    Finding::warning(Code::Unused, &tracer.name.span, message)
                        .help("add it to the `tracers` of a chain, or remove it"),
                );
            }
        }
    }

    /// Leaves out what is not used only because the name that should use it is misspelled, or its list cannot be read.
    fn drop_consequences(&mut self) {
        let meant: Vec<String> = self
            .findings
            .iter()
            .filter(|finding| finding.code != Code::Unused)
            .filter_map(|finding| finding.nearest.clone())
            .collect();
        let chains = self.config.written.get("chains").map_or(&[][..], Node::entries);
        let is_unread = |key: &str| {
            chains.iter().any(|(_, chain)| match chain.get(key).map(|node| &node.value) {
                Some(Value::Sequence(_)) => false,
                Some(Value::Null) | None => key == "links",
                Some(_) => true,
            })
        };
        let (links_unread, storages_unread) = (is_unread("links"), is_unread("storages"));
        let (links, storages) = (&self.config.links, &self.config.storages);
        let named = |plugins: &[PluginConfig], finding: &Finding, unread: bool| {
            plugins
                .iter()
                .any(|plugin| plugin.name.span == finding.span && (unread || meant.contains(&plugin.name.value)))
        };
        self.findings.retain(|finding| {
            finding.code != Code::Unused
                || !(named(links, finding, links_unread) || named(storages, finding, storages_unread))
        });
    }

    /// What only the order of steps and the ways between chains show.
    fn flow(&mut self) {
        let running: Vec<Running<'_>> = self
            .config
            .chains
            .iter()
            .filter(|chain| chain.enabled)
            .map(|chain| Running { chain, steps: flow::placed(self.config, chain, self.catalog) })
            .collect();
        for Running { chain, steps } in &running {
            flow::check(chain, steps, &mut self.findings);
        }
        lists::check(self.config, &running, &mut self.findings);
    }

    fn chain(&mut self, chain: &ChainConfig) {
        for step in &chain.links {
            match step {
                Step::Link(link) => self.step(link),
                Step::Parallel { links, .. } => links.iter().for_each(|link| self.step(link)),
            }
        }
        for storage in &chain.storages {
            self.defined(Code::UnknownStorage, "storage", "storages", &storage.name, &self.config.storages);
        }
        for tracer in chain.tracers.iter().flatten() {
            self.defined(Code::UnknownTracer, "tracer", "tracers", tracer, &self.config.tracers);
        }
    }

    fn step(&mut self, step: &StepLink) {
        self.defined(Code::UnknownLink, "link", "links", &step.link, &self.config.links);
        if !step.enabled {
            self.findings.push(
                Finding::warning(
                    Code::UnreachableStep,
                    &step.link.span,
                    format!("the step `{}` is switched off", step.link),
                )
                .help("remove it, or remove `enabled: false`"),
            );
        }
        if let Some(condition) = &step.condition {
            self.condition(condition);
        }
        self.step_options(step);
    }

    fn condition(&mut self, condition: &Name) {
        if let Err(error) = self.catalog.compile_jq(condition) {
            // The reason may quote the program.
            let shown = condition.text == condition.value;
            let reason = if shown { error.in_words() } else { "it cannot be compiled".to_owned() };
            self.findings.push(
                Finding::error(
                    Code::BadCondition,
                    &condition.place_of(error.offset),
                    format!("not a valid jq program: {reason}"),
                )
                .help(advice(condition)),
            );
        }
        if matches!(condition.trim(), "false" | "null" | "empty") {
            let message = format!("this step never runs: its condition is always `{}`", condition.trim());
            self.findings.push(
                Finding::warning(Code::UnreachableStep, &condition.span, message).help("remove the step or change it"),
            );
        }
    }

    /// Checks the options that a step puts over those of its link; what lies in the link's own is reported there.
    fn step_options(&mut self, step: &StepLink) {
        let (Some(over), Some(link)) = (&step.options, self.config.link(&step.link)) else { return };
        if link.module.is_empty() {
            return;
        }
        let mut own = Vec::new();
        let mut merged = Vec::new();
        self.catalog.check_link_options(&link.module, &link.options, &self.config.mode, &mut own);
        let options = link.options.overlaid(Some(over));
        self.catalog.check_link_options(&link.module, &options, &self.config.mode, &mut merged);
        for finding in merged {
            if !own.iter().any(|known| known.code == finding.code && known.span == finding.span) {
                push_once(&mut self.findings, finding);
            }
        }
    }

    /// Reports a name that its section does not define.
    fn defined(&mut self, code: Code, what: &str, section: &str, name: &Name, defined: &[PluginConfig]) {
        if defined.iter().any(|plugin| *plugin.name == **name) {
            return;
        }
        let names: Vec<&str> = defined.iter().map(|plugin| &*plugin.name).collect();
        let finding = Finding::error(code, &name.span, format!("no {what} is called `{name}`"))
            .nearest(nearest(name, names.iter().copied()));
        self.findings.push(match (&finding.nearest, names.as_slice()) {
            (Some(_), _) => finding,
            (None, []) => finding.help(format!("define it under `{section}`")),
            (None, names) => finding.help(format!("define it under `{section}`, which has: {}", names.join(", "))),
        });
    }
}

fn lowered(finding: Finding) -> Finding {
    Finding { level: Level::Warning, ..finding }
}

fn unknown_module(what: &str, plugin: &PluginConfig, modules: &[String]) -> Finding {
    let module = &*plugin.module;
    // The prefix is the same for all: `module: tag` is near `links.tag`, and `links.scitt` is not near `links.diet`.
    let tails: Vec<&str> = modules.iter().filter_map(|known| known.split_once('.')).map(|(_, tail)| tail).collect();
    let tail = nearest(module.rsplit('.').next().unwrap_or(module), tails.iter().copied());
    let is_named = |known: &&String| known.split_once('.').map(|(_, tail)| tail) == tail;
    let guess = tail.and_then(|_| modules.iter().find(is_named)).map(String::as_str);
    let finding =
        Finding::error(Code::UnknownModule, &plugin.module.span, format!("there is no {what} `{}`", plugin.module))
            .nearest(guess);
    let python = plugin.pip_name.is_some() || finding.nearest.is_none();
    match (what, python) {
        ("link", true) => {
            finding.help("Python packages are not installed at run time: run this link through `module: links.exec`")
        }
        (_, true) if modules.is_empty() => finding.help(format!("this build has no {what}s: remove it")),
        (_, true) => finding.help(format!("possible: {}", modules.join(", "))),
        (_, false) => finding,
    }
}
