//! Documents that would expire while they wait, and documents that are not there yet.

use std::process::Command;
use std::time::Duration;

use vconductor_tests::stage::{uuid, vcon};

use super::{Scene, calling, end, until};

fn push_short_lived(scene: &Scene, list: &str, numbers: std::ops::Range<u32>, live: u64) {
    let mut pipe = redis::pipe();
    for number in numbers {
        pipe.cmd("SET").arg(format!("vcon:{}", uuid(number))).arg(vcon(&uuid(number))).arg("PX").arg(live).ignore();
        pipe.cmd("RPUSH").arg(list).arg(uuid(number)).ignore();
    }
    pipe.exec(&mut scene.server.connect()).expect("a push");
}

fn stored(scene: &Scene, numbers: std::ops::Range<u32>) -> usize {
    let keys: Vec<String> = numbers.map(|number| format!("vcon:{}", uuid(number))).collect();
    redis::cmd("EXISTS").arg(keys).query(&mut scene.server.connect()).expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_older_than_its_time_to_live_is_still_there() {
    const LIVE: u64 = 2500;
    let scene = Scene::new().await;
    let yaml = "links:\n  slow: {module: links.trace, options: {work: 40}}\nchains:\n  \
        c: {ingress_lists: [slow], egress_lists: [out], links: [slow], concurrency: 1}\n  \
        d: {ingress_lists: [held], egress_lists: [out], links: [slow]}\n";
    let launch = scene.launch(yaml);
    let desk = |words: &[&str]| {
        let status = Command::new(&launch.binary).args(words).args(["--store", &scene.server.url()]).output();
        assert!(status.expect("it starts").status.success());
    };
    desk(&["queue", "pause", "held"]);
    let conductor = launch.start(1);
    scene.registered(1).await;
    push_short_lived(&scene, "slow", 0..150, LIVE);
    push_short_lived(&scene, "held", 150..300, LIVE);
    tokio::time::sleep(Duration::from_millis(LIVE + 500)).await;
    assert!(scene.length("slow") > 20, "a backlog is left, so that something was proved");
    assert_eq!(stored(&scene, 0..300), 300, "nothing has expired");
    desk(&["queue", "resume", "held"]);
    until("all are done", || scene.length("out") == 300).await;
    assert_eq!(scene.length("DLQ:slow") + scene.length("DLQ:held"), 0);
    end(conductor);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_may_come_after_its_uuid_but_not_never() {
    let scene = Scene::new().await;
    let mut launch = scene.launch(&calling(&scene, ""));
    launch.arguments = vec!["--missing".to_owned(), "6s".to_owned()];
    let conductor = launch.start(1);
    scene.registered(1).await;
    let all: Vec<String> = (0..25).map(uuid).collect();
    redis::cmd("RPUSH").arg("in").arg(&all).exec(&mut scene.server.connect()).expect("a push");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.recorder.calls().len(), 0);
    for uuid in &all[..20] {
        scene.server.cli(&["SET", &format!("vcon:{uuid}"), &vcon(uuid)]);
    }
    until("those that came are done", || scene.length("out") == 20).await;
    until("the others are dead letters", || scene.length("DLQ:in") == 5).await;
    let mut dead = scene.list("DLQ:in");
    dead.sort();
    assert_eq!(dead, all[20..]);
    let listed = Command::new(&launch.binary)
        .args(["dlq", "list", "in", "--output", "json", "--store", &scene.server.url()])
        .output()
        .expect("it starts");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_eq!(listed.matches("vcon_missing").count(), 5, "each says why: {listed}");
    end(conductor);
}
