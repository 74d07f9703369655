//! The ends of a copy: storages of the configuration, files and folders.

use std::path::Path;
use std::sync::Arc;

use vconductor_core::config::{ProcessEnvironment, load_text};
use vconductor_core::plugin::{Asked, Storage};

use crate::cli::bulk::select::Selection;
use crate::cli::bulk::source::Source;
use crate::cli::configuration::Configured;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::plugins;
use crate::cli::replay;

/// One end of a copy.
pub(super) enum Place {
    Storage(Arc<dyn Storage>),
    /// Files of a folder, or one file.
    Files(String),
}

impl Place {
    /// What a name or a path stands for. A storage of the configuration comes before a file of its name.
    pub(super) fn named(name: &str, configured: Option<&Configured>) -> Result<Place> {
        let is_known = configured.is_some_and(|all| all.config().storage(name).is_some());
        if !is_known && (name.contains('/') || Path::new(name).exists()) {
            return Ok(Place::Files(name.to_owned()));
        }
        Ok(Place::Storage(replay::storage(name, configured, false)?))
    }

    /// Whether bytes come out of it as they went in.
    pub(super) fn is_lossless(&self) -> bool {
        match self {
            Place::Storage(storage) => storage.capabilities().lossless,
            Place::Files(_) => true,
        }
    }

    /// The end that is written to. A folder is what `storage.file` makes of it.
    pub(super) fn storage(self, name: &str) -> Result<Arc<dyn Storage>> {
        let path = match self {
            Place::Storage(storage) => return Ok(storage),
            Place::Files(path) => path,
        };
        let refused = |why: &str| Failure::new(Exit::Usage, format!("cannot write to `{name}`: {why}"));
        if Path::new(&path).is_file() {
            return Err(refused("it is a file").help("name a folder"));
        }
        let registry = plugins::registry()?;
        let quoted = serde_json::to_string(&path).unwrap_or_default();
        let text = format!("storages: {{folder: {{module: storage.file, options: {{path: {quoted}}}}}}}\n");
        let loaded = load_text("--to", &text.replace("${", "$${"), &ProcessEnvironment);
        let config = loaded.config.ok_or_else(|| refused("its name cannot be read"))?;
        let written = config.storage("folder").ok_or_else(|| refused("its name cannot be read"))?;
        let asked =
            Asked { name: &written.name, module: &written.module, options: &written.options, mode: &config.mode };
        let entry = registry.storage("storage.file").ok_or_else(|| refused("this binary has no storage.file"))?;
        (entry.configure)(asked, &mut Vec::new()).ok_or_else(|| refused("storage.file does not take it"))
    }

    /// The end that is read from.
    pub(super) fn source(self, name: &str, selection: &Selection) -> Result<Source> {
        match self {
            Place::Files(path) => Ok(Source::Files(vec![path])),
            Place::Storage(storage) => {
                let can = storage.capabilities();
                if !(can.list && can.read) {
                    return Err(Failure::new(
                        Exit::Usage,
                        format!("storage `{name}` cannot list and read what it holds"),
                    )
                    .help("`vconductor describe` of a storage says what it can do"));
                }
                let (since, until) = (selection.since, selection.until);
                Ok(Source::Storage { name: name.to_owned(), storage, since, until })
            }
        }
    }
}
