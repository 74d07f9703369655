//! The configurations in a Markdown file.

use std::path::Path;

use vconductor_core::config::markdown::{self, Extent};
use vconductor_core::config::{Code, Finding, Source, Span};
use vconductor_core::plugin::Registry;

use super::super::configuration::Configuration;

/// A block with what was found in it.
pub(super) struct Block {
    /// The file.
    pub(super) file: String,
    /// The line at which its YAML begins.
    pub(super) line: usize,
    /// How much of a configuration it shows.
    pub(super) extent: Extent,
    pub(super) configuration: Configuration,
}

/// Checks every block of a file. Documentation names variables that nobody has set where it is checked, so they count as
/// set.
pub(super) fn check(path: &Path, registry: &Registry, loose: &mut Vec<Finding>) -> Vec<Block> {
    let name = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let source = Source::new(name.clone(), "");
            let message = format!("cannot read `{name}`: {error}");
            loose.push(Finding::error(Code::Unreadable, &Span::new(&source, 0..0), message));
            return Vec::new();
        }
    };
    let blocks = markdown::blocks(&Source::new(name.clone(), text), loose);
    let checked = blocks.into_iter().map(|block| {
        let mut configuration = Configuration::of_text(&name, &block.text, registry);
        if let (Extent::Part, Some(config)) = (block.extent, &configuration.config) {
            configuration.findings = markdown::of_a_part(configuration.findings, config);
        }
        Block { file: name.clone(), line: block.line, extent: block.extent, configuration }
    });
    checked.collect()
}
