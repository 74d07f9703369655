//! What configurations are checked against: the plugins of this binary.

use vconductor_core::config::{Catalog, Described, Finding, Kind, Known, Mode, Options, Plugin};
use vconductor_core::jq::{CompileError, Program};
use vconductor_core::plugin::{Asked, Facts, Registry};

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

    fn compile_jq(&self, program: &str) -> Result<(), CompileError> {
        Program::compile(program).map(drop)
    }

    fn link_facts(&self, module: &str, options: &Options, mode: &Mode) -> Facts {
        // What is wrong with the options is told elsewhere.
        let link = self
            .registry
            .link(module)
            .and_then(|entry| (entry.configure)(asked(module, options, mode), &mut Vec::new()));
        link.map(|link| link.facts()).unwrap_or_default()
    }

    fn describe(&self, plugin: &Plugin<'_>) -> Option<Described> {
        let (module, options) = (&**plugin.module, plugin.options.clone());
        let (schema, options) = match plugin.kind {
            Kind::Link => self.registry.link(module).map(|entry| ((entry.schema)(), (entry.adapt)(module, options)))?,
            Kind::Storage => {
                self.registry.storage(module).map(|entry| ((entry.schema)(), (entry.adapt)(module, options)))?
            }
            Kind::Tracer => {
                self.registry.tracer(module).map(|entry| ((entry.schema)(), (entry.adapt)(module, options)))?
            }
            Kind::Ingress => self.registry.ingress.get(module).map(|entry| ((entry.schema)(), options))?,
        };
        Some(Described { schema: schema.to_value(), options })
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
