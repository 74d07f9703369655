//! `durability`: what is taken in is as safe as was asked for, and a server that cannot give that is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Catalogue, Documents, Durability, Once};
use vconductor_core::{Class, Result};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{ALL, new_vcon, trials};

trials![
    "redis::durability",
    a_server_without_its_file_is_refused,
    a_file_that_is_not_written_at_once_any_more_is_noticed,
    a_server_without_a_replica_is_refused,
    a_replica_has_what_was_taken_in,
    without_its_replica_nothing_is_taken_for_safe,
    one_wait_is_for_all_that_came_before_it,
    a_server_that_began_anew_is_noticed,
];

async fn open(server: &RedisServer, durability: Durability) -> Result<Arc<RedisStore>> {
    let settings = Settings { durability, response_timeout: Duration::from_millis(1000), ..Settings::default() };
    RedisStore::connect(&server.url(), settings).await
}

async fn refused(server: &RedisServer, durability: Durability, why: &str) {
    let error = open(server, durability).await.expect_err("it is refused");
    let text = error.chain_text();
    assert!(error.class() == Class::Configuration && error.help_text().is_some() && text.contains(why), "{text}");
}

/// A server and its replica, which is in line with it.
fn pair() -> (RedisServer, RedisServer) {
    // Quick to hear of a replica that comes and to give one up.
    let server =
        RedisServer::with(&["--save", "", "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"]);
    let replica = RedisServer::with(&["--save", "", "--replicaof", "127.0.0.1", &server.port().to_string()]);
    server.reaches(&replica);
    (server, replica)
}

async fn take(store: &RedisStore, uuid: &str) -> Result<()> {
    store.ingest(vec![new_vcon(uuid, &["calls"])]).await
}

async fn a_server_without_its_file_is_refused() {
    refused(&RedisServer::start(), Durability::Aof, "appendonly no").await;
    let slow = RedisServer::with(&["--appendonly", "yes", "--appendfsync", "everysec"]);
    refused(&slow, Durability::Aof, "appendfsync everysec").await;
    let server = RedisServer::durable();
    take(&open(&server, Durability::Aof).await.expect("a store"), "a").await.expect("taken");
    server.cli(&["ACL", "SETUSER", "default", "-config"]);
    refused(&server, Durability::Aof, "does not say how it writes its file").await;
}

async fn a_file_that_is_not_written_at_once_any_more_is_noticed() {
    let server = RedisServer::durable();
    let store = open(&server, Durability::Aof).await.expect("a store");
    take(&store, "a").await.expect("taken");
    server.cli(&["CONFIG", "SET", "appendfsync", "everysec"]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let error = take(&store, "b").await.expect_err("it is not safe");
    assert!(error.chain_text().contains("appendfsync everysec"), "{}", error.chain_text());
    server.cli(&["CONFIG", "SET", "appendfsync", "always"]);
    take(&store, "b").await.expect("taken");
}

async fn a_server_without_a_replica_is_refused() {
    refused(&RedisServer::start(), Durability::Replica, "has no replica").await;
}

async fn a_replica_has_what_was_taken_in() {
    let (server, replica) = pair();
    let store = open(&server, Durability::Replica).await.expect("a store");
    for number in 0..50 {
        let uuid = format!("v{number}");
        let once = Once { key: format!("post {number}"), mark: "m".to_owned(), keep: Duration::from_secs(60) };
        match number % 2 {
            0 => take(&store, &uuid).await.expect("taken"),
            _ => {
                assert_eq!(store.ingest_once(ALL, &once, vec![new_vcon(&uuid, &["calls"])]).await.expect("taken"), None)
            }
        }
        assert_eq!(replica.cli(&["EXISTS", &format!("vcon:{uuid}")]).trim(), "1");
    }
    assert_eq!(replica.cli(&["LLEN", "calls"]).trim(), "50");
}

async fn without_its_replica_nothing_is_taken_for_safe() {
    let (server, replica) = pair();
    let store = open(&server, Durability::Replica).await.expect("a store");
    replica.signal("STOP");
    let once = Once { key: "post".to_owned(), mark: "m".to_owned(), keep: Duration::from_secs(60) };
    for _ in 0..2 {
        // The second time it is known already, and still not safe.
        let error = store.ingest_once(ALL, &once, vec![new_vcon("a", &["calls"])]).await.expect_err("not safe");
        assert!(error.is_retryable() && error.chain_text().contains("no replica has it"), "{}", error.chain_text());
    }
    replica.signal("CONT");
    let known = store.ingest_once(ALL, &once, vec![new_vcon("a", &["calls"])]).await.expect("safe now");
    assert_eq!(known.as_deref(), Some("m"));
    assert_eq!(replica.cli(&["LLEN", "calls"]).trim(), "1");
}

async fn one_wait_is_for_all_that_came_before_it() {
    let (server, replica) = pair();
    let store = open(&server, Durability::Replica).await.expect("a store");
    replica.signal("STOP");
    let started = Instant::now();
    let mut takers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let store = Arc::clone(&store);
        takers.spawn(async move { take(&store, &format!("v{number}")).await });
    }
    assert!(takers.join_all().await.iter().all(Result::is_err), "none is safe");
    // Not a second for each: one that was under way, and one for all others.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    replica.signal("CONT");
    take(&store, "w").await.expect("taken");
}

/// What was written to the one before may be lost.
async fn a_server_that_began_anew_is_noticed() {
    let (mut server, replica) = pair();
    let store = open(&server, Durability::Replica).await.expect("a store");
    take(&store, "a").await.expect("taken");
    server.kill();
    server.up();
    server.reaches(&replica);
    let mut told = Vec::new();
    while told.len() < 10 && !matches!(told.last(), Some(Ok(()))) {
        told.push(take(&store, "b").await);
    }
    let noticed =
        told.iter().any(|told| told.as_ref().is_err_and(|error| error.chain_text().contains("another server")));
    assert!(noticed && told.last().is_some_and(Result::is_ok), "{told:?}");
}
