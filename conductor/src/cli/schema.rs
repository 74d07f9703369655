//! `schema`: the JSON Schema of a configuration, for editors.

use clap::Args;

use super::exit::{Exit, Result};
use super::output;
use super::plugins;
use crate::reference::configuration_schema;

const ABOUT: &str = "\
Print the JSON Schema of a configuration, for editors

It knows the options of every link, storage, tracer and ingress adapter of this binary, with their meaning. In an editor \
with the YAML language server (VS Code, Neovim, Helix) put this line at the top of a configuration:

  # yaml-language-server: $schema=vconductor.schema.json";

const EXAMPLES: &str = "\
Examples:
  vconductor schema > vconductor.schema.json";

/// Print the JSON Schema of a configuration, for editors
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct PrintSchema {}

impl PrintSchema {
    pub(crate) fn run(&self) -> Result<Exit> {
        output::print_json(&configuration_schema(&plugins::registry()?))?;
        Ok(Exit::Done)
    }
}
