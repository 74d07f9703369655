//! Large documents on Redis: they take a way of their own and leave nothing behind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Committed, Documents, End, Made, NewVcon, ProcessId, Queue, Save};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{ALL, ending, new_vcon, push, request, trials};

trials![
    "redis::large",
    fifty_megabytes_go_through_and_come_back_whole,
    large_documents_take_connections_of_their_own,
    a_large_save_is_part_of_its_transaction,
    a_large_vcon_that_a_run_made_is_part_of_its_transaction,
    a_large_document_that_cannot_be_loaded_goes_back,
];

fn document(uuid: &str, size: usize) -> Bytes {
    Bytes::from(format!(r#"{{"uuid":"{uuid}","body":"{}"}}"#, "x".repeat(size)))
}

fn large(uuid: &str, size: usize) -> NewVcon {
    NewVcon { document: Some(document(uuid, size)), keep: Some(Duration::from_secs(900)), ..new_vcon(uuid, &["calls"]) }
}

fn save(uuid: &str, size: usize) -> Option<Save> {
    Some(Save { uuid: uuid.to_owned(), document: document(uuid, size), revision: 0 })
}

async fn fifty_megabytes_go_through_and_come_back_whole() {
    const SIZE: usize = 50 << 20;
    for server in [RedisServer::start(), RedisServer::with_json()] {
        let store = RedisStore::connect(&server.url(), Settings::default()).await.expect("a store");
        let process = ProcessId::random();
        store.register(&process).await.expect("a process");
        store.ingest(vec![large("a", SIZE), new_vcon("b", &["calls"])]).await.expect("an ingest");
        assert_eq!(store.get(ALL, "a").await.expect("a read").expect("a document").document, document("a", SIZE));
        let kind = server.cli(&["TYPE", "vcon:a"]);
        let ask = Some(request(&[("calls", 9, 1)], 9));
        let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
        assert_eq!(claimed.len(), 2);
        assert_eq!(claimed[0].stored.as_ref().expect("a document").document, document("a", SIZE));
        let mut commit = ending(&claimed[0], End::Done);
        commit.save = save("a", SIZE + 1);
        commit.pushes = vec![push("out", "a")];
        let (committed, _) = store.exchange(&process, vec![commit], None).await.expect("a commit");
        assert_eq!(committed, [Committed::Done]);
        assert_eq!(store.get(ALL, "a").await.expect("a read").expect("a document").document, document("a", SIZE + 1));
        assert_eq!(server.cli(&["TYPE", "vcon:a"]), kind);
        let ttl: i64 = server.cli(&["TTL", "vcon:a"]).parse().expect("a number");
        assert!((880..=900).contains(&ttl), "{ttl}");
        assert_eq!(server.cli(&["KEYS", "*draft*"]), "");
        for client in server.cli(&["CLIENT", "LIST"]).lines() {
            let memory = client.split(' ').find_map(|field| field.strip_prefix("tot-mem=")).expect("a field");
            assert!(memory.parse::<usize>().expect("a number") < 1 << 20, "a buffer is left: {client}");
        }
    }
}

async fn large_documents_take_connections_of_their_own() {
    let server = RedisServer::start();
    let seen = monitor(&server);
    let settings = Settings { large: 100_000, ..Settings::default() };
    let store = RedisStore::connect(&server.url(), settings).await.expect("a store");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    store.ingest(vec![large("a", 200_000)]).await.expect("an ingest");
    store.ingest(vec![large("b", 200_000), large("c", 10)]).await.expect("an ingest");
    store.get(ALL, "a").await.expect("a read").expect("a document");
    let ask = Some(request(&[("calls", 9, 1)], 9));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
    let mut commits: Vec<_> = claimed.iter().map(|claimed| ending(claimed, End::Done)).collect();
    commits[0].save = save("a", 300_000);
    commits[2].save = save("c", 20);
    let (committed, _) = store.exchange(&process, commits, None).await.expect("a commit");
    assert_eq!(committed, [Committed::Done; 3]);
    server.cli(&["SET", "the", "end"]);
    while !seen.lock().expect("the lines").iter().any(|line| line.contains("\"the\" \"end\"")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What each connection did; the bytes it sent, or had to be sent.
    let mut heavy = BTreeSet::new();
    let mut calls: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in seen.lock().expect("the lines").iter() {
        let Some((_, rest)) = line.split_once("[0 ") else { continue };
        let Some((client, call)) = rest.split_once("] ") else { continue };
        if client == "lua" {
            continue;
        }
        let is_read = call.contains("\"GET\" \"vcon:a\"") || call.contains("\"GET\" \"vcon:b\"");
        if call.len() > 100_000 || is_read {
            heavy.insert(client.to_owned());
        }
        calls.entry(client.to_owned()).or_default().push(call.chars().take(60).collect());
    }
    assert_eq!(heavy.len(), 6, "two ingests, one read, two loads and a save: {heavy:?}");
    for client in heavy {
        let light = calls[&client].iter().filter(|call| call.starts_with("\"EVALSHA\"") || call.contains("WATCH"));
        assert_eq!(light.count(), 0, "{:?}", calls[&client]);
        assert!(!server.cli(&["CLIENT", "LIST"]).contains(&client), "it is thrown away");
    }
}

/// The lines of `MONITOR`.
pub(crate) fn monitor(server: &RedisServer) -> Arc<Mutex<Vec<String>>> {
    let mut connection = server.connect();
    redis::cmd("MONITOR").exec(&mut connection).expect("a monitor");
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    std::thread::spawn(move || {
        while let Ok(line) = connection.recv_response() {
            if let Ok(line) = redis::from_redis_value::<String>(line) {
                seen.lock().expect("the lines").push(line);
            }
        }
    });
    lines
}

async fn a_large_save_is_part_of_its_transaction() {
    let server = RedisServer::start();
    let settings = Settings { large: 1000, lease: Duration::from_millis(200), ..Settings::default() };
    let store = RedisStore::connect(&server.url(), settings.clone()).await.expect("a store");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    store.ingest(vec![large("a", 2000)]).await.expect("an ingest");
    let ask = Some(request(&[("calls", 9, 1)], 9));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
    // It is declared dead meanwhile.
    server.cli(&["ZADD", "vconductor:processes", "-1", &process.0]);
    let other = RedisStore::connect(&server.url(), settings).await.expect("a store");
    while other.reap().await.expect("a reap").is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut commit = ending(&claimed[0], End::Done);
    commit.save = save("a", 3000);
    let (committed, _) = store.exchange(&process, vec![commit], None).await.expect("an answer");
    assert_eq!(committed, [Committed::Lost]);
    assert_eq!(other.get(ALL, "a").await.expect("a read").expect("a document").document, document("a", 2000));
    let draft = server.cli(&["KEYS", "*draft*"]);
    let ttl: i64 = server.cli(&["TTL", &draft]).parse().expect("a number");
    assert!((500..=600).contains(&ttl), "the draft goes by itself: {ttl}");
}

async fn a_large_vcon_that_a_run_made_is_part_of_its_transaction() {
    for server in [RedisServer::start(), RedisServer::with_json()] {
        let settings = Settings { large: 1000, ..Settings::default() };
        let store = RedisStore::connect(&server.url(), settings).await.expect("a store");
        let process = ProcessId::random();
        store.register(&process).await.expect("a process");
        store.ingest(vec![large("a", 10)]).await.expect("an ingest");
        let ask = Some(request(&[("calls", 9, 1)], 9));
        let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
        let mut commit = ending(&claimed[0], End::Done);
        commit.made =
            vec![Made { uuid: "b".to_owned(), document: document("b", 3000), lists: vec!["redacted".to_owned()] }];
        let (committed, _) = store.exchange(&process, vec![commit], None).await.expect("an answer");
        assert_eq!(committed, [Committed::Done]);
        assert_eq!(store.get(ALL, "b").await.expect("a read").expect("a document").document, document("b", 3000));
        assert_eq!(server.cli(&["LRANGE", "redacted", "0", "-1"]), "b");
        assert_eq!(server.cli(&["TYPE", "vcon:b"]), server.cli(&["TYPE", "vcon:a"]));
        let ttl: i64 = server.cli(&["TTL", "vcon:b"]).parse().expect("a number");
        assert!((880..=900).contains(&ttl), "as long as the other: {ttl}");
        assert_eq!(server.cli(&["KEYS", "*draft*"]), "");
    }
}

async fn a_large_document_that_cannot_be_loaded_goes_back() {
    let server = RedisServer::start();
    let proxy = vconductor_tests::servers::proxy::Proxy::start(server.port());
    let settings = Settings { large: 1000, ..Settings::default() };
    let store = RedisStore::connect(&proxy.url(), settings).await.expect("a store");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    store.ingest(vec![large("a", 2000)]).await.expect("an ingest");
    let ask = || Some(request(&[("calls", 9, 1)], 9));
    // The lanes have their connections; new ones are refused.
    let (_, none) =
        store.exchange(&process, Vec::new(), Some(request(&[("chats", 9, 1)], 9))).await.expect("an exchange");
    assert!(none.is_empty());
    proxy.refuse(true);
    let (_, claimed) = store.exchange(&process, Vec::new(), ask()).await.expect("an exchange");
    assert!(claimed.is_empty());
    proxy.refuse(false);
    let (_, claimed) = store.exchange(&process, Vec::new(), ask()).await.expect("an exchange");
    assert_eq!(claimed[0].stored.as_ref().expect("a document").document, document("a", 2000));
    assert_eq!((claimed[0].attempts, claimed[0].crashes), (0, 0));
}
