//! The plugins of this binary, as an ordinary value.

use std::collections::BTreeMap;

use super::{IngressEntry, LinkEntry, StorageEntry, TracerEntry};

/// All registered plugins by module name.
#[derive(Debug, Default, Clone)]
pub struct Registry {
    /// Links.
    pub links: BTreeMap<&'static str, &'static LinkEntry>,
    /// Storages.
    pub storages: BTreeMap<&'static str, &'static StorageEntry>,
    /// Tracers.
    pub tracers: BTreeMap<&'static str, &'static TracerEntry>,
    /// Ingress adapters.
    pub ingress: BTreeMap<&'static str, &'static IngressEntry>,
}

/// Two plugins claim one name, or there are none at all.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RegistryError {
    /// Two files register one module.
    #[error("module `{module}` is registered by both {first} and {second}; rename one of them")]
    Duplicate {
        /// The module.
        module: &'static str,
        /// One file.
        first: &'static str,
        /// The other file.
        second: &'static str,
    },
    /// Nothing is registered: the binary does not name the plugin crates.
    #[error(
        "no links are registered; the binary must name the plugin crates (`use vconductor_links as _;`), or the \
         linker drops them"
    )]
    Empty,
}

impl Registry {
    /// The link of a module name or an alias.
    pub fn link(&self, module: &str) -> Option<&'static LinkEntry> {
        let alias = || self.links.values().find(|entry| entry.aliases.contains(&module));
        self.links.get(module).or_else(alias).copied()
    }

    /// The storage of a module name or an alias.
    pub fn storage(&self, module: &str) -> Option<&'static StorageEntry> {
        let alias = || self.storages.values().find(|entry| entry.aliases.contains(&module));
        self.storages.get(module).or_else(alias).copied()
    }

    /// The tracer of a module name or an alias.
    pub fn tracer(&self, module: &str) -> Option<&'static TracerEntry> {
        let alias = || self.tracers.values().find(|entry| entry.aliases.contains(&module));
        self.tracers.get(module).or_else(alias).copied()
    }

    /// Collects what is linked into this binary.
    ///
    /// # Errors
    /// If two plugins share a module name, or if there is no link at all.
    pub fn collect() -> Result<Self, RegistryError> {
        let mut registry = Registry::default();
        for entry in inventory::iter::<LinkEntry> {
            add(&mut registry.links, entry.module, entry, |entry| entry.file)?;
        }
        for entry in inventory::iter::<StorageEntry> {
            add(&mut registry.storages, entry.module, entry, |entry| entry.file)?;
        }
        for entry in inventory::iter::<TracerEntry> {
            add(&mut registry.tracers, entry.module, entry, |entry| entry.file)?;
        }
        for entry in inventory::iter::<IngressEntry> {
            add(&mut registry.ingress, entry.module, entry, |entry| entry.file)?;
        }
        if registry.links.is_empty() {
            return Err(RegistryError::Empty);
        }
        Ok(registry)
    }
}

fn add<T>(
    entries: &mut BTreeMap<&'static str, &'static T>,
    module: &'static str,
    entry: &'static T,
    file: fn(&T) -> &'static str,
) -> Result<(), RegistryError> {
    match entries.insert(module, entry) {
        None => Ok(()),
        Some(other) => {
            let (first, second) =
                if file(other) < file(entry) { (file(other), file(entry)) } else { (file(entry), file(other)) };
            Err(RegistryError::Duplicate { module, first, second })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_without_plugins_is_refused() {
        assert_eq!(Registry::collect().unwrap_err(), RegistryError::Empty);
    }
}
