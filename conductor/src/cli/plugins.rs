//! The plugins that are linked into this binary, and finding one by its name.

use vconductor_core::config::nearest;
use vconductor_core::plugin::{IngressEntry, LinkEntry, Registry, StorageEntry, TracerEntry};

use super::exit::{Exit, Failure, Result};

/// All plugins of this binary.
pub(crate) fn registry() -> Result<Registry> {
    // Only a badly built binary gets here; the message says how to build it.
    Registry::collect().map_err(|error| Failure::new(Exit::Configuration, error.to_string()))
}

/// One plugin.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Plugin {
    /// A link.
    Link(&'static LinkEntry),
    /// A storage.
    Storage(&'static StorageEntry),
    /// A tracer.
    Tracer(&'static TracerEntry),
    /// An ingress adapter.
    Ingress(&'static IngressEntry),
}

/// The plugin of a module name; its prefix (`links.`, `storage.`, `tracers.`, `ingress.`) may be left out where that is unambiguous.
pub(crate) fn find(registry: &Registry, name: &str) -> Result<Plugin> {
    let all = || {
        let links = registry.links.iter().map(|(module, entry)| (*module, Plugin::Link(entry)));
        let storages = registry.storages.iter().map(|(module, entry)| (*module, Plugin::Storage(entry)));
        let tracers = registry.tracers.iter().map(|(module, entry)| (*module, Plugin::Tracer(entry)));
        let ingress = registry.ingress.iter().map(|(module, entry)| (*module, Plugin::Ingress(entry)));
        links.chain(storages).chain(tracers).chain(ingress)
    };
    if let Some((_, plugin)) = all().find(|(module, _)| *module == name) {
        return Ok(plugin);
    }
    let short: Vec<_> = all().filter(|(module, _)| module.rsplit('.').next() == Some(name)).collect();
    match short.as_slice() {
        [(_, plugin)] => return Ok(*plugin),
        [] => {}
        several => {
            let names: Vec<_> = several.iter().map(|(module, _)| format!("`{module}`")).collect();
            return Err(Failure::new(Exit::Usage, format!("`{name}` may be {}", names.join(" or "))));
        }
    }
    let modules: Vec<&str> = all().map(|(module, _)| module).collect();
    let shorts: Vec<&str> = modules.iter().filter_map(|module| module.rsplit('.').next()).collect();
    let guess = nearest(name, &modules).or_else(|| nearest(name, &shorts));
    let help = match guess {
        Some(guess) => format!("did you mean `{guess}`? `vconductor list` shows all"),
        None => "`vconductor list` shows all".to_owned(),
    };
    Err(Failure::new(Exit::Usage, format!("there is no plugin `{name}` in this binary")).help(help))
}
