//! Putting dead runs back, many of them, at a rate, stoppable.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde_json::json;
use uuid::Uuid;
use vconductor_core::error::{Class, Error};
use vconductor_core::run::RunId;
use vconductor_core::store::{DeadLetter, Store, TenantScope};
use vconductor_core::vcon::Vcon;

use super::fingerprint;
use super::letters::{self, Letters};
use super::surgery::{Plan, Surgery, Target};
use crate::cli::age;
use crate::cli::bulk::BATCH;
use crate::cli::bulk::again::Again;
use crate::cli::bulk::ahead::Pace;
use crate::cli::bulk::cursor::Cursor;
use crate::cli::bulk::rate::Rate;
use crate::cli::bulk::select::{Select, Selection};
use crate::cli::configuration::counted;
use crate::cli::desk::Desk;
use crate::cli::exit::{Exit, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, BAD, Format};
use crate::cli::progress::{self, Progress};

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
    /// Of this cause.
    pub(crate) group: Option<String>,
}

impl Filter {
    fn takes(&self, letter: &DeadLetter) -> bool {
        self.uuid.as_ref().is_none_or(|uuid| *uuid == letter.uuid)
            && self.run.is_none_or(|run| run == letter.run)
            && self.class.is_none_or(|class| class == letter.failure.class)
            && self.group.as_ref().is_none_or(|group| fingerprint::cause(&letter.failure) == *group)
    }

    /// Whether it names single letters, so that finding none is a failure.
    fn is_precise(&self) -> bool {
        self.uuid.is_some() || self.run.is_some()
    }
}

/// How the command goes about it.
#[derive(Debug)]
pub(crate) struct Begin {
    /// The name of its cursor.
    pub(crate) name: String,
    pub(crate) restart: bool,
    pub(crate) rate: Option<Rate>,
    pub(crate) ahead: u64,
    pub(crate) limit: Option<u64>,
    pub(crate) dry_run: bool,
    pub(crate) output: Format,
}

/// What is to be done.
pub(crate) struct Revivals {
    store: Arc<dyn Store>,
    queue: String,
    filter: Filter,
    select: Select,
    surgery: Surgery,
    begin: Begin,
}

/// What became of the letters so far.
#[derive(Debug, Default)]
struct Tally {
    revived: u64,
    refused: u64,
    gone: u64,
    /// What the runs that went on have cost already, in US dollars; it is not paid again.
    kept: f64,
}

/// What became of one letter.
enum Fate {
    Revived,
    Passed,
    Refused(String),
    Gone,
}

impl Revivals {
    pub(crate) fn new(
        desk: Desk,
        queue: String,
        filter: Filter,
        again: &Again,
        to: Option<Target>,
        begin: Begin,
    ) -> Revivals {
        let surgery = Surgery::new(to, &again.different, again.new_run, desk.configured.as_ref());
        Revivals { store: desk.store, queue, filter, select: again.select.clone(), surgery, begin }
    }

    /// Puts the runs back and tells how it went.
    pub(crate) async fn run(&self) -> Result<Exit> {
        self.surgery.check(&self.queue)?;
        let interrupt = Interrupt::listen()?;
        let restart = self.begin.restart && self.is_kept();
        let mut cursor = Cursor::open(&self.store, &self.begin.name, "replay of dead letters", restart).await?;
        if !self.is_kept() {
            cursor.begin_anew();
        }
        let selection = self.select.compile(cursor.state.begun)?;
        let total = letters::count(&*self.store, &self.queue).await?;
        if total == 0 {
            letters::warn_of_empty(&*self.store, &self.queue).await?;
        }
        if cursor.resumed {
            let ago = age::age(cursor.state.begun);
            output::say(format_args!("goes on with what was begun {ago} ago; runs that have died since then are left"));
        }
        let mut tally = Tally { revived: cursor.state.tally.done, ..Tally::default() };
        let most = self.begin.limit.map_or(total, |limit| total.min(limit));
        let mut pace = Pace::new(self.begin.rate, if self.begin.dry_run { 0 } else { self.begin.ahead });
        let worked = self.work(&selection, &mut cursor, &mut pace, &interrupt, &mut tally, most).await;
        let stopped = interrupt.is_asked();
        if stopped || worked.is_err() {
            output::say(format_args!(
                "{} went on so far; those have left {}, so the same command goes on with the rest",
                counted(tally.revived, "run"),
                self.queue
            ));
        }
        worked?;
        if !stopped && self.is_kept() {
            cursor.forget().await?;
        }
        self.tell(&tally, pace.took(), stopped).await?;
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

    /// Whether it is worth a cursor: single runs and looks are done at once.
    fn is_kept(&self) -> bool {
        !self.begin.dry_run && !self.filter.is_precise()
    }

    async fn work(
        &self,
        selection: &Selection,
        cursor: &mut Cursor,
        pace: &mut Pace,
        interrupt: &Interrupt,
        tally: &mut Tally,
        total: u64,
    ) -> Result<()> {
        let mut progress = Progress::start();
        let size = pace.batch(BATCH);
        let stood = cursor.state.page.as_deref().and_then(|run| Uuid::parse_str(run).ok()).map(RunId);
        let mut letters = Letters::after(&*self.store, &self.queue, stood);
        if self.is_kept() && !cursor.resumed {
            // What dies from now on is left for the next command, whatever ends this one.
            cursor.advance(Vec::new(), None).await?;
        }
        loop {
            let page = self.page(&mut letters).await?;
            let is_last = page.is_empty() || self.filter.run.is_some();
            let last = page.last().map(|letter| letter.run);
            let is_old = |letter: &DeadLetter| !cursor.resumed || letter.failure.at < cursor.state.begun;
            let wanted: Vec<DeadLetter> = page
                .into_iter()
                .filter(|letter| {
                    self.filter.takes(letter) && selection.holds(Some(letter.failure.at)) && is_old(letter)
                })
                .collect();
            let mut rest = wanted.as_slice();
            while !rest.is_empty() {
                let left = self.begin.limit.map_or(u64::MAX, |limit| limit.saturating_sub(tally.revived));
                let count = size.min(rest.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
                if count == 0 || interrupt.is_asked() {
                    return Ok(());
                }
                let (batch, later) = rest.split_at(count);
                rest = later;
                let list = self.surgery.to.as_ref().map_or(batch[0].list.as_str(), |target| &target.list);
                let shown = line(tally, total, pace.took());
                pace.room(&*self.store, list, interrupt, &mut progress, || shown.clone()).await?;
                let before = tally.revived;
                self.batch(batch, selection, tally).await?;
                cursor.state.tally.done = tally.revived;
                progress.show(|| vec![line(tally, total, pace.took())]);
                if !self.begin.dry_run {
                    pace.put(tally.revived - before, interrupt).await;
                }
            }
            if let Some(last) = last.filter(|_| self.is_kept()) {
                cursor.state.page = Some(last.to_string());
                cursor.advance(Vec::new(), None).await?;
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
    async fn batch(&self, batch: &[DeadLetter], selection: &Selection, tally: &mut Tally) -> Result<()> {
        let mut fates = stream::iter(batch)
            .map(|letter| async move { (letter, self.revive(letter, selection).await) })
            .buffered(BATCH);
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

    async fn revive(&self, letter: &DeadLetter, selection: &Selection) -> Result<Fate, Error> {
        if selection.has_condition() {
            match self.condition(letter, selection).await? {
                Ok(true) => {}
                Ok(false) => return Ok(Fate::Passed),
                Err(why) => return Ok(Fate::Refused(why)),
            }
        }
        let revived = match self.surgery.plan(letter) {
            Plan::Refused(why) => return Ok(Fate::Refused(why)),
            _ if self.begin.dry_run => true,
            Plan::Continue => self.store.revive(letter.run).await?,
            Plan::Changed(revival) => self.store.revive_as(letter, *revival).await?,
        };
        Ok(if revived { Fate::Revived } else { Fate::Gone })
    }

    /// Whether the condition is true of the vCon as the run left it.
    async fn condition(&self, letter: &DeadLetter, selection: &Selection) -> Result<Result<bool, String>, Error> {
        let switched = letter.ledger.as_ref().and_then(|ledger| ledger.switched_to.as_deref());
        let uuid = switched.unwrap_or(&letter.uuid);
        let Some(stored) = self.store.get(&TenantScope::Everything, uuid).await? else {
            return Ok(Err(format!("no document is stored under {uuid}, so --where cannot be asked")));
        };
        let taken = Vcon::read(stored.document).and_then(|vcon| selection.takes(&vcon));
        Ok(taken.map_err(|error| error.chain_text()))
    }

    fn count(&self, letter: &DeadLetter, fate: &Fate, tally: &mut Tally) -> Result<()> {
        let (status, why) = match fate {
            Fate::Revived if self.begin.dry_run => ("would_be_put_back", None),
            Fate::Revived => ("put_back", None),
            Fate::Refused(why) => ("refused", Some(why)),
            Fate::Gone => ("gone", None),
            Fate::Passed => return Ok(()),
        };
        match fate {
            Fate::Revived => {
                tally.revived += 1;
                let cost = letter.ledger.as_ref().and_then(|ledger| ledger.cost()).unwrap_or(0.0);
                tally.kept += if self.surgery.new_run { 0.0 } else { cost };
            }
            Fate::Gone => tally.gone += 1,
            Fate::Passed => {}
            Fate::Refused(why) => {
                tally.refused += 1;
                if tally.refused <= TOLD {
                    output::complain(BAD, "refused", format!("run {} (vCon {}): {why}", letter.run, letter.uuid), None);
                }
            }
        }
        if self.begin.output == Format::Jsonl {
            let line = json!({"status": status, "uuid": letter.uuid, "run": letter.run, "error": why});
            output::print_jsonl([line])?;
        }
        Ok(())
    }

    async fn tell(&self, tally: &Tally, took: Duration, stopped: bool) -> Result<()> {
        let left = letters::count(&*self.store, &self.queue).await?;
        let Tally { revived, refused, gone, kept } = tally;
        let seconds = took.as_secs_f64();
        let to = self.surgery.to.as_ref().map(|target| &target.list);
        match self.begin.output {
            Format::Table => {
                let to = to.map_or_else(|| "their lists".to_owned(), |list| format!("`{list}`"));
                let verb = if self.begin.dry_run { "would be put back" } else { "put back" };
                let mut text = format!("{} {verb} on {to} from {}", counted(*revived, "run"), self.queue);
                if *refused > 0 {
                    text.push_str(&format!(", {refused} refused"));
                }
                if *gone > 0 {
                    text.push_str(&format!(", {gone} taken by someone else meanwhile"));
                }
                text.push_str(&format!(" in {seconds:.1} s; {left} left there\n"));
                if *kept > 0.0 {
                    text.push_str(&format!("what they have paid so far, ${kept:.2}, is in their ledgers\n"));
                }
                output::print(&text)
            }
            Format::Json => output::print_json(&json!({
                "queue": self.queue, "to": to, "revived": revived, "refused": refused, "gone": gone, "left": left,
                "paid_before_usd": kept, "dry_run": self.begin.dry_run, "interrupted": stopped, "seconds": seconds,
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
