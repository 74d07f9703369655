//! `queue move`: waiting runs go from one list to another.

use clap::Args;
use serde_json::json;

use super::warn_of_unknown;
use crate::cli::configuration::counted;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, Format, WARN};
use crate::cli::progress::Progress;

/// Runs that one atomic step moves.
const BATCH: usize = 1000;

const ABOUT: &str = "\
Move waiting runs from the head of one list to the tail of another

In order, in atomic steps of at most 1000: whatever ends the command, each run is on one of the two lists. Runs that \
have begun (an attempt, finished steps) belong to their chain and stay.";

const EXAMPLES: &str = "\
Examples:
  vconductor queue move calls calls-slow --limit 500
  vconductor queue move chats calls --dry-run";

/// Move waiting runs from the head of one list to the tail of another
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(super) struct Move {
    /// The list to take from
    #[arg(value_name = "FROM")]
    from: String,
    /// The list to put on
    #[arg(value_name = "TO")]
    to: String,
    /// At most so many; all that wait now where it is not given
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only say what would be moved
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

impl Move {
    pub(super) async fn run(&self) -> Result<Exit> {
        if self.from == self.to {
            return Err(Failure::new(Exit::Usage, format!("both lists are `{}`", self.from))
                .help("name the list to take from, then another one to put on"));
        }
        let desk = self.common.open().await?;
        let waiting = || async {
            let lists = desk.store.lists().await?;
            Ok::<_, Failure>(lists.iter().find(|status| status.list == self.from).map_or(0, |status| status.waiting))
        };
        let before = waiting().await?;
        if before == 0 {
            warn_of_unknown(&self.from, &*desk.store, desk.configured.as_ref()).await?;
        }
        if let Some(all) = desk.configured.as_ref().filter(|all| !all.takes_from(&self.to)) {
            let help = all.nearest_list(&self.to).map(|near| format!("did you mean `{near}`?"));
            output::complain(WARN, "warning", format!("no chain takes from list `{}`", self.to), help.as_deref());
        }
        let wanted = self.limit.unwrap_or(usize::MAX).min(usize::try_from(before).unwrap_or(usize::MAX));
        if self.dry_run {
            return self.tell(wanted, before, false);
        }
        let interrupt = Interrupt::listen()?;
        let mut progress = Progress::start();
        let mut moved = 0;
        while moved < wanted && !interrupt.is_asked() {
            let batch = (wanted - moved).min(BATCH);
            let now = desk.store.transfer(&self.from, &self.to, batch).await?;
            moved += now;
            progress.show(|| vec![format!("{moved} of {wanted} moved")]);
            if now < batch {
                break;
            }
        }
        progress.finish();
        let stopped = interrupt.is_asked() && moved < wanted;
        if stopped {
            output::say("stopped; the same command goes on");
        }
        let left = waiting().await?;
        if !stopped && moved < wanted && left > 0 {
            output::say("what is left has begun, so it belongs to its chain and stays");
        }
        self.tell(moved, left, stopped)
    }

    fn tell(&self, moved: usize, left: u64, stopped: bool) -> Result<Exit> {
        let Move { from, to, dry_run, .. } = self;
        let value = json!({"from": from, "to": to, "moved": moved, "left": left, "dry_run": dry_run});
        match self.common.output {
            Format::Table if *dry_run => {
                let count = counted(moved as u64, "run");
                output::print(&format!(
                    "up to {count} would be moved from {from} to {to}; runs that have begun stay\n"
                ))?;
            }
            Format::Table => {
                let count = counted(moved as u64, "run");
                output::print(&format!("{count} moved from {from} to {to}; {left} still on {from}\n"))?;
            }
            Format::Json => output::print_json(&value)?,
            Format::Jsonl => output::print_jsonl([value])?,
        }
        Ok(if stopped { Exit::Findings } else { Exit::Done })
    }
}
