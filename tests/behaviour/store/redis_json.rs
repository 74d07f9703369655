//! Documents as RedisJSON values, as vcon-server writes them, over a stand-in for the module (`json_module.c`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::Class;
use vconductor_core::store::redis::{Encoding, RedisStore, Settings};
use vconductor_core::store::{Claimed, Commit, Committed, Documents, End, NewVcon, ProcessId, Queue};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{ALL, ending, new_vcon, push, request, save, trials};

trials![
    "redis::json",
    what_vcon_server_wrote_is_read_and_saved_in_its_type,
    the_type_that_is_found_is_kept,
    the_encoding_decides_on_new_ones,
    a_type_that_changed_meanwhile_loses_no_save,
    what_redis_json_cannot_hold_is_kept_as_a_string,
    a_server_without_the_module_is_refused_where_it_is_asked_for,
    both_protocols_read_the_same,
    large_values_are_measured,
];

async fn open(url: &str, encoding: Encoding) -> Arc<RedisStore> {
    RedisStore::connect(url, Settings { encoding, ..Settings::default() }).await.expect("a store")
}

async fn claim(store: &RedisStore, list: &str) -> (ProcessId, Claimed) {
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let ask = Some(request(&[(list, 1, 1)], 1));
    let (_, mut claimed) = store.exchange(&process, Vec::new(), ask).await.expect("an exchange");
    (process, claimed.pop().expect("a run"))
}

async fn commit(store: &RedisStore, commit: Commit) {
    let process = commit.claim.process.clone();
    let (committed, _) = store.exchange(&process, vec![commit], None).await.expect("an exchange");
    assert_eq!(committed, [Committed::Done]);
}

fn text(claimed: &Claimed) -> &[u8] {
    &claimed.stored.as_ref().expect("a document").document
}

async fn what_vcon_server_wrote_is_read_and_saved_in_its_type() {
    let server = RedisServer::with_json();
    let store = open(&server.url(), Encoding::Auto).await;
    // What its API does at POST /vcon.
    server.cli(&["JSON.SET", "vcon:a", "$", r#"{"uuid": "a", "parties": [], "created_at": "2026-01-02T03:04:05Z"}"#]);
    server.cli(&["EXPIRE", "vcon:a", "3600"]);
    server.cli(&["RPUSH", "calls", "a"]);
    let (_, claimed) = claim(&store, "calls").await;
    let read = br#"{"uuid":"a","parties":[],"created_at":"2026-01-02T03:04:05Z"}"#;
    assert_eq!(text(&claimed), read);
    assert_eq!(store.get(ALL, "a").await.expect("a read").expect("a document").document, &read[..]);
    assert_eq!(server.cli(&["TTL", "vcon:a"]), "-1", "nothing expires while it is worked on");
    let mut step = ending(&claimed, End::Continue);
    step.save = save("a", r#"{"uuid":"a","tags":[1]}"#, 0);
    commit(&store, step).await;
    assert_eq!(server.cli(&["TYPE", "vcon:a"]), "ReJSON-RL");
    let mut last = ending(&claimed, End::Done);
    last.save = save("a", r#"{"uuid":"a","tags":[1,2]}"#, 0);
    last.pushes = vec![push("out", "a")];
    commit(&store, last).await;
    // What its worker does next.
    assert_eq!(server.cli(&["LPOP", "out"]), "a");
    assert_eq!(server.cli(&["JSON.GET", "vcon:a", "."]), r#"{"uuid":"a","tags":[1,2]}"#);
    let ttl: i64 = server.cli(&["TTL", "vcon:a"]).parse().expect("a number");
    assert!((3590..=3600).contains(&ttl), "its time to live is back: {ttl}");
}

async fn the_type_that_is_found_is_kept() {
    let server = RedisServer::with_json();
    for (encoding, found) in [(Encoding::Json, "string"), (Encoding::String, "ReJSON-RL"), (Encoding::Auto, "string")] {
        let store = open(&server.url(), encoding).await;
        server.cli(&["DEL", "vcon:a"]);
        match found {
            "string" => server.cli(&["SET", "vcon:a", r#"{"uuid": "a"}"#, "EX", "500"]),
            _ => server.cli(&["JSON.SET", "vcon:a", ".", r#"{"uuid": "a"}"#]),
        };
        server.cli(&["RPUSH", "calls", "a"]);
        let (_, claimed) = claim(&store, "calls").await;
        let mut last = ending(&claimed, End::Done);
        last.save = save("a", r#"{"uuid":"a","b":2}"#, 0);
        commit(&store, last).await;
        assert_eq!(server.cli(&["TYPE", "vcon:a"]), found, "{encoding:?}");
        // Taken in again, it stays what it is too.
        store.ingest(vec![new_vcon("a", &[])]).await.expect("an ingest");
        assert_eq!(server.cli(&["TYPE", "vcon:a"]), found, "{encoding:?}");
    }
}

async fn the_encoding_decides_on_new_ones() {
    let server = RedisServer::with_json();
    for (encoding, made) in [(Encoding::Auto, "ReJSON-RL"), (Encoding::Json, "ReJSON-RL"), (Encoding::String, "string")]
    {
        server.cli(&["FLUSHALL"]);
        let store = open(&server.url(), encoding).await;
        let vcon = NewVcon { keep: Some(Duration::from_secs(900)), ..new_vcon("a", &["calls"]) };
        store.ingest(vec![vcon]).await.expect("an ingest");
        assert_eq!(server.cli(&["TYPE", "vcon:a"]), made, "{encoding:?}");
        assert_eq!(server.cli(&["TTL", "vcon:a"]), "900");
        let (_, claimed) = claim(&store, "calls").await;
        // A link makes another vCon.
        let mut last = ending(&claimed, End::Done);
        last.save = save("made", r#"{"uuid":"made"}"#, 0);
        commit(&store, last).await;
        assert_eq!(server.cli(&["TYPE", "vcon:made"]), made, "{encoding:?}");
    }
    let plain = RedisServer::start();
    open(&plain.url(), Encoding::Auto).await.ingest(vec![new_vcon("a", &[])]).await.expect("an ingest");
    assert_eq!(plain.cli(&["TYPE", "vcon:a"]), "string");
}

async fn a_type_that_changed_meanwhile_loses_no_save() {
    let server = RedisServer::with_json();
    let store = open(&server.url(), Encoding::Auto).await;
    for (before, after) in [("json", "string"), ("string", "json")] {
        let write = |how: &str| match how {
            "json" => server.cli(&["JSON.SET", "vcon:a", ".", r#"{"uuid":"a"}"#]),
            _ => server.cli(&["SET", "vcon:a", r#"{"uuid":"a"}"#]),
        };
        server.cli(&["DEL", "vcon:a"]);
        write(before);
        server.cli(&["RPUSH", "calls", "a"]);
        let (_, claimed) = claim(&store, "calls").await;
        server.cli(&["DEL", "vcon:a"]);
        write(after);
        server.cli(&["EXPIRE", "vcon:a", "700"]);
        let mut step = ending(&claimed, End::Continue);
        step.save = save("a", r#"{"uuid":"a","edited":true}"#, 0);
        commit(&store, step).await;
        let document = store.get(ALL, "a").await.expect("a read").expect("a document").document;
        assert_eq!(document, r#"{"uuid":"a","edited":true}"#, "{before} became {after}");
        let ttl: i64 = server.cli(&["TTL", "vcon:a"]).parse().expect("a number");
        assert!((690..=700).contains(&ttl), "{before} became {after}: {ttl}");
        commit(&store, ending(&claimed, End::Done)).await;
    }
}

async fn what_redis_json_cannot_hold_is_kept_as_a_string() {
    let server = RedisServer::with_json();
    let store = open(&server.url(), Encoding::Auto).await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert_ne!(server.cli(&["JSON.SET", "deep", ".", &deep]), "OK", "the module refuses it");
    let vcon = NewVcon { document: Some(Bytes::from(deep.clone())), ..new_vcon("a", &["calls"]) };
    store.ingest(vec![vcon]).await.expect("an ingest");
    assert_eq!(store.get(ALL, "a").await.expect("a read").expect("a document").document, deep);
    // Over a value that is there, too.
    server.cli(&["JSON.SET", "vcon:b", ".", "{}"]);
    server.cli(&["EXPIRE", "vcon:b", "800"]);
    server.cli(&["RPUSH", "chats", "b"]);
    let (_, claimed) = claim(&store, "chats").await;
    let mut last = ending(&claimed, End::Done);
    last.save = save("b", &deep, 0);
    commit(&store, last).await;
    assert_eq!(server.cli(&["GET", "vcon:b"]), deep);
    let ttl: i64 = server.cli(&["TTL", "vcon:b"]).parse().expect("a number");
    assert!((790..=800).contains(&ttl), "{ttl}");
}

async fn a_server_without_the_module_is_refused_where_it_is_asked_for() {
    let server = RedisServer::start();
    let settings = Settings { encoding: Encoding::Json, ..Settings::default() };
    let error = RedisStore::connect(&server.url(), settings).await.expect_err("there is no RedisJSON");
    assert_eq!(error.class(), Class::Configuration);
    assert!(error.message().contains("RedisJSON") && error.help_text().is_some());
}

async fn both_protocols_read_the_same() {
    let server = RedisServer::with_json();
    server.cli(&["JSON.SET", "vcon:a", ".", r#"{"uuid":"a"}"#]);
    for protocol in ["resp2", "resp3"] {
        let store = open(&format!("{}?protocol={protocol}", server.url()), Encoding::Auto).await;
        server.cli(&["RPUSH", "calls", "a"]);
        let (_, claimed) = claim(&store, "calls").await;
        assert_eq!(text(&claimed), br#"{"uuid":"a"}"#, "{protocol}");
        assert_eq!(store.get(ALL, "a").await.expect("a read").expect("a document").document, r#"{"uuid":"a"}"#);
        commit(&store, ending(&claimed, End::Done)).await;
    }
}

async fn large_values_are_measured() {
    let server = RedisServer::with_json();
    let store = open(&server.url(), Encoding::Auto).await;
    let large = |uuid: &str| NewVcon {
        document: Some(Bytes::from(format!(r#"{{"uuid":"{uuid}","body":"{}"}}"#, "x".repeat(60_000)))),
        ..new_vcon(uuid, &["calls"])
    };
    store.ingest(vec![large("a"), large("b"), large("c")]).await.expect("an ingest");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let mut ask = request(&[("calls", 9, 1)], 9);
    ask.bytes = 150_000;
    let (_, claimed) = store.exchange(&process, Vec::new(), Some(ask)).await.expect("an exchange");
    assert_eq!(claimed.len(), 2, "the third does not fit");
}
