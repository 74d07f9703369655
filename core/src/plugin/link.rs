//! Links: the processing steps of a chain.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::configure::{Configure, configured};
use super::{Facts, LinkContext, Probe};
use crate::clock::Millis;
use crate::config::{Mode, Options};
use crate::error::{Error, Result};
use crate::http::HttpClient;
use crate::vcon::Vcon;

/// What a step decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The chain goes on.
    Continue,
    /// The chain ends here for this vCon: no storages, no egress (a filter said no). Pushes are kept.
    Stop,
    /// The chain goes on with the vCon of this uuid: links, storages and egress see that one.
    Switch(String),
    /// The run waits outside, without a place or lease, until [`crate::store::Queue::resume`] is called with the
    /// token or the time is over; then the same step is executed again and finds [`LinkContext::resumption`].
    Park {
        /// The name to resume it by; [`LinkContext::effect_id`] gives a unique one.
        token: String,
        /// When it goes on by itself, in milliseconds since the epoch.
        until: Millis,
    },
}

/// Whether a link touches anything outside the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Cheap and repeatable: no ledger entry, no round trip; a resumed run simply runs it again.
    Pure,
    /// Calls, costs or waits: its outcome is written to the ledger and it is never executed again in the same run.
    External,
}

/// One processing step, built once from its options and used for every vCon, concurrently.
#[async_trait]
pub trait Link: Send + Sync {
    /// Works on one vCon. The document is read through `vcon`; changes are requested as edits of `context`
    /// and take effect only if this returns `Ok`.
    ///
    /// # Errors
    /// The class of the error decides: retryable ones are tried again with back-off, others end the run
    /// as a dead letter (or as the chain's `on_error` says).
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome>;

    /// What it tells about itself, so that `check` finds what no single step shows: an analysis before its transcript,
    /// steps behind the end of a chain.
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// Tries what it talks to, for `check --online`: only by calls that cost nothing and leave no trace. Empty: there is
    /// nothing that could be tried so.
    async fn probe(&self, _http: &HttpClient) -> Vec<Probe> {
        Vec::new()
    }
}

/// A link that can be configured: what a plugin author writes.
pub trait LinkPlugin: Link + Sized + 'static {
    /// The module name in YAML, for example `links.tag`.
    const MODULE: &'static str;
    /// Whether it touches anything outside.
    const EFFECT: Effect;
    /// Whether it ever changes the document. A signed or encrypted vCon is never rewritten, so a link that edits
    /// is not executed on one (the chain's `on_signed` decides).
    const EDITS: bool;
    /// Whether its calls cost money: a chain whose `budget` says `on_exceed: skip` skips it once the budget is spent.
    const PAID: bool = false;
    /// Whether it works on signed and encrypted vCons themselves: it is then executed whatever the form.
    const ANY_FORM: bool = false;
    /// One example as YAML, checked by the link suite and shown in the reference: the value under `links:`.
    const EXAMPLE: &'static str;
    /// The options; the doc comment of the struct is the manual, that of a field its row. Field attribute
    /// `#[schemars(extend("x-result" = false))]` marks an option that does not change the result.
    type Options: DeserializeOwned + JsonSchema;
    /// Older module names under which configurations still ask for it.
    const ALIASES: &'static [&'static str] = &[];

    /// Makes today's options of what stands under a module name; for aliases whose options had another form.
    fn adapt(_module: &str, options: Options) -> Options {
        options
    }

    /// Builds the link. Opens no socket and reads no file: it also runs in `check`.
    ///
    /// # Errors
    /// A configuration error with the option's name and what is wrong with its value.
    fn new(name: &str, options: Self::Options) -> Result<Self>;

    /// The link as a configuration of this mode means it; for options that vcon-server gives another effect.
    #[must_use]
    fn for_mode(self, _mode: &Mode) -> Self {
        self
    }
}

/// A registered link.
#[derive(Debug)]
pub struct LinkEntry {
    /// The module name in YAML.
    pub module: &'static str,
    /// Whether it touches anything outside.
    pub effect: Effect,
    /// Whether it ever changes the document.
    pub edits: bool,
    /// Whether its calls cost money.
    pub paid: bool,
    /// Whether it works on signed and encrypted vCons themselves.
    pub any_form: bool,
    /// Example YAML.
    pub example: &'static str,
    /// The source file, for the registry's test and its complaints.
    pub file: &'static str,
    /// The schema of its options.
    pub schema: fn() -> Schema,
    /// Older module names under which configurations still ask for it.
    pub aliases: &'static [&'static str],
    /// Makes today's options of what stands under a module name.
    pub adapt: fn(&str, Options) -> Options,
    /// Builds it from options that were read and checked.
    pub build: fn(&str, Value) -> Result<Arc<dyn Link>>,
    /// Builds it as a configuration asks; `None`: the findings say what is wrong.
    pub configure: Configure<dyn Link>,
}

impl LinkEntry {
    /// The entry of a plugin; const, so that registration is a plain static.
    pub const fn of<P: LinkPlugin>(file: &'static str) -> Self {
        LinkEntry {
            module: P::MODULE,
            effect: P::EFFECT,
            edits: P::EDITS,
            paid: P::PAID,
            any_form: P::ANY_FORM,
            example: P::EXAMPLE,
            file,
            schema: || schema_for!(P::Options),
            build: |name, options| {
                let options = serde_json::from_value(options)
                    .map_err(|error| Error::configuration(format!("link `{name}`: {error}")))?;
                Ok(Arc::new(P::new(name, options)?))
            },
            aliases: P::ALIASES,
            adapt: P::adapt,
            configure: |asked, findings| {
                let plugin = configured(asked, findings, P::adapt, P::new)?;
                Some(Arc::new(plugin.for_mode(asked.mode)) as Arc<dyn Link>)
            },
        }
    }
}

inventory::collect!(LinkEntry);

/// Registers a [`LinkPlugin`] type.
#[macro_export]
macro_rules! register_link {
    ($plugin:ty) => {
        $crate::plugin::inventory::submit! { $crate::plugin::LinkEntry::of::<$plugin>(file!()) }
    };
}
