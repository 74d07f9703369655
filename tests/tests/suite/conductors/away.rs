//! A Redis that goes away for 5 s: no exit, no loss, and work goes on within a second of its return.

use std::time::{Duration, Instant};

use vconductor_tests::recorder::repeated;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::uuid;

use super::{Scene, calling, end, until};

const AWAY: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_for_5_s_while_all_are_busy_costs_nothing_but_time() {
    let mut scene = Scene::on(RedisServer::durable()).await;
    let mut launch = scene.launch(&calling(&scene, ", concurrency: 16"));
    launch.lease = Duration::from_secs(30);
    let all: Vec<String> = (0..1500).map(uuid).collect();
    scene.push("in", &all);
    let mut conductors = [launch.start(1), launch.start(2)];
    until("both are at work", || {
        let calls = scene.recorder.calls();
        [1, 2].iter().all(|number| calls.iter().filter(|call| call.caller == *number).count() > 40)
    })
    .await;
    scene.server.kill();
    tokio::time::sleep(AWAY).await;
    for conductor in &mut conductors {
        assert_eq!(conductor.ended(), None, "it ended: {}", conductor.tail());
    }
    let before = scene.recorder.calls().len();
    scene.server.up();
    let back = Instant::now();
    until("work goes on", || scene.recorder.calls().len() > before).await;
    assert!(back.elapsed() < SOON, "work went on {:?} after the return", back.elapsed());
    until("all are done", || scene.length("out") == all.len()).await;
    let mut out = scene.list("out");
    out.sort();
    assert_eq!(out, all, "each of them once");
    assert_eq!(repeated(&scene.recorder.calls()).len(), 0, "nobody died, so nothing is done twice");
    conductors.into_iter().for_each(end);
    scene.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_for_5_s_while_all_are_idle_is_noticed_when_it_returns() {
    let mut scene = Scene::on(RedisServer::durable()).await;
    let mut launch = scene.launch(&calling(&scene, ""));
    launch.lease = Duration::from_secs(30);
    let mut conductors = [launch.start(1), launch.start(2)];
    scene.registered(2).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for away in [AWAY, Duration::from_millis(300)] {
        scene.server.kill();
        tokio::time::sleep(away).await;
        scene.server.up();
        let before = scene.length("out");
        scene.push("in", &[uuid(u32::try_from(before).expect("a few"))]);
        let back = Instant::now();
        until("it is done", || scene.length("out") > before).await;
        assert!(back.elapsed() < SOON, "after {away:?} away, work went on {:?} after the return", back.elapsed());
        for conductor in &mut conductors {
            assert_eq!(conductor.ended(), None, "it ended: {}", conductor.tail());
        }
    }
    conductors.into_iter().for_each(end);
    scene.is_clean();
}
