//! `list`: the plugins of this binary.

use clap::{Args, ValueEnum};
use comfy_table::Cell;
use serde::Serialize;
use vconductor_core::plugin::{Effect, Registry};

use super::exit::{Exit, Result};
use super::output::{self, Format};
use super::plugins;
use crate::reference::summary;

const EXAMPLES: &str = "\
Examples:
  vconductor list
  vconductor list storages
  vconductor list links --output jsonl | jq -r .module";

/// List the links, storages, tracers and ingress adapters of this binary
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    /// Only this kind
    #[arg(value_enum)]
    kind: Option<Kind>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Links,
    Storages,
    Tracers,
    Ingress,
}

/// One plugin as it is listed.
#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    module: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
    summary: String,
}

impl List {
    pub(crate) fn run(&self) -> Result<Exit> {
        let rows = rows(&plugins::registry()?, self.kind);
        match self.output {
            Format::Table => output::print(&text(&rows))?,
            Format::Json => output::print_json(&rows)?,
            Format::Jsonl => output::print_jsonl(&rows)?,
        }
        Ok(Exit::Done)
    }
}

fn rows(registry: &Registry, kind: Option<Kind>) -> Vec<Row> {
    let wanted = |one| kind.is_none_or(|kind| kind == one);
    let mut rows = Vec::new();
    if wanted(Kind::Links) {
        rows.extend(registry.links.values().map(|entry| Row {
            kind: "link",
            module: entry.module,
            effect: Some(effect(entry.effect)),
            summary: summary((entry.schema)().as_value()),
        }));
    }
    if wanted(Kind::Storages) {
        rows.extend(registry.storages.values().map(|entry| Row {
            kind: "storage",
            module: entry.module,
            effect: None,
            summary: summary((entry.schema)().as_value()),
        }));
    }
    if wanted(Kind::Tracers) {
        rows.extend(registry.tracers.values().map(|entry| Row {
            kind: "tracer",
            module: entry.module,
            effect: None,
            summary: summary((entry.schema)().as_value()),
        }));
    }
    if wanted(Kind::Ingress) {
        rows.extend(registry.ingress.values().map(|entry| Row {
            kind: "ingress",
            module: entry.module,
            effect: None,
            summary: summary((entry.schema)().as_value()),
        }));
    }
    rows
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Pure => "pure",
        Effect::External => "external",
    }
}

fn text(rows: &[Row]) -> String {
    let mut table = output::table(&["MODULE", "KIND", "EFFECT", "WHAT IT DOES"]);
    for row in rows {
        table.add_row([row.module, row.kind, row.effect.unwrap_or("-"), &row.summary].map(Cell::new));
    }
    output::table_text(&table)
}
