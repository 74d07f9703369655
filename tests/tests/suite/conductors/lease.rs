//! Leases of processes that stop, are slow, die, or have a wrong clock.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vconductor_tests::recorder::{Recorder, repeated};
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::{uuid, vcon};

use super::{Scene, calling, end, until};

fn uuids(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(uuid).collect()
}

/// Everything that is stored, byte for byte, apart from what says which processes live.
fn everything(server: &RedisServer) -> BTreeMap<String, Vec<u8>> {
    let mut connection = server.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("the keys");
    // What processes tell of themselves, and of what ended lately, changes all the time.
    let own = ["vconductor:processes", "vconductor:commits", "vconductor:conductors", "vconductor:past"];
    let kept = keys.into_iter().filter(|key| !own.iter().any(|own| key.starts_with(own)));
    let dump = |key: String| {
        let value = redis::cmd("DUMP").arg(&key).query(&mut connection).expect("a value");
        (key, value)
    };
    kept.map(dump).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conductor_that_slept_past_its_lease_changes_nothing_when_it_wakes() {
    let mut scene = Scene::new().await;
    scene.recorder = Recorder::start(Duration::from_millis(700)).await.expect("a recorder");
    let files = scene.path("files");
    let configuration = calling(&scene, ", storages: [files]").replace(
        "chains:",
        &format!("storages:\n  files: {{module: storage.file, options: {{path: \"{}\"}}}}\nchains:", files.display()),
    );
    // The links after the call change the document; the sleeper is stopped while its calls are under way.
    let configuration = configuration
        .replace("links: [call]", "links: [call, late]")
        .replace("links:\n", "links:\n  late: {module: links.tag, options: {tags: [late]}}\n");
    let launch = scene.launch(&configuration);
    let all = uuids(0..20);
    scene.push("in", &all);
    let mut sleeper = launch.start(1);
    until("the calls are under way", || scene.recorder.calls().len() == 20).await;
    sleeper.signal("STOP");
    let mut other = launch.start(2);
    until("the other has done them", || scene.length("out") == 20).await;
    other.signal("TERM");
    assert!(other.wait(Duration::from_secs(20)).success());
    let (before, calls) = (everything(&scene.server), scene.recorder.calls().len());
    let file = |uuid: &String| std::fs::read(files.join(format!("2026/01/02/{uuid}.json"))).expect("a file");
    let kept: Vec<Vec<u8>> = all.iter().map(file).collect();

    sleeper.signal("CONT");
    until("it knows", || sleeper.log().contains("the lease was lost")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = everything(&scene.server);
    let names = |all: &BTreeMap<String, Vec<u8>>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    for (key, value) in &after {
        assert_eq!(value, &before[key], "{key} was changed");
    }
    assert_eq!(kept, all.iter().map(file).collect::<Vec<_>>(), "a file was changed");
    assert_eq!(scene.recorder.calls().len(), calls, "it called again");
    assert_eq!(repeated(&scene.recorder.calls()).len(), 20, "the calls that were under way when it was stopped");

    // It goes on under a new name.
    scene.push("in", &uuids(20..22));
    until("it works again", || scene.length("out") == 22).await;
    end(sleeper);
    scene.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conductor_that_slept_right_before_a_call_does_not_make_it() {
    let scene = Scene::new().await;
    let configuration = calling(&scene, "")
        .replace("links: [call]", "links: [first, call]")
        .replace("links:\n", "links:\n  first: {module: links.trace, options: {work: 1200}}\n");
    let launch = scene.launch(&configuration);
    scene.push("in", &uuids(0..10));
    let mut sleeper = launch.start(1);
    until("they are claimed", || scene.length("in") == 0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    sleeper.signal("STOP");
    let other = launch.start(2);
    until("the other has done them", || scene.length("out") == 10).await;
    sleeper.signal("CONT");
    until("it knows", || sleeper.log().contains("the lease was lost")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let calls = scene.recorder.calls();
    assert_eq!(calls.iter().filter(|call| call.caller == 1).count(), 0, "it called for runs that it had lost");
    assert_eq!(calls.len(), 10);
    end(sleeper);
    end(other);
    scene.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_takes_longer_than_the_lease_is_done_once() {
    let mut scene = Scene::new().await;
    scene.recorder = Recorder::start(Duration::from_secs(4)).await.expect("a recorder");
    let launch = scene.launch(&calling(&scene, ""));
    scene.push("in", &uuids(0..8));
    let conductors = [launch.start(1), launch.start(2)];
    until("all are done", || scene.length("out") == 8).await;
    assert_eq!(scene.recorder.calls().len(), 8);
    conductors.into_iter().for_each(end);
    scene.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_clocks_neither_hurry_nor_delay_anything() {
    for hours in [2, -2] {
        let scene = Scene::new().await;
        scene.recorder.answer("/call", 503);
        let mut launch = scene.launch(&calling(&scene, ""));
        launch.clock_shift = hours * 3_600_000;
        launch.arguments = vec!["--missing".to_owned(), "20s".to_owned()];
        let conductor = launch.start(1);
        scene.registered(1).await;
        scene.push("in", &uuids(0..10));
        scene.server.cli(&["RPUSH", "in", &uuid(77)]);
        until("they were tried again", || scene.recorder.calls().len() > 20).await;
        scene.recorder.answer("/call", 200);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        scene.server.cli(&["SET", &format!("vcon:{}", uuid(77)), &vcon(&uuid(77))]);
        let healed = Instant::now();
        until("all are done", || scene.length("out") == 11).await;
        assert!(healed.elapsed() < Duration::from_secs(10), "{hours} h: it took {:?}", healed.elapsed());
        assert_eq!(scene.length("DLQ:in"), 0, "{hours} h: nothing was given up");
        end(conductor);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conductors_go_on_when_the_server_has_forgotten_them() {
    let mut scene = Scene::new().await;
    let mut launch = scene.launch(&calling(&scene, ""));
    launch.lease = Duration::from_millis(3000);
    let conductors = [launch.start(1), launch.start(2)];
    scene.registered(2).await;
    scene.push("in", &uuids(0..10));
    until("they work", || scene.length("out") == 10).await;
    // It keeps nothing on disk.
    scene.server.kill();
    scene.server.up();
    scene.push("in", &uuids(10..20));
    let back = Instant::now();
    until("they work again", || scene.length("out") == 10).await;
    assert!(back.elapsed() < Duration::from_secs(5), "it took {:?}", back.elapsed());
    conductors.into_iter().for_each(end);
    scene.is_clean();
}
