//! `queue pause` and `queue resume`.

use clap::Args;
use serde_json::json;

use super::warn_of_unknown;
use crate::cli::configuration::counted;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format};

const PAUSE_EXAMPLES: &str = "\
Examples:
  vconductor queue pause calls
  vconductor queue pause calls chats --store embedded:/var/lib/vconductor";

const RESUME_EXAMPLES: &str = "\
Examples:
  vconductor queue resume calls";

/// Stop taking from lists; what is at work ends, what comes in waits
#[derive(Debug, Args)]
#[command(after_help = PAUSE_EXAMPLES)]
pub(super) struct Pause {
    /// The ingress lists
    #[arg(required = true, value_name = "LIST")]
    lists: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// Take from paused lists again
#[derive(Debug, Args)]
#[command(after_help = RESUME_EXAMPLES)]
pub(super) struct Resume {
    /// The ingress lists
    #[arg(required = true, value_name = "LIST")]
    lists: Vec<String>,
    #[command(flatten)]
    common: Common,
}

impl Pause {
    pub(super) async fn run(&self) -> Result<Exit> {
        set(&self.common, &self.lists, true).await
    }
}

impl Resume {
    pub(super) async fn run(&self) -> Result<Exit> {
        set(&self.common, &self.lists, false).await
    }
}

async fn set(common: &Common, lists: &[String], paused: bool) -> Result<Exit> {
    let desk = common.open().await?;
    let before = desk.store.lists().await?;
    let mut done = Vec::with_capacity(lists.len());
    for list in lists {
        let status = before.iter().find(|status| status.list == *list);
        if status.is_none() {
            warn_of_unknown(list, &*desk.store, desk.configured.as_ref()).await?;
        }
        desk.store.pause(list, paused).await?;
        let (waiting, claimed) = status.map_or((0, 0), |status| (status.waiting, status.claimed));
        if common.output == Format::Table {
            let runs = counted(waiting, "run");
            let verb = if waiting == 1 { "waits" } else { "wait" };
            output::print(&match paused {
                true => format!("{list} is paused: {runs} {verb}, {claimed} at work may end\n"),
                false => format!("{list} is not paused: {runs} {verb} to be taken\n"),
            })?;
        }
        let was_paused = status.is_some_and(|status| status.paused);
        done.push(json!({
            "list": list, "paused": paused, "was_paused": was_paused, "waiting": waiting, "claimed": claimed,
        }));
    }
    match common.output {
        Format::Table => {}
        Format::Json => output::print_json(&done)?,
        Format::Jsonl => output::print_jsonl(&done)?,
    }
    Ok(Exit::Done)
}
