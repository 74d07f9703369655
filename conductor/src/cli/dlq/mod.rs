//! `dlq`: runs that failed for good, and what operators do with them.

mod fingerprint;
mod letters;
mod list;
mod purge;
mod retry;
mod revivals;
mod show;
mod surgery;

use clap::{Args, Subcommand};

use super::exit::{Exit, Result};

pub(crate) use fingerprint::fingerprint;
pub(crate) use letters::queue_name;
pub(crate) use retry::canonical;
pub(crate) use revivals::{Begin, Filter, Revivals};
pub(crate) use surgery::Target;

const ABOUT: &str = "\
List, show, retry and purge dead letters

A run that failed for good lies in the queue of dead letters of its ingress list (DLQ:calls), or of the storage that \
refused it (DLQ:storage:files). It keeps what it had finished: a retry does not do, or pay, that again. QUEUE may be \
written in full or as `calls`, `storage:files`.";

const EXAMPLES: &str = "\
Examples:
  vconductor dlq list                       # the queues
  vconductor dlq list calls --group         # one of them, by cause
  vconductor dlq retry calls --group 3f2a91bc
  vconductor dlq show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10
  vconductor dlq retry calls --dry-run      # which runs would go on
  vconductor dlq purge calls --older-than 7d";

/// List, show, retry and purge dead letters
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Dlq {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(list::List),
    Show(show::Show),
    Retry(Box<retry::Retry>),
    Purge(purge::Purge),
}

impl Dlq {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            Action::List(list) => list.run().await,
            Action::Show(show) => show.run().await,
            Action::Retry(retry) => retry.run().await,
            Action::Purge(purge) => purge.run().await,
        }
    }
}
