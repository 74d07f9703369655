//! The work on items, in the background: the vCon is made, and everything that this changes is one commit.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::failpoint;
use vconductor_core::layers::instruments::{dead_lettered, ingress_event};
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::store::{
    Claim, ClaimRequest, Claimed, Commit, End, Failure, Made, Quota, Save, Store, TenantScope, dead_letter_queue,
};

use super::item::{self, Item};
use super::vcon::Finished;
use super::{Gate, list_of};
use crate::engine::backoff;
use crate::follow::lease::Lease;

/// Items that are worked on at once, over all ingress adapters: each may hold a recording in memory.
const AT_ONCE: usize = 8;
/// How long nothing may ring before it is looked again; retries become due meanwhile.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of items that are loaded with one claim.
const BYTES: u64 = 32 << 20;
/// The least wait when the operator must mend something.
const MENDING: Duration = Duration::from_secs(30);
/// The first waits for what is not there yet are short: most recordings are there within seconds.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: u32::MAX,
    base: Duration::from_secs(1),
    cap: Duration::from_secs(300),
    longest_wait: Duration::from_secs(3600),
};

/// Works on the items of all gates.
pub(super) struct Worker {
    gates: HashMap<String, Arc<Gate>>,
    store: Arc<dyn Store>,
    lease: Arc<Lease>,
    stop: CancellationToken,
}

impl Worker {
    pub(super) fn new(gates: &[Arc<Gate>], store: Arc<dyn Store>, lease: Arc<Lease>, stop: CancellationToken) -> Self {
        let gates = gates.iter().map(|gate| (list_of(&gate.name), Arc::clone(gate))).collect();
        Worker { gates, store, lease, stop }
    }

    /// Works until told to stop; what is at work then may end.
    pub(super) async fn work(self) {
        let lists: Vec<String> = self.gates.keys().cloned().collect();
        let mut at_work = JoinSet::new();
        let mut failures = 0;
        while !self.stop.is_cancelled() {
            while at_work.try_join_next().is_some() {}
            let room = AT_ONCE - at_work.len().min(AT_ONCE);
            let claimed = match self.claim(&lists, room).await {
                Ok(claimed) => {
                    failures = 0;
                    claimed
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(error = %error.chain_text(), "the store does not answer the ingress");
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = sleep(backoff(failures)) => {}
                    }
                    continue;
                }
            };
            let none = claimed.is_empty();
            for claimed in claimed {
                let Some(gate) = self.gates.get(&claimed.claim.list) else { continue };
                let job = Job { gate: Arc::clone(gate), lease: Arc::clone(&self.lease), stop: self.stop.clone() };
                at_work.spawn(Box::pin(async move { job.work(claimed).await }));
            }
            if none {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    Some(_) = at_work.join_next() => {}
                    () = self.store.doorbell(&lists, LOOK), if room > 0 => {}
                }
            }
        }
        while at_work.join_next().await.is_some() {}
    }

    async fn claim(&self, lists: &[String], room: usize) -> Result<Vec<Claimed>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        // Where no conductor runs, nobody else does that.
        self.store.pump().await?;
        let quotas = lists.iter().map(|list| Quota { list: list.clone(), limit: room, weight: 1 }).collect();
        let request = ClaimRequest { quotas, limit: room, bytes: BYTES };
        Ok(self.store.exchange(&self.lease.process(), Vec::new(), Some(request)).await?.1)
    }
}

/// The work on one item.
struct Job {
    gate: Arc<Gate>,
    lease: Arc<Lease>,
    stop: CancellationToken,
}

/// What became of the work on an item.
enum Outcome {
    /// It is made here; with what is left of the item.
    Vcon(Finished, Save),
    /// Another run has made it.
    Elsewhere,
}

impl Job {
    async fn work(self, claimed: Claimed) {
        let received = claimed.stored.as_ref().and_then(|stored| Item::read(&stored.document).ok());
        let received = received.map_or(claimed.enqueued_at, |item| item.received);
        let attempts = claimed.attempts + 1;
        let claim = claimed.claim.clone();
        // A panic of an adapter must not leave the claim with nobody.
        let made = AssertUnwindSafe(self.make(&claimed)).catch_unwind();
        let made = tokio::select! {
            made = made => made.unwrap_or_else(|_| Err(Error::permanent("the adapter panicked").help("this is a defect; the log has more"))),
            () = self.stopped() => {
                self.lease.commit(Commit::ending(claim, End::Release)).await;
                return;
            }
        };
        match made {
            Ok(made) => self.finish(claim, made).await,
            Err(error) => self.failed(claim, received, attempts, &error).await,
        }
    }

    async fn make(&self, claimed: &Claimed) -> Result<Outcome> {
        let (uuid, run) = (&claimed.claim.uuid, claimed.claim.run.to_string());
        // It came twice at the same moment, and the other one is done, or about to be.
        if self.gate.maker(uuid).await?.is_some_and(|maker| maker != run) {
            return Ok(Outcome::Elsewhere);
        }
        let stored = claimed.stored.as_ref().ok_or_else(|| {
            Error::permanent("the event is not stored any more")
                .help("somebody has deleted it; the vendor may send it again")
        })?;
        let read = Item::read(&stored.document)?;
        let document = item::done(uuid, read.received)?;
        let left = Save { uuid: uuid.clone(), document, revision: stored.revision + 1 };
        let finished = Box::pin(self.gate.make(read)).await?;
        self.gate.note_maker(uuid, &run).await?;
        failpoint::hit("ingress_noted");
        Ok(Outcome::Vcon(finished, left))
    }

    async fn finish(&self, claim: Claim, made: Outcome) {
        let (ingress, item) = (self.gate.name.clone(), claim.uuid.clone());
        let mut commit = Commit::ending(claim, End::Done);
        let (outcome, uuid) = match made {
            Outcome::Vcon(Finished { uuid, document }, left) => {
                let lists = vec![self.gate.list.clone()];
                commit.made.push(Made { uuid: uuid.clone(), document, lists });
                commit.save = Some(left);
                ("made", uuid)
            }
            Outcome::Elsewhere => ("repeated", String::new()),
        };
        let is_made = !commit.made.is_empty();
        if !self.lease.commit(commit).await {
            return;
        }
        failpoint::hit("ingress_made");
        ingress_event(&ingress, outcome);
        tracing::debug!(ingress, outcome, uuid, "an event is done");
        // What another run is to make is still wanted. What is left of a done one would expire by itself.
        if is_made && let Err(error) = self.gate.store.delete(&TenantScope::Everything, &item).await {
            tracing::debug!(ingress, item, error = %error.chain_text(), "an item that is done is deleted later");
        }
    }

    /// Tried again until `give_up_after`; what cannot get better is a dead letter at once.
    async fn failed(&self, claim: Claim, received: Millis, attempts: u32, error: &Error) {
        let now = SystemClock.now();
        let given_up = now - received >= self.gate.give_up_after;
        let class = if given_up && error.is_retryable() { Class::Permanent } else { error.class() };
        let failure = Failure {
            class,
            step: format!("ingress {}", self.gate.name),
            message: error.chain_text(),
            help: error.help_text().map(str::to_owned),
            attempts,
            at: now,
        };
        let (ingress, item, reason) = (self.gate.name.as_str(), claim.uuid.clone(), failure.message.clone());
        let dead = given_up || error.class() == Class::Permanent;
        let end = if dead {
            tracing::warn!(ingress, item, reason, attempts, "an event cannot be made a vCon; it is a dead letter");
            End::Dead { queue: dead_letter_queue(&claim.list), failure }
        } else {
            let least = if error.is_retryable() { Duration::from_millis(200) } else { MENDING };
            let wait = RETRY.delay(attempts, error.wait()).max(least);
            tracing::debug!(ingress, item, reason, attempts, ?wait, "an event is tried again later");
            End::Retry {
                due: now.saturating_add(Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX / 2)),
                failure,
            }
        };
        let list = claim.list.clone();
        if self.lease.commit(Commit::ending(claim, end)).await {
            ingress_event(ingress, if dead { "dead" } else { "retried" });
            if dead {
                dead_lettered(&dead_letter_queue(&list), class);
            }
        }
    }

    /// Some time after the signal to stop.
    async fn stopped(&self) {
        self.stop.cancelled().await;
        sleep(super::GRACE / 2).await;
    }
}
