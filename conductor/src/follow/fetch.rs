//! Fetching what vcon-server named, one vCon by one; the list `followers:<name>` is the journal.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use vconductor_core::clock::{Clock as _, SystemClock};
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::failpoint;
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::store::{Claim, ClaimRequest, Claimed, End, Failure, NewVcon, Push, Quota, dead_letter_queue};
use vconductor_core::vcon::Vcon;

use super::Following;
use crate::engine::backoff;

/// vCons that are fetched at once.
const AT_ONCE: usize = 8;
/// How long nothing may ring before it is looked again.
const LOOK: Duration = Duration::from_secs(1);
/// Documents that are stored already are loaded with their claims; no more than this at once.
const BYTES: u64 = 32 << 20;

/// Fetches until told to stop; what is at work may end.
pub(super) async fn work(following: Arc<Following>) {
    let mut fetches = JoinSet::new();
    let mut failures = 0;
    while !following.stop.is_cancelled() {
        while fetches.try_join_next().is_some() {}
        let room = AT_ONCE - fetches.len().min(AT_ONCE);
        let claimed = match following.claim(room).await {
            Ok(claimed) => {
                failures = 0;
                claimed
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(follower = following.state.name(), error = %error.chain_text(), "the store does not answer");
                tokio::select! {
                    () = following.stop.cancelled() => {}
                    () = sleep(backoff(failures)) => {}
                }
                continue;
            }
        };
        let none = claimed.is_empty();
        for claimed in claimed {
            fetches.spawn(fetch_one(Arc::clone(&following), claimed));
        }
        following.state.fetching(fetches.len());
        if none {
            tokio::select! {
                () = following.stop.cancelled() => {}
                Some(_) = fetches.join_next() => {}
                () = following.store.doorbell(std::slice::from_ref(&following.list), LOOK), if room > 0 => {}
            }
            following.state.fetching(fetches.len());
        }
    }
    while fetches.join_next().await.is_some() {}
}

impl Following {
    async fn claim(&self, room: usize) -> Result<Vec<Claimed>> {
        if room == 0 {
            return Ok(Vec::new());
        }
        let quota = Quota { list: self.list.clone(), limit: room, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit: room, bytes: BYTES };
        Ok(self.store.exchange(&self.lease.process(), Vec::new(), Some(request)).await?.1)
    }

    /// Gets the document and stores it under its id. The claim keeps other writers of that vCon out meanwhile.
    async fn store_document(&self, id: &str) -> Result<()> {
        let document = self.remote.fetch(id).await?;
        failpoint::hit("follow_fetched");
        Vcon::read(document.clone()).map_err(|error| {
            Error::permanent(format!("what the other server has under `{id}` is no vCon")).caused_by(error)
        })?;
        let vcon = NewVcon {
            uuid: id.to_owned(),
            document: Some(document),
            lists: Vec::new(),
            keep: None,
            context: None,
            tenant: None,
        };
        let mut attempt = 0;
        while let Err(error) = self.store.ingest(vec![vcon.clone()]).await {
            self.wait_for_store(error, &mut attempt).await?;
        }
        failpoint::hit("follow_stored");
        Ok(())
    }
}

async fn fetch_one(following: Arc<Following>, claimed: Claimed) {
    let Claimed { claim, attempts, .. } = claimed;
    let id = claim.uuid.clone();
    let error = tokio::select! {
        result = following.store_document(&id) => match result {
            Ok(()) => {
                let push = Push { list: following.settings.follower_ingress_list.clone(), uuid: id };
                if following.lease.end(claim, vec![push], End::Done).await {
                    failpoint::hit("follow_enqueued");
                    following.state.stored(1);
                }
                return;
            }
            Err(error) => error,
        },
        () = stopped(&following) => {
            following.lease.end(claim, Vec::new(), End::Release).await;
            return;
        }
    };
    following.failed(claim, attempts + 1, &error).await;
}

/// Some time after the signal to stop.
async fn stopped(following: &Following) {
    following.stop.cancelled().await;
    sleep(super::GRACE / 2).await;
}

impl Following {
    /// One that cannot be fetched does not hold up the others. It dies when that is for good, or when its attempts are
    /// used up although the other server is well; while the server itself is away it keeps waiting.
    async fn failed(&self, claim: Claim, attempts: u32, error: &Error) {
        let policy = RetryPolicy::default();
        let given_up = !policy.allows_after(attempts) && self.state.remote_is_well();
        let class = match error.class() {
            Class::Retryable if given_up => Class::Permanent,
            class => class,
        };
        let now = SystemClock.now();
        let failure = Failure {
            class,
            step: format!("fetch from {}", self.settings.name),
            message: error.chain_text(),
            help: error.help_text().map(str::to_owned),
            attempts,
            at: now,
        };
        let (follower, uuid, reason) = (self.state.name(), claim.uuid.clone(), &failure.message);
        let dead = given_up || error.class() == Class::Permanent;
        let end = if dead {
            tracing::warn!(follower, uuid, reason, attempts, "a vCon cannot be fetched; it is a dead letter");
            End::Dead { queue: dead_letter_queue(&self.list), failure }
        } else {
            let least = if error.is_retryable() { Duration::from_millis(200) } else { Duration::from_secs(30) };
            let wait = policy.delay(attempts, error.wait()).max(least);
            tracing::debug!(follower, uuid, reason, attempts, ?wait, "a vCon is fetched again later");
            End::Retry { due: now + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX / 2), failure }
        };
        if self.lease.end(claim, Vec::new(), end).await {
            if dead { self.state.dead(&self.list, class) } else { self.state.retried() }
        }
    }
}
