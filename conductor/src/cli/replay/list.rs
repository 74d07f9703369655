//! From a list: its waiting runs are taken off it and put on another one, each in one step. What was taken has left the
//! list, so the same command goes on without a cursor.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::json;
use vconductor_core::run::Ledger;
use vconductor_core::store::{Retaken, Store, TenantScope};
use vconductor_core::vcon::Vcon;

use super::told::Told;
use crate::cli::bulk::ahead::Pace;
use crate::cli::bulk::cursor::Tally;
use crate::cli::bulk::reasons::Reasons;
use crate::cli::bulk::select::Selection;
use crate::cli::bulk::{BATCH, LOADS};
use crate::cli::exit::Result;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{self, Format};
use crate::cli::progress::Progress;

/// What is to be done.
pub(super) struct Retakes {
    pub(super) store: Arc<dyn Store>,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) selection: Selection,
    pub(super) ledger: Option<Ledger>,
    pub(super) limit: Option<u64>,
    pub(super) dry_run: bool,
    pub(super) output: Format,
}

/// What became of them.
#[derive(Debug, Default)]
pub(super) struct Took {
    pub(super) tally: Tally,
    pub(super) reasons: Reasons,
}

impl Retakes {
    /// Works until the list has been gone through as long as it was at the start. True: it has.
    pub(super) async fn work(
        &self,
        took: &mut Took,
        pace: &mut Pace,
        told: &mut Told,
        interrupt: &Interrupt,
    ) -> Result<bool> {
        let mut progress = Progress::start();
        // Runs that wait now; what is put behind them meanwhile, by us too, is not looked at.
        let mut rest = self.waiting().await?;
        let mut stayed = 0;
        while rest > 0 {
            let left = self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(took.tally.done));
            let most = pace.batch(BATCH).min(usize::try_from(left.min(rest)).unwrap_or(BATCH));
            if interrupt.is_asked() {
                return Ok(false);
            }
            if most == 0 {
                return Ok(true);
            }
            let line = told.line(&took.tally, pace.took());
            if self.from != self.to {
                pace.room(&*self.store, &self.to, interrupt, &mut progress, || line.clone()).await?;
                if interrupt.is_asked() {
                    return Ok(false);
                }
            }
            let uuids = self.store.waiting(&self.from, stayed, most).await?;
            if uuids.is_empty() {
                return Ok(true);
            }
            rest = rest.saturating_sub(uuids.len() as u64);
            let looks = stream::iter(uuids).map(|uuid| self.look(uuid)).buffered(LOADS);
            let looked: Vec<(String, Result<bool, String>)> = looks.collect().await;
            let mut wanted = Vec::new();
            for (uuid, judged) in looked {
                match judged {
                    Ok(true) => wanted.push(uuid),
                    Ok(false) => {
                        took.tally.passed += 1;
                        stayed += 1;
                    }
                    Err(why) => {
                        took.tally.failed += 1;
                        took.reasons.add(&uuid, &why);
                        stayed += 1;
                    }
                }
            }
            let moved = self.take(&wanted, took, &mut stayed).await?;
            told.spent(&*self.store).await;
            progress.show(|| vec![told.line(&took.tally, pace.took())]);
            if !self.dry_run {
                pace.put(moved, interrupt).await;
            }
        }
        Ok(true)
    }

    /// Runs that wait on the list.
    pub(super) async fn waiting(&self) -> Result<u64> {
        let lists = self.store.lists().await?;
        Ok(lists.iter().find(|status| status.list == self.from).map_or(0, |status| status.waiting))
    }

    async fn look(&self, uuid: String) -> (String, Result<bool, String>) {
        let judged = self.judge(&uuid).await;
        (uuid, judged)
    }

    async fn judge(&self, uuid: &str) -> Result<bool, String> {
        if !self.selection.has_condition() && self.selection.holds(None) {
            return Ok(true);
        }
        let stored = self.store.get(&TenantScope::Everything, uuid).await.map_err(|error| error.chain_text())?;
        let Some(stored) = stored else { return Err("no document is stored under its uuid".to_owned()) };
        let vcon = Vcon::read(stored.document).map_err(|error| error.chain_text())?;
        let in_time = self.selection.holds(vcon.created_at().map(|at| at.as_millisecond()));
        Ok(in_time && self.selection.takes(&vcon).map_err(|error| error.chain_text())?)
    }

    async fn take(&self, uuids: &[String], took: &mut Took, stayed: &mut usize) -> Result<u64> {
        if self.dry_run {
            *stayed += uuids.len();
            took.tally.done += uuids.len() as u64;
            self.tell(uuids)?;
            return Ok(uuids.len() as u64);
        }
        let fates = self.store.retake(&self.from, &self.to, uuids, self.ledger.as_ref()).await?;
        let mut moved = Vec::new();
        for (uuid, fate) in uuids.iter().zip(fates) {
            match fate {
                Retaken::Moved => moved.push(uuid.clone()),
                Retaken::Stays => {
                    *stayed += 1;
                    took.tally.passed += 1;
                }
                // Somebody else took it.
                Retaken::Gone => took.tally.passed += 1,
            }
        }
        took.tally.done += moved.len() as u64;
        self.tell(&moved)?;
        Ok(moved.len() as u64)
    }

    fn tell(&self, uuids: &[String]) -> Result<()> {
        if self.output != Format::Jsonl {
            return Ok(());
        }
        let status = if self.dry_run { "would_be_run" } else { "put_on_list" };
        output::print_jsonl(uuids.iter().map(|uuid| json!({"status": status, "uuid": uuid, "list": self.to})))
    }
}
