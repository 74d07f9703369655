//! A stage for whole-engine tests: a store in a temporary folder, a configuration as text, a conductor in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vconductor::engine::assemble::assemble_text;
use vconductor::engine::report::{Figures, Report};
use vconductor::engine::{Engine, Settings};
use vconductor_core::http::HttpClient;
use vconductor_core::plugin::Services;
use vconductor_core::store::embedded::{EmbeddedStore, Settings as StoreSettings};
use vconductor_core::store::{
    ClaimRequest, Commit, DeadLetter, End, NewVcon, Pending, ProcessId, Quota, Store, TenantScope,
};

/// A store, and conductors on it.
pub struct Stage {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Settings of conductors started from now on.
    pub settings: Settings,
    folder: tempfile::TempDir,
}

impl Stage {
    /// An empty stage.
    pub fn new() -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = EmbeddedStore::open(&folder.path().join("store"), StoreSettings::default()).expect("a store");
        Stage::with(folder, store)
    }

    /// A stage on a store of the caller's choice.
    pub fn on(store: Arc<dyn Store>) -> Stage {
        Stage::with(tempfile::tempdir().expect("a temporary folder"), store)
    }

    fn with(folder: tempfile::TempDir, store: Arc<dyn Store>) -> Stage {
        let settings = Settings {
            sweep: Duration::from_millis(200),
            missing_document: Duration::from_millis(600),
            ..Settings::default()
        };
        Stage { store, settings, folder }
    }

    /// The stage's folder.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Stores a document and puts it on a list.
    pub async fn give(&self, list: &str, uuid: &str, document: &str) {
        self.give_many(vec![(list.to_owned(), uuid.to_owned(), document.to_owned())]).await;
    }

    /// Stores documents and puts each on a list.
    pub async fn give_many(&self, vcons: Vec<(String, String, String)>) {
        let vcons = vcons.into_iter().map(|(list, uuid, document)| NewVcon {
            uuid,
            document: Some(Bytes::from(document)),
            lists: vec![list],
            keep: None,
            context: None,
            tenant: None,
        });
        self.store.ingest(vcons.collect()).await.expect("the store takes vCons");
    }

    /// Runs a conductor with this configuration until nothing is left to do.
    pub async fn run(&self, configuration: &str) -> Figures {
        let conductor = self.start(configuration);
        conductor.until_idle(Duration::from_secs(60)).await;
        conductor.stop().await
    }

    /// Starts a conductor.
    pub fn start(&self, configuration: &str) -> Conductor {
        let report = Arc::new(Report::default());
        let alone = Services::alone(HttpClient::builder().build().expect("a client")).expect("prices");
        let services = Services { coordination: Arc::clone(&self.store) as _, ..alone };
        let chains = assemble_text(configuration, &report).unwrap_or_else(|findings| panic!("{findings}"));
        let engine = Engine::new(Arc::clone(&self.store), services, chains, Arc::clone(&report), self.settings.clone());
        let engine = Arc::new(engine);
        let running = Arc::clone(&engine);
        let task = tokio::spawn(async move { running.run().await.expect("the engine runs") });
        Conductor { engine, report, task }
    }

    /// Uuids on a list, taken off it, with their number.
    pub async fn take(&self, list: &str) -> BTreeMap<String, usize> {
        let process = ProcessId::random();
        self.store.register(&process).await.expect("a process");
        let mut taken = BTreeMap::new();
        loop {
            let quota = Quota { list: list.to_owned(), limit: 512, weight: 1 };
            let request = ClaimRequest { quotas: vec![quota], limit: 512, bytes: u64::MAX >> 1 };
            let (_, claimed) = self.store.exchange(&process, Vec::new(), Some(request)).await.expect("an exchange");
            if claimed.is_empty() && self.pending(list).await.is_idle() {
                break;
            }
            let mut commits = Vec::new();
            for claimed in claimed {
                *taken.entry(claimed.claim.uuid.clone()).or_default() += 1;
                let (claim, end) = (claimed.claim, End::Done);
                commits.push(Commit::ending(claim, end));
            }
            self.store.exchange(&process, commits, None).await.expect("an exchange");
            self.store.pump().await.expect("a pump");
        }
        self.store.deregister(&process).await.expect("a process that leaves");
        taken
    }

    /// What a list still holds.
    pub async fn pending(&self, list: &str) -> Pending {
        self.store.pending(&[list.to_owned()], Duration::from_secs(60)).await.expect("an answer")
    }

    /// The dead letters of a queue.
    pub async fn dead(&self, queue: &str) -> Vec<DeadLetter> {
        self.store.dead_letters(queue, None, 100_000).await.expect("an answer")
    }

    /// The stored document as JSON.
    pub async fn document(&self, uuid: &str) -> serde_json::Value {
        let stored = self.store.get(&TenantScope::Everything, uuid).await.expect("an answer").expect("a document");
        serde_json::from_slice(&stored.document).expect("JSON")
    }
}

impl Default for Stage {
    fn default() -> Self {
        Stage::new()
    }
}

/// A running conductor.
pub struct Conductor {
    /// The engine.
    pub engine: Arc<Engine>,
    report: Arc<Report>,
    task: tokio::task::JoinHandle<()>,
}

impl Conductor {
    /// Waits until nothing is queued, claimed or due within a minute.
    pub async fn until_idle(&self, limit: Duration) {
        let started = Instant::now();
        let mut quiet = 0;
        while quiet < 3 {
            assert!(
                started.elapsed() < limit,
                "still busy after {limit:?}: {:?}",
                self.engine.pending(Duration::from_secs(60)).await
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            let idle = self.engine.working() == 0
                && self.engine.pending(Duration::from_secs(60)).await.expect("an answer").is_idle();
            quiet = if idle { quiet + 1 } else { 0 };
        }
    }

    /// Waits until a condition holds.
    pub async fn until(&self, what: &str, limit: Duration, mut holds: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !holds().await {
            assert!(started.elapsed() < limit, "after {limit:?} still not: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until it ends by itself; `Err` says why it did.
    pub async fn ends(self) -> Result<(), String> {
        self.task.await.map_err(|error| error.to_string())
    }

    /// Stops it gracefully.
    pub async fn stop(self) -> Figures {
        self.engine.stopper().stop();
        self.task.await.expect("the engine ends");
        self.report.figures()
    }
}

/// A small vCon with one party and one dialog.
pub fn vcon(uuid: &str) -> String {
    format!(
        "{{\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[{{\"tel\":\"+12025550123\"}}],\
         \"dialog\":[{{\"type\":\"text\",\"start\":\"2026-01-02T03:04:05Z\",\"parties\":[0],\"mediatype\":\"text/plain\",\
         \"encoding\":\"none\",\"body\":\"hello\"}}],\"unknown\":1e3}}"
    )
}

/// A uuid that ends in `number`.
pub fn uuid(number: u32) -> String {
    format!("00000000-0000-8000-8000-{number:012}")
}
