//! The storages stage of a passage: all at once, each failing and retried alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use vconductor_core::error::Error;
use vconductor_core::failpoint;
use vconductor_core::plugin::SaveItem;
use vconductor_core::run::{Stage, StepKey, effect_id};
use vconductor_core::store::{End, storage_dead_letter_queue};

use super::{Ending, Passage};
use crate::engine::chain::StorageStep;
use crate::telemetry::run as told;

impl Passage {
    /// Writes every storage that does not hold the vCon yet; `Err` ends the passage.
    pub(super) async fn storages(&mut self) -> Result<(), Ending> {
        let missing: Vec<StorageStep> = {
            let done = &self.book.open().storages;
            self.chain.storages.iter().filter(|storage| !done.contains_key(&storage.name)).cloned().collect()
        };
        if missing.is_empty() {
            return Ok(());
        }
        self.shared.lease.held().await;
        let failures = self.write_all(&missing).await?;
        if failures.is_empty() {
            return Ok(());
        }
        Err(self.storages_failed(&failures))
    }

    async fn write_all(&mut self, missing: &[StorageStep]) -> Result<Vec<(StorageStep, Error)>, Ending> {
        let mut writes: FuturesUnordered<_> = missing
            .iter()
            .map(|step| {
                let item = self.item(&step.name);
                let span = told::storage(step, &self.chain.name, &self.uuid);
                let (followed, clock) = (self.followed.clone(), Arc::clone(&self.shared.clock));
                async move {
                    let began = Instant::now();
                    let name = format!("storage:{}", step.name);
                    let limit = Some(step.writer.limit());
                    let seen = followed.as_ref().map(|seen| seen.begin(name, 1, limit, clock.now()));
                    let saved = span.around(step.writer.save(item)).await;
                    told::ended(&span, saved.as_ref().err());
                    if let Some(seen) = seen {
                        seen.storage(&saved, began.elapsed());
                    }
                    (step, saved)
                }
            })
            .collect();
        let mut failures: Vec<(StorageStep, Error)> = Vec::new();
        while let Some((step, result)) = writes.next().await {
            match result {
                Ok(()) => {
                    let revision = self.revision_to_save();
                    self.book.open().storages.insert(step.name.clone(), revision);
                    self.ledger_unsaved = true;
                    // A far side that keeps no revision would get a second copy after a crash: remember at once.
                    if !writes.is_empty() && !step.writer.capabilities().revisions {
                        self.save().await?;
                    }
                    if !writes.is_empty() {
                        failpoint::hit("between-storages");
                    }
                }
                Err(error) => failures.push((step.clone(), error)),
            }
        }
        drop(writes);
        // As the chain names them, not as they happened to fail: the dead letter lies where one looks for it.
        let place = |name: &str| missing.iter().position(|step| step.name == name);
        failures.sort_by_key(|(step, _)| place(&step.name));
        Ok(failures)
    }

    fn item(&mut self, storage: &str) -> SaveItem {
        let key = StepKey { link: format!("storage:{storage}"), occurrence: 0, options: String::new() };
        SaveItem {
            uuid: self.uuid.clone(),
            revision: self.revision_to_save(),
            vcon: std::sync::Arc::clone(&self.vcon),
            effect_id: effect_id(self.claim.run, &key, storage),
        }
    }

    /// What becomes of the run when storages failed. A required one withholds egress; where only optional ones
    /// failed, egress goes at once and the run goes on for them alone.
    fn storages_failed(&mut self, failures: &[(StorageStep, Error)]) -> Ending {
        let only_optional = failures.iter().all(|(step, _)| !step.required);
        if only_optional {
            self.book.open().stage = Stage::Egress;
        }
        self.ledger_unsaved = true;
        let mut dead: BTreeMap<&str, Ending> = BTreeMap::new();
        for (step, error) in failures {
            tracing::warn!(uuid = %self.uuid, storage = %step.name, error = %error.chain_text(), "a storage failed");
            let attempt = self.book.open().storage_attempts + 1;
            let queue = storage_dead_letter_queue(&step.name);
            let ending = self.failed(&step.name, error, attempt, &step.retry, queue);
            if matches!(&ending, Ending::Otherwise(End::Retry { .. }, _)) {
                self.book.open().storage_attempts = attempt;
                return ending;
            }
            dead.insert(&step.name, ending);
        }
        // All of them failed for good. The run waits in the queue of a required one, if there is one: drained
        // from there it tries every storage that is missing.
        let required = failures.iter().find(|(step, _)| step.required).unwrap_or(&failures[0]);
        let ending = dead.remove(required.0.name.as_str());
        self.book.open().storage_attempts = 0;
        ending.unwrap_or(Ending::Lost)
    }
}
