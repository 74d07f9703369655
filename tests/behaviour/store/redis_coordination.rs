//! Limits, holds and results on Redis when the network fails, and the keys that they leave behind.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use vconductor_core::clock::{Clock, SystemClock};
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Coordination, Hold, ProcessId, Queue, Taken};
use vconductor_tests::servers::proxy::{Harm, Proxy};
use vconductor_tests::servers::redis::RedisServer;

use crate::limits::want;
use crate::world::trials;

trials![
    "redis::coordination",
    a_permit_whose_answer_was_lost_is_given_back,
    a_question_that_arrives_late_takes_nothing,
    a_sum_that_is_gone_is_added_up_again,
    everything_has_a_time_to_live_and_one_tag,
    forgotten_scripts_are_loaded_again,
];

async fn open(url: &str) -> Arc<RedisStore> {
    let settings = Settings {
        response_timeout: Duration::from_millis(800),
        connect_timeout: Duration::from_millis(500),
        ..Settings::default()
    };
    RedisStore::connect(url, settings).await.expect("a store")
}

async fn takes(store: &RedisStore, most: f64, amount: f64) -> bool {
    let taken = store.take(&[vec![want("requests", most, 60, amount)]]).await.expect("an answer about a permit");
    matches!(taken, Taken::Granted { .. })
}

async fn a_permit_whose_answer_was_lost_is_given_back() {
    given_back(Harm::Drop).await;
}

async fn a_question_that_arrives_late_takes_nothing() {
    given_back(Harm::Late(Duration::from_millis(1600))).await;
}

async fn given_back(harm: Harm) {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let store = open(&proxy.url()).await;
    assert!(takes(&store, 5.0, 1.0).await);
    proxy.harm(harm, "requests", 0);
    let wants = [vec![want("requests", 5.0, 60, 4.0)]];
    assert!(store.take(&wants).await.expect_err("the answer is lost").is_retryable());
    // What was held back has arrived.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(proxy.harmed(), 1);
    for _ in 0..100 {
        if takes(&store, 5.0, 4.0).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("what nobody knows of is still counted");
}

async fn a_sum_that_is_gone_is_added_up_again() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let Taken::Granted { permit, .. } =
        store.take(&[vec![want("requests", 5.0, 60, 2.0)]]).await.expect("an answer about a permit")
    else {
        panic!("there is room");
    };
    assert!(takes(&store, 5.0, 1.0).await);
    server.cli(&["DEL", "{vconductor:shared}:used:requests"]);
    store.settle(&permit, &[("requests".to_owned(), 1.5)]).await.expect("a settlement");
    assert!(!takes(&store, 5.0, 2.6).await);
    assert!(takes(&store, 5.0, 2.5).await);
    assert!(!takes(&store, 5.0, 0.1).await);
}

async fn everything_has_a_time_to_live_and_one_tag() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let before: Vec<String> = keys(&server);
    let limits = [vec![want("requests", 5.0, 60, 1.0), want("tokens", 5.0, 7200, 1.0)]];
    for _ in 0..3 {
        let Taken::Granted { permit, .. } = store.take(&limits).await.expect("an answer about a permit") else {
            panic!("there is room");
        };
        if takes(&store, 50.0, 1.0).await {
            store.settle(&permit, &[]).await.expect("a settlement");
        }
    }
    store.add("spent", 1.0, Duration::from_secs(60)).await.expect("a sum");
    let hold = Hold {
        what: "link:a".to_owned(),
        reason: "refused".to_owned(),
        help: None,
        since: 0,
        until: SystemClock.now() + 3_600_000,
        times: 1,
    };
    store.hold(&hold).await.expect("a hold");
    store.hold(&Hold { what: "link:b".to_owned(), until: 1, ..hold }).await.expect("a hold");
    store.keep_result("sha256:1", "a", Bytes::from("text"), Duration::from_secs(60)).await.expect("a result");
    let keys: Vec<String> = keys(&server).into_iter().filter(|key| !before.contains(key)).collect();
    assert!(keys.len() >= 12, "{keys:?}");
    for key in &keys {
        assert_ne!(server.cli(&["PTTL", key]).trim(), "-1", "{key} lives for ever");
        let results = [String::from("vconductor:result:sha256:1"), String::from("{vcon:a}:results")];
        assert!(key.starts_with("{vconductor:shared}:") || results.contains(key), "{key}");
    }
    assert_eq!(server.cli(&["HLEN", "{vconductor:shared}:holds"]).trim(), "1", "what is over long ago is forgotten");
    let life = |key: &str| server.cli(&["TTL", key]).trim().parse::<i64>().expect("a time to live");
    assert!(life("{vconductor:shared}:ended:tokens") > 7190);
    // Everything that counted is settled with the process, and its names are gone.
    store.deregister(&process).await.expect("an end");
    assert!(keys_of(&server, "{vconductor:shared}:permit*").is_empty());
    assert!(keys_of(&server, "{vconductor:shared}:flying*").is_empty());
}

fn keys(server: &RedisServer) -> Vec<String> {
    keys_of(server, "*")
}

fn keys_of(server: &RedisServer, pattern: &str) -> Vec<String> {
    server.cli(&["KEYS", pattern]).lines().map(str::to_owned).filter(|line| !line.is_empty()).collect()
}

async fn forgotten_scripts_are_loaded_again() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    assert!(takes(&store, 2.0, 1.0).await);
    server.cli(&["SCRIPT", "FLUSH"]);
    assert!(takes(&store, 2.0, 1.0).await);
    assert!(!takes(&store, 2.0, 1.0).await);
    server.cli(&["SCRIPT", "FLUSH"]);
    assert_eq!(store.add("spent", 2.5, Duration::from_secs(60)).await.expect("a sum"), 2.5);
}
