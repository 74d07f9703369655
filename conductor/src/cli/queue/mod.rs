//! `queue`: how the lists stand, and what operators do with them.

mod drain;
mod holds;
mod pause;
mod peek;
mod status;
mod transfer;

use clap::{Args, Subcommand};
use vconductor_core::config::nearest;
use vconductor_core::store::Store;

pub(super) use self::holds::remarks as hold_remarks;
use super::configuration::Configured;
use super::exit::{Exit, Result};
use super::output::{self, WARN};

const ABOUT: &str = "\
Show how the lists stand; pause, peek, move, drain, release

Without a subcommand: a line per list, and below it why runs do not move: what is held until somebody mends it, who \
has them, what they wait for, which lists are paused, which storages are missing. With LIST only these.";

const EXAMPLES: &str = "\
Examples:
  vconductor queue                              # all lists
  vconductor queue calls chats --output json    # two of them, for scripts
  vconductor queue pause calls                  # nothing is taken from it any more
  vconductor queue peek calls --limit 3         # what comes next
  vconductor queue drain calls --timeout 10m    # wait until it is empty";

/// Show how the lists stand; pause, peek, move, drain, release
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Queue {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    status: status::Status,
}

#[derive(Debug, Subcommand)]
enum Action {
    Pause(pause::Pause),
    Resume(pause::Resume),
    Peek(peek::Peek),
    Move(transfer::Move),
    Drain(drain::Drain),
    Release(holds::Release),
}

impl Queue {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            None => self.status.run().await,
            Some(Action::Pause(pause)) => pause.run().await,
            Some(Action::Resume(resume)) => resume.run().await,
            Some(Action::Peek(peek)) => peek.run().await,
            Some(Action::Move(transfer)) => transfer.run().await,
            Some(Action::Drain(drain)) => drain.run().await,
            Some(Action::Release(release)) => release.run().await,
        }
    }
}

/// Warns about a list that neither the store nor the configuration knows: most likely a slip of the pen.
async fn warn_of_unknown(list: &str, store: &dyn Store, configured: Option<&Configured>) -> Result<()> {
    let known: Vec<String> = store.lists().await?.into_iter().map(|status| status.list).collect();
    if known.iter().any(|one| one == list) || configured.is_some_and(|all| all.takes_from(list)) {
        return Ok(());
    }
    let near = nearest(list, &known).or_else(|| configured.and_then(|all| all.nearest_list(list)));
    let help = near.map(|near| format!("did you mean `{near}`?"));
    let message = format!("list `{list}` holds nothing and is not paused; {} may never have seen it", store.describe());
    output::complain(WARN, "warning", message, help.as_deref());
    Ok(())
}
