//! `dlq purge`: dead letters are forgotten.

use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, stream};
use serde_json::json;
use vconductor_core::clock::Millis;
use vconductor_core::store::{DeadLetter, Store};

use super::letters::{self, Letters, queue_name};
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;

/// Burials that are on their way to the store at once.
const BATCH: usize = 64;

const ABOUT: &str = "\
Forget dead letters

The runs and what they had finished are forgotten for good. Their vCons stay stored until their time is over. On a \
terminal the name of the queue must be typed; elsewhere --yes is needed.";

const EXAMPLES: &str = "\
Examples:
  vconductor dlq purge calls --older-than 7d --dry-run
  vconductor dlq purge calls --older-than 7d
  vconductor dlq purge storage:files --yes        # in a script";

/// Forget dead letters
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(super) struct Purge {
    /// The queue, for example DLQ:calls, calls, storage:files
    #[arg(value_name = "QUEUE")]
    queue: String,
    /// Only what failed longer ago than this, for example 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = age::duration)]
    older_than: Option<Duration>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Only say what would be forgotten
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

impl Purge {
    pub(super) async fn run(&self) -> Result<Exit> {
        let store = self.common.open().await?.store;
        let queue = queue_name(&self.queue);
        // What fails after the question was asked is not what was answered.
        let older = self.older_than.map_or(0, |older| Millis::try_from(older.as_millis()).unwrap_or(Millis::MAX));
        let before = age::now().saturating_sub(older);
        let count = self.count(&*store, &queue, before).await?;
        if count == 0 {
            if letters::count(&*store, &queue).await? == 0 {
                letters::warn_of_empty(&*store, &queue).await?;
            }
            return self.tell(&queue, 0, false);
        }
        if self.dry_run {
            return self.tell(&queue, count, false);
        }
        if !self.yes {
            confirm(&queue, count)?;
        }
        let interrupt = Interrupt::listen()?;
        let purged = self.bury(store, &queue, before, count, &interrupt).await?;
        self.tell(&queue, purged, interrupt.is_asked())
    }

    async fn count(&self, store: &dyn Store, queue: &str, before: Millis) -> Result<u64> {
        let (mut letters, mut count) = (Letters::of(store, queue), 0);
        loop {
            let page = letters.page().await?;
            if page.is_empty() {
                return Ok(count);
            }
            count += page.iter().filter(|letter| letter.failure.at <= before).count() as u64;
        }
    }

    async fn bury(
        &self,
        store: Arc<dyn Store>,
        queue: &str,
        before: Millis,
        total: u64,
        interrupt: &Interrupt,
    ) -> Result<u64> {
        let (mut letters, mut purged, mut progress) = (Letters::of(&*store, queue), 0, Progress::start());
        while !interrupt.is_asked() {
            let page = letters.page().await?;
            if page.is_empty() {
                break;
            }
            let old: Vec<&DeadLetter> = page.iter().filter(|letter| letter.failure.at <= before).collect();
            let mut buried = stream::iter(old).map(|letter| store.bury(letter.run)).buffered(BATCH);
            while let Some(buried) = buried.next().await {
                purged += u64::from(buried?);
            }
            progress.show(|| vec![format!("{purged} of {total} forgotten")]);
        }
        Ok(purged)
    }

    fn tell(&self, queue: &str, count: u64, stopped: bool) -> Result<Exit> {
        let value = json!({"queue": queue, "purged": count, "dry_run": self.dry_run, "interrupted": stopped});
        match self.common.output {
            Format::Table => {
                let verb = if self.dry_run { "would be forgotten" } else { "forgotten" };
                output::print(&format!("{} of {queue} {verb}\n", counted(count, "dead letter")))?;
            }
            Format::Json => output::print_json(&value)?,
            Format::Jsonl => output::print_jsonl([value])?,
        }
        Ok(if stopped { Exit::Findings } else { Exit::Done })
    }
}

/// Lets the name of the queue be typed.
fn confirm(queue: &str, count: u64) -> Result<()> {
    let letters = counted(count, "dead letter");
    if !io::stdin().is_terminal() {
        return Err(Failure::new(Exit::Usage, format!("{letters} of {queue} would be forgotten for good"))
            .help("there is no terminal to ask on: add --yes, or look first with --dry-run"));
    }
    let mut out = anstream::stderr();
    write!(out, "{letters} of {queue} will be forgotten for good. Type {queue} to go on: ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim() == queue {
        return Ok(());
    }
    Err(Failure::new(Exit::Findings, "nothing was forgotten: what was typed is not the name of the queue"))
}
