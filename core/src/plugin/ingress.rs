//! Ingress adapters: what is known of one vendor's requests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Probe;
use super::configure::{Configure, configured};
use crate::config::Options;
use crate::error::{Error, Result};
use crate::http::HttpClient;
use crate::ingress::{Answer, Call, Delivery, Event, Fetcher, Media, Recording, Refused};

/// One vendor, as an operator has set it up. What is told here is all that differs between vendors.
#[async_trait]
pub trait Ingress: Send + Sync {
    /// Whether the delivery comes from the vendor, and is fresh where the vendor signs a time. It sees the request as it
    /// came, compares in constant time, and lets nothing through that it cannot prove.
    ///
    /// # Errors
    /// Unproved.
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused>;

    /// What the delivery says; nothing, when it is about something that makes no conversation. A function of the delivery
    /// alone: bounded in time, and without panics whatever the bytes are.
    ///
    /// # Errors
    /// Unreadable: it is not what the vendor's documentation describes.
    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused>;

    /// What the vendor wants to hear when the events are stored.
    fn answer(&self, _delivery: &Delivery) -> Answer {
        Answer::EMPTY
    }

    /// Asks the vendor who spoke in a recording, when no event has told. `None`: this vendor cannot be asked.
    ///
    /// # Errors
    /// Of the call; retryable ones are tried again.
    async fn call(&self, _recording: &Recording, _fetcher: &Fetcher) -> Result<Option<Call>> {
        Ok(None)
    }

    /// Gets the bytes of a recording or of what came with a message, from the vendor's hosts only.
    ///
    /// # Errors
    /// Of the call: retryable while it may be there later, permanent when it is gone or elsewhere, configuration when the
    /// vendor refuses our credentials.
    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes>;

    /// Tries what it asks the vendor with, for `check --online`: only by calls that cost nothing and leave no trace. Empty:
    /// there is nothing that could be tried so.
    async fn probe(&self, _http: &HttpClient) -> Vec<Probe> {
        Vec::new()
    }

    /// The folder whose files are taken; `None`: what comes are requests.
    fn spool(&self) -> Option<&dyn Spool> {
        None
    }
}

/// A folder whose files are taken.
pub trait Spool: Send + Sync {
    /// The folder.
    fn folder(&self) -> &Path;

    /// How long a file must not have changed before it is taken.
    fn settled_after(&self) -> Duration;

    /// Where files are moved when their vCons are made; `None`: they are deleted.
    fn done(&self) -> Option<&Path>;

    /// What a file is. `hash` is of its content.
    fn event(&self, name: &str, hash: &str, modified: Timestamp) -> Event;
}

/// An adapter that can be configured: what a plugin author writes.
pub trait IngressPlugin: Ingress + Sized + 'static {
    /// The module name in YAML, for example `ingress.twilio`.
    const MODULE: &'static str;
    /// One example as YAML, checked by a test and shown in the reference: the value under `ingress:`.
    const EXAMPLE: &'static str;
    /// The options; the doc comment of the struct is the manual, that of a field its row.
    type Options: DeserializeOwned + JsonSchema;

    /// Builds the adapter. Opens no socket and reads no file: it also runs in `check`.
    ///
    /// # Errors
    /// A configuration error with the option's name in backticks and what is wrong with its value.
    fn new(name: &str, options: Self::Options) -> Result<Self>;
}

/// A registered adapter.
#[derive(Debug)]
pub struct IngressEntry {
    /// The module name in YAML.
    pub module: &'static str,
    /// Example YAML.
    pub example: &'static str,
    /// The source file, for the registry's test and its complaints.
    pub file: &'static str,
    /// The schema of its options.
    pub schema: fn() -> Schema,
    /// Builds it from options that were read and checked.
    pub build: fn(&str, Value) -> Result<Arc<dyn Ingress>>,
    /// Builds it as a configuration asks; `None`: the findings say what is wrong.
    pub configure: Configure<dyn Ingress>,
}

impl IngressEntry {
    /// The entry of a plugin; const, so that registration is a plain static.
    pub const fn of<P: IngressPlugin>(file: &'static str) -> Self {
        IngressEntry {
            module: P::MODULE,
            example: P::EXAMPLE,
            file,
            schema: || schema_for!(P::Options),
            build: |name, options| {
                let options = serde_json::from_value(options)
                    .map_err(|error| Error::configuration(format!("ingress `{name}`: {error}")))?;
                Ok(Arc::new(P::new(name, options)?))
            },
            configure: |asked, findings| {
                let same = |_: &str, options: Options| options;
                Some(Arc::new(configured(asked, findings, same, P::new)?) as Arc<dyn Ingress>)
            },
        }
    }
}

inventory::collect!(IngressEntry);

/// Registers an [`IngressPlugin`] type.
#[macro_export]
macro_rules! register_ingress {
    ($plugin:ty) => {
        $crate::plugin::inventory::submit! { $crate::plugin::IngressEntry::of::<$plugin>(file!()) }
    };
}
