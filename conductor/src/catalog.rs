//! What configurations are checked against: the plugins of this binary.

use vconductor_core::config::{Catalog, Finding, Known, Mode, Options};
use vconductor_core::jq::Program;
use vconductor_core::plugin::{Asked, Registry};

/// The registry as the configuration check asks it.
#[derive(Debug, Clone, Copy)]
pub struct PluginCatalog<'a> {
    registry: &'a Registry,
}

impl<'a> PluginCatalog<'a> {
    /// The catalog of a registry.
    pub fn new(registry: &'a Registry) -> Self {
        PluginCatalog { registry }
    }
}

/// Options are checked by building the plugin, which opens no socket: so that `check` and `run` agree.
impl Catalog for PluginCatalog<'_> {
    fn check_link_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known {
        let entry = self.registry.link(module);
        known(entry.map(|entry| drop((entry.configure)(asked(module, options, mode), findings))))
    }

    fn check_storage_options(
        &self,
        module: &str,
        options: &Options,
        mode: &Mode,
        findings: &mut Vec<Finding>,
    ) -> Known {
        let entry = self.registry.storage(module);
        known(entry.map(|entry| drop((entry.configure)(asked(module, options, mode), findings))))
    }

    fn check_tracer_options(&self, module: &str, options: &Options, mode: &Mode, findings: &mut Vec<Finding>) -> Known {
        let entry = self.registry.tracer(module);
        known(entry.map(|entry| drop((entry.configure)(asked(module, options, mode), findings))))
    }

    fn link_modules(&self) -> Vec<String> {
        let aliases = self.registry.links.values().flat_map(|entry| entry.aliases);
        self.registry.links.keys().chain(aliases).map(|module| (*module).to_owned()).collect()
    }

    fn storage_modules(&self) -> Vec<String> {
        let aliases = self.registry.storages.values().flat_map(|entry| entry.aliases);
        self.registry.storages.keys().chain(aliases).map(|module| (*module).to_owned()).collect()
    }

    fn tracer_modules(&self) -> Vec<String> {
        let aliases = self.registry.tracers.values().flat_map(|entry| entry.aliases);
        self.registry.tracers.keys().chain(aliases).map(|module| (*module).to_owned()).collect()
    }

    fn compile_jq(&self, program: &str) -> Result<(), String> {
        Program::compile(program).map(drop).map_err(|error| error.to_string())
    }
}

/// The options' path, `links.<name>.options`, names the plugin.
fn asked<'a>(module: &'a str, options: &'a Options, mode: &'a Mode) -> Asked<'a> {
    let inner = options.path.split_once('.').and_then(|(_, rest)| rest.strip_suffix(".options"));
    let name = inner.unwrap_or(module);
    Asked { name, module, options, mode }
}

fn known(found: Option<()>) -> Known {
    match found {
        Some(()) => Known::Yes,
        None => Known::No,
    }
}
