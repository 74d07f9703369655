//! The typed configuration. Every name keeps its place, so that later findings can point at it.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::finding::Finding;
use super::mode::Mode;
use super::node::Node;
use super::source::Span;
use super::typed::Options;
use super::units::Period;
use super::within;
use crate::price::{self, Price};
use crate::secret::Secret;
use crate::store::Durability;

/// A text with its place. Prints as it was written, so that an interpolated secret is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    /// The text after interpolation.
    pub value: String,
    /// The text as written.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

impl Name {
    /// The place in the source of a byte of this text, one word or character long; all of it where that cannot be told.
    pub(crate) fn place_of(&self, offset: usize) -> Span {
        // What was interpolated stands nowhere.
        if self.text == self.value { within::place_of(&self.span, &self.value, offset) } else { self.span.clone() }
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({})", self.text, self.span)
    }
}

/// All of a configuration, in file order, with the effect that its mode gives it.
#[derive(Debug, Clone)]
pub struct Config {
    /// How it was read.
    pub mode: Mode,
    /// SHA-256 (hex) of the content after interpolation; comments and layout do not count.
    pub hash: String,
    /// Which store to use (`embedded:PATH`, `redis://...`). May hold a password.
    pub store: Option<Name>,
    /// How safe a vCon must be before whoever gave it is told that it is taken.
    pub durability: Option<Durability>,
    /// The section `media`.
    pub media: Option<Options>,
    /// The section `http`.
    pub http: Option<Options>,
    /// The operator's own prices of paid services.
    pub prices: Vec<Price>,
    /// Links by name.
    pub links: Vec<PluginConfig>,
    /// Storages by name.
    pub storages: Vec<PluginConfig>,
    /// Chains; earlier ones come first in vcon-server's order of lists.
    pub chains: Vec<ChainConfig>,
    /// Tracers by name.
    pub tracers: Vec<PluginConfig>,
    /// Python packages that vcon-server would import.
    pub imports: Vec<Name>,
    /// Keys of partners by ingress list.
    pub ingress_auth: Vec<IngressAuth>,
    /// Ingress adapters by name.
    pub ingress: Vec<IngressConfig>,
    /// Other servers that vCons are pulled from.
    pub followers: Vec<Follower>,
    /// All of it as a tree. May hold secrets; [`super::shown`] leaves them out.
    pub written: Node,
    /// What leaving compatibility mode would change; empty outside of it.
    pub(crate) effects: Vec<Finding>,
}

impl Config {
    /// The link of this name.
    pub fn link(&self, name: &str) -> Option<&PluginConfig> {
        self.links.iter().find(|link| &*link.name == name)
    }

    /// The storage of this name.
    pub fn storage(&self, name: &str) -> Option<&PluginConfig> {
        self.storages.iter().find(|storage| &*storage.name == name)
    }

    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&ChainConfig> {
        self.chains.iter().find(|chain| &*chain.name == name)
    }

    /// The tracer of this name.
    pub fn tracer(&self, name: &str) -> Option<&PluginConfig> {
        self.tracers.iter().find(|tracer| &*tracer.name == name)
    }

    /// The options that a step runs with: its own over those of its link. `None`: no such link.
    pub fn step_options(&self, step: &StepLink) -> Option<Options> {
        self.link(&step.link).map(|link| link.options.overlaid(step.options.as_ref()))
    }
}

/// What leaving compatibility mode would change, one finding for each setting.
pub fn compat_effects(config: &Config) -> &[Finding] {
    &config.effects
}

/// A named link, storage or tracer.
#[derive(Debug, Clone)]
pub struct PluginConfig {
    /// Its name.
    pub name: Name,
    /// The plugin, for example `links.tag`; empty where it was left out, which is an error finding.
    pub module: Name,
    /// The Python package that vcon-server would install.
    pub pip_name: Option<Name>,
    /// Its options as written.
    pub options: Options,
}

/// A chain.
#[derive(Debug, Clone)]
pub struct ChainConfig {
    /// Its name.
    pub name: Name,
    /// Lists that it takes from.
    pub ingress_lists: Vec<Name>,
    /// Lists that it hands finished vCons to.
    pub egress_lists: Vec<Name>,
    /// Its steps.
    pub links: Vec<Step>,
    /// Where finished vCons are saved.
    pub storages: Vec<StorageRef>,
    /// Whether it takes vCons; always true in compatibility mode.
    pub enabled: bool,
    /// Longest time of one run; never set in compatibility mode.
    pub timeout: Option<Duration>,
    /// The tracers that see its runs; `None`: all, and always so in compatibility mode.
    pub tracers: Option<Vec<Name>>,
    /// Most vCons at work at once.
    pub concurrency: Option<u32>,
    /// Share of the claims while lists are busy (1 is the usual share).
    pub weight: u32,
    /// How failed steps are tried again, unless the step says otherwise.
    pub retry: Option<RetryConfig>,
    /// How much its paid calls may cost.
    pub budget: Option<Budget>,
}

impl ChainConfig {
    /// All link steps, those inside `parallel` too.
    pub fn steps(&self) -> impl Iterator<Item = &StepLink> {
        self.links.iter().flat_map(|step| match step {
            Step::Link(link) => std::slice::from_ref(&**link),
            Step::Parallel { links, .. } => links.as_slice(),
        })
    }
}

/// One entry under `links` of a chain.
#[derive(Debug, Clone)]
pub enum Step {
    /// One link.
    Link(Box<StepLink>),
    /// Links that run at the same time on the same document.
    Parallel {
        /// The branches.
        links: Vec<StepLink>,
        /// Where the step stands.
        span: Span,
    },
}

/// A link as one step of a chain.
#[derive(Debug, Clone)]
pub struct StepLink {
    /// The link's name.
    pub link: Name,
    /// jq program; the step runs if it gives a true value.
    pub condition: Option<Name>,
    /// How it is tried again.
    pub retry: Option<RetryConfig>,
    /// What happens when it fails for good.
    pub on_error: OnError,
    /// What happens with a signed vCon if the link edits.
    pub on_signed: OnSigned,
    /// Longest time of one attempt.
    pub timeout: Option<Duration>,
    /// Whether it runs at all.
    pub enabled: bool,
    /// Options put over those of the link.
    pub options: Option<Node>,
}

/// How a failed step is tried again. What is left out follows the engine's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryConfig {
    /// Attempts in all, at least 1.
    pub attempts: Option<u32>,
    /// Wait before the second attempt; it doubles from there.
    pub base: Option<Period>,
    /// Longest wait.
    pub cap: Option<Period>,
}

/// How much the paid calls of a chain may cost in a day (UTC), by the price table.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
pub struct Budget {
    /// US dollars.
    #[serde(deserialize_with = "price::amount")]
    pub usd_per_day: f64,
    /// What happens for the rest of a day on which more was spent.
    #[serde(default)]
    pub on_exceed: OnExceed,
}

/// What happens for the rest of a day on which a chain spent more than its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnExceed {
    /// The chain takes no further vCons; what it works on is finished.
    #[default]
    Pause,
    /// Links that cost money are skipped, visibly.
    Skip,
    /// A line in the log.
    Warn,
}

/// What happens to a run when a step fails for good. It does not apply to a link that is held because its credentials or
/// settings must be mended: the run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// The run becomes a dead letter.
    #[default]
    Fail,
    /// The next step runs.
    Continue,
    /// The run ends as if the link had stopped it.
    Stop,
}

/// What an editing link does with a signed vCon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnSigned {
    /// The step is skipped, visibly.
    #[default]
    Skip,
    /// The step fails.
    Fail,
    /// The edits go into a new vCon around the signed one.
    Wrap,
}

/// A storage as a chain names it.
#[derive(Debug, Clone)]
pub struct StorageRef {
    /// The storage's name.
    pub name: Name,
    /// Whether egress waits until it has the vCon.
    pub required: bool,
    /// How a failed save is tried again.
    pub retry: Option<RetryConfig>,
}

/// The keys that open one ingress list to partners.
#[derive(Debug, Clone)]
pub struct IngressAuth {
    /// The ingress list.
    pub list: Name,
    /// Any of these keys opens it.
    pub keys: Vec<Secret>,
}

/// A named ingress adapter.
#[derive(Debug, Clone)]
pub struct IngressConfig {
    /// Its name, which is the end of its path.
    pub name: Name,
    /// The plugin, for example `ingress.twilio`; empty where it was left out, which is an error finding.
    pub module: Name,
    /// The list that its vCons are put on; empty where it was left out, which is an error finding.
    pub list: Name,
    /// How long what cannot be fetched is tried again.
    pub give_up_after: Duration,
    /// The largest recording that is fetched, in bytes.
    pub max_size: u64,
    /// Its options as written.
    pub options: Options,
}

/// Another server that vCons are pulled from.
#[derive(Debug, Clone)]
pub struct Follower {
    /// Its name.
    pub name: Name,
    /// Base address of the other server's API.
    pub url: String,
    /// The list there.
    pub egress_list: String,
    /// The list here.
    pub follower_ingress_list: String,
    /// The other server's API key.
    pub auth_token: Secret,
    /// Time between two pulls.
    pub pulling_interval: Duration,
    /// Most vCons of one pull.
    pub fetch_vcon_limit: u32,
    /// All of it as written, for the places of later findings.
    pub written: Options,
}
