//! `runs`: single runs, where they stand and what became of them.

mod gather;
pub(super) mod judge;
mod list;
mod show;
mod timeline;

use clap::{Args, Subcommand};

pub(super) use gather::JUDGED;

use super::exit::{Exit, Result};

const ABOUT: &str = "\
Show single runs: at work, stuck, waiting, parked, failed, done

A run is one passage of one vCon through one chain, with its retries. Without a subcommand: a line per run, those that are \
stuck first. Stuck means that somebody should do something: the conductor that has it is dead or tells nothing any more, a \
step is beyond its time-out, or what was due has not been put back.

What ended is remembered for a day and by number (`run --history`); a conductor that is very busy notes only a part of it.";

const EXAMPLES: &str = "\
Examples:
  vconductor runs                                    # what is at work, waits, failed and was done lately
  vconductor runs --state stuck                      # what makes no progress, and why
  vconductor runs --chain support --since 1h --watch
  vconductor runs --uuid 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10
  vconductor runs show 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10   # step by step
  vconductor runs --state failed --limit 1000 --output jsonl | jq -r .uuid";

/// Show single runs: at work, stuck, waiting, parked, failed, done
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Runs {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: list::List,
}

#[derive(Debug, Subcommand)]
enum Action {
    Show(show::Show),
}

impl Runs {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            None => self.list.run().await,
            Some(Action::Show(show)) => show.run().await,
        }
    }
}
