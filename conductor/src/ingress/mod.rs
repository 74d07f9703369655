//! Ingress adapters: conversations that vendors send to `/ingress/<name>`.
//!
//! Reading order: `serve` takes a request (`spool`: a file), `accept` stores what it says before it is answered, `work` makes vCons of that
//! in the background. [`vconductor_core::plugin::Ingress`] is what differs between vendors.
//!
//! * **Store first, answer then.** An event becomes an *item*, stored and put on the list `ingress:<name>` in one step. Claims,
//!   retries and dead letters of items are those of every other list, so they survive a kill and are shared by all processes.
//! * **Once.** An item's uuid is derived from the vendor's id. The run that makes its vCon notes that before it does, and a
//!   second run of the same item finds the note: runs of one uuid never overlap (the writer lease).
//! * **One step out.** The vCon is stored, put on the operator's list, and the item is ended in one commit.

mod accept;
mod calls;
mod content;
mod item;
mod make;
mod serve;
mod settings;
mod spool;
mod vcon;
mod work;

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::Millis;
use vconductor_core::config::Config;
use vconductor_core::error::Result;
use vconductor_core::http::HttpClient;
use vconductor_core::ingress::Fetcher;
use vconductor_core::plugin::Ingress;
use vconductor_core::store::Store;

use crate::follow::lease::Lease;

pub use serve::router;
pub(crate) use settings::check;

/// How long what is at work may take to end when the process stops.
const GRACE: Duration = Duration::from_secs(5);

/// The list of an ingress's items.
pub fn list_of(ingress: &str) -> String {
    format!("ingress:{ingress}")
}

/// One configured ingress.
struct Gate {
    name: String,
    /// What made it, for the tag `source`: `twilio`.
    source: String,
    /// Where its vCons go.
    list: String,
    adapter: Arc<dyn Ingress>,
    fetcher: Fetcher,
    give_up_after: Millis,
    /// How long a vCon is kept after its last run.
    keep: Option<Duration>,
    store: Arc<dyn Store>,
    /// When a refusal was last told; strangers must not fill the log.
    told: AtomicI64,
}

/// The ingress adapters of a process.
pub struct Ingresses {
    store: Arc<dyn Store>,
    keep: Option<Duration>,
    open: RwLock<Arc<Open>>,
}

impl Ingresses {
    /// Starts the work on items. Requests come through the [`router`]. `keep` is how long vCons are kept after their last
    /// run.
    ///
    /// # Errors
    /// Retryable: the store is away. Configuration: what `check` has told already.
    pub async fn start(
        config: &Config,
        store: &Arc<dyn Store>,
        http: &HttpClient,
        keep: Option<Duration>,
    ) -> Result<Arc<Self>> {
        let open = RwLock::new(Arc::new(Open::start(config, store, http, keep).await?));
        Ok(Arc::new(Ingresses { store: Arc::clone(store), keep, open }))
    }

    /// Goes on with the adapters of another configuration. What those of before have at work has five seconds to end.
    ///
    /// # Errors
    /// Those of [`Ingresses::start`]; then the adapters of before go on.
    pub async fn adopt(&self, config: &Config, http: &HttpClient) -> Result<()> {
        let next = Arc::new(Open::start(config, &self.store, http, self.keep).await?);
        let before = std::mem::replace(&mut *self.open.write().unwrap_or_else(PoisonError::into_inner), next);
        before.stop().await;
        Ok(())
    }

    fn open(&self) -> Arc<Open> {
        Arc::clone(&self.open.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lists of items that wait for their recording.
    pub fn lists(&self) -> Vec<String> {
        self.open().gates.iter().map(|gate| list_of(&gate.name)).collect()
    }

    /// Whether there is one to which requests come.
    pub fn wants_requests(&self) -> bool {
        self.open().gates.iter().any(|gate| gate.adapter.spool().is_none())
    }

    fn gate(&self, name: &str) -> Option<Arc<Gate>> {
        self.open().gates.iter().find(|gate| gate.name == name).cloned()
    }

    /// Claims no more items; what is at work has five seconds to end, then it is given back.
    pub async fn stop(&self) {
        self.open().stop().await;
    }
}

/// The adapters of one configuration, at work.
struct Open {
    gates: Vec<Arc<Gate>>,
    lease: Option<Arc<Lease>>,
    stop: CancellationToken,
    work: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Open {
    async fn start(config: &Config, store: &Arc<dyn Store>, http: &HttpClient, keep: Option<Duration>) -> Result<Self> {
        let mut gates = Vec::new();
        for configured in &config.ingress {
            let adapter = settings::adapter(config, configured)?;
            let largest = usize::try_from(configured.max_size).unwrap_or(usize::MAX);
            gates.push(Arc::new(Gate {
                name: configured.name.value.clone(),
                source: configured.module.rsplit('.').next().unwrap_or_default().to_owned(),
                list: configured.list.value.clone(),
                adapter,
                fetcher: Fetcher::new(http.clone(), largest),
                give_up_after: Millis::try_from(configured.give_up_after.as_millis()).unwrap_or(Millis::MAX / 4),
                keep,
                store: Arc::clone(store),
                told: AtomicI64::new(0),
            }));
        }
        let stop = CancellationToken::new();
        let (mut lease, mut work) = (None, Vec::new());
        if !gates.is_empty() {
            let lists = gates.iter().map(|gate| list_of(&gate.name)).collect();
            let held = Lease::take(Arc::clone(store), "ingress", lists).await?;
            let worker = work::Worker::new(&gates, Arc::clone(store), Arc::clone(&held), stop.clone());
            work.push(tokio::spawn(worker.work()));
            lease = Some(held);
            let spools = gates.iter().filter(|gate| gate.adapter.spool().is_some());
            work.extend(spools.map(|gate| tokio::spawn(spool::watch(Arc::clone(gate), stop.clone()))));
        }
        Ok(Open { gates, lease, stop, work: tokio::sync::Mutex::new(work) })
    }

    async fn stop(&self) {
        self.stop.cancel();
        for mut work in self.work.lock().await.drain(..) {
            if tokio::time::timeout(GRACE, &mut work).await.is_err() {
                work.abort();
            }
        }
        if let Some(lease) = &self.lease {
            lease.leave().await;
        }
    }
}
