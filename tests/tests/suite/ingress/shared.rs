//! What is the same for all adapters: storing before answering, once, in any order, from allowed places, within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor_core::store::Store;
use vconductor_core::store::embedded::{EmbeddedStore, Settings};
use vconductor_core::store::redis::RedisStore;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::Stage;
use vconductor_tests::vendors::media_host::{Files, MediaHost};
use vconductor_tests::vendors::{Fault, Vendor};

use super::door::{Door, recording};

const HEADERS: [(&str, &str); 2] = [("content-type", "application/json"), ("authorization", "Bearer t")];

async fn host() -> (Vendor, Files) {
    let host = MediaHost::default();
    let files = host.files();
    (Vendor::start(host).await, files)
}

fn options(hosts: &[&str]) -> Value {
    json!({"map": ".body", "token": "t", "media_hosts": hosts})
}

fn told(id: &str, url: &str) -> String {
    json!({"id": id, "from": "+15550100", "to": "+15550101", "start": 1_784_019_600, "recording": url}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_its_status() {
    let door = Door::open("ingress.generic", &options(&[])).await;
    assert_eq!(door.post_to("x", &HEADERS, "{}").await.status, 404);
    let unproved = door.post(&HEADERS[..1], "{}").await;
    assert_eq!((unproved.status, unproved.headers["www-authenticate"].as_str()), (401, "Bearer"));
    assert_eq!(door.post(&HEADERS, "{").await.status, 400);
    assert_eq!(door.post(&HEADERS, "null").await.status, 200, "nothing to be made of it");
    let large = format!("\"{}\"", "x".repeat(5 << 20));
    assert_eq!(door.post(&HEADERS, large).await.status, 413);
    assert!(door.stage.store.lists().await.unwrap().is_empty());
}

/// Ten at once to two processes, on both stores.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_many_times_at_once_is_one_vcon() {
    let redis = RedisServer::durable();
    let on_redis: Arc<dyn Store> = RedisStore::connect(&redis.url(), Default::default()).await.expect("a store");
    for stage in [Stage::new(), Stage::on(on_redis)] {
        let (vendor, files) = host().await;
        files.put("/1.wav", recording(1));
        let store = Arc::clone(&stage.store);
        let one = Door::on(stage, "ingress.generic", &options(&["127.0.0.1"]), "").await;
        let two = Door::on(Stage::on(store), "ingress.generic", &options(&["127.0.0.1"]), "").await;
        let body = told("1", &format!("{}/1.wav", vendor.url));
        for _ in 0..3 {
            let posts = (0..10).map(|number| {
                let door = if number % 2 == 0 { &one } else { &two };
                door.post(&HEADERS, body.clone())
            });
            let answered = futures_util::future::join_all(posts).await;
            assert!(answered.iter().all(|answered| answered.status == 200), "{answered:?}");
        }
        two.settled().await;
        let vcon = one.vcon().await;
        assert_eq!(vcon["dialog"][0]["start"], "2026-07-14T09:00:00Z");
        assert_eq!(one.post(&HEADERS, body).await.status, 200);
        assert_eq!(one.vcons().await, Vec::<Value>::new());
        one.ingresses.stop().await;
        two.ingresses.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_call_come_in_any_order() {
    for facts_first in [true, false] {
        let (vendor, files) = host().await;
        files.put("/1.wav", recording(1));
        let door = Door::open("ingress.generic", &options(&["127.0.0.1"])).await;
        let facts = json!({"call": "c", "from": "+15550100", "to": "+15550101", "direction": "inbound"}).to_string();
        let recorded = json!({"id": "r", "call": "c", "recording": format!("{}/1.wav", vendor.url)}).to_string();
        let (first, second) = if facts_first { (facts, recorded) } else { (recorded, facts) };
        assert_eq!(door.post(&HEADERS, first).await.status, 200);
        if !facts_first {
            // It waits for somebody who tells who spoke.
            door.retried().await;
        }
        assert_eq!(door.post(&HEADERS, second).await.status, 200);
        let vcon = door.vcon().await;
        assert_eq!(vcon["parties"], json!([{"tel": "+15550100"}, {"tel": "+15550101"}]), "facts first: {facts_first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_comes_from_allowed_hosts_only() {
    let (vendor, files) = host().await;
    files.put("/1.wav", recording(1));
    for (hosts, url, word) in [
        (&[][..], format!("{}/1.wav", vendor.url), "none of the allowed hosts"),
        (&["media.example.com"], format!("{}/1.wav", vendor.url), "none of the allowed hosts"),
        (&["10.0.0.1"], "http://10.0.0.1/1.wav".to_owned(), "address guard"),
        (&["169.254.169.254"], "http://169.254.169.254/latest/meta-data".to_owned(), "address guard"),
        (&["127.0.0.1"], "file:///etc/passwd".to_owned(), "none of the allowed hosts"),
        (&["127.0.0.1"], "/etc/passwd".to_owned(), "not a URL"),
        (
            &["127.0.0.1"],
            format!("http://ann:secret@{}/1.wav", vendor.url.trim_start_matches("http://")),
            "user name or password",
        ),
    ] {
        let door = Door::open("ingress.generic", &options(hosts)).await;
        assert_eq!(door.post(&HEADERS, told("1", &url)).await.status, 200);
        let reason = door.reason().await;
        assert!(reason.contains(word), "{url}: {reason}");
    }
    assert_eq!(vendor.calls().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_within_the_bounds_and_is_one() {
    let (vendor, files) = host().await;
    files.put("/large.wav", recording(1));
    files.put("/page.wav", "<html>sign in</html>");
    for (path, word) in [("/large.wav", "more than 1024 bytes"), ("/page.wav", "recording 1")] {
        let door = Door::on(Stage::new(), "ingress.generic", &options(&["127.0.0.1"]), "max_size: 1KB,").await;
        assert_eq!(door.post(&HEADERS, told("1", &format!("{}{path}", vendor.url))).await.status, 200);
        let reason = door.reason().await;
        assert!(reason.contains(word), "{path}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_again_until_it_is_given_up() {
    let (vendor, files) = host().await;
    let door = Door::open("ingress.generic", &options(&["127.0.0.1"])).await;
    door.post(&HEADERS, told("1", &format!("{}/1.wav", vendor.url))).await;
    door.retried().await;
    files.put("/1.wav", recording(1));
    vendor.will(Fault::CutOff);
    door.vcon().await;
    let door = Door::on(Stage::new(), "ingress.generic", &options(&["127.0.0.1"]), "give_up_after: 1s,").await;
    door.post(&HEADERS, told("1", &format!("{}/2.wav", vendor.url))).await;
    let reason = door.reason().await;
    assert!(reason.contains("not there yet (404 Not Found)"), "{reason}");
}

/// A vendor may forget what it was answered 2xx for, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_to_come_again() {
    let mut redis = RedisServer::durable();
    let store: Arc<dyn Store> = RedisStore::connect(&redis.url(), Default::default()).await.expect("a store");
    let door = Door::on(Stage::on(store), "ingress.generic", &options(&[]), "").await;
    let message = json!({"id": "1", "text": "hello", "from": "+15550100", "to": "+15550101"}).to_string();
    redis.kill();
    let answered = door.post(&HEADERS, message.clone()).await;
    assert_eq!((answered.status, answered.headers["retry-after"].as_str()), (503, "5"));
    redis.up();
    let started = Instant::now();
    while door.post(&HEADERS, message.clone()).await.status != 200 {
        assert!(started.elapsed() < Duration::from_secs(60), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(door.vcon().await["dialog"][0]["body"], "hello");
    door.ingresses.stop().await;
}

/// Items wait in the store, not in the process.
#[tokio::test(flavor = "multi_thread")]
async fn another_process_goes_on_with_what_one_has_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let (vendor, files) = host().await;
    let open = || EmbeddedStore::open(&folder.path().join("store"), Settings::default()).expect("a store");
    let url = format!("{}/1.wav", vendor.url);
    {
        let door = Door::on(Stage::on(open()), "ingress.generic", &options(&["127.0.0.1"]), "").await;
        assert_eq!(door.post(&HEADERS, told("1", &url)).await.status, 200);
        door.retried().await;
        door.ingresses.stop().await;
    }
    files.put("/1.wav", recording(1));
    let door = Door::on(Stage::on(open()), "ingress.generic", &options(&["127.0.0.1"]), "").await;
    assert_eq!(door.post(&HEADERS, told("1", &url)).await.status, 200, "it is known");
    door.vcon().await;
}
