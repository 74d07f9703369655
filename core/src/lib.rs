//! The contract of vConductor: the vCon document, configuration, plugin traits and registries, the
//! queue and store, errors and the layers that wrap every plugin.
//!
//! `core` knows no plugin by name. Links and storages depend on it, the conductor depends on all.

pub mod amend;
pub mod audio;
pub mod clock;
pub mod compare;
pub mod config;
pub mod document;
pub mod error;
pub mod failpoint;
pub mod format;
pub mod http;
pub mod import;
pub mod ingress;
pub mod jose;
pub mod jq;
pub mod language;
pub mod layers;
pub mod media;
pub mod migrate;
pub mod plugin;
pub mod price;
pub mod prior;
pub mod provider;
pub mod recording;
pub mod redact;
pub mod run;
pub mod secret;
pub mod store;
pub mod tls;
pub mod transcript;
pub mod validate;
pub mod vcon;
pub mod wildcard;

pub use error::{Class, Error, Result};
