//! `queue drain`: waits until a list is empty.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use vconductor_core::store::ListStatus;

use super::warn_of_unknown;
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, Format, WARN};
use crate::cli::progress::Progress;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(250);
/// After so long without any change, with nothing at work, it is said that nobody works.
const STILL: Duration = Duration::from_secs(10);

const ABOUT: &str = "\
Wait until a list is empty

Empty means: nothing waits on it, nothing of it is at work, and no retry is scheduled. The list stays open and the \
conductors do the work; this command only watches. Stop the producers first, else it may never end. Parked runs and \
dead letters are not waited for; they are told.";

const EXAMPLES: &str = "\
Examples:
  vconductor queue drain calls
  vconductor queue drain calls --timeout 10m && systemctl restart vconductor

Exit codes:
  0   empty
  1   not empty when the time was over, or interrupted, or the list is paused";

/// Wait until a list is empty
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(super) struct Drain {
    /// The list
    #[arg(value_name = "LIST")]
    list: String,
    /// Give up after this time, for example 600 (seconds) or 10m
    #[arg(long, value_name = "TIME", value_parser = age::duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

/// What has not come to its end.
fn left(status: &ListStatus) -> u64 {
    status.waiting + status.claimed + status.scheduled
}

impl Drain {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        let interrupt = Interrupt::listen()?;
        let (started, mut changed, mut told) = (Instant::now(), Instant::now(), false);
        let mut progress = Progress::start();
        let mut last = None::<ListStatus>;
        let (status, end) = loop {
            let found = desk.store.lists().await?.into_iter().find(|status| status.list == self.list);
            if found.is_none() && last.is_none() {
                warn_of_unknown(&self.list, &*desk.store, desk.configured.as_ref()).await?;
            }
            let status = found.unwrap_or_else(|| ListStatus { list: self.list.clone(), ..ListStatus::default() });
            if left(&status) == 0 {
                break (status, "empty");
            }
            if status.paused {
                return Err(Failure::new(
                    Exit::Findings,
                    format!(
                        "list `{}` is paused and holds {}, so it never gets empty",
                        self.list,
                        counted(left(&status), "run")
                    ),
                )
                .help(format!("let it go on with `vconductor queue resume {}`", self.list)));
            }
            if self.timeout.is_some_and(|limit| started.elapsed() >= limit) {
                break (status, "timeout");
            }
            if interrupt.is_asked() {
                break (status, "interrupted");
            }
            progress.show(|| vec![line(&status)]);
            if last.as_ref() != Some(&status) {
                (changed, told) = (Instant::now(), false);
            } else if changed.elapsed() >= STILL && status.claimed == 0 && !told {
                told = true;
                self.nobody_works();
            }
            last = Some(status);
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = interrupt.asked() => {}
            }
        };
        progress.finish();
        self.tell(&status, end, started.elapsed())
    }

    fn nobody_works(&self) {
        output::complain(
            WARN,
            "warning",
            format!("nothing of `{}` has moved for {}", self.list, age::short(STILL)),
            Some("is a conductor running whose configuration has a chain with this list? `vconductor run`"),
        );
    }

    fn tell(&self, status: &ListStatus, end: &str, took: Duration) -> Result<Exit> {
        let seconds = took.as_secs_f64();
        let value = json!({
            "list": self.list, "end": end, "waiting": status.waiting, "claimed": status.claimed,
            "scheduled": status.scheduled, "parked": status.parked, "dead": status.dead, "seconds": seconds,
        });
        match self.common.output {
            Format::Table => output::print(&match end {
                "empty" => {
                    let (parked, dead) = (status.parked, counted(status.dead, "dead letter"));
                    format!("{} is empty after {seconds:.1} s; {parked} parked, {dead}\n", self.list)
                }
                _ => format!("{} is not empty after {seconds:.1} s ({end}): {}\n", self.list, line(status)),
            })?,
            Format::Json => output::print_json(&value)?,
            Format::Jsonl => output::print_jsonl([value])?,
        }
        Ok(if end == "empty" { Exit::Done } else { Exit::Findings })
    }
}

fn line(status: &ListStatus) -> String {
    let ListStatus { waiting, claimed, scheduled, .. } = status;
    format!("{waiting} waiting, {claimed} at work, {scheduled} to be tried again")
}
