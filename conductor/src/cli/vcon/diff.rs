//! `vcon diff`: what differs between two vCons.

use clap::Args;
use comfy_table::{Cell, Color};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use vconductor_core::compare::{Change, Difference, Part, Seen, compare};
use vconductor_core::document::View;

use super::files;
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format, plain};

const EXAMPLES: &str = "\
Examples:
  vconductor vcon diff before.vcon after.vcon
  vconductor vcon diff before.vcon after.vcon --output json
  vconductor vcon convert old.vcon | vconductor vcon diff old.vcon -

Exit codes:
  0 the same   1 they differ   65 a file cannot be read";

/// Values up to this size are shown; of larger ones size and hash.
const SHOWN: usize = 80;

/// Show what differs between two vCons
///
/// Compares meaning, not spelling: white space, the order of members and escapes do not count. Elements of lists are
/// compared by their places.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// The first vCon; - for stdin
    #[arg(value_name = "BEFORE")]
    before: String,
    /// The second vCon; - for stdin
    #[arg(value_name = "AFTER")]
    after: String,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

/// A difference as JSON shows it.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Shown {
    change: Change,
    part: Part,
    pointer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Value>,
}

impl Diff {
    pub(crate) fn run(&self) -> Result<Exit> {
        let read = |file: &str| files::read(file).map_err(|failure| failure.within(file));
        let (before, after) = (read(&self.before)?, read(&self.after)?);
        let differences = compare(before.document(), after.document());
        match self.output {
            Format::Table if differences.is_empty() => output::say("no differences"),
            Format::Table => output::print(&table(&differences))?,
            Format::Json => output::print_json(&differences.iter().map(shown).collect::<Vec<_>>())?,
            Format::Jsonl => output::print_jsonl(differences.iter().map(shown))?,
        }
        Ok(if differences.is_empty() { Exit::Done } else { Exit::Findings })
    }
}

/// A difference in one line, for people.
pub(in crate::cli) fn line(difference: &Difference<'_>) -> String {
    let pointer = plain(&difference.pointer);
    match (&difference.before, &difference.after) {
        (None, Some(after)) => format!("+ {pointer} {}", text(after)),
        (Some(before), None) => format!("- {pointer} {}", text(before)),
        (Some(before), Some(after)) => format!("~ {pointer} {} -> {}", text(before), text(after)),
        (None, None) => pointer,
    }
}

fn table(differences: &[Difference<'_>]) -> String {
    let mut table = output::table(&["CHANGE", "WHAT", "WHERE", "BEFORE", "AFTER"]);
    for difference in differences {
        let (colour, change) = match difference.change {
            Change::Added => (Color::Green, "added"),
            Change::Removed => (Color::Red, "removed"),
            Change::Changed => (Color::Yellow, "changed"),
        };
        let part = match difference.part {
            Part::Member => "member",
            Part::Party => "party",
            Part::Dialog => "dialog",
            Part::Analysis => "analysis",
            Part::Attachment => "attachment",
            Part::Tag => "tag",
        };
        let text = |seen: &Option<Seen<'_>>| Cell::new(seen.as_ref().map_or_else(|| "-".to_owned(), text));
        table.add_row([
            Cell::new(change).fg(colour),
            Cell::new(part),
            Cell::new(plain(&difference.pointer)),
            text(&difference.before),
            text(&difference.after),
        ]);
    }
    output::table_text(&table)
}

fn text(seen: &Seen<'_>) -> String {
    match seen {
        Seen::Tag(tag) => plain(&name_and_value(tag)),
        Seen::Value(view) => {
            let text = view.text();
            match text.len() {
                0..=SHOWN => plain(&text),
                size => format!("{} of {size} bytes, sha256 {}", view.kind().as_str(), &hash(*view)[..12]),
            }
        }
    }
}

fn name_and_value(tag: &vconductor_core::document::Tag) -> String {
    match &tag.value {
        Some(value) => format!("{}:{value}", tag.name),
        None => tag.name.clone(),
    }
}

/// A difference, for machines.
pub(in crate::cli) fn shown(difference: &Difference<'_>) -> Shown {
    let value = |seen: &Seen<'_>| match seen {
        Seen::Tag(tag) => name_and_value(tag).into(),
        Seen::Value(view) => match view.text().len() {
            0..=SHOWN => view.to_value(),
            size => json!({"bytes": size, "sha256": hash(*view)}),
        },
    };
    Shown {
        change: difference.change,
        part: difference.part,
        pointer: difference.pointer.clone(),
        before: difference.before.as_ref().map(value),
        after: difference.after.as_ref().map(value),
    }
}

/// Of the JSON text as it is written.
fn hash(view: View<'_>) -> String {
    Sha256::digest(view.text().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
