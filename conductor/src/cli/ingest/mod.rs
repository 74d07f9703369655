//! `ingest`: takes conversations in from files, directories and stdin.

mod batch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use vconductor_core::store::Store;

use self::batch::Batches;
use super::configuration::counted;
use super::exit::{Exit, Result};
use super::intake::{Event, ImportOptions, Intake};
use super::output::{self, BAD, Format, WARN};
use super::progress::{self, Progress};
use super::refusal::Refusal;
use super::{configuration, store};

const ABOUT: &str = "\
Take conversations in: store them and put them on ingress lists

PATH is a vCon (.json, .vcon), vCons line by line (.jsonl, .ndjson), either of them compressed (.gz), a bundle of vCons \
(.vconz; its media go into the vCons that refer to them), anything that a vCon can be made of, a directory (recursive, by name), a pattern, or \
- for stdin. What a file holds is found from its bytes.

vCons are made of recordings and videos, mails (.eml, mbox, Maildir; one vCon per thread), chats (WhatsApp, CSV, JSON, JSON \
Lines, SMS1_Alice_+15550100.txt) and transcripts; `vconductor vcon import` makes the same without a store. Taking in the same \
files again makes the same vCons.

Each vCon is stored and enqueued in one step, and is safe on disk when the command ends. What is broken is refused \
with the reason; the rest goes on.";

const EXAMPLES: &str = "\
Examples:
  vconductor ingest --list calls recordings/
  vconductor ingest --list calls --config chains.yml 'export/2024-*.jsonl.gz'
  vconductor ingest --list mails support.mbox
  vconductor ingest --list calls --party name=Agent,tel=+15550100 --party name=Caller call.wav
  curl -s https://example.com/call.vcon | vconductor ingest --list calls -

Environment:
  VCON_REDIS_EXPIRY   seconds that a vCon is kept after its last run (3600; 0 = for ever)
  REDIS_URL           the store, unless --store or the configuration names one";

/// Take conversations in: store them and put them on ingress lists
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Ingest {
    /// The ingress list; may be given several times
    #[arg(long, required = true, value_name = "LIST")]
    list: Vec<String>,
    /// A configuration: for its store, and to warn when no chain takes from the list
    #[arg(long, value_name = "CONFIG")]
    config: Vec<PathBuf>,
    /// The store, for example embedded:./vconductor-data
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// The form of the output; `jsonl` gives a line per item
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    /// Files, directories, patterns, or - for stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    import: ImportOptions,
}

/// What became of the items so far.
#[derive(Debug, Default)]
struct Tally {
    taken: u64,
    bytes: u64,
    refused: u64,
    skipped: u64,
}

impl Ingest {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let configured = configuration::for_store(&self.config)?;
        if let Some(configured) = &configured {
            for list in &self.list {
                if !configured.takes_from(list) {
                    let help = configured.nearest_list(list).map(|near| format!("did you mean `{near}`?"));
                    output::complain(WARN, "warning", format!("no chain takes from list `{list}`"), help.as_deref());
                }
            }
        }
        let store = store::open(self.store.as_deref(), configured.as_ref().and_then(|all| all.store())).await?;
        let exit = self.take_all(store).await?;
        Ok(exit)
    }

    async fn take_all(&self, store: Arc<dyn Store>) -> Result<Exit> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let mut progress = Progress::start();
        let mut batches = Batches::new(store, self.list.clone(), keep()?);
        for event in Intake::new(&self.paths, self.import.options()) {
            match event {
                Event::Taken { from, named, taken } => {
                    if taken.given && named {
                        output::say(format_args!("{from} is now vCon {}", taken.uuid));
                    }
                    self.settle(&mut tally, &batches.add(from, taken).await?)?;
                }
                Event::Refused(refusal) => self.refuse(&mut tally, &refusal)?,
                Event::Skipped(path) => {
                    tracing::debug!(path = %path.display(), "skipped: of no kind that is read");
                    tally.skipped += 1;
                }
            }
            progress.show(|| vec![tally.line(started.elapsed())]);
        }
        self.settle(&mut tally, &batches.finish().await?)?;
        progress.finish();
        self.summary(&tally, started.elapsed())?;
        Ok(if tally.refused > 0 { Exit::Findings } else { Exit::Done })
    }

    /// Counts and tells what the store has taken or refused.
    fn settle(&self, tally: &mut Tally, settled: &batch::Settled) -> Result<()> {
        for stored in &settled.stored {
            tally.taken += 1;
            tally.bytes += stored.bytes;
            if self.output == Format::Jsonl {
                let line = json!({"status": "taken", "uuid": stored.uuid, "from": stored.from, "bytes": stored.bytes});
                output::print_jsonl([line])?;
            }
        }
        settled.refused.iter().try_for_each(|refusal| self.refuse(tally, refusal))
    }

    fn refuse(&self, tally: &mut Tally, refusal: &Refusal) -> Result<()> {
        tally.refused += 1;
        output::complain(BAD, "refused", refusal, refusal.help.as_deref());
        if self.output == Format::Jsonl {
            let (place, message, help) = (&refusal.place, &refusal.message, &refusal.help);
            output::print_jsonl([json!({"status": "refused", "from": place, "error": message, "help": help})])?;
        }
        Ok(())
    }

    fn summary(&self, tally: &Tally, took: Duration) -> Result<()> {
        let seconds = took.as_secs_f64();
        let Tally { taken, bytes, refused, skipped } = tally;
        match self.output {
            Format::Table => {
                let lists = self.list.iter().map(|list| format!("`{list}`")).collect::<Vec<_>>().join(", ");
                let skipped = match skipped {
                    0 => String::new(),
                    count => format!(", {} skipped", counted(*count, "other file")),
                };
                output::print(&format!("{taken} taken in to {lists}, {refused} refused{skipped} in {seconds:.1} s\n"))
            }
            Format::Json => output::print_json(&json!({
                "taken": taken, "refused": refused, "skipped": skipped, "bytes": bytes,
                "lists": self.list, "seconds": seconds,
            })),
            Format::Jsonl => Ok(()),
        }
    }
}

impl Tally {
    fn line(&self, took: Duration) -> String {
        let megabytes = self.bytes as f64 / 1e6;
        let rate = progress::rate(self.taken, took);
        format!("{} taken in, {} refused, {megabytes:.1} MB, {rate}", self.taken, self.refused)
    }
}

/// How long vCons are kept after their last run.
pub(crate) fn keep() -> Result<Option<Duration>> {
    match std::env::var("VCON_REDIS_EXPIRY") {
        Err(_) => Ok(Some(Duration::from_secs(3600))),
        Ok(text) => store::seconds("VCON_REDIS_EXPIRY", &text),
    }
}
