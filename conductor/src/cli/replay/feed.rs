//! From a storage or files: each vCon is stored and put on the target's list as a new run, in one step with the cursor.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;
use vconductor_core::clock::Millis;
use vconductor_core::error::Error;
use vconductor_core::run::Ledger;
use vconductor_core::store::{NewVcon, Store};
use vconductor_core::vcon::Vcon;

use super::told::Told;
use crate::cli::bulk::ahead::Pace;
use crate::cli::bulk::cursor::{Cursor, Stopped};
use crate::cli::bulk::select::Selection;
use crate::cli::bulk::source::{Item, Source, What};
use crate::cli::bulk::{BATCH, BATCH_BYTES, LOADS};
use crate::cli::exit::{Failure, Result};
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;

/// What is to be done.
pub(super) struct Feed {
    pub(super) store: Arc<dyn Store>,
    pub(super) source: Source,
    pub(super) selection: Selection,
    /// The list that they are put on.
    pub(super) list: String,
    /// What their runs begin with.
    pub(super) ledger: Option<Ledger>,
    /// How long they are kept after their last run.
    pub(super) keep: Option<Duration>,
    pub(super) limit: Option<u64>,
    pub(super) dry_run: bool,
    pub(super) output: Format,
}

/// What a look at one item gave.
enum Looked {
    Wanted(NewVcon, Option<Millis>),
    Passed,
    Failed(String),
}

/// Items that were looked at since the cursor was moved last.
#[derive(Default)]
struct Batch {
    keys: Vec<String>,
    /// By the keys of their items.
    vcons: Vec<(String, NewVcon)>,
    passed: u64,
    failed: Vec<(String, String)>,
    bytes: usize,
}

impl Feed {
    /// Works until everything is done, the limit is reached, or somebody stops it. True: it is done.
    pub(super) async fn work(
        &self,
        cursor: &mut Cursor,
        pace: &mut Pace,
        told: &mut Told,
        interrupt: &Interrupt,
    ) -> Result<bool> {
        let mut progress = Progress::start();
        loop {
            let page = self.source.rest(cursor).await?;
            let mut looks = stream::iter(page.items).map(|item| self.look(item)).buffered(LOADS);
            let mut batch = Batch::default();
            while let Some((key, looked)) = looks.next().await {
                if interrupt.is_asked() || cursor.state.tally.left(self.limit, batch.vcons.len()) == 0 {
                    break;
                }
                told.at(batch.add(key, looked));
                if batch.vcons.len() >= pace.batch(BATCH) || batch.bytes >= BATCH_BYTES {
                    self.flush(cursor, std::mem::take(&mut batch), pace, told, interrupt, &mut progress).await?;
                }
            }
            self.flush(cursor, batch, pace, told, interrupt, &mut progress).await?;
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
        let looked = match item.what {
            What::Refused(why) => Looked::Failed(why),
            What::Document { uuid, text } => self.judge(uuid, text),
            What::Named => match self.source.load(&item.key).await {
                Ok(Some(text)) => self.judge(item.key.clone(), text),
                Ok(None) => Looked::Failed("it was listed, but is not there".to_owned()),
                Err(error) => Looked::Failed(error.chain_text()),
            },
        };
        (item.key, looked)
    }

    fn judge(&self, uuid: String, text: Bytes) -> Looked {
        let judged = Vcon::read(text.clone()).and_then(|vcon| {
            let created = vcon.created_at().map(|at| at.as_millisecond());
            // A storage has chosen by time already.
            let in_time = matches!(self.source, Source::Storage { .. }) || self.selection.holds(created);
            Ok((in_time && self.selection.takes(&vcon)?, created))
        });
        match judged {
            Ok((true, created)) => {
                let (document, lists) = (Some(text), vec![self.list.clone()]);
                let vcon = NewVcon { uuid, document, lists, keep: self.keep, context: None, tenant: None };
                Looked::Wanted(vcon, created)
            }
            Ok((false, _)) => Looked::Passed,
            Err(error) => Looked::Failed(error.chain_text()),
        }
    }

    /// Puts a batch on the list and moves the cursor behind it.
    async fn flush(
        &self,
        cursor: &mut Cursor,
        batch: Batch,
        pace: &mut Pace,
        told: &Told,
        interrupt: &Interrupt,
        progress: &mut Progress,
    ) -> Result<()> {
        if batch.keys.is_empty() {
            return Ok(());
        }
        let line = |cursor: &Cursor, pace: &Pace| told.line(&cursor.state.tally, pace.took());
        if !self.dry_run && !batch.vcons.is_empty() {
            let shown = line(cursor, pace);
            pace.room(&*self.store, &self.list, interrupt, progress, || shown.clone()).await?;
            if interrupt.is_asked() {
                // Nothing of it is done; it is looked at again when the command goes on.
                return Ok(());
            }
        }
        let put = self.put(cursor, batch).await?;
        told.spent(&*self.store).await;
        progress.show(|| vec![line(cursor, pace)]);
        if !self.dry_run {
            pace.put(put, interrupt).await;
        }
        Ok(())
    }

    async fn put(&self, cursor: &mut Cursor, batch: Batch) -> Result<u64> {
        let Batch { keys, vcons, passed, failed, bytes } = batch;
        let before = cursor.state.clone();
        let count = vcons.len() as u64;
        let state = &mut cursor.state;
        state.tally.passed += passed;
        state.tally.failed += failed.len() as u64;
        failed.iter().for_each(|(what, why)| state.reasons.add(what, why));
        state.tally.done += count;
        state.tally.bytes += bytes as u64;
        keys.iter().for_each(|key| cursor.past(key.clone()));
        let uuids: Vec<String> = vcons.iter().map(|(_, vcon)| vcon.uuid.clone()).collect();
        if self.dry_run {
            self.tell(&uuids, &failed)?;
            return Ok(count);
        }
        let all = vcons.iter().map(|(_, vcon)| vcon.clone()).collect();
        match cursor.advance(all, self.ledger.as_ref()).await {
            Ok(()) => self.tell(&uuids, &failed)?,
            Err(Stopped::Store(error)) if !error.is_retryable() && count > 0 => {
                // All or none: one by one, so that the one that cannot be stored does not take the others with it.
                cursor.state = before;
                return self.one_by_one(cursor, Batch { keys, vcons, passed, failed, bytes }).await;
            }
            Err(stopped) => return Err(stopped.into()),
        }
        Ok(count)
    }

    async fn one_by_one(&self, cursor: &mut Cursor, batch: Batch) -> Result<u64> {
        let Batch { keys, vcons, passed, mut failed, .. } = batch;
        let (mut done, mut uuids) = (0, Vec::new());
        for (key, vcon) in vcons {
            let (uuid, size) = (vcon.uuid.clone(), vcon.document.as_ref().map_or(0, Bytes::len));
            let before = cursor.state.clone();
            cursor.state.tally.done += 1;
            cursor.state.tally.bytes += size as u64;
            cursor.past(key);
            match cursor.advance(vec![vcon], self.ledger.as_ref()).await {
                Ok(()) => {
                    done += 1;
                    uuids.push(uuid);
                }
                Err(Stopped::Store(error)) if !error.is_retryable() => {
                    cursor.state = before;
                    failed.push((uuid, Error::chain_text(&error)));
                }
                Err(stopped) => return Err(stopped.into()),
            }
        }
        let state = &mut cursor.state;
        state.tally.passed += passed;
        state.tally.failed += failed.len() as u64;
        failed.iter().for_each(|(what, why)| state.reasons.add(what, why));
        for key in keys {
            if !cursor.knows(&key) {
                cursor.past(key);
            }
        }
        cursor.advance(Vec::new(), None).await.map_err(Failure::from)?;
        self.tell(&uuids, &failed)?;
        Ok(done)
    }

    fn tell(&self, uuids: &[String], failed: &[(String, String)]) -> Result<()> {
        if self.output != Format::Jsonl {
            return Ok(());
        }
        let status = if self.dry_run { "would_be_run" } else { "put_on_list" };
        output::print_jsonl(uuids.iter().map(|uuid| json!({"status": status, "uuid": uuid, "list": self.list})))?;
        output::print_jsonl(failed.iter().map(|(what, why)| json!({"status": "failed", "of": what, "error": why})))
    }
}

impl Batch {
    /// Adds what a look gave; answers the time of the vCon, if it is wanted and has one.
    fn add(&mut self, key: String, looked: Looked) -> Option<Millis> {
        let mut at = None;
        match looked {
            Looked::Wanted(vcon, created) => {
                self.bytes += vcon.document.as_ref().map_or(0, Bytes::len);
                self.vcons.push((key.clone(), vcon));
                at = created;
            }
            Looked::Passed => self.passed += 1,
            Looked::Failed(why) => self.failed.push((key.clone(), why)),
        }
        self.keys.push(key);
        at
    }
}
