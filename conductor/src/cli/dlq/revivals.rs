//! Putting dead runs back, many of them, at a rate, stoppable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use serde_json::json;
use vconductor_core::error::{Class, Error};
use vconductor_core::run::RunId;
use vconductor_core::store::{DeadLetter, Store};

use super::letters::{self, Letters};
use super::rate::Rate;
use super::surgery::{Plan, Surgery};
use crate::cli::configuration::counted;
use crate::cli::exit::{Exit, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, BAD, Format};
use crate::cli::progress::{self, Progress};

/// Runs that are on their way to the store at once; it commits them together.
const BATCH: usize = 64;
/// Refusals that are told one by one; the rest is only counted.
const TOLD: u64 = 20;

/// Which letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Of this vCon.
    pub(crate) uuid: Option<String>,
    /// Of this run.
    pub(crate) run: Option<RunId>,
    /// Of this kind of failure.
    pub(crate) class: Option<Class>,
}

impl Filter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.uuid.as_ref().is_none_or(|uuid| *uuid == letter.uuid)
            && self.run.is_none_or(|run| run == letter.run)
            && self.class.is_none_or(|class| class == letter.failure.class)
    }

    /// Whether it names single letters, so that finding none is a failure.
    fn is_precise(&self) -> bool {
        self.uuid.is_some() || self.run.is_some()
    }
}

/// What is to be done.
pub(crate) struct Revivals {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) queue: String,
    pub(crate) filter: Filter,
    pub(crate) surgery: Surgery,
    pub(crate) limit: Option<u64>,
    pub(crate) rate: Option<Rate>,
    pub(crate) dry_run: bool,
    pub(crate) output: Format,
}

/// What became of the letters so far.
#[derive(Debug, Default)]
struct Tally {
    revived: u64,
    refused: u64,
    gone: u64,
}

/// What became of one letter.
enum Fate {
    Revived,
    Refused(String),
    Gone,
}

impl Revivals {
    /// Puts the runs back and tells how it went.
    pub(crate) async fn run(&self) -> Result<Exit> {
        let (started, interrupt) = (Instant::now(), Interrupt::listen()?);
        let total = letters::count(&*self.store, &self.queue).await?;
        if total == 0 {
            letters::warn_of_empty(&*self.store, &self.queue).await?;
        }
        let mut tally = Tally::default();
        let worked = self.work(&interrupt, &mut tally, self.limit.map_or(total, |limit| total.min(limit))).await;
        let stopped = interrupt.is_asked();
        if stopped || worked.is_err() {
            output::say(format_args!(
                "{} went on so far; those have left {}, so the same command goes on with the rest",
                counted(tally.revived, "run"),
                self.queue
            ));
        }
        worked?;
        self.tell(&tally, started.elapsed(), stopped).await?;
        let found = tally.revived + tally.refused + tally.gone;
        if self.filter.is_precise() && found == 0 {
            output::complain(
                BAD,
                "error",
                format!("no such dead letter is in {}", self.queue),
                Some("`vconductor dlq show` finds a vCon or run in every queue; it may have been put back already"),
            );
        }
        let failed = tally.refused > 0 || stopped || (self.filter.is_precise() && found == 0);
        Ok(if failed { Exit::Findings } else { Exit::Done })
    }

    async fn work(&self, interrupt: &Interrupt, tally: &mut Tally, total: u64) -> Result<()> {
        let (started, mut progress) = (Instant::now(), Progress::start());
        let size = self.rate.map_or(BATCH, Rate::batch);
        let mut letters = Letters::of(&*self.store, &self.queue);
        loop {
            let page = self.page(&mut letters).await?;
            let is_last = page.is_empty() || self.filter.run.is_some();
            let wanted: Vec<DeadLetter> = page.into_iter().filter(|letter| self.filter.takes(letter)).collect();
            let mut rest = wanted.as_slice();
            while !rest.is_empty() {
                let left = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(tally.revived));
                let count = size.min(rest.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
                if count == 0 || interrupt.is_asked() {
                    return Ok(());
                }
                let (batch, later) = rest.split_at(count);
                rest = later;
                self.batch(batch, tally).await?;
                progress.show(|| vec![line(tally, total, started.elapsed())]);
                self.pace(started, tally.revived, interrupt).await;
            }
            if is_last || interrupt.is_asked() {
                return Ok(());
            }
        }
    }

    async fn page(&self, letters: &mut Letters<'_>) -> Result<Vec<DeadLetter>> {
        match self.filter.run {
            Some(run) => Ok(letters::of_run(&*self.store, &self.queue, run).await?.into_iter().collect()),
            None => letters.page().await,
        }
    }

    /// Puts a few back, in order. A failure of the store ends the batch; what was done before it is counted.
    async fn batch(&self, batch: &[DeadLetter], tally: &mut Tally) -> Result<()> {
        let mut fates =
            stream::iter(batch).map(|letter| async move { (letter, self.revive(letter).await) }).buffered(BATCH);
        let mut failure = None;
        while let Some((letter, fate)) = fates.next().await {
            match fate {
                Ok(fate) => self.count(letter, &fate, tally)?,
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn revive(&self, letter: &DeadLetter) -> Result<Fate, Error> {
        let revived = match self.surgery.plan(letter) {
            Plan::Refused(why) => return Ok(Fate::Refused(why)),
            _ if self.dry_run => true,
            Plan::Continue => self.store.revive(letter.run).await?,
            Plan::Changed(revival) => self.store.revive_as(letter, revival).await?,
        };
        Ok(if revived { Fate::Revived } else { Fate::Gone })
    }

    fn count(&self, letter: &DeadLetter, fate: &Fate, tally: &mut Tally) -> Result<()> {
        let (status, why) = match fate {
            Fate::Revived if self.dry_run => ("would_be_put_back", None),
            Fate::Revived => ("put_back", None),
            Fate::Refused(why) => ("refused", Some(why)),
            Fate::Gone => ("gone", None),
        };
        match fate {
            Fate::Revived => tally.revived += 1,
            Fate::Gone => tally.gone += 1,
            Fate::Refused(why) => {
                tally.refused += 1;
                if tally.refused <= TOLD {
                    output::complain(BAD, "refused", format!("run {} (vCon {}): {why}", letter.run, letter.uuid), None);
                }
            }
        }
        if self.output == Format::Jsonl {
            let line = json!({"status": status, "uuid": letter.uuid, "run": letter.run, "error": why});
            output::print_jsonl([line])?;
        }
        Ok(())
    }

    /// Waits until the rate allows more.
    async fn pace(&self, started: Instant, done: u64, interrupt: &Interrupt) {
        let Some(rate) = self.rate.filter(|_| !self.dry_run) else { return };
        tokio::select! {
            () = tokio::time::sleep(rate.time(done).saturating_sub(started.elapsed())) => {}
            () = interrupt.asked() => {}
        }
    }

    async fn tell(&self, tally: &Tally, took: Duration, stopped: bool) -> Result<()> {
        let left = letters::count(&*self.store, &self.queue).await?;
        let Tally { revived, refused, gone } = tally;
        let seconds = took.as_secs_f64();
        let to = self.surgery.to.as_ref().map(|target| &target.list);
        match self.output {
            Format::Table => {
                let to = to.map_or_else(|| "their lists".to_owned(), |list| format!("`{list}`"));
                let verb = if self.dry_run { "would be put back" } else { "put back" };
                let mut text = format!("{} {verb} on {to} from {}", counted(*revived, "run"), self.queue);
                if *refused > 0 {
                    text.push_str(&format!(", {refused} refused"));
                }
                if *gone > 0 {
                    text.push_str(&format!(", {gone} taken by someone else meanwhile"));
                }
                output::print(&format!("{text} in {seconds:.1} s; {left} left there\n"))
            }
            Format::Json => output::print_json(&json!({
                "queue": self.queue, "to": to, "revived": revived, "refused": refused, "gone": gone, "left": left,
                "dry_run": self.dry_run, "interrupted": stopped, "seconds": seconds,
            })),
            Format::Jsonl => Ok(()),
        }
    }
}

fn line(tally: &Tally, total: u64, took: Duration) -> String {
    let done = tally.revived + tally.refused + tally.gone;
    let rate = progress::rate(tally.revived, took);
    let left = total.saturating_sub(done) as f64 * took.as_secs_f64() / (done.max(1) as f64);
    let Tally { revived, refused, .. } = tally;
    format!("{revived} of at most {total} put back, {refused} refused, {rate}, {left:.0} s left")
}
