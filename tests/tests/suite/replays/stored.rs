//! vCons of a storage run again, each once, whatever ends the command.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vconductor_core::plugin::{SaveItem, Storage, StorageEntry, inventory};
use vconductor_core::vcon::Vcon;
use vconductor_tests::servers::postgres::PostgresServer;
use vconductor_tests::servers::s3::S3Server;
use vconductor_tests::stage::uuid;

use super::{On, Scene, size};

/// Growth of the resident memory that is none: allocator, buffers of connections, SQLite's cache.
const SLACK: u64 = 48 << 10;

/// More are not copied: each is loaded twice from either end.
const COPIED: u32 = 20_000;

fn configuration(module: &str, options: &Value) -> String {
    format!(
        "storages:
  source: {{module: {module}, options: {options}}}
  copy: {{module: storage.sqlite, options: {{path: ./copy.db}}}}
links:
  mark: {{module: links.tag, options: {{tags: [\"again:1\"]}}}}
chains:
  again: {{ingress_lists: [again], links: [mark], egress_lists: [done], concurrency: 256}}
"
    )
}

fn item(number: u32) -> SaveItem {
    let (uuid, day) = (uuid(number), 1 + number % 28);
    // 2 KiB or so, as a short conversation has.
    let text = format!(
        "{{\"vcon\":\"0.0.1\",\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-{day:02}T03:04:05Z\",\"subject\":\"case {number}\",\
         \"parties\":[{{\"tel\":\"+12025550123\"}}],\"dialog\":[{{\"type\":\"text\",\"start\":\"2026-01-02T03:04:05Z\",\
         \"parties\":[0],\"mediatype\":\"text/plain\",\"encoding\":\"none\",\"body\":\"{}\"}}]}}",
        "hello ".repeat(300)
    );
    let vcon = Arc::new(Vcon::read(text.into_bytes()).expect("a vCon"));
    SaveItem { uuid, revision: 7, vcon, effect_id: format!("fill:{number}") }
}

async fn fill(storage: &Arc<dyn Storage>, count: u32) {
    let mut saves = tokio::task::JoinSet::new();
    for first in (0..count).step_by(200) {
        let items: Vec<SaveItem> = (first..count.min(first + 200)).map(item).collect();
        let storage = Arc::clone(storage);
        while saves.len() >= 8 {
            saves.join_next().await.expect("a save").expect("it ends");
        }
        saves.spawn(async move {
            for result in storage.save_many(&items).await {
                result.expect("it is saved");
            }
        });
    }
    while let Some(saved) = saves.join_next().await {
        saved.expect("it ends");
    }
}

async fn each_is_run_once(on: On, module: &str, options: Value, count: u32) {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == module).expect("a storage");
    let scene = Scene::new(on, &configuration(module, &options));
    fill(&(entry.build)("source", options).expect("options"), count).await;
    tokio::task::block_in_place(|| {
        let asked =
            ["replay", "--from", "storage", "source", "--to", "again", "--config", "chains.yml", "--ahead", "0"];
        let rate = format!("{}/s", (count / 3).max(60));
        let slow = [&asked[..], &["--rate", &rate]].concat();
        let is = |share: u64| scene.count_waiting("again") >= u64::from(count) * share / 10;
        assert!(scene.cut(&slow, "-KILL", || is(2)));
        assert!(scene.cut(&slow, "-INT", || is(4)));
        assert!(scene.cut(&slow, "-KILL", || is(5)));
        let done = scene.run(&[&asked[..], &["--output", "json"]].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let said: Value = serde_json::from_str(&done.stdout).expect("JSON");
        assert_eq!((&said["done"], &said["resumed"]), (&count.into(), &true.into()));
        let waiting = scene.waiting("again");
        assert_eq!((waiting.len(), waiting.values().copied().max()), (count as usize, Some(1)), "each once");
        let whole = scene.run(&[&asked[..], &["--restart", "--output", "json"]].concat());
        assert_eq!(whole.code, 0, "{}", whole.stderr);
        let (early, most) = whole.memory;
        println!(
            "FIGURES {on:?} {module}: {count} vCons, each once after three stops; replayed whole in {:.1} s ({:.0}/s); \
             resident {early} KiB in the first fifth, {most} KiB at most",
            whole.took.as_secs_f64(),
            f64::from(count) / whole.took.as_secs_f64()
        );
        assert!(most < early.max(64 << 10) + SLACK, "memory grows: {early} KiB, then {most} KiB");
        let few = COPIED.to_string();
        let copy = [
            "copy",
            "--from",
            "source",
            "--to",
            "copy",
            "--verify",
            "--config",
            "chains.yml",
            "--limit",
            &few,
            "--output",
            "json",
        ];
        let slow = [&copy[..], &["--rate", &rate]].concat();
        let began = std::time::Instant::now();
        assert!(scene.cut(&slow, "-KILL", || began.elapsed() > Duration::from_millis(1500)));
        let copied = scene.run(&copy);
        let said: Value = serde_json::from_str(&copied.stdout).expect("JSON");
        let number = |name: &str| said[name].as_u64().unwrap_or(0);
        assert_eq!(copied.code, 0, "{}", copied.stderr);
        // What was written before the kill, and not yet counted, is there already.
        let (all, wanted) = (number("copied") + number("there_already"), u64::from(count.min(COPIED)));
        assert!((wanted..=wanted + 64).contains(&all) && (count > COPIED || all == wanted), "{said}");
        println!(
            "FIGURES {on:?} copy from {module}: verified, in {:.1} s, resident {} KiB at most",
            copied.took.as_secs_f64(),
            copied.memory.1
        );
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vcon_of_postgres_is_run_once_on_redis() {
    let server = PostgresServer::start();
    each_is_run_once(On::Redis, "storage.postgres", json!({"url": server.url()}), 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_vcon_of_s3_is_run_once_on_the_embedded_store() {
    let server = S3Server::start();
    each_is_run_once(On::Embedded, "storage.s3", server.options(), 400).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; scripts/soak/replay"]
async fn full_size_from_postgres() {
    let server = PostgresServer::start();
    let count = size("REPLAY_VCONS", 100_000);
    each_is_run_once(On::Redis, "storage.postgres", json!({"url": server.url()}), count).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes; scripts/soak/replay"]
async fn full_size_from_s3() {
    let server = S3Server::start();
    each_is_run_once(On::Embedded, "storage.s3", server.options(), size("REPLAY_VCONS", 100_000)).await;
}
