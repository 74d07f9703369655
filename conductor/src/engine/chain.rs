//! A chain as it runs: everything named in the configuration is looked up and built.

use std::sync::Arc;
use std::time::Duration;

use vconductor_core::config::Budget;
use vconductor_core::jq::Program;
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::plugin::{Effect, Link, Tracer};
use vconductor_core::run::StepKey;

use super::built::Built;
use super::deviations::Recipe;
use super::writer::StorageWriter;

/// All chains of one generation of the configuration.
#[derive(Default)]
pub struct Chains {
    /// The chains in the order of the configuration.
    pub chains: Vec<Arc<Chain>>,
    /// Hash of the configuration that they were built from.
    pub generation: String,
    /// Their plugins, for the next generation.
    pub(super) built: Built,
    /// What they were built from; none where they were made otherwise.
    pub(super) recipe: Option<Arc<Recipe>>,
}

impl Chains {
    /// The chain that takes from a list, and its index.
    pub fn of_list(&self, list: &str) -> Option<(usize, &Arc<Chain>)> {
        self.chains.iter().enumerate().find(|(_, chain)| chain.ingress_lists.iter().any(|name| name == list))
    }

    /// All ingress lists.
    pub fn ingress_lists(&self) -> Vec<String> {
        self.chains.iter().flat_map(|chain| chain.ingress_lists.iter().cloned()).collect()
    }
}

/// One chain.
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Lists it takes from.
    pub ingress_lists: Vec<String>,
    /// Lists it hands finished vCons to.
    pub egress_lists: Vec<String>,
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// The names of its steps, as tracers see them.
    pub step_names: Vec<String>,
    /// Where finished vCons are written to.
    pub storages: Vec<StorageStep>,
    /// Where large bodies go before that.
    pub offload: Option<Arc<Offload>>,
    /// Observers of every hop.
    pub tracers: Vec<TracerStep>,
    /// How many of its runs are worked on at once.
    pub concurrency: usize,
    /// Its share of a busy round against other chains.
    pub weight: u32,
    /// How long one passage through the links may take.
    pub timeout: Option<Duration>,
    /// How much its paid calls may cost.
    pub budget: Option<Budget>,
    /// Retry of the chain itself (its time-out, its storages, where they have none of their own).
    pub retry: RetryPolicy,
    /// Hash of the configuration.
    pub generation: String,
}

impl Chain {
    /// Whether its runs go from claim to ack without waiting for anything outside.
    pub fn never_waits(&self) -> bool {
        let pure = |link: &LinkStep| link.effect == Effect::Pure;
        let quick = |step: &Step| match step {
            Step::Link(link) => pure(link),
            Step::Parallel(links) => links.iter().all(pure),
        };
        !self.is_written() && self.tracers.is_empty() && self.steps.iter().all(quick)
    }

    /// Whether anything is written to a storage between links and ack.
    pub fn is_written(&self) -> bool {
        !self.storages.is_empty() || self.offload.is_some()
    }

    /// The storages that its runs wait for.
    pub fn awaited(&self) -> impl Iterator<Item = &StorageStep> {
        self.storages.iter().chain(self.offload.iter().map(|offload| &offload.storage))
    }
}

/// One entry of a chain's `links`.
pub enum Step {
    /// A link.
    Link(Box<LinkStep>),
    /// Links that read the same document at the same time.
    Parallel(Vec<LinkStep>),
}

/// A link in a chain.
pub struct LinkStep {
    /// Identifies the step in the ledger.
    pub key: StepKey,
    /// Its module.
    pub module: &'static str,
    /// Whether it touches anything outside.
    pub effect: Effect,
    /// Whether it ever changes the document.
    pub edits: bool,
    /// Whether its calls cost money.
    pub paid: bool,
    /// Whether it works on signed and encrypted vCons themselves.
    pub any_form: bool,
    /// The link.
    pub link: Arc<dyn Link>,
    /// Runs only where this is true of the vCon.
    pub condition: Option<Program>,
    /// When and how often it is tried again.
    pub retry: RetryPolicy,
    /// How long one execution may take.
    pub timeout: Option<Duration>,
    /// What its final failure means.
    pub on_error: OnError,
    /// What happens to a signed or encrypted vCon, if the link edits.
    pub on_signed: OnSigned,
    /// Not executed: the run was put on its list without it.
    pub skipped: bool,
    /// Its name among what is held. With options of a run's own it is another link: what is wrong with those must stop no
    /// other run.
    pub held_as: String,
}

impl LinkStep {
    /// Whether a configuration fault holds it: a pure link's is the vCon's own.
    pub fn may_be_held(&self) -> bool {
        self.effect == Effect::External
    }

    /// The link's name in the configuration.
    pub fn name(&self) -> &str {
        &self.key.link
    }
}

/// What the final failure of a link means for the run. A configuration fault of an external link is none: the link is
/// held, and the run waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Dead letter.
    Fail,
    /// The chain goes on without it.
    Continue,
    /// The chain ends without storages and egress.
    Stop,
}

/// What a link that edits does with a signed or encrypted vCon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSigned {
    /// It is not executed, and the trace says so.
    Skip,
    /// The run fails.
    Fail,
}

/// A storage in a chain.
#[derive(Clone)]
pub struct StorageStep {
    /// Its name in the configuration.
    pub name: String,
    /// Its module.
    pub module: &'static str,
    /// Writes to it.
    pub writer: Arc<StorageWriter>,
    /// Whether egress and ack wait for it.
    pub required: bool,
    /// When and how often a write is tried again.
    pub retry: RetryPolicy,
}

/// What the section `media` asks for.
pub struct Offload {
    /// A body with more bytes is taken out.
    pub over: u64,
    /// Where it goes: a storage that keeps media.
    pub storage: StorageStep,
}

/// A tracer in a chain.
#[derive(Clone)]
pub struct TracerStep {
    /// Its name.
    pub name: String,
    /// The tracer.
    pub tracer: Arc<dyn Tracer>,
    /// Whether its failure ends the run.
    pub fatal: bool,
}
