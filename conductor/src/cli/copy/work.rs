//! The work of a copy: look at both ends, write what is missing, read it back, move the cursor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use vconductor_core::compare::compare;
use vconductor_core::document::Document;
use vconductor_core::error::{Error, Result as CoreResult};
use vconductor_core::plugin::{SaveItem, Storage};
use vconductor_core::vcon::Vcon;

use crate::cli::age;
use crate::cli::bulk::ahead::Pace;
use crate::cli::bulk::cursor::{Cursor, Tally};
use crate::cli::bulk::select::Selection;
use crate::cli::bulk::source::{Item, Source, What, patiently};
use crate::cli::bulk::{BATCH, BATCH_BYTES, LOADS};
use crate::cli::exit::Result;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, Format};
use crate::cli::progress::{self, Progress};

/// Attempts of a write that may succeed later.
const ATTEMPTS: u32 = 5;
/// The revision of a copy: less than that of anything that a chain has written or will write.
const OLDEST: u64 = 1;
/// Places that are named where two documents differ.
const NAMED: usize = 3;

/// What is to be done.
pub(super) struct Copying {
    pub(super) source: Source,
    /// The name of the end that is written to.
    pub(super) name: String,
    pub(super) to: Arc<dyn Storage>,
    pub(super) selection: Selection,
    /// Whether both ends keep bytes.
    pub(super) lossless: bool,
    pub(super) verify: bool,
    pub(super) overwrite: bool,
    pub(super) limit: Option<u64>,
    pub(super) dry_run: bool,
    pub(super) output: Format,
}

/// A vCon on its way.
struct Wanted {
    item: SaveItem,
    text: Bytes,
    /// Whether another document is there.
    replaces: bool,
}

/// What a look at both ends gave.
enum Looked {
    Wanted(Box<Wanted>),
    Passed,
    There,
    Differs(String),
    Failed(String),
}

/// What became of the items of a batch.
#[derive(Default)]
struct Batch {
    keys: Vec<String>,
    wanted: Vec<Wanted>,
    bytes: usize,
    tally: Tally,
    /// What failed or differs, and why.
    reasons: Vec<(String, String)>,
}

impl Copying {
    /// Works until everything is done, the limit is reached, or somebody stops it. True: it is done.
    pub(super) async fn work(&self, cursor: &mut Cursor, pace: &mut Pace, interrupt: &Interrupt) -> Result<bool> {
        let mut progress = Progress::start();
        let earlier = cursor.state.tally.seen();
        loop {
            let page = self.source.rest(cursor).await?;
            let mut looks = stream::iter(page.items).map(|item| self.look(item)).buffered(LOADS);
            let mut batch = Batch::default();
            while let Some((key, looked)) = looks.next().await {
                if interrupt.is_asked() || cursor.state.tally.left(self.limit, batch.wanted.len()) == 0 {
                    break;
                }
                batch.add(key, looked);
                if batch.wanted.len() >= pace.batch(BATCH) || batch.bytes >= BATCH_BYTES {
                    let copied = self.write(cursor, std::mem::take(&mut batch)).await?;
                    progress.show(|| vec![line(&cursor.state.tally, earlier, pace.took())]);
                    pace.put(copied, interrupt).await;
                }
            }
            self.write(cursor, batch).await?;
            progress.show(|| vec![line(&cursor.state.tally, earlier, pace.took())]);
            if interrupt.is_asked() {
                return Ok(false);
            }
            cursor.state.page = page.next;
            if cursor.state.page.is_none() || cursor.state.tally.left(self.limit, 0) == 0 {
                return Ok(true);
            }
        }
    }

    async fn look(&self, item: Item) -> (String, Looked) {
        let found = match item.what {
            What::Refused(why) => Err(Error::permanent(why)),
            What::Document { uuid, text } => Ok(Some((uuid, text))),
            What::Named => self.source.load(&item.key).await.map(|text| Some((item.key.clone(), text?))),
        };
        let looked = match found {
            Ok(Some((uuid, text))) => self.judge(uuid, text).await,
            Ok(None) => Ok(Looked::Failed("it was listed, but is not there".to_owned())),
            Err(error) => Err(error),
        };
        (item.key, looked.unwrap_or_else(|error| Looked::Failed(error.chain_text())))
    }

    async fn judge(&self, uuid: String, text: Bytes) -> CoreResult<Looked> {
        let vcon = Vcon::read(text.clone())?;
        // A storage has chosen by time already.
        let created = vcon.created_at().map(|at| at.as_millisecond());
        let in_time = matches!(self.source, Source::Storage { .. }) || self.selection.holds(created);
        if !in_time || !self.selection.takes(&vcon)? {
            return Ok(Looked::Passed);
        }
        let there = if self.to.capabilities().read { self.read(&uuid).await? } else { None };
        let mut replaces = false;
        if let Some(there) = there {
            match self.differences(&text, &there) {
                None => return Ok(Looked::There),
                Some(what) if !self.overwrite => {
                    return Ok(Looked::Differs(format!("another document is there, which differs in {what}")));
                }
                Some(_) => replaces = true,
            }
        }
        let revision = if replaces { age::now().unsigned_abs() } else { OLDEST };
        let effect_id = format!("copy:{uuid}");
        let item = SaveItem { uuid, revision, vcon: Arc::new(vcon), effect_id };
        Ok(Looked::Wanted(Box::new(Wanted { item, text, replaces })))
    }

    async fn read(&self, uuid: &str) -> CoreResult<Option<Bytes>> {
        patiently(&self.name, || self.to.load(uuid)).await
    }

    /// Where two documents differ, as far as the storages promise that they do not.
    fn differences(&self, one: &Bytes, other: &Bytes) -> Option<String> {
        if one == other {
            return None;
        }
        let documents = Document::parse(one.clone()).and_then(|one| Ok((one, Document::parse(other.clone())?)));
        let Ok((one, other)) = documents else { return Some("that it is no JSON".to_owned()) };
        let found = compare(&one, &other);
        if found.is_empty() {
            return self.lossless.then(|| "how it is written".to_owned());
        }
        let places: Vec<&str> = found.iter().take(NAMED).map(|difference| difference.pointer.as_str()).collect();
        let more = if found.len() > NAMED { format!(" and {} more", found.len() - NAMED) } else { String::new() };
        Some(format!("{}{more}", places.join(", ")))
    }

    /// Writes a batch, reads it back, and moves the cursor behind it.
    async fn write(&self, cursor: &mut Cursor, batch: Batch) -> Result<u64> {
        let Batch { keys, wanted, mut tally, mut reasons, .. } = batch;
        if keys.is_empty() {
            return Ok(0);
        }
        let results = if self.dry_run { wanted.iter().map(|_| Ok(())).collect() } else { self.save(&wanted).await? };
        let checks = stream::iter(wanted.iter().zip(results)).map(|(wanted, result)| async move {
            let verified = match result {
                Ok(()) if self.verify && !self.dry_run => self.verified(wanted).await,
                other => other,
            };
            (wanted, verified)
        });
        let mut checks = checks.buffered(LOADS);
        let mut copied = 0;
        while let Some((wanted, result)) = checks.next().await {
            let uuid = &wanted.item.uuid;
            match result {
                Ok(()) => {
                    copied += 1;
                    tally.bytes += wanted.text.len() as u64;
                    tally.differed += u64::from(wanted.replaces);
                    self.tell(if self.dry_run { "would_be_copied" } else { "copied" }, uuid, None)?;
                }
                Err(error) => {
                    tally.failed += 1;
                    reasons.push((uuid.clone(), error.chain_text()));
                }
            }
        }
        drop(checks);
        tally.done += copied;
        for (what, why) in &reasons {
            self.tell("failed", what, Some(why))?;
            cursor.state.reasons.add(what, why);
        }
        let all = &mut cursor.state.tally;
        for (sum, more) in [
            (&mut all.done, tally.done),
            (&mut all.passed, tally.passed),
            (&mut all.failed, tally.failed),
            (&mut all.there, tally.there),
            (&mut all.differed, tally.differed),
            (&mut all.bytes, tally.bytes),
        ] {
            *sum += more;
        }
        keys.into_iter().for_each(|key| cursor.past(key));
        if !self.dry_run {
            cursor.advance(Vec::new(), None).await?;
        }
        Ok(copied)
    }

    /// One result for each; what fails for a while is tried again, and ends the command if that does not help.
    async fn save(&self, wanted: &[Wanted]) -> CoreResult<Vec<CoreResult<()>>> {
        let mut results: Vec<Option<CoreResult<()>>> = wanted.iter().map(|_| None).collect();
        for attempt in 0..=ATTEMPTS {
            let open: Vec<usize> = (0..wanted.len()).filter(|index| results[*index].is_none()).collect();
            if open.is_empty() {
                break;
            }
            let items: Vec<SaveItem> = open.iter().map(|index| wanted[*index].item.clone()).collect();
            let mut wait = Duration::from_millis(250 << attempt);
            for (index, result) in open.into_iter().zip(self.to.save_many(&items).await) {
                match result {
                    Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                        wait = wait.max(error.wait().unwrap_or_default());
                    }
                    Err(error) if error.is_retryable() => {
                        return Err(error.within(format_args!("storage `{}`", self.name)));
                    }
                    result => results[index] = Some(result),
                }
            }
            if results.iter().any(Option::is_none) {
                tokio::time::sleep(wait).await;
            }
        }
        let missing = || Err(Error::permanent("the storage gave no answer for it"));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }

    async fn verified(&self, wanted: &Wanted) -> CoreResult<()> {
        let Some(there) = self.read(&wanted.item.uuid).await? else {
            return Err(Error::permanent("it was written, but is not there"));
        };
        match self.differences(&wanted.text, &there) {
            None => Ok(()),
            Some(what) => Err(Error::permanent(format!("what was written came back different in {what}"))),
        }
    }

    fn tell(&self, status: &str, uuid: &str, why: Option<&str>) -> Result<()> {
        if self.output != Format::Jsonl {
            return Ok(());
        }
        output::print_jsonl([json!({"status": status, "uuid": uuid, "to": self.name, "error": why})])
    }
}

impl Batch {
    fn add(&mut self, key: String, looked: Looked) {
        match looked {
            Looked::Wanted(wanted) => {
                self.bytes += wanted.text.len();
                self.wanted.push(*wanted);
            }
            Looked::Passed => self.tally.passed += 1,
            Looked::There => self.tally.there += 1,
            Looked::Differs(why) => {
                self.tally.differed += 1;
                self.reasons.push((key.clone(), why));
            }
            Looked::Failed(why) => {
                self.tally.failed += 1;
                self.reasons.push((key.clone(), why));
            }
        }
        self.keys.push(key);
    }
}

fn line(tally: &Tally, earlier: u64, took: Duration) -> String {
    let rate = progress::rate(tally.seen().saturating_sub(earlier), took);
    let Tally { done, there, differed, failed, .. } = tally;
    format!("{done} copied, {there} there already, {differed} differ, {failed} failed, {rate}")
}
