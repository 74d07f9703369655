//! `dlq show`: one dead letter with all that is known of it.

use clap::Args;
use comfy_table::Cell;
use serde_json::{Value, json};
use uuid::Uuid;
use vconductor_core::run::{Ledger, Recorded, RunId, Stage, StepEntry};
use vconductor_core::store::{DeadLetter, Store, TenantScope};
use vconductor_core::vcon::Vcon;

use super::letters::{self, Letters};
use super::retry::canonical;
use crate::cli::age;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, DIM, Format, HELP, STRONG, number, plain, styled};
use crate::cli::show::heading;

const EXAMPLES: &str = "\
Examples:
  vconductor dlq show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10   # a vCon: all of its dead runs
  vconductor dlq show 0192f1c4-7b1e-7d2a-9a51-3a6f1f0b8c11   # a run
  vconductor dlq show 0192f1c4-7b1e-7d2a-9a51-3a6f1f0b8c11 --output json | jq '.[0].ledger.steps'";

/// Show a dead letter: reason, what to do, and what the run had finished
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Show {
    /// The uuid of a vCon, or of a run
    #[arg(value_name = "UUID|RUN")]
    what: String,
    #[command(flatten)]
    common: Common,
}

impl Show {
    pub(super) async fn run(&self) -> Result<Exit> {
        let store = self.common.open().await?.store;
        let found = find(&*store, &canonical(&self.what)).await?;
        if found.is_empty() {
            return Err(Failure::new(
                Exit::Findings,
                format!("no dead letter of a vCon or run `{}` is in {}", self.what, store.describe()),
            )
            .help(
                "it may have been put back or have expired (VCON_DLQ_EXPIRY); `vconductor dlq list` shows the queues",
            ));
        }
        match self.common.output {
            Format::Table => {
                let mut parts = Vec::with_capacity(found.len());
                for letter in &found {
                    parts.push(text(&*store, letter).await?);
                }
                output::print(&parts.join("\n"))?;
            }
            Format::Json => output::print_json(&found.iter().map(value).collect::<Vec<_>>())?,
            Format::Jsonl => output::print_jsonl(found.iter().map(value))?,
        }
        Ok(Exit::Done)
    }
}

/// The letter of a run, else all of a vCon.
async fn find(store: &dyn Store, what: &str) -> Result<Vec<DeadLetter>> {
    let queues = store.dead_letter_queues().await?;
    if let Ok(run) = Uuid::parse_str(what) {
        for queue in &queues {
            if let Some(letter) = letters::of_run(store, &queue.queue, RunId(run)).await? {
                return Ok(vec![letter]);
            }
        }
    }
    let mut found = Vec::new();
    for queue in &queues {
        let mut letters = Letters::of(store, &queue.queue);
        loop {
            let page = letters.page().await?;
            if page.is_empty() {
                break;
            }
            found.extend(page.into_iter().filter(|letter| letter.uuid == what));
        }
    }
    Ok(found)
}

fn value(letter: &DeadLetter) -> Value {
    let mut value = letters::value(letter);
    value["ledger"] = json!(letter.ledger);
    value
}

async fn text(store: &dyn Store, letter: &DeadLetter) -> Result<String> {
    let failure = &letter.failure;
    let mut text = format!("{} {}\n", styled(STRONG, "Dead run"), styled(STRONG, letter.run));
    let mut line = |name: &str, value: String| {
        text.push_str(&format!("  {} {value}\n", styled(DIM, format_args!("{name:<8}"))));
    };
    line("queue", format!("{} (from list {})", plain(&letter.queue), plain(&letter.list)));
    if let Some(ledger) = &letter.ledger {
        let chain = if ledger.chain.is_empty() { "not known".to_owned() } else { plain(&ledger.chain) };
        line("chain", format!("{chain}, {}", stage(ledger.stage)));
    }
    for different in letter.ledger.iter().flat_map(|ledger| ledger.deviation.lines()) {
        line("with", plain(&different));
    }
    let ago = age::age(failure.at);
    line("failed", format!("{} ago ({}), attempt {}", ago, age::moment(failure.at), failure.attempts));
    line("step", format!("{} ({})", plain(&failure.step), failure.class));
    line("reason", plain(&failure.message));
    if let Some(help) = &failure.help {
        line("help", plain(help));
    }
    text.push_str(&letter.ledger.as_ref().map(ledger).unwrap_or_default());
    text.push('\n');
    text.push_str(&document(store, letter).await?);
    let retry = format!("vconductor dlq retry {} --run {}", letter.queue, letter.run);
    text.push_str(&format!("\nlet it go on: {}\n", styled(HELP, retry)));
    Ok(text)
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Links => "its links are not done",
        Stage::Storages => "its links are done, storages are missing",
        Stage::Egress => "all required storages hold it, optional ones are missing",
    }
}

fn ledger(ledger: &Ledger) -> String {
    let mut text = String::new();
    let mut table = output::table(&["STEP", "OUTCOME", "ATTEMPTS", "PARTS", "COST", "AT"]);
    for step in &ledger.steps {
        table.add_row([
            Cell::new(name(step)),
            Cell::new(outcome(&step.outcome)),
            number(step.attempts),
            number(step.parts.len()),
            number(cost(step)),
            Cell::new(age::moment(step.finished_at)),
        ]);
    }
    if !table.is_empty() {
        text.push_str(&format!("\n{}\n{}", styled(STRONG, "Steps in the ledger"), output::table_text(&table)));
    }
    let mut table = output::table(&["STORAGE", "REVISION"]);
    for (storage, revision) in &ledger.storages {
        table.add_row([Cell::new(plain(storage)), number(revision)]);
    }
    if !table.is_empty() {
        text.push_str(&format!("\n{}\n{}", styled(STRONG, "Storages that hold it"), output::table_text(&table)));
    }
    text
}

fn name(step: &StepEntry) -> String {
    match step.key.occurrence {
        0 => plain(&step.key.link),
        again => format!("{} ({})", plain(&step.key.link), again + 1),
    }
}

fn outcome(outcome: &Recorded) -> String {
    match outcome {
        Recorded::Unfinished => "not finished".to_owned(),
        Recorded::Continue => "done".to_owned(),
        Recorded::Stop => "done, stopped the chain".to_owned(),
        Recorded::Switch(uuid) => format!("done, switched to {}", plain(uuid)),
        Recorded::Failed(why) => format!("failed, the chain went on: {}", plain(why)),
    }
}

fn cost(step: &StepEntry) -> String {
    let cost = step.usage.as_ref().and_then(|usage| usage.cost);
    cost.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.4}"))
}

/// The heading of the document as the run left it.
async fn document(store: &dyn Store, letter: &DeadLetter) -> Result<String> {
    let switched = letter.ledger.as_ref().and_then(|ledger| ledger.switched_to.as_deref());
    let uuid = switched.unwrap_or(&letter.uuid);
    let Some(stored) = store.get(&TenantScope::Everything, uuid).await? else {
        return Ok(format!("no document is stored under {}\n", plain(uuid)));
    };
    Ok(match Vcon::read(stored.document) {
        Ok(vcon) => heading(&vcon),
        Err(error) => format!("the document of {} cannot be read: {}\n", plain(uuid), plain(&error.chain_text())),
    })
}
