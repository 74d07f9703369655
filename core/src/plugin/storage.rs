//! Storages: where finished vCons are written to.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::configure::{Asked, Configure, configured};
use crate::clock::Millis;
use crate::config::{Finding, Options};
use crate::error::{Error, Result};
use crate::vcon::Vcon;

/// What a storage can do; what it cannot, it declares here, and tests are chosen by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// A document comes out byte for byte as it went in.
    pub lossless: bool,
    /// `load` works.
    pub read: bool,
    /// `delete` works.
    pub delete: bool,
    /// `list` works.
    pub list: bool,
    /// An older revision is refused silently; false only where the far side keeps no revision (a webhook).
    pub revisions: bool,
}

/// One vCon to write.
#[derive(Debug, Clone)]
pub struct SaveItem {
    /// Its uuid, lower-case with hyphens.
    pub uuid: String,
    /// Its revision; a storage that holds a higher one keeps that and reports success.
    pub revision: u64,
    /// The document.
    pub vcon: Arc<Vcon>,
    /// The idempotency key of this write in this run.
    pub effect_id: String,
}

/// Which documents to list.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// `created_at` at or after this, in milliseconds since the epoch.
    pub since: Option<Millis>,
    /// `created_at` before this.
    pub until: Option<Millis>,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// A page of uuids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// Uuids, oldest first. A storage that knows days only gives a day in any order that lasts.
    pub uuids: Vec<String>,
    /// Where the next page starts; `None` after the last one.
    pub cursor: Option<String>,
}

/// A place that finished vCons are written to; built once, used concurrently.
#[async_trait]
pub trait Storage: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Writes one vCon: an upsert by uuid and revision. Durable when it returns, unless an option says otherwise.
    async fn save(&self, item: &SaveItem) -> Result<()>;

    /// Writes several, in one statement where the backend can; one result per item.
    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            results.push(self.save(item).await);
        }
        results
    }

    /// The document of a uuid, `None` if there is none.
    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        Err(unsupported("load", uuid))
    }

    /// Deletes a document; false if there was none.
    async fn delete(&self, uuid: &str) -> Result<bool> {
        Err(unsupported("delete", uuid))
    }

    /// Lists uuids by time.
    async fn list(&self, _query: &ListQuery) -> Result<ListPage> {
        Err(Error::permanent("this storage cannot list").help("use a storage whose capabilities include `list`"))
    }

    /// Tries the backend the way real use does, without leaving a trace.
    async fn health(&self) -> Result<()>;

    /// Where it keeps media apart from documents; `None` where it keeps documents only.
    fn media(&self) -> Option<&dyn MediaStore> {
        None
    }
}

/// Content that was taken out of a document.
#[derive(Debug, Clone)]
pub struct Media {
    /// Its hash as the draft writes it: `sha512-` and 86 characters of base64url
    /// ([`content_hash`](crate::audio::content_hash)).
    pub hash: String,
    /// The content itself, not its base64.
    pub content: Bytes,
    /// Its media type, where the document says one.
    pub mediatype: Option<String>,
}

/// Media by content: what has the same hash is kept once, whatever vCons refer to it.
#[async_trait]
pub trait MediaStore: Send + Sync {
    /// Keeps content, unless it is there already; answers the URL that a vCon says for it. Durable when it returns.
    ///
    /// # Errors
    /// Those of a save.
    async fn keep(&self, media: &Media) -> Result<String>;

    /// Whether [`keep`](Self::keep) answers this URL for content of this hash.
    fn is_at(&self, url: &str, hash: &str) -> bool;

    /// The content of a hash, compared with it; `None` if there is none.
    ///
    /// # Errors
    /// Permanent, when the hash is no SHA-512 as the draft writes it, or what is kept under it is something else.
    async fn fetch(&self, hash: &str) -> Result<Option<Bytes>>;
}

fn unsupported(what: &str, uuid: &str) -> Error {
    Error::permanent(format!("this storage cannot {what} `{uuid}`"))
        .help(format!("use a storage whose capabilities include `{what}`"))
}

/// A storage that can be configured: what a plugin author writes.
pub trait StoragePlugin: Storage + Sized + 'static {
    /// The module name in YAML, for example `storage.file`.
    const MODULE: &'static str;
    /// One example as YAML: the value under `storages:`.
    const EXAMPLE: &'static str;
    /// The options; doc comments are the manual.
    type Options: DeserializeOwned + JsonSchema;
    /// Older module names under which configurations still ask for it.
    const ALIASES: &'static [&'static str] = &[];

    /// Makes today's options of what stands under a module name; for aliases whose options had another form.
    fn adapt(_module: &str, options: Options) -> Options {
        options
    }

    /// Makes of the options what vcon-server makes of them, where it does something else than they say, and names each
    /// difference in `findings`. Asked in compatibility mode only.
    fn compatible(options: Options, _findings: &mut Vec<Finding>) -> Options {
        options
    }

    /// Builds the storage. Opens no socket and touches no file: it also runs in `check`.
    ///
    /// # Errors
    /// A configuration error with the option's name and what is wrong with its value.
    fn new(name: &str, options: Self::Options) -> Result<Self>;
}

/// A registered storage.
#[derive(Debug)]
pub struct StorageEntry {
    /// The module name in YAML.
    pub module: &'static str,
    /// Example YAML.
    pub example: &'static str,
    /// The source file.
    pub file: &'static str,
    /// The schema of its options.
    pub schema: fn() -> Schema,
    /// Older module names under which configurations still ask for it.
    pub aliases: &'static [&'static str],
    /// Makes today's options of what stands under a module name.
    pub adapt: fn(&str, Options) -> Options,
    /// Builds it from options that were read and checked.
    pub build: fn(&str, Value) -> Result<Arc<dyn Storage>>,
    /// Builds it as a configuration asks; `None`: the findings say what is wrong.
    pub configure: Configure<dyn Storage>,
}

impl StorageEntry {
    /// The entry of a plugin; const, so that registration is a plain static.
    pub const fn of<P: StoragePlugin>(file: &'static str) -> Self {
        StorageEntry {
            module: P::MODULE,
            example: P::EXAMPLE,
            file,
            schema: || schema_for!(P::Options),
            build: |name, options| {
                let options = serde_json::from_value(options)
                    .map_err(|error| Error::configuration(format!("storage `{name}`: {error}")))?;
                Ok(Arc::new(P::new(name, options)?))
            },
            aliases: P::ALIASES,
            adapt: P::adapt,
            configure: |asked, findings| {
                let mut options = P::adapt(asked.module, asked.options.clone());
                if !asked.mode.is_native() {
                    options = P::compatible(options, findings);
                }
                let adapted = Asked { options: &options, ..asked };
                configured(adapted, findings, |_, options| options, P::new)
                    .map(|plugin| Arc::new(plugin) as Arc<dyn Storage>)
            },
        }
    }
}

inventory::collect!(StorageEntry);

/// Registers a [`StoragePlugin`] type.
#[macro_export]
macro_rules! register_storage {
    ($plugin:ty) => {
        $crate::plugin::inventory::submit! { $crate::plugin::StorageEntry::of::<$plugin>(file!()) }
    };
}
