//! A process identity of our own in the store, kept alive while the runtime is.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::{Clock as _, SystemClock};
use vconductor_core::error::Result;
use vconductor_core::store::{Card, CardChain, Claim, Commit, Committed, End, ProcessId, Push, Store};

use crate::engine::{backoff, card};

/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(10);
/// How long the store may take to let us go.
const LEAVE: Duration = Duration::from_secs(3);

/// A registered process. Its renewal is a task of the runtime, so that a runtime that is stuck does not look alive.
pub(crate) struct Lease {
    store: Arc<dyn Store>,
    process: RwLock<ProcessId>,
    card: Card,
    over: CancellationToken,
}

impl Lease {
    /// Registers for a part that works beside the engine (`followers`, `ingress`, `source`) and takes from these lists.
    pub(crate) async fn take(store: Arc<dyn Store>, role: &str, lists: Vec<String>) -> Result<Arc<Self>> {
        let process = ProcessId::random();
        store.register(&process).await?;
        let chains = vec![CardChain { name: role.to_owned(), ingress_lists: lists, ..CardChain::default() }];
        let card = Card { chains, ..card(role, RENEW) };
        let process = RwLock::new(process);
        let lease = Arc::new(Lease { store, process, card, over: CancellationToken::new() });
        lease.tell().await;
        tokio::spawn(Arc::clone(&lease).keep());
        Ok(lease)
    }

    pub(crate) fn process(&self) -> ProcessId {
        self.process.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn keep(self: Arc<Self>) {
        let mut pause = RENEW;
        loop {
            tokio::select! {
                () = self.over.cancelled() => return,
                () = sleep(pause) => {}
            }
            let (store, process) = (Arc::clone(&self.store), self.process());
            let renewed = tokio::task::spawn_blocking(move || store.renew(&process)).await;
            pause = match renewed {
                Ok(Ok(true)) => {
                    self.tell().await;
                    RENEW
                }
                Ok(Ok(false)) => self.replace().await,
                Ok(Err(error)) => {
                    tracing::warn!(error = %error.chain_text(), "the lease of what works beside the engine cannot be renewed now");
                    Duration::from_secs(1)
                }
                Err(_) => Duration::from_secs(1),
            };
        }
    }

    /// Tells people who look what works under this name. What the store does not take now it is told with the next renewal.
    async fn tell(&self) {
        let card = Card { told_at: SystemClock.now(), ..self.card.clone() };
        if let Err(error) = self.store.announce(&self.process(), &card).await {
            tracing::debug!(error = %error.chain_text(), "what works beside the engine is told later");
        }
    }

    /// It was declared dead: what it held is somebody else's now.
    async fn replace(&self) -> Duration {
        let process = ProcessId::random();
        match self.store.register(&process).await {
            Ok(()) => {
                tracing::warn!(%process, "the lease of what works beside the engine was lost; going on under a new name");
                let former = {
                    let mut own = self.process.write().unwrap_or_else(PoisonError::into_inner);
                    std::mem::replace(&mut *own, process)
                };
                // It would be taken for one that died.
                drop(self.store.withdraw(&former).await);
                self.tell().await;
                RENEW
            }
            Err(_) => Duration::from_secs(1),
        }
    }

    /// Ends a claim, waiting while the store is away. False: it is not ours any more.
    pub(super) async fn end(&self, claim: Claim, pushes: Vec<Push>, end: End) -> bool {
        self.commit(Commit { pushes, ..Commit::ending(claim, end) }).await
    }

    /// Makes a commit, waiting while the store is away. False: the claim is not ours any more.
    pub(crate) async fn commit(&self, commit: Commit) -> bool {
        let mut attempt = 0;
        loop {
            match self.store.exchange(&commit.claim.process, vec![commit.clone()], None).await {
                Ok((results, _)) => return results.first() == Some(&Committed::Done),
                Err(error) => {
                    attempt += 1;
                    tracing::warn!(error = %error.chain_text(), attempt, "the store does not answer; the step is kept");
                    sleep(backoff(attempt)).await;
                }
            }
        }
    }

    /// Gives back what is still held.
    pub(crate) async fn leave(&self) {
        self.over.cancel();
        match tokio::time::timeout(LEAVE, self.store.deregister(&self.process())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = %error.chain_text(), "what was held beside the engine is recovered later");
            }
            Err(_) => tracing::warn!("the store does not answer; what was held beside the engine is recovered later"),
        }
    }
}
