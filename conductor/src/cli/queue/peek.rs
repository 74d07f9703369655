//! `queue peek`: what comes next.

use clap::Args;
use comfy_table::Cell;
use serde_json::json;
use vconductor_core::store::Queued;

use super::warn_of_unknown;
use crate::cli::age;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format, number};

const EXAMPLES: &str = "\
Examples:
  vconductor queue peek calls
  vconductor queue peek calls --limit 1 --output json | jq -r '.[].uuid'";

/// Show the runs at the head of a list without touching them
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Peek {
    /// The list
    #[arg(value_name = "LIST")]
    list: String,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    common: Common,
}

impl Peek {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        let head = desk.store.peek(&self.list, self.limit).await?;
        if head.is_empty() {
            warn_of_unknown(&self.list, &*desk.store, desk.configured.as_ref()).await?;
        }
        let values = || head.iter().map(value);
        match self.common.output {
            Format::Table if head.is_empty() => output::print(&format!("nothing waits on {}\n", self.list))?,
            Format::Table => output::print(&text(&head))?,
            Format::Json => output::print_json(&values().collect::<Vec<_>>())?,
            Format::Jsonl => output::print_jsonl(values())?,
        }
        Ok(Exit::Done)
    }
}

fn value(queued: &Queued) -> serde_json::Value {
    json!({
        "uuid": queued.uuid,
        "run": queued.run,
        "enqueued_at": queued.enqueued_at.map(age::moment),
        "age_seconds": queued.enqueued_at.map(|at| age::since(at).as_secs()),
        "attempts": queued.attempts,
    })
}

fn text(head: &[Queued]) -> String {
    let mut table = output::table(&["#", "UUID", "AGE", "ATTEMPTS", "RUN"]);
    for (index, queued) in head.iter().enumerate() {
        table.add_row([
            number(index + 1),
            Cell::new(output::plain(&queued.uuid)),
            number(age::age_or_dash(queued.enqueued_at)),
            number(queued.attempts),
            Cell::new(queued.run.map_or_else(|| "-".to_owned(), |run| run.to_string())),
        ]);
    }
    output::table_text(&table)
}
