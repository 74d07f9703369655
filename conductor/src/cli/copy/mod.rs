//! `copy`: vCons from one storage to another, with verification.

mod place;
mod work;

use clap::Args;
use serde_json::json;

use self::place::Place;
use self::work::Copying;
use super::bulk::ahead::Pace;
use super::bulk::cursor::{Cursor, Kept, Tally};
use super::bulk::rate::Rate;
use super::bulk::select::Select;
use super::configuration::counted;
use super::desk::Common;
use super::exit::{Exit, Failure, Result};
use super::interrupt::Interrupt;
use super::output::{self, Format};

const ABOUT: &str = "\
Copy vCons from one storage to another

FROM and TO are storages of the configuration, or files and folders (written with a slash: ./export). What is in TO already \
is not written again; where another document is there, it stays, and is counted, unless --overwrite says otherwise. With \
--verify each vCon that was written is read back and compared: byte for byte where both storages keep bytes, else as JSON.

A copy is never newer than what a chain writes: a chain that saves the same vCon at the same time wins.

How far it has come is kept in the store (--store), so that after Ctrl-C and after a crash the same command goes on.";

const EXAMPLES: &str = "\
Examples:
  vconductor copy --from s3 --to postgres --verify --config chains.yml
  vconductor copy --from postgres --to ./export --since 30d --config chains.yml
  vconductor copy --from ./export --to s3 --rate 200/s --config chains.yml
  vconductor copy --from s3 --to archive --dry-run --config chains.yml";

/// Copy vCons from one storage to another
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Copy {
    /// The storage, file or folder that they are read from
    #[arg(long, value_name = "STORAGE|PATH")]
    from: String,
    /// The storage or folder that they are written to
    #[arg(long, value_name = "STORAGE|PATH")]
    to: String,
    #[command(flatten)]
    select: Select,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// At most so many per time, for example 50/s or 600/m
    #[arg(long, value_name = "N/s")]
    rate: Option<Rate>,
    /// Read each back and compare it
    #[arg(long)]
    verify: bool,
    /// Replace what is there and differs
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    kept: Kept,
    /// Only say what would be copied
    #[arg(short = 'n', long)]
    dry_run: bool,
    #[command(flatten)]
    common: Common,
}

impl Copy {
    pub(crate) async fn run(&self) -> Result<Exit> {
        if self.from == self.to {
            return Err(Failure::new(Exit::Usage, format!("both ends are `{}`", self.from)));
        }
        let desk = self.common.open_or_make().await?;
        let from = Place::named(&self.from, desk.configured.as_ref())?;
        let to = Place::named(&self.to, desk.configured.as_ref())?.storage(&self.to)?;
        if self.verify && !to.capabilities().read {
            return Err(Failure::new(Exit::Usage, format!("`{}` cannot be read, so nothing can be verified", self.to))
                .help("leave --verify out, or copy to a storage that can read"));
        }
        let asked = json!(["copy", self.from, self.to, self.select.asked(), self.limit, self.verify, self.overwrite]);
        let command = format!("copy from {} to {}", self.from, self.to);
        let mut cursor = self.kept.open(&desk.store, &asked, &command, self.dry_run).await?;
        if let Some(ended) = cursor.state.ended {
            output::say(format_args!("this was done {} ago; --restart does it again", super::age::age(ended)));
            self.tell(&cursor, 0.0, false)?;
            return Ok(Exit::Done);
        }
        if cursor.resumed {
            let seen = counted(cursor.state.tally.seen(), "vCon");
            output::say(format_args!("goes on where it stood: {seen} done so far"));
        }
        let selection = self.select.compile(cursor.state.begun)?;
        let lossless = from.is_lossless() && to.capabilities().lossless;
        let copying = Copying {
            source: from.source(&self.from, &selection)?,
            name: self.to.clone(),
            to,
            selection,
            lossless,
            verify: self.verify,
            overwrite: self.overwrite,
            limit: self.limit,
            dry_run: self.dry_run,
            output: self.common.output,
        };
        let interrupt = Interrupt::listen()?;
        let mut pace = Pace::new(self.rate, 0);
        let worked = copying.work(&mut cursor, &mut pace, &interrupt).await;
        let done = matches!(worked, Ok(true));
        if !done && !self.dry_run {
            let seen = counted(cursor.state.tally.seen(), "vCon");
            output::say(format_args!("{seen} so far; the same command goes on behind them"));
        }
        worked?;
        if done && !self.dry_run {
            cursor.end().await?;
        }
        self.tell(&cursor, pace.took().as_secs_f64(), !done)?;
        let Tally { failed, differed, .. } = cursor.state.tally;
        let whole = done && failed == 0 && (differed == 0 || self.overwrite);
        Ok(if whole { Exit::Done } else { Exit::Findings })
    }

    fn tell(&self, cursor: &Cursor, seconds: f64, interrupted: bool) -> Result<()> {
        let Tally { done, passed, failed, there, differed, bytes } = cursor.state.tally;
        let reasons = &cursor.state.reasons;
        match self.common.output {
            Format::Table => {
                let verb = if self.dry_run { "would be copied" } else { "copied" };
                let verified = if self.verify && !self.dry_run { " and verified" } else { "" };
                let mut text = format!("{} {verb}{verified} to {}", counted(done, "vCon"), self.to);
                for (count, what) in [
                    (there, "there already"),
                    (
                        differed,
                        if self.overwrite { "differed and were replaced" } else { "differ and stay as they are" },
                    ),
                    (passed, "not asked for"),
                    (failed, "failed"),
                ] {
                    if count > 0 {
                        text.push_str(&format!(", {count} {what}"));
                    }
                }
                text.push_str(&format!(" in {seconds:.1} s\n"));
                if !reasons.is_empty() {
                    text.push_str(&format!("\n{}", reasons.text()));
                }
                output::print(&text)
            }
            Format::Json => output::print_json(&json!({
                "from": self.from, "to": self.to, "cursor": cursor.name(), "resumed": cursor.resumed, "copied": done,
                "there_already": there, "differed": differed, "not_asked_for": passed, "failed": failed, "bytes": bytes,
                "verified": self.verify && !self.dry_run, "reasons": reasons.value(), "dry_run": self.dry_run,
                "interrupted": interrupted, "seconds": seconds,
            })),
            Format::Jsonl => Ok(()),
        }
    }
}
