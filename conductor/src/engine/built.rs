//! Plugins that were built, by what they were built from: the next generation goes on with those that it asks for in the
//! same way, with their connections and processes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use vconductor_core::plugin::{Asked, Link, Tracer};

use super::writer::StorageWriter;

/// What one generation built.
#[derive(Clone, Default)]
pub struct Built {
    pub(super) links: Kept<Arc<dyn Link>>,
    pub(super) writers: Kept<Arc<StorageWriter>>,
    pub(super) tracers: Kept<Arc<dyn Tracer>>,
}

/// Plugins of one kind.
#[derive(Clone)]
pub(super) struct Kept<T>(BTreeMap<Origin, T>);

/// A digest of what a plugin was built from; its options may have secrets.
type Origin = [u8; 32];

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept(BTreeMap::new())
    }
}

impl<T: Clone> Kept<T> {
    /// The plugin that was asked for in the same way for the same place, here or in the generation before this one, else a
    /// new one.
    pub(super) fn or_build(
        &mut self,
        before: &Self,
        place: &[&str],
        asked: Asked<'_>,
        build: impl FnOnce(Asked<'_>) -> Option<T>,
    ) -> Option<T> {
        let origin = origin(place, asked);
        let known = self.0.get(&origin).or_else(|| before.0.get(&origin)).cloned();
        let plugin = match known {
            Some(plugin) => plugin,
            None => build(asked)?,
        };
        self.0.insert(origin, plugin.clone());
        Some(plugin)
    }
}

fn origin(place: &[&str], asked: Asked<'_>) -> Origin {
    let what = json!([place, asked.name, asked.module, asked.mode.is_native(), asked.options.node.to_json()]);
    Sha256::digest(what.to_string()).into()
}
