//! A database server is stopped while a conductor works: nothing is lost, the other storage is not held up, what waits is
//! drained by itself, and no link runs twice.
//!
//! `VCONDUCTOR_OUTAGE_VCONS` says how many vCons; by default as many as take some seconds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor_core::plugin::{ListQuery, Storage, StorageEntry, inventory};
use vconductor_tests::probes::seen;
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::postgres::PostgresServer;
use vconductor_tests::stage::{Stage, uuid, vcon};

const LIMIT: Duration = Duration::from_secs(120);

fn vcons(few: u32) -> u32 {
    let asked = std::env::var("VCONDUCTOR_OUTAGE_VCONS").ok();
    asked.map_or(few, |asked| asked.parse().expect("VCONDUCTOR_OUTAGE_VCONS is a number"))
}

async fn all(storage: &dyn Storage) -> BTreeSet<String> {
    let mut query = ListQuery { limit: 5000, ..ListQuery::default() };
    let mut found = BTreeSet::new();
    loop {
        let page = storage.list(&query).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        found.extend(page.uuids);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

/// Lets a conductor work; `kill` and `up` stop the server in the middle and bring it back.
async fn outage(module: &str, options: Value, number: u32, mut toggle: impl FnMut(bool)) {
    let log = module;
    let stage = Stage::new();
    stage.give_many((0..number).map(|n| ("in".to_owned(), uuid(n), vcon(&uuid(n)))).collect()).await;
    let yaml = format!(
        "links:\n  paid: {{module: links.probe_external, options: {{log: {log}}}}}\nstorages:\n  target: {{module: \
         {module}, options: {options}}}\n  other: {{module: storage.probe, options: {{log: {log}-other}}}}\nchains:\n  c: \
         {{ingress_lists: [in], egress_lists: [out], links: [paid], storages: [{{storage: target, retry: {{attempts: 2, \
         base: 100ms, cap: 100ms}}}}, other]}}\n"
    );
    let started = Instant::now();
    let conductor = stage.start(&yaml);
    let other = format!("{log}-other");
    let written = || seen(&other).iter().filter(|line| line.starts_with("save ")).count() as u32;
    conductor.until("it is at work", LIMIT, async || written() >= number / 4).await;
    toggle(false);
    conductor.until("the other storage has all", LIMIT, async || written() >= number).await;
    let waiting = async || !stage.dead("DLQ:storage:target").await.is_empty();
    conductor.until("runs wait for the storage", LIMIT, waiting).await;
    let held = stage.pending("out").await.waiting;
    assert!(held < u64::from(number), "egress of what is not stored is withheld");
    toggle(true);
    let drained = async || stage.dead("DLQ:storage:target").await.is_empty();
    conductor.until("all are drained", LIMIT, drained).await;
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    println!("{number} vCons with an outage of {module} took {:?}", started.elapsed());
    let out = stage.take("out").await;
    assert!(out.len() as u32 == number && out.values().all(|times| *times == 1), "{} went out", out.len());
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == module).expect("a module");
    let looking = (entry.build)("looking", options).expect("options");
    assert_eq!(all(&*looking).await, (0..number).map(uuid).collect(), "what the storage holds");
    let once = |verb: &str| (0..number).map(|n| format!("{verb} {}", uuid(n))).collect::<Vec<String>>();
    let sorted = |log: &str| {
        let mut lines = seen(log);
        lines.sort();
        lines
    };
    assert!(sorted(log) == once("paid"), "a link ran twice, or not at all");
    assert!(sorted(&other) == once("save"), "the other storage was written to twice, or not at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_stopped_and_comes_back() {
    let mut server = PostgresServer::start();
    let options = json!({"url": server.url(), "timeout": "10s"});
    outage("storage.postgres", options, vcons(5000), |up| if up { server.up() } else { server.kill() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongo_is_stopped_and_comes_back() {
    let mut server = MongoServer::start();
    let options = json!({"url": server.url(), "timeout": "10s"});
    outage("storage.mongo", options, vcons(500), |up| if up { server.up() } else { server.kill() }).await;
}
