//! The engine: claims runs, takes them through their chains, and ends them without losing one.
//!
//! Reading order: [`chain`] is what runs; a `lane` claims and commits; a `passage` is one run going through
//! links, storages and egress; a `step` is one execution of one link; `holds` says what must wait until somebody mends
//! it; the `janitor` recovers and wakes; the `heartbeat` keeps the lease; `journal` and `announcer` tell people what goes on.

mod announcer;
pub mod assemble;
mod book;
pub(crate) mod budget;
mod built;
pub mod chain;
pub(crate) mod deviations;
pub mod events;
mod failure;
mod generation;
mod heartbeat;
mod holds;
mod janitor;
mod journal;
mod lane;
mod lease;
mod passage;
mod places;
pub mod report;
mod step;
mod threads;
mod writer;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::{Clock, SystemClock};
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::layers::timeout::with_timeout;
use vconductor_core::plugin::{Hook, Services, hooks};
use vconductor_core::store::{
    Commit, Committed, Coordination, Hold, NewVcon, Pending, ProcessId, Store, Stored, TenantScope,
};

pub(crate) use announcer::card;
pub use built::Built;
use chain::{Chain, Chains};
use deviations::Deviations;
use generation::Generation;
use holds::Holds;
use journal::Journal;
use lane::Lane;
use lease::Lease;
use places::Places;
use report::Report;
pub use writer::StorageWriter;

/// How long a storage may take to hand a document back.
const READ_BACK: Duration = Duration::from_secs(30);
/// How often metrics are told what is at work.
const FIGURES: Duration = Duration::from_secs(1);
/// How long the store may take for its last answers once the grace time is over.
const LAST_ANSWER: Duration = Duration::from_secs(3);

/// Limits and times of a conductor.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Exchanges with the store that are under way at once.
    pub lanes: usize,
    /// Bytes of documents that are worked on at once; one document always fits.
    pub bytes: u64,
    /// How long a run waits for its document.
    pub missing_document: Duration,
    /// How long runs may go on after the signal to stop.
    pub grace: Duration,
    /// How long this process counts as alive after a renewal; the store's own lease.
    pub lease: Duration,
    /// How often the lease is renewed.
    pub heartbeat: Duration,
    /// How often dead processes are looked for and expired documents deleted.
    pub sweep: Duration,
    /// How long a link with a configuration fault is held at first; the time doubles with each fault in a row, up to sixty
    /// times as long.
    pub hold: Duration,
    /// How long a vCon that was read back from a storage is kept.
    pub keep: Option<Duration>,
    /// Whether a document that is not in the store is looked for in the storages.
    pub read_through: bool,
    /// The time that links and waits go by; the store has its own.
    pub clock: Arc<dyn Clock>,
    /// How many records of passages that ended the store keeps for people; 0: none.
    pub history: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lanes: 3,
            bytes: 64 << 20,
            missing_document: Duration::from_secs(10),
            grace: Duration::from_secs(25),
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            sweep: Duration::from_secs(10),
            hold: Duration::from_secs(10),
            keep: Some(Duration::from_secs(3600)),
            read_through: true,
            clock: Arc::new(SystemClock),
            history: 5000,
        }
    }
}

/// What all parts of a running conductor share.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) report: Arc<Report>,
    pub(crate) settings: Settings,
    /// Called around runs and links.
    pub(crate) hooks: Vec<Arc<dyn Hook>>,
    /// Claim no more.
    pub(crate) stop: CancellationToken,
    /// The grace time is over: give up what still runs.
    pub(crate) abort: CancellationToken,
    pub(crate) holds: Holds,
    pub(crate) journal: Arc<Journal>,
    /// How many configurations it has worked by, and why it refused the last one it was given, if it did.
    standing: Mutex<(u64, Option<String>)>,
    lease: Lease,
    identity: RwLock<Identity>,
}

/// The name under which this process claims.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) process: ProcessId,
    /// Cancelled when the lease was lost, and with everything at the end of the grace time: whatever was claimed
    /// under this name must not call anything outside any more, for somebody else may be at it already.
    pub(crate) over: CancellationToken,
}

/// Why something was not saved in the middle of a run.
pub(crate) enum Unsaved {
    /// The claim was lost: the run must be given up without a further call.
    Lost,
    /// The store will never take it.
    Refused(Error),
}

impl Shared {
    pub(crate) fn identity(&self) -> Identity {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn process(&self) -> ProcessId {
        self.identity().process
    }

    /// How many configurations it has worked by, and why it refused the last one it was given, if it did.
    fn standing(&self) -> (u64, Option<String>) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on under a new name; what still runs under the old one ends.
    pub(crate) fn replace_process(&self, process: ProcessId) {
        let identity = Identity { process, over: self.abort.child_token() };
        let mut held = self.identity.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, identity).over.cancel();
    }

    /// Saves in the middle of a run. Waits while the store is away.
    pub(crate) async fn commit(&self, commit: Commit) -> Result<(), Unsaved> {
        let mut attempt = 0;
        loop {
            match self.store.exchange(&commit.claim.process, vec![commit.clone()], None).await {
                Ok((results, _)) if results.first() == Some(&Committed::Done) => return Ok(()),
                Ok(_) => return Err(Unsaved::Lost),
                Err(error) if refuses(&error) => return Err(Unsaved::Refused(error)),
                Err(error) => {
                    attempt += 1;
                    tracing::error!(error = %error.chain_text(), attempt, "the store does not answer; the step is kept and saved again");
                    tokio::time::sleep(backoff(attempt)).await;
                }
            }
        }
    }

    /// Looks for a document in the chain's storages and puts it back into the store.
    pub(crate) async fn read_through(&self, chain: &Chain, uuid: &str) -> Option<Stored> {
        if !self.settings.read_through {
            return None;
        }
        for step in &chain.storages {
            if !step.writer.capabilities().read {
                continue;
            }
            let loaded = with_timeout(READ_BACK, &step.name, step.writer.storage().load(uuid)).await;
            match loaded {
                Ok(Some(document)) => return self.put_back(uuid, document).await,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(uuid, storage = %step.name, error = %error.chain_text(), "cannot read back");
                }
            }
        }
        None
    }

    async fn put_back(&self, uuid: &str, document: Bytes) -> Option<Stored> {
        let vcon = NewVcon {
            uuid: uuid.to_owned(),
            document: Some(document),
            lists: Vec::new(),
            keep: self.settings.keep,
            context: None,
            tenant: None,
        };
        if let Err(error) = self.store.ingest(vec![vcon]).await {
            tracing::warn!(uuid, error = %error.chain_text(), "cannot put a document back into the store");
            return None;
        }
        self.store.get(&TenantScope::Everything, uuid).await.ok().flatten()
    }
}

/// Whether the store will never take what it was given. What an operator can mend (a disk that is read-only) is
/// waited for instead: giving up would throw away what links have finished.
pub(crate) fn refuses(error: &Error) -> bool {
    error.class() == Class::Permanent
}

/// Wait before the store is asked again: 50 ms doubling to 400 ms, so that work goes on within a second of its return.
pub(crate) fn backoff(attempt: u32) -> Duration {
    Duration::from_millis(50 << attempt.saturating_sub(1).min(3))
}

/// A conductor that runs chains on a store.
pub struct Engine {
    shared: Arc<Shared>,
    generation: watch::Sender<Arc<Generation>>,
    places: Arc<Places>,
}

impl Engine {
    /// Prepares a conductor; [`run`](Self::run) starts it.
    pub fn new(
        store: Arc<dyn Store>,
        services: Services,
        chains: Chains,
        report: Arc<Report>,
        settings: Settings,
    ) -> Self {
        let places = Arc::new(Places::new(settings.bytes, settings.lanes));
        let first = generation(&places, &store, chains, services);
        let abort = CancellationToken::new();
        let identity = Identity { process: ProcessId::random(), over: abort.child_token() };
        let (lease, holds) = (Lease::new(settings.lease), Holds::new(settings.hold));
        let journal = Arc::new(Journal::new(settings.history));
        let shared = Shared {
            store,
            clock: Arc::clone(&settings.clock),
            report,
            settings,
            hooks: hooks(),
            stop: CancellationToken::new(),
            abort,
            holds,
            journal,
            standing: Mutex::new((1, None)),
            lease,
            identity: RwLock::new(identity),
        };
        Engine { shared: Arc::new(shared), generation: watch::Sender::new(first), places }
    }

    /// The generation that works now, by whose plugins the next one is built.
    pub fn built(&self) -> Built {
        self.generation.borrow().chains.built.clone()
    }

    /// Whether it claims no more.
    pub fn is_stopping(&self) -> bool {
        self.shared.stop.is_cancelled()
    }

    /// Goes on by another generation. What is under way ends by the one with which it began; from now on is claimed for
    /// the chains of the new one, and links that are held are tried again, for they may have been mended.
    pub async fn adopt(&self, chains: Chains, services: Services) {
        let next = generation(&self.places, &self.shared.store, chains, services);
        {
            let mut standing = self.shared.standing.lock().unwrap_or_else(PoisonError::into_inner);
            *standing = (standing.0 + 1, None);
        }
        self.generation.send_replace(Arc::clone(&next));
        if let Err(error) = holds::begin(&self.shared, &next.chains).await {
            tracing::warn!(error = %error.chain_text(), "what is held is tried again only when its time is over");
        }
        self.places.wake();
    }

    /// Another configuration was refused; people who look are told why, until one is taken.
    pub fn refuse(&self, why: String) {
        self.shared.standing.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(why);
    }

    /// A handle that stops it.
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(&self.shared) }
    }

    /// Runs until stopped. Finished or given back is everything that was claimed.
    ///
    /// # Errors
    /// If the store cannot be used at all at the start or cannot be left properly at the end, or if a part of the
    /// conductor itself died, without which it would only seem to work.
    pub async fn run(&self) -> Result<()> {
        let shared = &self.shared;
        let first = Arc::clone(&self.generation.borrow());
        holds::begin(shared, &first.chains).await?;
        drop(first);
        let asked = Instant::now();
        shared.store.register(&shared.process()).await?;
        shared.lease.renewed(asked);
        let heartbeat = heartbeat::start(Arc::clone(shared))?;
        let door = Arc::default();
        let lane =
            |_| Lane::new(Arc::clone(shared), self.generation.subscribe(), Arc::clone(&self.places), Arc::clone(&door));
        let mut lanes = threads::start((0..shared.settings.lanes.max(1)).map(lane).collect())?;
        let mut helpers = JoinSet::new();
        helpers.spawn(janitor::work(Arc::clone(shared)));
        helpers.spawn(janitor::drain(Arc::clone(shared), self.generation.subscribe()));
        helpers.spawn(holds::keep(Arc::clone(shared), Arc::clone(&self.places)));
        helpers.spawn(tell(Arc::clone(&self.places)));
        helpers.spawn(announcer::work(Arc::clone(shared), self.generation.subscribe(), Arc::clone(&self.places)));
        let died = tokio::select! {
            () = shared.stop.cancelled() => None,
            Some(ended) = lanes.join_next() => ended.err(),
            Some(ended) = helpers.join_next() => ended.err(),
        };
        shared.stop.cancel();
        if tokio::time::timeout(shared.settings.grace, wait_all(&mut lanes)).await.is_err() {
            let running = self.places.used();
            tracing::warn!(running, "the grace time is over; unfinished runs are given back");
            shared.abort.cancel();
            if tokio::time::timeout(LAST_ANSWER, wait_all(&mut lanes)).await.is_err() {
                tracing::error!(
                    "the store does not answer; its last commits are given up and their runs taken up again"
                );
                lanes.shutdown().await;
            }
        }
        shared.abort.cancel();
        helpers.abort_all();
        heartbeat.stop();
        announcer::last(shared).await;
        let left = self.leave().await;
        died.map_or(left, |died| Err(defect(died)))
    }

    /// Gives back what is still held. Another conductor would take that over later, but count it as a crash.
    async fn leave(&self) -> Result<()> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let process = self.shared.process();
            match tokio::time::timeout(LAST_ANSWER, self.shared.store.deregister(&process)).await {
                Ok(Err(error)) if error.is_retryable() && attempt < 3 => tokio::time::sleep(backoff(attempt)).await,
                Ok(left) => return left,
                Err(_) => return Err(Error::retryable("the store does not answer; what was held is recovered later")),
            }
        }
    }

    /// Runs that are worked on by this conductor.
    pub fn working(&self) -> usize {
        self.places.used()
    }

    /// What keeps the conductor busy; retries due within `horizon` count as busy. A chain that is held for longer than that
    /// does not.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn pending(&self, horizon: Duration) -> Result<Pending> {
        let ahead = i64::try_from(horizon.as_millis()).unwrap_or(i64::MAX);
        let end = self.shared.clock.now().saturating_add(ahead);
        let moves = |chain: &&Arc<Chain>| self.shared.holds.until(chain).is_none_or(|until| until <= end);
        let generation = Arc::clone(&self.generation.borrow());
        let chains = generation.chains.chains.iter().filter(moves);
        let lists = chains.flat_map(|chain| chain.ingress_lists.iter().cloned());
        self.shared.store.pending(&lists.collect::<Vec<_>>(), horizon).await
    }

    /// What is held, as this conductor knows it.
    pub fn held(&self) -> Vec<Hold> {
        self.shared.holds.known()
    }
}

/// Tells the metrics again and again what is at work: telling it with every run would cost each of them.
async fn tell(places: Arc<Places>) {
    loop {
        places.tell();
        tokio::time::sleep(FIGURES).await;
    }
}

fn generation(places: &Places, store: &Arc<dyn Store>, chains: Chains, services: Services) -> Arc<Generation> {
    let rows = places.adopt(&chains);
    // Limits, holds and kept results are those of everybody on this store.
    let services = Services { coordination: Arc::clone(store) as Arc<dyn Coordination>, ..services };
    Arc::new(Generation { chains, services, rows, deviations: Deviations::default() })
}

fn defect(died: JoinError) -> Error {
    let text = died.try_into_panic().map(|panic| step::panic_text(panic.as_ref())).unwrap_or_default();
    Error::permanent(format!("a part of the conductor panicked: {text}"))
        .help("this is a defect of vConductor; what was claimed went back to its lists")
}

async fn wait_all(lanes: &mut JoinSet<()>) {
    while lanes.join_next().await.is_some() {}
}

/// Stops a conductor.
#[derive(Clone)]
pub struct Stopper {
    shared: Arc<Shared>,
}

impl Stopper {
    /// Claims no more; running runs have the grace time to end.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// Gives up what still runs; the claims go back to their lists.
    pub fn abort(&self) {
        self.shared.stop.cancel();
        self.shared.abort.cancel();
    }
}
