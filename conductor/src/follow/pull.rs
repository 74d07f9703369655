//! Asking the other server, again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::run::RunId;

use super::Following;
use super::checkpoint::Checkpoint;
use super::journal::Journal;
use super::protocol::Handed;
use crate::engine::backoff;

/// While so many pulls' worth of ids wait to be fetched, no more are taken: they are as safe over there.
const AHEAD: u64 = 10;
/// The least wait when the operator must mend something.
const MENDING: Duration = Duration::from_secs(60);

/// What the other server turned out to be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unknown,
    Vconductor,
    VconServer,
}

/// Pulls until told to stop.
pub(super) async fn work(following: Arc<Following>, folder: PathBuf) {
    let Some(journal) = open(&following, &folder).await else { return };
    let checkpoint = Checkpoint::of(Arc::clone(&following.store), journal.id());
    let mut puller = Puller { following: Arc::clone(&following), journal, checkpoint, kind: Kind::Unknown };
    let interval = following.settings.pulling_interval;
    loop {
        let started = Instant::now();
        let pause = match puller.pull().await {
            Ok(()) => interval.saturating_sub(started.elapsed()),
            Err(error) => following.wait_after(&error),
        };
        tokio::select! {
            () = following.stop.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

/// Waits while another process has the journal; that one pulls then.
async fn open(following: &Following, folder: &std::path::Path) -> Option<Journal> {
    let mut told = false;
    loop {
        match Journal::open(folder, &following.settings.name) {
            Ok(Some(journal)) => return Some(journal),
            Ok(None) if told => {}
            Ok(None) => {
                told = true;
                tracing::info!(follower = following.state.name(), "another process pulls for this follower");
                // Others' business is no reason to wait for it.
                following.state.pulled(0);
            }
            Err(error) => {
                following.wait_after(&error);
            }
        }
        tokio::select! {
            () = following.stop.cancelled() => return None,
            () = sleep(following.settings.pulling_interval.min(Duration::from_secs(10))) => {}
        }
    }
}

impl Following {
    /// Tells a failed pull, and how long to wait before the next one.
    fn wait_after(&self, error: &Error) -> Duration {
        let interval = self.settings.pulling_interval;
        let wait = if error.is_retryable() {
            RetryPolicy::default().delay(self.state.failures() + 1, error.wait()).max(Duration::from_millis(250))
        } else {
            interval.max(MENDING)
        };
        let (follower, text) = (self.state.name(), error.chain_text());
        let help = error.help_text().unwrap_or_default();
        // Told once while it stays the same, so that a night of it is not a night of lines.
        if self.state.pull_failed(error, wait) {
            tracing::warn!(follower, error = %text, help, ?wait, "cannot pull");
        } else {
            tracing::debug!(follower, error = %text, ?wait, "still cannot pull");
        }
        wait
    }
}

struct Puller {
    following: Arc<Following>,
    journal: Journal,
    checkpoint: Checkpoint,
    kind: Kind,
}

impl Puller {
    async fn pull(&mut self) -> Result<()> {
        // What an earlier process noted comes first.
        if !self.journal.taken().1.is_empty() {
            self.enlist().await?;
        }
        if self.kind != Kind::VconServer {
            let unconfirmed = self.checkpoint.unconfirmed().await?;
            if !unconfirmed.is_empty() {
                self.confirm(&unconfirmed).await?;
            }
            match self.following.remote.claim(self.journal.id().to_string()).await? {
                Some(handed) => {
                    self.kind = Kind::Vconductor;
                    return self.deliver(handed).await;
                }
                // Never back to reading that takes away, because of one odd answer.
                None if self.kind == Kind::Vconductor => {
                    return Err(Error::retryable("the other server does not answer as a vConductor any more")
                        .help("restart this one if it was replaced by a vcon-server"));
                }
                None => {}
            }
        }
        self.take().await
    }

    /// From vcon-server: ids are taken, noted on disk, and put on our own list.
    async fn take(&mut self) -> Result<()> {
        let following = Arc::clone(&self.following);
        // Before anything is taken it must be sure that it can be put somewhere.
        let pending = following.store.pending(std::slice::from_ref(&following.list), Duration::ZERO).await?;
        let unfetched = pending.waiting + pending.paused + pending.scheduled + pending.due;
        if unfetched > AHEAD * u64::from(following.settings.fetch_vcon_limit) {
            tracing::debug!(follower = following.state.name(), unfetched, "not pulled: there is enough to fetch");
            return Ok(());
        }
        let ids = following.remote.take().await?;
        failpoint::hit("follow_reply_read");
        self.kind = match self.kind {
            Kind::Unknown => Kind::VconServer,
            known => known,
        };
        if ids.is_empty() {
            following.state.pulled(0);
            return Ok(());
        }
        following.state.pulled(ids.len());
        if let Err(error) = self.journal.take(ids) {
            let (error, ids) = (error.chain_text(), self.journal.taken().1);
            tracing::error!(follower = following.state.name(), %error, ?ids, "ids were taken and cannot be noted on disk");
        }
        failpoint::hit("follow_noted");
        self.enlist().await
    }

    /// Puts the noted ids on our list, unless they are there.
    async fn enlist(&mut self) -> Result<()> {
        let following = Arc::clone(&self.following);
        let (reply, ids) = self.journal.taken();
        let mut attempt = 0;
        while let Err(error) = self.checkpoint.list(reply, ids, &following.list).await {
            following.wait_for_store(error, &mut attempt).await?;
        }
        failpoint::hit("follow_listed");
        self.journal.listed()
    }

    /// From a vConductor: what is not here yet is stored and enqueued in one step, then all of it is confirmed.
    async fn deliver(&mut self, handed: Vec<Handed>) -> Result<()> {
        let following = Arc::clone(&self.following);
        following.state.pulled(handed.len());
        if handed.is_empty() {
            return Ok(());
        }
        let list = &following.settings.follower_ingress_list;
        let mut attempt = 0;
        let fresh = loop {
            match self.checkpoint.land(&handed, list).await {
                Ok(fresh) => break fresh,
                Err(error) => following.wait_for_store(error, &mut attempt).await?,
            }
        };
        failpoint::hit("follow_delivered");
        following.state.stored(fresh);
        following.state.repeated(handed.len() - fresh);
        let runs: Vec<RunId> = handed.iter().map(|handed| handed.run).collect();
        self.confirm(&runs).await
    }

    async fn confirm(&mut self, runs: &[RunId]) -> Result<()> {
        let answer = self.following.remote.confirm(runs).await?;
        failpoint::hit("follow_confirmed");
        self.checkpoint.confirmed(&answer.confirmed).await
    }
}

impl Following {
    /// Waits after an error of our store, before it is asked again. `Err`: it need not be, or it is time to stop.
    pub(super) async fn wait_for_store(&self, error: Error, attempt: &mut u32) -> Result<()> {
        if !error.is_retryable() || self.stop.is_cancelled() {
            return Err(error);
        }
        *attempt += 1;
        tracing::warn!(follower = self.state.name(), error = %error.chain_text(), attempt, "the store does not answer");
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = sleep(backoff(*attempt)) => {}
        }
        Ok(())
    }
}
