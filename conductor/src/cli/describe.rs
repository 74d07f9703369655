//! `describe`: the manual of one plugin, from its options struct.

use clap::Args;
use serde_json::Value;
use vconductor_core::plugin::Effect;

use super::exit::{Exit, Result};
use super::output::{self, DIM, Format, STRONG, styled};
use super::plugins::{self, Plugin};
use crate::reference::{OptionRow, manual, option_rows};

const EXAMPLES: &str = "\
Examples:
  vconductor describe links.tag
  vconductor describe webhook
  vconductor describe storage.file --output json     # the JSON Schema of its options";

/// Show what a link, storage, tracer or ingress adapter does, its options and an example
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Describe {
    /// The module name, for example `links.tag`; `tag` is enough where it is unambiguous
    module: String,
    /// The form of the output; `json` and `jsonl` give the JSON Schema of the options
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

impl Describe {
    pub(crate) fn run(&self) -> Result<Exit> {
        let plugin = plugins::find(&plugins::registry()?, &self.module)?;
        let schema = schema(plugin);
        match self.output {
            Format::Table => output::print(&text(plugin, &schema, output::width()))?,
            Format::Json => output::print_json(&schema)?,
            Format::Jsonl => output::print_jsonl([&schema])?,
        }
        Ok(Exit::Done)
    }
}

fn schema(plugin: Plugin) -> Value {
    match plugin {
        Plugin::Link(entry) => (entry.schema)(),
        Plugin::Storage(entry) => (entry.schema)(),
        Plugin::Tracer(entry) => (entry.schema)(),
        Plugin::Ingress(entry) => (entry.schema)(),
    }
    .to_value()
}

fn text(plugin: Plugin, schema: &Value, width: usize) -> String {
    let (module, section, example) = match plugin {
        Plugin::Link(entry) => (entry.module, "links", entry.example),
        Plugin::Storage(entry) => (entry.module, "storages", entry.example),
        Plugin::Tracer(entry) => (entry.module, "tracers", ""),
        Plugin::Ingress(entry) => (entry.module, "ingress", entry.example),
    };
    let mut text = format!("{}  {}\n\n", styled(STRONG, module), styled(DIM, facts(plugin)));
    for paragraph in manual(schema).split("\n\n") {
        push_wrapped(&mut text, paragraph, "", width);
        text.push('\n');
    }
    let rows = option_rows(schema);
    if !rows.is_empty() {
        text.push_str(&format!("{}\n", styled(STRONG, "Options")));
        for row in &rows {
            push_option(&mut text, row, width);
        }
        text.push('\n');
    }
    if !example.is_empty() {
        text.push_str(&format!("{}\n  {section}:\n", styled(STRONG, "Example")));
        for line in example.trim_matches('\n').lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// What the engine must know of it, in a few words.
fn facts(plugin: Plugin) -> String {
    match plugin {
        Plugin::Link(entry) => {
            let effect = match entry.effect {
                Effect::Pure => "pure: repeated freely, no ledger entry",
                Effect::External => "external: never done twice in one run",
            };
            format!("link, {effect}; {}", if entry.edits { "edits the document" } else { "never edits the document" })
        }
        Plugin::Storage(_) => "storage".to_owned(),
        Plugin::Tracer(_) => "tracer".to_owned(),
        Plugin::Ingress(_) => "ingress adapter".to_owned(),
    }
}

fn push_option(text: &mut String, row: &OptionRow, width: usize) {
    let fallback = match (row.required, row.default.as_str()) {
        (true, _) => ", required".to_owned(),
        (false, "" | "null") => String::new(),
        (false, default) => format!(", default {default}"),
    };
    text.push_str(&format!("  {} {}\n", styled(STRONG, &row.name), styled(DIM, format!("({}{fallback})", row.kind))));
    push_wrapped(text, &row.description, "      ", width);
}

/// Adds a paragraph, broken between words; lines of an indented block stay as they are.
fn push_wrapped(text: &mut String, paragraph: &str, indent: &str, width: usize) {
    if paragraph.lines().any(|line| line.starts_with([' ', '-', '|', '`', '*'])) {
        for line in paragraph.lines() {
            text.push_str(&format!("{indent}{line}\n"));
        }
        return;
    }
    let mut used = 0;
    for word in paragraph.split_whitespace() {
        let length = word.chars().count();
        if used == 0 {
            text.push_str(indent);
            used = indent.len();
        } else if used + 1 + length > width.clamp(40, 100) {
            text.push('\n');
            text.push_str(indent);
            used = indent.len();
        } else {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += length;
    }
    if used > 0 {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_between_words() {
        let mut text = String::new();
        push_wrapped(&mut text, &"word ".repeat(20), "  ", 40);
        assert!(text.lines().all(|line| line.len() <= 40 && line.starts_with("  word")));
        assert_eq!(text.lines().count(), 3);
    }
}
