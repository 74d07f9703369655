//! A store that fails when a test says so; everything else it hands on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use vconductor_core::clock::Millis;
use vconductor_core::error::{Class, Error, Result};
use vconductor_core::run::{Ledger, RunId};
use vconductor_core::store::{
    Advance, Card, Catalogue, Claim, ClaimRequest, Claimed, Commit, Committed, Conductor, Coordination, DeadLetter,
    DeadLetterQueue, Documents, End, Hold, Keyring, ListStatus, NewVcon, Once, Operations, Oversight, PastQuery,
    PastRun, Pending, Permit, ProcessId, Queue, Queued, Reaped, Replaced, Replays, Retaken, Revival, RunQuery,
    RunRecord, Standing, Store, Stored, StoredKey, Taken, TenantScope, Term, TimeRange, Vitals, Want,
};

/// A store around another one.
pub struct Faulty {
    inner: Arc<dyn Store>,
    /// Exchanges that were asked for.
    pub exchanges: AtomicUsize,
    /// So many exchanges from now on fail.
    pub failing: AtomicUsize,
    /// The class of those failures.
    pub class: Mutex<Class>,
    /// Exchanges never answer.
    pub hanging: AtomicBool,
    /// Exchanges panic.
    pub panicking: AtomicBool,
    /// The process that holds the claim is declared dead right before a commit in the middle of a run.
    pub dies_mid_run: AtomicBool,
    /// Exchanges that save a document with this text fail for good.
    pub refused: Mutex<Option<String>>,
    processes: Mutex<BTreeSet<String>>,
}

impl Faulty {
    /// Around `inner`, without faults.
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Faulty {
            inner,
            exchanges: AtomicUsize::new(0),
            failing: AtomicUsize::new(0),
            class: Mutex::new(Class::Retryable),
            hanging: AtomicBool::new(false),
            panicking: AtomicBool::new(false),
            dies_mid_run: AtomicBool::new(false),
            refused: Mutex::default(),
            processes: Mutex::default(),
        })
    }

    /// Identities that were registered so far.
    pub fn registered(&self) -> usize {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Declares every process dead: its claims go back, its commits are refused.
    pub async fn declare_all_dead(&self) {
        let known: Vec<_> = self.processes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        for process in known {
            self.inner.deregister(&ProcessId(process)).await.expect("a process that is declared dead");
        }
    }

    async fn fault(&self, commits: &[Commit]) -> Result<()> {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panicking.load(Ordering::SeqCst), "the store was told to panic");
        if self.hanging.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let left = self.failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_ok() {
            let class = *self.class.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(Error::new(class, "the store was told to fail"));
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let refuses = |commit: &Commit| {
            let document = commit.save.as_ref().map(|save| String::from_utf8_lossy(&save.document).into_owned());
            document.zip(refused.as_ref()).is_some_and(|(document, text)| document.contains(text))
        };
        if commits.iter().any(refuses) {
            return Err(Error::permanent("the store was told to refuse this document"));
        }
        let in_the_middle = commits.iter().any(|commit| matches!(commit.end, End::Continue));
        if in_the_middle && self.dies_mid_run.swap(false, Ordering::SeqCst) {
            self.declare_all_dead().await;
        }
        Ok(())
    }
}

#[async_trait]
impl Documents for Faulty {
    async fn ingest(&self, vcons: Vec<NewVcon>) -> Result<()> {
        self.inner.ingest(vcons).await
    }

    async fn get(&self, scope: &TenantScope, uuid: &str) -> Result<Option<Stored>> {
        self.inner.get(scope, uuid).await
    }

    async fn delete(&self, scope: &TenantScope, uuid: &str) -> Result<bool> {
        self.inner.delete(scope, uuid).await
    }

    async fn documents(&self, scope: &TenantScope, cursor: Option<String>, limit: usize) -> Result<Vec<String>> {
        self.inner.documents(scope, cursor, limit).await
    }
}

#[async_trait]
impl Queue for Faulty {
    async fn register(&self, process: &ProcessId) -> Result<()> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner).insert(process.0.clone());
        self.inner.register(process).await
    }

    fn renew(&self, process: &ProcessId) -> Result<bool> {
        self.inner.renew(process)
    }

    async fn deregister(&self, process: &ProcessId) -> Result<()> {
        if self.hanging.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.deregister(process).await
    }

    async fn exchange(
        &self,
        process: &ProcessId,
        commits: Vec<Commit>,
        request: Option<ClaimRequest>,
    ) -> Result<(Vec<Committed>, Vec<Claimed>)> {
        self.fault(&commits).await?;
        self.inner.exchange(process, commits, request).await
    }

    async fn switch(&self, claim: &Claim, uuid: &str) -> Result<Option<Stored>> {
        self.inner.switch(claim, uuid).await
    }

    async fn resume(&self, token: &str, payload: serde_json::Value) -> Result<bool> {
        self.inner.resume(token, payload).await
    }

    async fn pump(&self) -> Result<usize> {
        self.inner.pump().await
    }

    async fn reap(&self) -> Result<Vec<Reaped>> {
        self.inner.reap().await
    }

    async fn sweep(&self) -> Result<usize> {
        self.inner.sweep().await
    }

    async fn doorbell(&self, lists: &[String], timeout: Duration) {
        self.inner.doorbell(lists, timeout).await;
    }
}

#[async_trait]
impl Operations for Faulty {
    async fn lists(&self) -> Result<Vec<ListStatus>> {
        self.inner.lists().await
    }

    async fn pending(&self, lists: &[String], horizon: Duration) -> Result<Pending> {
        self.inner.pending(lists, horizon).await
    }

    async fn pause(&self, list: &str, paused: bool) -> Result<()> {
        self.inner.pause(list, paused).await
    }

    async fn dead_letters(&self, queue: &str, cursor: Option<RunId>, limit: usize) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(queue, cursor, limit).await
    }

    async fn revive(&self, run: RunId) -> Result<bool> {
        self.inner.revive(run).await
    }

    async fn bury(&self, run: RunId) -> Result<bool> {
        self.inner.bury(run).await
    }

    async fn standing(&self, list: &str) -> Result<Standing> {
        self.inner.standing(list).await
    }

    async fn peek(&self, list: &str, limit: usize) -> Result<Vec<Queued>> {
        self.inner.peek(list, limit).await
    }

    async fn transfer(&self, from: &str, to: &str, limit: usize) -> Result<usize> {
        self.inner.transfer(from, to, limit).await
    }

    async fn dead_letter_queues(&self) -> Result<Vec<DeadLetterQueue>> {
        self.inner.dead_letter_queues().await
    }

    async fn revive_as(&self, letter: &DeadLetter, revival: Revival) -> Result<bool> {
        self.inner.revive_as(letter, revival).await
    }
}

#[async_trait]
impl Oversight for Faulty {
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunRecord>> {
        self.inner.runs(query).await
    }

    async fn announce(&self, process: &ProcessId, card: &Card) -> Result<()> {
        self.inner.announce(process, card).await
    }

    async fn withdraw(&self, process: &ProcessId) -> Result<()> {
        self.inner.withdraw(process).await
    }

    async fn conductors(&self) -> Result<Vec<Conductor>> {
        self.inner.conductors().await
    }

    async fn note(&self, past: &[PastRun], most: usize) -> Result<()> {
        self.inner.note(past, most).await
    }

    async fn past(&self, query: &PastQuery) -> Result<Vec<PastRun>> {
        self.inner.past(query).await
    }

    async fn vitals(&self, patience: Duration) -> Result<Vitals> {
        self.inner.vitals(patience).await
    }
}

#[async_trait]
impl Coordination for Faulty {
    async fn take(&self, alternatives: &[Vec<Want>]) -> Result<Taken> {
        self.inner.take(alternatives).await
    }

    async fn settle(&self, permit: &Permit, used: &[(String, f64)]) -> Result<()> {
        self.inner.settle(permit, used).await
    }

    async fn add(&self, counter: &str, amount: f64, keep: Duration) -> Result<f64> {
        self.inner.add(counter, amount, keep).await
    }

    async fn hold(&self, hold: &Hold) -> Result<()> {
        self.inner.hold(hold).await
    }

    async fn holds(&self) -> Result<Vec<Hold>> {
        self.inner.holds().await
    }

    async fn release(&self, what: &str) -> Result<bool> {
        self.inner.release(what).await
    }

    async fn result(&self, key: &str) -> Result<Option<Bytes>> {
        self.inner.result(key).await
    }

    async fn keep_result(&self, key: &str, uuid: &str, value: Bytes, keep: Duration) -> Result<()> {
        self.inner.keep_result(key, uuid, value, keep).await
    }
}

#[async_trait]
impl Catalogue for Faulty {
    async fn ingest_once(&self, scope: &TenantScope, once: &Once, vcons: Vec<NewVcon>) -> Result<Option<String>> {
        self.inner.ingest_once(scope, once, vcons).await
    }

    async fn replace(
        &self,
        scope: &TenantScope,
        uuid: &str,
        document: Bytes,
        expected: Option<u64>,
    ) -> Result<Replaced> {
        self.inner.replace(scope, uuid, document, expected).await
    }

    async fn revisions(&self, scope: &TenantScope, uuids: &[String]) -> Result<Vec<Option<u64>>> {
        self.inner.revisions(scope, uuids).await
    }

    async fn by_time(&self, scope: &TenantScope, range: TimeRange, skip: usize, limit: usize) -> Result<Vec<String>> {
        self.inner.by_time(scope, range, skip, limit).await
    }

    async fn search(&self, scope: &TenantScope, terms: &[Term]) -> Result<Vec<String>> {
        self.inner.search(scope, terms).await
    }

    async fn reindex(&self) -> Result<u64> {
        self.inner.reindex().await
    }
}

#[async_trait]
impl Keyring for Faulty {
    async fn keep_key(&self, key: &StoredKey) -> Result<()> {
        self.inner.keep_key(key).await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        self.inner.keys().await
    }

    async fn forget_key(&self, id: &str) -> Result<bool> {
        self.inner.forget_key(id).await
    }

    async fn key_used(&self, id: &str, at: Millis) -> Result<()> {
        self.inner.key_used(id, at).await
    }
}

#[async_trait]
impl Replays for Faulty {
    async fn cursor(&self, name: &str) -> Result<Option<String>> {
        self.inner.cursor(name).await
    }

    async fn advance(&self, advance: &Advance, vcons: Vec<NewVcon>, ledger: Option<&Ledger>) -> Result<bool> {
        self.inner.advance(advance, vcons, ledger).await
    }

    async fn forget_cursor(&self, name: &str) -> Result<bool> {
        self.inner.forget_cursor(name).await
    }

    async fn waiting(&self, list: &str, skip: usize, limit: usize) -> Result<Vec<String>> {
        self.inner.waiting(list, skip, limit).await
    }

    async fn retake(&self, from: &str, to: &str, uuids: &[String], ledger: Option<&Ledger>) -> Result<Vec<Retaken>> {
        self.inner.retake(from, to, uuids, ledger).await
    }
}

impl Store for Faulty {
    fn describe(&self) -> String {
        format!("faulty {}", self.inner.describe())
    }
}
