//! Hooks: points around a run, and at the HTTP API, at which a program that embeds vConductor looks in, or says no.
//!
//! vcon-server has three of them, filled in by replacing a file when its image is built; here they are registered like
//! plugins. Unlike a tracer a hook is not configured: it sees every chain.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::Outcome;
use crate::error::{Error, Result};
use crate::run::RunId;

/// Which run a hook is called for.
#[derive(Debug, Clone, Copy)]
pub struct RunInfo<'a> {
    /// The vCon that the run works on now.
    pub uuid: &'a str,
    /// The run.
    pub run: RunId,
    /// The chain.
    pub chain: &'a str,
    /// The list that it was taken from.
    pub list: &'a str,
    /// 1 for the first passage of the run.
    pub attempt: u32,
}

/// Called around runs and links, and for vCons that come and go; every method has a default that does nothing.
#[async_trait]
pub trait Hook: Send + Sync {
    /// Before a passage. False: the run is stopped, without links, storages and egress; the report counts it.
    ///
    /// # Errors
    /// As those of a link: retried, or a dead letter.
    async fn before_run(&self, _run: RunInfo<'_>) -> Result<bool> {
        Ok(true)
    }

    /// After a link was executed.
    async fn after_link(&self, _run: RunInfo<'_>, _link: &str, _result: std::result::Result<&Outcome, &Error>) {}

    /// After a passage, before its end is committed: `done`, `stopped`, `retried`, `parked`, `waited` or `dead`.
    async fn after_run(&self, _run: RunInfo<'_>, _end: &str) {}

    /// After the HTTP API took in a vCon for these lists (`on_vcon_created` of vcon-server's `vcon_hook`). The answer does
    /// not wait for it, and it is not repeated: what must not be missed is a chain on the list.
    async fn vcon_created(&self, _uuid: &str, _document: &Bytes, _lists: &[String]) {}

    /// After the HTTP API deleted a vCon (`on_vcon_deleted`); as [`Hook::vcon_created`].
    async fn vcon_deleted(&self, _uuid: &str) {}
}

/// A registered hook.
#[derive(Debug)]
pub struct HookEntry {
    /// The source file.
    pub file: &'static str,
    /// Makes it.
    pub build: fn() -> Arc<dyn Hook>,
}

impl HookEntry {
    /// The entry of a hook; const, so that registration is a plain static.
    pub const fn of<H: Hook + Default + 'static>(file: &'static str) -> Self {
        HookEntry { file, build: || Arc::new(H::default()) }
    }
}

inventory::collect!(HookEntry);

/// The hooks of this binary, in the order of their files.
pub fn hooks() -> Vec<Arc<dyn Hook>> {
    let mut entries: Vec<_> = inventory::iter::<HookEntry>.into_iter().collect();
    entries.sort_by_key(|entry| entry.file);
    entries.into_iter().map(|entry| (entry.build)()).collect()
}

/// Registers a [`Hook`] type that has a `Default`.
#[macro_export]
macro_rules! register_hook {
    ($hook:ty) => {
        $crate::plugin::inventory::submit! { $crate::plugin::HookEntry::of::<$hook>(file!()) }
    };
}
