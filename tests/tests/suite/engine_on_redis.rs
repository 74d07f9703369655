//! The engine on a real Redis: what plain producers push is processed, and a server that goes away costs nothing but time.

use std::time::{Duration, Instant};

use vconductor::engine::report::RunOutcome;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_tests::probes::{count, seen};
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::{Stage, uuid, vcon};

const CHAIN: &str = "links:\n  paid: {module: links.probe_external, options: {log: LOG, sleep: 5, tag: paid}}\n\
    chains:\n  c: {ingress_lists: [in], egress_lists: [out], concurrency: 16, links: [paid]}\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_only_knows_set_and_rpush_is_served() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url(), Settings::default()).await.expect("a store");
    let stage = Stage::on(store);
    let conductor = stage.start(&CHAIN.replace("LOG", "rpush"));
    let id = uuid(1);
    server.cli(&["SET", &format!("vcon:{id}"), &vcon(&id)]);
    server.cli(&["RPUSH", "in", &id]);
    conductor.until("egress", Duration::from_secs(60), async || server.cli(&["LLEN", "out"]).trim() == "1").await;
    conductor.stop().await;
    assert_eq!(server.cli(&["LRANGE", "out", "0", "-1"]).trim(), id);
    let stored = server.cli(&["GET", &format!("vcon:{id}")]);
    assert!(stored.contains("paid:paid") && stored.contains("1e3"), "{stored}");
}

async fn three_times(stage: Stage, log: &str) {
    let (id, other) = (uuid(7), uuid(8));
    stage.give("in", &id, &vcon(&id)).await;
    stage
        .give_many(vec![("in".to_owned(), id.clone(), vcon(&id)), ("in".to_owned(), other.clone(), vcon(&other))])
        .await;
    stage.give("in", &id, &vcon(&id)).await;
    let figures = stage.run(&CHAIN.replace("LOG", log)).await;
    assert_eq!(figures.total(RunOutcome::Done), 4);
    assert_eq!((count(log, &format!("paid {id}")), count(log, &format!("paid {other}"))), (3, 1));
    let out = stage.take("out").await;
    assert_eq!((out.get(&id), out.get(&other)), (Some(&3), Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uuid_that_is_enqueued_three_times_is_done_three_times_on_both_stores() {
    three_times(Stage::new(), "three-embedded").await;
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url(), Settings::default()).await.expect("a store");
    three_times(Stage::on(store), "three-redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_goes_away_while_busy_costs_nothing_but_time() {
    let mut server = RedisServer::durable();
    let store = RedisStore::connect(&server.url(), Settings::default()).await.expect("a store");
    let stage = Stage::on(store);
    let vcons = (0..400).map(|number| ("in".to_owned(), uuid(number), vcon(&uuid(number)))).collect();
    stage.give_many(vcons).await;
    let conductor = stage.start(&CHAIN.replace("LOG", "away"));
    conductor.until("some are at work", Duration::from_secs(60), async || seen("away").len() > 40).await;
    server.kill();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = seen("away").len();
    server.up();
    let back = Instant::now();
    conductor.until("work goes on", Duration::from_secs(60), async || seen("away").len() > before).await;
    assert!(back.elapsed() < Duration::from_secs(1), "work went on only {:?} after the return", back.elapsed());
    conductor
        .until("all are done", Duration::from_secs(60), async || server.cli(&["LLEN", "out"]).trim() == "400")
        .await;
    let started = Instant::now();
    conductor.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2), "an idle conductor took {:?} to stop", started.elapsed());
    for number in 0..400 {
        assert_eq!(count("away", &format!("paid {}", uuid(number))), 1, "paid twice");
    }
    assert_eq!(stage.take("out").await.len(), 400);
}
