//! Tracers: observers of every hop, for audit.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Probe;
use super::configure::{Configure, configured};
use crate::config::Options;
use crate::error::{Error, Result};
use crate::http::HttpClient;
use crate::vcon::Vcon;

/// One hop of a vCon.
#[derive(Debug)]
pub struct Hop<'a> {
    /// The vCon's uuid before the hop.
    pub uuid_in: &'a str,
    /// And after it; another one after a switch.
    pub uuid_out: &'a str,
    /// The chain.
    pub chain: &'a str,
    /// The names of the chain's steps.
    pub links: &'a [String],
    /// Index of the step that was done; -1 before the first one, as vcon-server counts.
    pub index: isize,
    /// The document after the hop.
    pub vcon: &'a Vcon,
}

/// An observer. It cannot change the vCon.
#[async_trait]
pub trait Tracer: Send + Sync {
    /// Sees one hop. Errors are logged and counted; with the option `dlq_vcon_on_error: true` they end the run.
    async fn trace(&self, hop: &Hop<'_>) -> Result<()>;

    /// Tries what it talks to, for `check --online`: only by calls that cost nothing and leave no trace. Empty: there is
    /// nothing that could be tried so.
    async fn probe(&self, _http: &HttpClient) -> Vec<Probe> {
        Vec::new()
    }
}

/// A tracer that can be configured.
pub trait TracerPlugin: Tracer + Sized + 'static {
    /// The module name in YAML, for example `tracers.jlinc`.
    const MODULE: &'static str;
    /// The options.
    type Options: DeserializeOwned + JsonSchema;
    /// Older module names under which configurations still ask for it.
    const ALIASES: &'static [&'static str] = &[];

    /// Makes today's options of what stands under a module name; for aliases whose options had another form.
    fn adapt(_module: &str, options: Options) -> Options {
        options
    }

    /// Builds the tracer without opening a socket.
    ///
    /// # Errors
    /// A configuration error with the option's name.
    fn new(name: &str, options: Self::Options) -> Result<Self>;
}

/// A registered tracer.
#[derive(Debug)]
pub struct TracerEntry {
    /// The module name in YAML.
    pub module: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The schema of its options.
    pub schema: fn() -> Schema,
    /// Older module names under which configurations still ask for it.
    pub aliases: &'static [&'static str],
    /// Makes today's options of what stands under a module name.
    pub adapt: fn(&str, Options) -> Options,
    /// Builds it from options that were read and checked.
    pub build: fn(&str, Value) -> Result<Arc<dyn Tracer>>,
    /// Builds it as a configuration asks; `None`: the findings say what is wrong.
    pub configure: Configure<dyn Tracer>,
}

impl TracerEntry {
    /// The entry of a plugin.
    pub const fn of<P: TracerPlugin>(file: &'static str) -> Self {
        TracerEntry {
            module: P::MODULE,
            file,
            schema: || schema_for!(P::Options),
            build: |name, options| {
                let options = serde_json::from_value(options)
                    .map_err(|error| Error::configuration(format!("tracer `{name}`: {error}")))?;
                Ok(Arc::new(P::new(name, options)?))
            },
            aliases: P::ALIASES,
            adapt: P::adapt,
            configure: |asked, findings| {
                configured(asked, findings, P::adapt, P::new).map(|plugin| Arc::new(plugin) as Arc<dyn Tracer>)
            },
        }
    }
}

inventory::collect!(TracerEntry);

/// Registers a [`TracerPlugin`] type.
#[macro_export]
macro_rules! register_tracer {
    ($plugin:ty) => {
        $crate::plugin::inventory::submit! { $crate::plugin::TracerEntry::of::<$plugin>(file!()) }
    };
}
