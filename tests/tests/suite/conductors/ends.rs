//! Conductors that are told to end, and vCons that end their conductors.

use std::time::{Duration, Instant};

use vconductor_tests::recorder::{Recorder, repeated};
use vconductor_tests::stage::uuid;

use super::{Scene, calling, end, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_conductor_ends_within_a_second() {
    let scene = Scene::new().await;
    let mut conductor = scene.launch(&calling(&scene, "")).start(1);
    scene.registered(1).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let told = Instant::now();
    conductor.signal("TERM");
    let status = conductor.wait(Duration::from_secs(20));
    assert!(status.success() && told.elapsed() < Duration::from_secs(1), "{status} after {:?}", told.elapsed());
    assert_eq!(scene.number(&["ZCARD", "vconductor:processes"]), 0, "it has taken its leave");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_conductor_finishes_what_it_can_within_the_grace_time() {
    let mut scene = Scene::new().await;
    scene.recorder = Recorder::start(Duration::from_millis(800)).await.expect("a recorder");
    let mut launch = scene.launch(&calling(&scene, ", concurrency: 8"));
    launch.arguments = vec!["--grace".to_owned(), "20s".to_owned()];
    scene.push("in", &(0..20).map(uuid).collect::<Vec<_>>());
    let mut conductor = launch.start(1);
    until("it is at work", || scene.recorder.calls().len() == 8).await;
    let told = Instant::now();
    conductor.signal("TERM");
    assert!(conductor.wait(Duration::from_secs(20)).success());
    assert!(told.elapsed() < Duration::from_secs(3), "it did not wait for more than its work: {:?}", told.elapsed());
    assert_eq!((scene.length("out"), scene.length("in"), scene.answered("/call")), (8, 12, 8));
    scene.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_conductor_cannot_finish_goes_back_and_is_not_done_twice() {
    let scene = Scene::new().await;
    let slow = |work: u32| {
        calling(&scene, ", concurrency: 8")
            .replace("links: [call]", "links: [call, slow]")
            .replace("chains:", &format!("  slow: {{module: links.trace, options: {{work: {work}}}}}\nchains:"))
    };
    let mut launch = scene.launch(&slow(60_000));
    launch.arguments = vec!["--grace".to_owned(), "1s".to_owned()];
    let all: Vec<String> = (0..12).map(uuid).collect();
    scene.push("in", &all);
    let mut conductor = launch.start(1);
    until("the calls are in the ledger", || {
        scene.server.cli(&["KEYS", "*:ledger:*"]).lines().filter(|line| !line.is_empty()).count() == 8
    })
    .await;
    let told = Instant::now();
    conductor.signal("TERM");
    let status = conductor.wait(Duration::from_secs(20));
    assert!(status.success(), "{status}: {}", conductor.tail());
    let took = told.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_millis(2500), "it took {took:?}");
    assert_eq!((scene.number(&["ZCARD", "{in}:returned"]), scene.length("in")), (8, 4), "back to where they were");
    assert_eq!(scene.number(&["ZCARD", "vconductor:processes"]), 0);

    let other = scene.launch(&slow(1)).start(2);
    until("the other has done them", || scene.length("out") == 12).await;
    assert_eq!((scene.answered("/call"), repeated(&scene.recorder.calls()).len()), (12, 0), "nothing is paid twice");
    let mut out = scene.list("out");
    out.sort();
    assert_eq!(out, all);
    end(other);
    scene.is_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_poison_vcon_among_good_ones_takes_three_conductors_with_it_and_no_neighbour() {
    let scene = Scene::new().await;
    let launch = scene.launch(
        "links:\n  work: {module: links.probe, options: {log: poison, sleep: 20}}\n  \
         bomb: {module: links.probe, options: {log: poison, kill: true}}\n\
         chains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    \
         links: [work, {link: bomb, if: '.uuid | endswith(\"000037\")'}]\n",
    );
    scene.push("in", &(0..64).map(uuid).collect::<Vec<_>>());
    let mut deaths = 0;
    while scene.length("out") < 63 || scene.length("DLQ:in") < 1 {
        let mut conductor = launch.start(deaths);
        until("it dies, or all are done", || {
            conductor.ended().is_some() || (scene.length("out") == 63 && scene.length("DLQ:in") == 1)
        })
        .await;
        match conductor.ended() {
            Some(_) => deaths += 1,
            None => end(conductor),
        }
        assert!(deaths < 8, "the poison vCon is never given up");
    }
    assert_eq!((deaths, scene.list("DLQ:in")), (3, vec![uuid(37)]));
    scene.server.cli(&["DEL", "x"]);
}
