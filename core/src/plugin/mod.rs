//! What plugins implement and how they are found.
//!
//! A plugin is one file: an options struct whose doc comments are its manual, the trait, and one
//! registration ([`register_link!`](crate::register_link), [`register_storage!`](crate::register_storage),
//! [`register_tracer!`](crate::register_tracer), [`register_hook!`](crate::register_hook),
//! [`register_ingress!`](crate::register_ingress)). Check, JSON Schema, reference page and command-line
//! listing all follow from that.

mod configure;
mod context;
mod facts;
mod hook;
mod ingress;
mod link;
mod options;
mod probe;
mod registry;
mod services;
mod settable;
mod storage;
mod tracer;

pub use configure::{Asked, Configure};
pub use context::{Checkpoint, LinkContext, Requested, Step};
pub use facts::{Facts, Stops};
pub use hook::{Hook, HookEntry, RunInfo, hooks};
pub use ingress::{Ingress, IngressEntry, IngressPlugin, Spool};
pub use link::{Effect, Link, LinkEntry, LinkPlugin, Outcome};
pub use options::{options_hash, schema_value};
pub use probe::Probe;
pub use registry::{Registry, RegistryError};
pub use services::Services;
pub use settable::settable;
pub use storage::{
    Capabilities, ListPage, ListQuery, Media, MediaStore, SaveItem, Storage, StorageEntry, StoragePlugin,
};
pub use tracer::{Hop, Tracer, TracerEntry, TracerPlugin};

#[doc(hidden)]
pub use inventory;
