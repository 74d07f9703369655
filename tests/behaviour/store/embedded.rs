//! The embedded store as a backend, and what only it promises.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use libtest_mimic::Trial;
use tempfile::TempDir;
use vconductor_core::Class;
use vconductor_core::clock::{Clock, ManualClock, Millis};
use vconductor_core::store::embedded::{EmbeddedStore, Settings};
use vconductor_core::store::{
    Catalogue, Committed, Coordination, Documents, End, NewVcon, Operations, ProcessId, Queue, Store, TenantScope,
    Term, TermKind,
};

use crate::backend::{Backend, DEAD_LETTER_KEEP, Instance, LEASE};
use crate::world::{self, ALL, ending, new_vcon, request};

pub(crate) struct Embedded;

#[async_trait]
impl Backend for Embedded {
    fn name(&self) -> &'static str {
        "embedded"
    }

    async fn open(&self) -> Box<dyn Instance> {
        Box::new(Files::new())
    }
}

/// A store in a directory of its own, with a clock that stands still.
pub(crate) struct Files {
    directory: TempDir,
    clock: ManualClock,
    store: Option<Arc<EmbeddedStore>>,
}

impl Files {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = ManualClock::at(1_800_000_000_000);
        let store = Some(open(&directory, &clock));
        Files { directory, clock, store }
    }

    pub(crate) fn embedded(&self) -> &Arc<EmbeddedStore> {
        self.store.as_ref().expect("the store is open outside of reopen")
    }

    /// Waits until nobody holds these lock files. A killed process takes its locks along; here, a program that another test
    /// is just starting has a copy of all that is open, until it is itself.
    async fn until_free(&self, which: impl Fn(&str) -> bool + Send) {
        let started = Instant::now();
        for entry in fs::read_dir(self.directory.path().join("processes")).expect("the lock files") {
            let entry = entry.expect("a lock file");
            // One that is gone is free.
            let is_held = || fs::File::open(entry.path()).is_ok_and(|file| file.try_lock().is_err());
            while which(&entry.file_name().to_string_lossy()) && is_held() {
                assert!(started.elapsed() < Duration::from_secs(10), "{entry:?} is still held");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

fn open(directory: &TempDir, clock: &ManualClock) -> Arc<EmbeddedStore> {
    EmbeddedStore::open(directory.path(), settings(clock)).expect("a store opens")
}

fn settings(clock: &ManualClock) -> Settings {
    Settings {
        clock: Arc::new(clock.clone()),
        lease: LEASE,
        poison_at: 3,
        dead_letter_keep: Some(DEAD_LETTER_KEEP),
        // A killed process loses nothing either way, and the suite never cuts the power.
        fsync: false,
    }
}

#[async_trait]
impl Instance for Files {
    fn store(&self) -> Arc<dyn Store> {
        Arc::<EmbeddedStore>::clone(self.embedded())
    }

    async fn another(&self) -> Arc<dyn Store> {
        open(&self.directory, &self.clock)
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }

    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn turn_back(&self, by: Duration) {
        self.clock.turn_back(by);
    }

    async fn reopen(&mut self) {
        self.store = None;
        self.until_free(|_| true).await;
        self.store = Some(open(&self.directory, &self.clock));
    }

    async fn kill(&self, process: &ProcessId) {
        self.embedded().abandon(process);
        let killed = format!("{}.lock", process.0);
        self.until_free(|file| file == killed).await;
    }
}

type Test = fn(Files) -> std::pin::Pin<Box<dyn Future<Output = ()>>>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 13] = [
        ("a_failing_operation_does_not_spoil_its_neighbours", |files| Box::pin(isolation(files))),
        ("a_full_disk_can_be_tried_again_and_loses_nothing", |files| Box::pin(full_disk(files))),
        ("a_new_file_can_be_opened_by_many_at_once", |files| Box::pin(opened_by_many(files))),
        ("a_newer_schema_is_refused", |files| Box::pin(newer_schema(files))),
        ("a_file_of_the_first_schema_is_brought_up_to_date", |files| Box::pin(first_schema(files))),
        ("a_file_without_tenants_is_brought_up_to_date", |files| Box::pin(third_schema(files))),
        ("the_pages_of_a_tenant_come_from_an_index", |files| Box::pin(tenant_indexes(files))),
        ("a_damaged_file_is_explained", |files| Box::pin(damaged(files))),
        ("an_unusable_directory_is_explained", |files| Box::pin(unusable(files))),
        ("a_killed_process_is_noticed_before_its_lease_is_over", |files| Box::pin(killed(files))),
        ("a_heartbeat_gets_through_beside_a_busy_writer", |files| Box::pin(heartbeat(files))),
        ("a_process_without_a_lease_row_is_fenced", |files| Box::pin(without_lease(files))),
        ("a_stopped_writer_elsewhere_is_explained", |files| Box::pin(locked(files))),
    ];
    let trial = |(name, test): (&str, Test)| {
        Trial::test(format!("embedded::files::{name}"), move || {
            world::runtime().block_on(async { test(Files::new()).await });
            Ok(())
        })
    };
    tests.into_iter().map(trial).collect()
}

async fn isolation(files: Files) {
    let store = files.embedded();
    // Only 40 more pages: the large document cannot be stored, the small ones beside it can.
    store.simulate_full_disk(40).await.expect("a bound");
    let large = vconductor_core::store::NewVcon {
        document: Some(bytes::Bytes::from(vec![b'x'; 1 << 20])),
        ..new_vcon("large", &["calls"])
    };
    let mut neighbours = Vec::new();
    for index in 0..20 {
        let (store, large) = (Arc::clone(store), large.clone());
        neighbours.push(tokio::spawn(async move {
            let vcon = if index == 10 { large } else { new_vcon(&format!("v{index}"), &["calls"]) };
            store.ingest(vec![vcon]).await
        }));
    }
    for (index, neighbour) in neighbours.into_iter().enumerate() {
        let result = neighbour.await.expect("no panic");
        assert_eq!(result.is_err(), index == 10, "{result:?}");
    }
    assert_eq!(store.lists().await.expect("the lists")[0].waiting, 19);
}

async fn full_disk(files: Files) {
    let store = files.embedded();
    let process = ProcessId::random();
    store.register(&process).await.expect("a process registers");
    let mut stored = Vec::new();
    store.simulate_full_disk(20).await.expect("a bound");
    let error = loop {
        let uuid = format!("v{}", stored.len());
        match store.ingest(vec![new_vcon(&uuid, &["calls"])]).await {
            Ok(()) => stored.push(uuid),
            Err(error) => break error,
        }
    };
    assert!(error.is_retryable());
    assert!(error.message().contains("no space left"), "{error}");
    assert!(error.help_text().is_some_and(|help| help.contains("free space")));
    store.simulate_full_disk(0).await.expect("no bound");
    let (_, claimed) =
        store.exchange(&process, Vec::new(), Some(request(&[("calls", 9999, 1)], 9999))).await.expect("work goes on");
    assert_eq!(world::uuids(&claimed), stored);
}

async fn opened_by_many(files: Files) {
    let first_of_all = |round: usize| {
        let path = files.directory.path().join(round.to_string());
        let barrier = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    barrier.wait();
                    EmbeddedStore::open(&path, settings(&files.clock)).expect("each of them opens the store");
                });
            }
        });
    };
    (0..40).for_each(first_of_all);
}

async fn newer_schema(mut files: Files) {
    files.store = None;
    let file = files.directory.path().join("vconductor.db");
    let connection = rusqlite::Connection::open(&file).expect("the file opens");
    connection.pragma_update(None, "user_version", 99).expect("a version");
    drop(connection);
    let error = EmbeddedStore::open(files.directory.path(), settings(&files.clock)).expect_err("it is newer");
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.message().contains("newer vConductor") && error.message().contains("99"), "{error}");
}

async fn first_schema(mut files: Files) {
    let text = r#"{"uuid":"a","created_at":"2026-01-02T03:04:05Z","parties":[{"tel":"+12025550123"}]}"#;
    let vcon = NewVcon { document: Some(Bytes::from_static(text.as_bytes())), ..new_vcon("a", &["calls"]) };
    files.embedded().ingest(vec![vcon]).await.expect("an ingest");
    files.store = None;
    let file = files.directory.path().join("vconductor.db");
    let connection = rusqlite::Connection::open(&file).expect("the file opens");
    let newer = "DROP TABLE conductors; DROP TABLE past_runs; DROP INDEX vcons_tenant; DROP INDEX vcons_tenant_created; ALTER TABLE vcons DROP COLUMN tenant;
                 DROP TABLE limits; DROP TABLE permits; DROP TABLE counters; DROP TABLE holds; DROP TABLE results;
                 DROP TABLE terms; DROP TABLE deliveries; DROP TABLE api_keys; DROP INDEX vcons_created;
                 ALTER TABLE vcons DROP COLUMN created; PRAGMA user_version = 1;";
    connection.execute_batch(newer).expect("the file as the first version left it");
    drop(connection);
    let store = open(&files.directory, &files.clock);
    assert_eq!(store.lists().await.expect("the lists")[0].waiting, 1);
    assert_eq!(store.add("spent", 2.0, Duration::from_secs(60)).await.expect("a sum"), 2.0);
    let term = Term { kind: TermKind::Tel, value: "+12025550123".to_owned() };
    assert_eq!(store.search(ALL, &[term]).await.expect("a search"), ["a"], "what was there is found as well");
    drop(store);
    open(&files.directory, &files.clock);
}

async fn third_schema(mut files: Files) {
    files.embedded().ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    files.store = None;
    let file = files.directory.path().join("vconductor.db");
    let connection = rusqlite::Connection::open(&file).expect("the file opens");
    let newer = "DROP TABLE conductors; DROP TABLE past_runs; DROP INDEX vcons_tenant; DROP INDEX vcons_tenant_created; ALTER TABLE vcons DROP COLUMN tenant;
                 PRAGMA user_version = 3;";
    connection.execute_batch(newer).expect("the file as the third version left it");
    drop(connection);
    let store = open(&files.directory, &files.clock);
    let acme = TenantScope::One("acme".parse().expect("a name"));
    assert!(store.get(ALL, "a").await.expect("a read").is_some());
    assert_eq!(store.get(&acme, "a").await.expect("a read"), None, "what was there is nobody's");
    let tenant = acme.tenant().cloned();
    let new = NewVcon { tenant: tenant.clone(), ..new_vcon("b", &[]) };
    store.ingest(vec![new]).await.expect("an ingest");
    assert_eq!(store.documents(&acme, None, 9).await.expect("a page"), ["b"]);
    store.ingest(vec![NewVcon { tenant, ..new_vcon("a", &[]) }]).await.expect_err("it is not his");
}

async fn tenant_indexes(files: Files) {
    let connection = rusqlite::Connection::open(files.directory.path().join("vconductor.db")).expect("the file opens");
    let plan = |sql: &str| -> String {
        let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a statement");
        let values = rusqlite::params_from_iter(std::iter::repeat_n(1, explain.parameter_count()));
        let rows = explain.query_map(values, |row| row.get::<_, String>(3)).expect("a plan");
        rows.collect::<rusqlite::Result<Vec<_>>>().expect("the steps").join("; ")
    };
    let arrivals = plan("SELECT uuid FROM vcons WHERE id > ?1 AND tenant = ?4 ORDER BY id LIMIT ?2");
    assert!(arrivals.contains("INDEX vcons_tenant ") && !arrivals.contains("TEMP B-TREE"), "{arrivals}");
    let times = plan(
        "SELECT uuid FROM vcons WHERE created >= ?1 AND created <= ?2 AND tenant = ?6
         ORDER BY created DESC, id DESC LIMIT ?4 OFFSET ?5",
    );
    assert!(times.contains("INDEX vcons_tenant_created ") && !times.contains("TEMP B-TREE"), "{times}");
}

async fn damaged(mut files: Files) {
    files.store = None;
    for entry in fs::read_dir(files.directory.path()).expect("the directory").flatten() {
        if entry.path().is_file() {
            fs::remove_file(entry.path()).expect("a removal");
        }
    }
    fs::write(files.directory.path().join("vconductor.db"), "this is no database, ".repeat(1000)).expect("a file");
    let error = EmbeddedStore::open(files.directory.path(), settings(&files.clock)).expect_err("it is damaged");
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.message().contains("damaged") && error.help_text().is_some(), "{error}");
}

async fn unusable(files: Files) {
    let path = files.directory.path().join("file");
    fs::write(&path, "in the way").expect("a file");
    let error = EmbeddedStore::open(&path, settings(&files.clock)).expect_err("it is a file");
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.message().contains("file") && error.help_text().is_some(), "{error}");
}

async fn killed(files: Files) {
    let dying = open(&files.directory, &files.clock);
    let process = ProcessId::random();
    dying.register(&process).await.expect("a process registers");
    dying.ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    let all = Some(request(&[("calls", 9, 1)], 9));
    dying.exchange(&process, Vec::new(), all).await.expect("an exchange");
    assert!(files.embedded().reap().await.expect("a reap").is_empty());
    drop(dying);
    files.until_free(|_| true).await;
    assert_eq!(files.embedded().reap().await.expect("a reap").len(), 1);
    let left = fs::read_dir(files.directory.path().join("processes")).expect("the lock files").count();
    assert_eq!(left, 0, "the lock file is gone");
}

async fn heartbeat(files: Files) {
    let store = files.embedded();
    let process = ProcessId::random();
    store.register(&process).await.expect("a process registers");
    let busy = Arc::clone(store);
    let writing = tokio::spawn(async move {
        let start = Instant::now();
        let mut index = 0;
        while start.elapsed() < Duration::from_millis(700) {
            let vcons = (0..200).map(|n| new_vcon(&format!("{index}-{n}"), &["calls"])).collect();
            busy.ingest(vcons).await.expect("an ingest");
            index += 1;
        }
    });
    let beating = Arc::clone(store);
    let beats = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        let mut beats = 0;
        while start.elapsed() < Duration::from_millis(500) {
            assert!(beating.renew(&process).expect("a renewal"));
            beats += 1;
        }
        beats
    });
    assert!(beats.await.expect("no panic") > 0);
    writing.await.expect("no panic");
}

async fn without_lease(files: Files) {
    let store = files.embedded();
    let process = ProcessId::random();
    store.register(&process).await.expect("a process registers");
    store.ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    let all = Some(request(&[("calls", 9, 1)], 9));
    let (_, claimed) = store.exchange(&process, Vec::new(), all).await.expect("an exchange");
    let other = rusqlite::Connection::open(files.directory.path().join("vconductor.db")).expect("the file opens");
    other.execute("DELETE FROM processes", []).expect("a deletion");
    let commits = vec![ending(&claimed[0], End::Done)];
    let (committed, _) = store.exchange(&process, commits, None).await.expect("an exchange");
    assert_eq!(committed, [Committed::Lost]);
    assert!(!store.renew(&process).expect("a renewal"));
    assert_eq!(store.reap().await.expect("a reap").len(), 1, "its claims are found all the same");
}

async fn locked(files: Files) {
    // Not the ten seconds of patience are tested here but that what waits goes on afterwards.
    let file = files.directory.path().join("vconductor.db");
    let store = files.embedded();
    let other = rusqlite::Connection::open(&file).expect("the file opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let waiting = {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.ingest(vec![new_vcon("a", &["calls"])]).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    assert_eq!(store.get(ALL, "a").await.expect("readers do not wait"), None);
    other.execute_batch("ROLLBACK").expect("an end");
    waiting.await.expect("no panic").expect("an ingest");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process registers");
    let all = Some(request(&[("calls", 9, 1)], 9));
    let (_, claimed) = store.exchange(&process, Vec::new(), all).await.expect("an exchange");
    let commits = vec![ending(&claimed[0], End::Done)];
    store.exchange(&process, commits, None).await.expect("an exchange");
}
