//! From a checked configuration to chains that run: plugins are built, names are looked up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vconductor_core::config::{
    self, ChainConfig, Code, Config, Environment, Finding, Level, OnError as ConfiguredOnError,
    OnSigned as ConfiguredOnSigned, PluginConfig, ProcessEnvironment, RetryConfig, Setting, Step as ConfiguredStep,
    StepLink, load_text, render,
};
use vconductor_core::jq::Program;
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::plugin::{Asked, Link, Registry, Storage, options_hash, settable};
use vconductor_core::run::{Deviation, StepKey};

use super::built::Built;
use super::chain::{Chain, Chains, LinkStep, Offload, OnError, OnSigned, Step, StorageStep, TracerStep};
use super::deviations::{Recipe, refused, settings, unknown};
use super::report::Report;
use super::writer::StorageWriter;
use crate::catalog::PluginCatalog;
use crate::sections::{self, OffloadConfig};

/// Runs of a chain that are worked on at once, where the configuration does not say.
const CONCURRENCY: usize = 64;
/// How long one write of a storage may take.
const STORAGE_LIMIT: Duration = Duration::from_secs(120);

/// What takes the place of plugins: simulations and chain tests touch nothing outside.
pub trait StandIns: Sync {
    /// What is executed in place of a link.
    fn link(&self, name: &str, built: Arc<dyn Link>) -> Arc<dyn Link>;

    /// What is written to in place of a storage, which is not built.
    fn storage(&self, name: &str) -> Arc<dyn Storage>;
}

/// Builds the chains of a configuration. Starts the writers of its storages, so it needs a runtime. What `before` built in
/// the same way is taken over from it.
///
/// # Errors
/// Findings about what cannot be built; nothing runs then.
pub fn assemble(
    config: &Config,
    registry: &Registry,
    report: &Arc<Report>,
    before: &Built,
) -> Result<Chains, Vec<Finding>> {
    build(config, registry, report, before, None)
}

/// Builds the chains of a configuration with stand-ins, without tracers and without the section `media`.
///
/// # Errors
/// As [`assemble`].
pub fn assemble_offline(
    config: &Config,
    registry: &Registry,
    report: &Arc<Report>,
    stand_ins: &dyn StandIns,
) -> Result<Chains, Vec<Finding>> {
    build(config, registry, report, &Built::default(), Some(stand_ins))
}

fn build(
    config: &Config,
    registry: &Registry,
    report: &Arc<Report>,
    before: &Built,
    stand_ins: Option<&dyn StandIns>,
) -> Result<Chains, Vec<Finding>> {
    let mut findings = Vec::new();
    let offload = if stand_ins.is_some() { None } else { sections::offload(config, &mut findings) };
    let mut assembly = Assembly { offload, findings, stand_ins, ..Assembly::new(config, registry, report, before) };
    let chains: Vec<_> =
        config.chains.iter().filter(|chain| chain.enabled).map(|chain| Arc::new(assembly.chain(chain))).collect();
    if config::has_errors(&assembly.findings) {
        return Err(assembly.findings);
    }
    let built = assembly.built;
    let recipe = Recipe { config: config.clone(), registry: registry.clone(), report: Arc::clone(report) };
    Ok(Chains { chains, generation: config.hash.clone(), built, recipe: Some(Arc::new(recipe)) })
}

/// Builds one chain once more, as a run wants it that deviates from it. `whole`: with its storages and tracers, else its
/// links alone.
///
/// # Errors
/// Findings about what the run wants.
pub(super) fn deviating(
    recipe: &Recipe,
    before: &Built,
    name: &str,
    wanted: &Deviation,
    environment: &dyn Environment,
    whole: bool,
) -> Result<Chain, Vec<Finding>> {
    let Recipe { config, registry, report } = recipe;
    let mut findings = Vec::new();
    let offload = if whole { sections::offload(config, &mut Vec::new()) } else { None };
    let Some(chain) = config.chain(name) else {
        return Err(vec![unknown(name, 0..name.len(), format!("there is no chain `{name}`"))]);
    };
    let settings = settings(chain, wanted, &mut findings);
    let mut assembly = Assembly {
        offload,
        findings,
        settings,
        wanted: Some(wanted),
        begun: wanted.from_link.is_none(),
        environment,
        whole,
        ..Assembly::new(config, registry, report, before)
    };
    let built = assembly.chain(chain);
    let mut findings = assembly.findings;
    for finding in &mut findings {
        // A name that is wrong here is wrong in every mode: nobody has run with it yet.
        let is_unknown = finding.code == Code::UnknownOption;
        if is_unknown && assembly.settings.iter().any(|setting| setting.is_at(finding)) {
            finding.level = Level::Error;
        }
    }
    if config::has_errors(&findings) { Err(findings) } else { Ok(built) }
}

/// Loads, checks and builds a configuration given as text; for tests and embedding.
///
/// # Errors
/// The findings, rendered for people.
pub fn assemble_text(text: &str, report: &Arc<Report>) -> Result<Chains, String> {
    let registry = Registry::collect().map_err(|error| error.to_string())?;
    let loaded = load_text("configuration", text, &ProcessEnvironment);
    let mut findings = loaded.findings;
    if let Some(config) = &loaded.config {
        findings.extend(config::check(config, &PluginCatalog::new(&registry)));
        if !config::has_errors(&findings) {
            match assemble(config, &registry, report, &Built::default()) {
                Ok(chains) => return Ok(chains),
                Err(found) => findings.extend(found),
            }
        }
    }
    Err(render(&findings, false, 120))
}

struct Assembly<'a> {
    config: &'a Config,
    registry: &'a Registry,
    report: &'a Arc<Report>,
    /// Where large bodies go.
    offload: Option<OffloadConfig>,
    /// What the generation before this one built.
    before: &'a Built,
    stand_ins: Option<&'a dyn StandIns>,
    /// What is built now: one writer per storage, however many chains use it.
    built: Built,
    findings: Vec<Finding>,
    /// What a run wants to be different.
    wanted: Option<&'a Deviation>,
    settings: Vec<Setting>,
    /// Whether the link was met that the run begins with.
    begun: bool,
    /// Where placeholders in settings take their values from.
    environment: &'a dyn Environment,
    /// With storages and tracers.
    whole: bool,
}

impl<'a> Assembly<'a> {
    fn new(config: &'a Config, registry: &'a Registry, report: &'a Arc<Report>, before: &'a Built) -> Self {
        Assembly {
            config,
            registry,
            report,
            offload: None,
            before,
            stand_ins: None,
            built: Built::default(),
            findings: Vec::new(),
            wanted: None,
            settings: Vec::new(),
            begun: true,
            environment: &ProcessEnvironment,
            whole: true,
        }
    }

    fn chain(&mut self, chain: &ChainConfig) -> Chain {
        let mut occurrences: BTreeMap<&str, u32> = BTreeMap::new();
        let mut steps = Vec::new();
        let mut step_names = Vec::new();
        for step in &chain.links {
            match step {
                ConfiguredStep::Link(link) => {
                    if let Some(step) = self.step(chain, link, &mut occurrences) {
                        step_names.push(step.name().to_owned());
                        steps.push(Step::Link(Box::new(step)));
                    }
                }
                ConfiguredStep::Parallel { links, .. } => {
                    // Side by side, none of them is before another.
                    self.begun |= links.iter().any(|link| self.begins_with(&link.link));
                    let branches: Vec<_> =
                        links.iter().filter_map(|link| self.step(chain, link, &mut occurrences)).collect();
                    step_names.push(branches.iter().map(LinkStep::name).collect::<Vec<_>>().join("+"));
                    steps.push(Step::Parallel(branches));
                }
            }
        }
        let texts = |names: &[config::Name]| names.iter().map(|name| name.value.clone()).collect();
        Chain {
            name: chain.name.value.clone(),
            ingress_lists: texts(&chain.ingress_lists),
            egress_lists: texts(&chain.egress_lists),
            steps,
            step_names,
            storages: self.storages(chain),
            offload: self.offload(chain),
            tracers: self.tracers(chain),
            concurrency: chain.concurrency.map_or(CONCURRENCY, |places| usize::try_from(places).unwrap_or(CONCURRENCY)),
            weight: chain.weight.max(1),
            timeout: chain.timeout,
            budget: chain.budget,
            retry: policy([chain.retry, None]),
            generation: self.config.hash.clone(),
        }
    }

    fn step<'c>(
        &mut self,
        chain: &ChainConfig,
        step: &'c StepLink,
        occurrences: &mut BTreeMap<&'c str, u32>,
    ) -> Option<LinkStep> {
        let occurrence = occurrences.entry(&step.link.value).or_default();
        let key_occurrence = *occurrence;
        *occurrence += 1;
        if !step.enabled {
            return None;
        }
        let link = self.config.link(&step.link)?;
        let entry = self.registry.link(&link.module)?;
        let schema = (entry.schema)();
        let mut options = self.config.step_options(step)?;
        let mut held_as = vec![step.link.value.as_str()];
        for setting in self.settings.iter().filter(|setting| setting.link == step.link.value) {
            if let Err(error) = settable(&schema, setting) {
                self.findings.push(refused(setting.text(), &error));
                continue;
            }
            options = options.overlaid(Some(&setting.options(self.environment, &mut self.findings)));
            held_as.push(setting.text());
        }
        self.begun |= self.begins_with(&step.link);
        let skipped = self.wanted.is_some_and(|wanted| !self.begun || wanted.skip.contains(&step.link.value));
        let held_as = held_as.join(" with ");
        let asked = Asked { name: &step.link, module: &link.module, options: &options, mode: &self.config.mode };
        let (built, findings) = (&mut self.built.links, &mut self.findings);
        let place = [&*chain.name.value, &*key_occurrence.to_string()];
        let mut built =
            built.or_build(&self.before.links, &place, asked, |asked| (entry.configure)(asked, findings))?;
        if let Some(stand_ins) = self.stand_ins {
            built = stand_ins.link(&step.link.value, built);
        }
        let condition = match &step.condition {
            None => None,
            Some(text) => match Program::compile(text) {
                Ok(program) => Some(program),
                Err(error) => {
                    self.findings.push(Finding::error(Code::BadCondition, &text.span, error.to_string()));
                    None
                }
            },
        };
        let hash = options_hash(&schema, &options.node.to_json());
        Some(LinkStep {
            key: StepKey { link: step.link.value.clone(), occurrence: key_occurrence, options: hash },
            module: entry.module,
            effect: entry.effect,
            edits: entry.edits,
            paid: entry.paid,
            any_form: entry.any_form,
            link: built,
            condition,
            retry: policy([step.retry, chain.retry]),
            timeout: step.timeout,
            on_error: match step.on_error {
                ConfiguredOnError::Fail => OnError::Fail,
                ConfiguredOnError::Continue => OnError::Continue,
                ConfiguredOnError::Stop => OnError::Stop,
            },
            on_signed: self.on_signed(step),
            skipped,
            held_as,
        })
    }

    fn begins_with(&self, link: &str) -> bool {
        self.wanted.is_some_and(|wanted| wanted.from_link.as_deref() == Some(link))
    }

    fn on_signed(&mut self, step: &StepLink) -> OnSigned {
        match step.on_signed {
            ConfiguredOnSigned::Skip => OnSigned::Skip,
            ConfiguredOnSigned::Fail => OnSigned::Fail,
            ConfiguredOnSigned::Wrap => {
                let message = "`on_signed: wrap` is not done: an edit inside of a signature needs to know whom to trust, and \
                               gives a vCon that nobody signed";
                let finding = Finding::error(Code::BadValue, &step.link.span, message);
                self.findings.push(finding.help(
                    "say it with links: `verify` with `unwrap: true` before this one and `sign` behind it; or use \
                     `on_signed: skip` or `on_signed: fail`",
                ));
                OnSigned::Fail
            }
        }
    }

    fn storages(&mut self, chain: &ChainConfig) -> Vec<StorageStep> {
        let mut steps = Vec::new();
        let wanted = if self.whole { chain.storages.as_slice() } else { &[] };
        for reference in wanted {
            let Some(storage) = self.config.storage(&reference.name) else { continue };
            let Some((module, writer)) = self.writer(storage) else { continue };
            steps.push(StorageStep {
                name: reference.name.value.clone(),
                module,
                writer,
                required: reference.required,
                retry: policy([reference.retry, chain.retry]),
            });
        }
        steps
    }

    fn offload(&mut self, chain: &ChainConfig) -> Option<Arc<Offload>> {
        let wanted = self.offload.as_ref()?;
        let (over, storage) = (wanted.over, self.config.storage(&wanted.storage)?);
        let (name, (module, writer)) = (storage.name.value.clone(), self.writer(storage)?);
        let storage = StorageStep { name, module, writer, required: true, retry: policy([chain.retry, None]) };
        Some(Arc::new(Offload { over, storage }))
    }

    /// The module of a storage, and what writes to it.
    fn writer(&mut self, storage: &PluginConfig) -> Option<(&'static str, Arc<StorageWriter>)> {
        let entry = self.registry.storage(&storage.module)?;
        let asked = self.asked(storage);
        let (findings, stand_ins) = (&mut self.findings, self.stand_ins);
        let writer = self.built.writers.or_build(&self.before.writers, &[], asked, |asked| {
            let built = match stand_ins {
                Some(stand_ins) => stand_ins.storage(&storage.name.value),
                None => (entry.configure)(asked, findings)?,
            };
            Some(StorageWriter::start(storage.name.value.clone(), built, STORAGE_LIMIT, self.report))
        })?;
        Some((entry.module, writer))
    }

    fn tracers(&mut self, chain: &ChainConfig) -> Vec<TracerStep> {
        let wanted = |tracer: &&PluginConfig| {
            self.whole
                && self.stand_ins.is_none()
                && chain.tracers.as_ref().is_none_or(|names| names.iter().any(|name| name.value == tracer.name.value))
        };
        let mut steps = Vec::new();
        for tracer in self.config.tracers.iter().filter(wanted) {
            let Some(entry) = self.registry.tracer(&tracer.module) else { continue };
            let (asked, findings) = (self.asked(tracer), &mut self.findings);
            let (tracers, place) = (&mut self.built.tracers, [&*chain.name.value]);
            let configure = |asked: Asked<'_>| (entry.configure)(asked, findings);
            if let Some(built) = tracers.or_build(&self.before.tracers, &place, asked, configure) {
                let fatal = tracer.options.node.get("dlq_vcon_on_error").is_some_and(|value| value.to_json() == true);
                steps.push(TracerStep { name: tracer.name.value.clone(), tracer: built, fatal });
            }
        }
        steps
    }

    fn asked<'p>(&self, plugin: &'p PluginConfig) -> Asked<'p>
    where
        'a: 'p,
    {
        Asked { name: &plugin.name, module: &plugin.module, options: &plugin.options, mode: &self.config.mode }
    }
}

/// The retry policy of the innermost setting, filled up from the outer ones and the defaults.
fn policy(settings: [Option<RetryConfig>; 2]) -> RetryPolicy {
    let mut policy = RetryPolicy::default();
    for setting in settings.iter().rev().flatten() {
        policy.attempts = setting.attempts.unwrap_or(policy.attempts);
        policy.base = setting.base.map_or(policy.base, |period| period.0);
        policy.cap = setting.cap.map_or(policy.cap, |period| period.0);
    }
    policy
}
