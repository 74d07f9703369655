//! The words that the cases are written in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};
use vconductor_core::Class;
use vconductor_core::clock::Millis;
use vconductor_core::run::Ledger;
use vconductor_core::store::{
    ClaimRequest, Claimed, Commit, Committed, End, Failure, ListStatus, NewVcon, ProcessId, Push, Quota, Save, Store,
    TenantScope,
};

use crate::backend::Instance;

/// What sees every vCon.
pub(crate) const ALL: &TenantScope = &TenantScope::Everything;

/// One case of the suite.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(World) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Lists the cases of a module.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn cases() -> Vec<crate::world::Case> {
            vec![$(crate::world::Case { name: stringify!($name), run: |world| Box::pin($name(world)) }),*]
        }
    };
}
pub(crate) use cases;

/// Lists the trials of a module that only one backend has, under a name in front.
macro_rules! trials {
    ($front:literal, $($name:ident),* $(,)?) => {
        pub(crate) fn trials() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(concat!($front, "::", stringify!($name)), || {
                crate::world::runtime().block_on($name());
                Ok(())
            })),*]
        }
    };
}
pub(crate) use trials;

pub(crate) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

/// A store under test.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    instance: Option<Box<dyn Instance>>,
}

impl World {
    pub(crate) fn new(instance: Box<dyn Instance>) -> Self {
        World { store: instance.store(), instance: Some(instance) }
    }

    fn instance(&self) -> &dyn Instance {
        self.instance.as_deref().expect("an instance is there outside of reopen")
    }

    pub(crate) fn now(&self) -> Millis {
        self.instance().now()
    }

    /// The store's time in so many seconds.
    pub(crate) fn in_seconds(&self, seconds: i64) -> Millis {
        self.now() + seconds * 1000
    }

    pub(crate) async fn advance(&self, seconds: u64) {
        self.instance().advance(Duration::from_secs(seconds)).await;
    }

    pub(crate) fn turn_back(&self, seconds: u64) {
        self.instance().turn_back(Duration::from_secs(seconds));
    }

    pub(crate) async fn another(&self) -> Arc<dyn Store> {
        self.instance().another().await
    }

    pub(crate) async fn kill(&self, process: &ProcessId) {
        self.instance().kill(process).await;
    }

    pub(crate) async fn kill_and_reap(&self, process: &ProcessId) {
        self.kill(process).await;
        self.store.reap().await.expect("a reap");
    }

    /// The whole program is killed and started again.
    pub(crate) async fn restart(self) -> Self {
        let World { store, instance } = self;
        drop(store);
        let mut instance = instance.expect("an instance is there outside of reopen");
        instance.reopen().await;
        World::new(instance)
    }

    pub(crate) async fn process(&self) -> ProcessId {
        let process = ProcessId::random();
        self.store.register(&process).await.expect("a process registers");
        process
    }

    /// Stores vCons with small documents and puts each on a list.
    pub(crate) async fn put(&self, list: &str, uuids: &[&str]) {
        let vcons = uuids.iter().map(|uuid| new_vcon(uuid, &[list])).collect();
        self.store.ingest(vcons).await.expect("an ingest");
    }

    pub(crate) async fn put_keeping(&self, list: &str, uuid: &str, keep: u64) {
        let vcon = NewVcon { keep: Some(Duration::from_secs(keep)), ..new_vcon(uuid, &[list]) };
        self.store.ingest(vec![vcon]).await.expect("an ingest");
    }

    pub(crate) async fn ask(&self, process: &ProcessId, request: ClaimRequest) -> Vec<Claimed> {
        self.store.exchange(process, Vec::new(), Some(request)).await.expect("an exchange").1
    }

    /// Claims up to `limit` runs of one list.
    pub(crate) async fn take(&self, process: &ProcessId, list: &str, limit: usize) -> Vec<Claimed> {
        self.ask(process, request(&[(list, limit, 1)], limit)).await
    }

    /// Claims the next run of a list, which must be there.
    pub(crate) async fn one(&self, process: &ProcessId, list: &str) -> Claimed {
        self.take(process, list, 1).await.pop().unwrap_or_else(|| panic!("{list} has nothing to claim"))
    }

    pub(crate) async fn commit(&self, commit: Commit) -> Committed {
        let process = commit.claim.process.clone();
        self.store.exchange(&process, vec![commit], None).await.expect("an exchange").0[0]
    }

    pub(crate) async fn end(&self, claimed: &Claimed, end: End) -> Committed {
        self.commit(ending(claimed, end)).await
    }

    /// Ends a claim that must still be held.
    pub(crate) async fn finish(&self, claimed: &Claimed, end: End) {
        assert_eq!(self.end(claimed, end).await, Committed::Done, "the claim of {} is held", claimed.claim.uuid);
    }

    pub(crate) async fn retry_in(&self, claimed: &Claimed, seconds: i64) {
        let end = End::Retry { due: self.in_seconds(seconds), failure: failure(Class::Retryable) };
        self.finish(claimed, end).await;
    }

    pub(crate) async fn park(&self, claimed: &Claimed, token: &str, seconds: i64) {
        self.finish(claimed, End::Park { token: token.to_owned(), until: self.in_seconds(seconds) }).await;
    }

    pub(crate) async fn die(&self, claimed: &Claimed, queue: &str) {
        self.finish(claimed, End::Dead { queue: queue.to_owned(), failure: failure(Class::Permanent) }).await;
    }

    pub(crate) async fn document(&self, uuid: &str) -> Option<String> {
        let stored = self.store.get(ALL, uuid).await.expect("a read");
        stored.map(|stored| String::from_utf8(stored.document.to_vec()).expect("text"))
    }

    /// How a list stands; all zero if it is not known.
    pub(crate) async fn status(&self, list: &str) -> ListStatus {
        let lists = self.store.lists().await.expect("the lists");
        lists.into_iter().find(|status| status.list == list).unwrap_or_default()
    }
}

pub(crate) fn new_vcon(uuid: &str, lists: &[&str]) -> NewVcon {
    NewVcon {
        uuid: uuid.to_owned(),
        document: Some(Bytes::from(text_of(uuid))),
        lists: lists.iter().map(|list| (*list).to_owned()).collect(),
        keep: None,
        context: None,
        tenant: None,
    }
}

/// The document that [`new_vcon`] stores.
pub(crate) fn text_of(uuid: &str) -> String {
    format!(r#"{{"uuid":"{uuid}"}}"#)
}

/// Quotas as `(list, limit, weight)`.
pub(crate) fn request(quotas: &[(&str, usize, u32)], limit: usize) -> ClaimRequest {
    let quotas =
        quotas.iter().map(|(list, limit, weight)| Quota { list: (*list).to_owned(), limit: *limit, weight: *weight });
    ClaimRequest { quotas: quotas.collect(), limit, bytes: 1 << 30 }
}

pub(crate) fn ending(claimed: &Claimed, end: End) -> Commit {
    Commit::ending(claimed.claim.clone(), end)
}

pub(crate) fn save(uuid: &str, text: &str, revision: u64) -> Option<Save> {
    Some(Save { uuid: uuid.to_owned(), document: Bytes::from(text.to_owned()), revision })
}

pub(crate) fn push(list: &str, uuid: &str) -> Push {
    Push { list: list.to_owned(), uuid: uuid.to_owned() }
}

/// A ledger that can be told from others by its chain.
pub(crate) fn ledger(chain: &str) -> Ledger {
    Ledger { chain: chain.to_owned(), ..Ledger::default() }
}

pub(crate) fn failure(class: Class) -> Failure {
    Failure { class, step: "notify".to_owned(), message: "it failed".to_owned(), help: None, attempts: 1, at: 0 }
}

pub(crate) fn uuids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.claim.uuid.as_str()).collect()
}
