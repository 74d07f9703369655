//! Asking the other server, again and again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vconductor_core::clock::{Clock as _, SystemClock};
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::layers::retry::RetryPolicy;
use vconductor_core::run::RunId;
use vconductor_core::store::NewVcon;

use super::Following;
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
    let mut puller = Puller { following: Arc::clone(&following), journal, kind: Kind::Unknown };
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
    kind: Kind,
}

impl Puller {
    async fn pull(&mut self) -> Result<()> {
        // What an earlier process noted comes first.
        if !self.journal.taken().is_empty() {
            self.enlist().await?;
        }
        if self.kind != Kind::VconServer {
            if !self.journal.delivered().is_empty() {
                self.confirm(&self.journal.delivered()).await?;
            }
            match self.following.remote.claim(self.journal.id()).await? {
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
        if let Err(error) = self.journal.take(&ids) {
            let error = error.chain_text();
            tracing::error!(follower = following.state.name(), %error, ?ids, "ids were taken and cannot be noted on disk");
        }
        failpoint::hit("follow_noted");
        following.state.pulled(ids.len());
        self.enlist().await
    }

    /// Puts the noted ids on our list.
    async fn enlist(&mut self) -> Result<()> {
        let following = Arc::clone(&self.following);
        let vcons = self.journal.taken().iter().map(|id| NewVcon {
            uuid: id.clone(),
            document: None,
            lists: vec![following.list.clone()],
            keep: None,
            context: None,
            tenant: None,
        });
        following.ingest(vcons.collect()).await?;
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
        let runs: Vec<RunId> = handed.iter().map(|handed| handed.run).collect();
        let fresh: Vec<Handed> = handed.into_iter().filter(|handed| !self.journal.has(handed.run)).collect();
        let count = fresh.len();
        following.state.repeated(runs.len() - count);
        let vcons = fresh.into_iter().map(|handed| NewVcon {
            uuid: handed.uuid,
            document: Some(handed.document),
            lists: vec![following.settings.follower_ingress_list.clone()],
            keep: None,
            context: None,
            tenant: None,
        });
        following.ingest(vcons.collect()).await?;
        failpoint::hit("follow_delivered");
        self.journal.deliver(&runs, SystemClock.now())?;
        failpoint::hit("follow_delivery_noted");
        following.state.stored(count);
        self.confirm(&runs).await
    }

    async fn confirm(&mut self, runs: &[RunId]) -> Result<()> {
        let answer = self.following.remote.confirm(runs).await?;
        failpoint::hit("follow_confirmed");
        self.journal.confirmed(&answer.confirmed, SystemClock.now())
    }
}

impl Following {
    /// Puts into the store, waiting while it is away; gives up when told to stop.
    pub(super) async fn ingest(&self, vcons: Vec<NewVcon>) -> Result<()> {
        let mut attempt = 0;
        loop {
            let error = match self.store.ingest(vcons.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) if !error.is_retryable() || self.stop.is_cancelled() => return Err(error),
                Err(error) => error,
            };
            attempt += 1;
            tracing::warn!(follower = self.state.name(), error = %error.chain_text(), attempt, "the store does not answer");
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(backoff(attempt)) => {}
            }
        }
    }
}
