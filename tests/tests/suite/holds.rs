//! A link whose credentials are refused is held: its runs wait instead of filling the dead letters, and everything else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use vconductor::engine::report::RunOutcome;
use vconductor_core::clock::{Clock, SystemClock};
use vconductor_core::error::Class;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Hold, Store, WaitReason};
use vconductor_tests::probes::count;
use vconductor_tests::recorder::Recorder;
use vconductor_tests::servers::redis::RedisServer;
use vconductor_tests::stage::{Conductor, Stage, uuid, vcon};

const MANY: u32 = 5000;
const OTHERS: u32 = 300;
const PLACES: usize = 64;
/// Runs that try a link first when its time is over.
const TRIAL: usize = 4;

fn configuration(recorder: &Recorder, log: &str) -> String {
    format!(
        "links:\n  ask: {{module: links.asking, options: {{url: '{}'}}}}\n  other: {{module: links.probe_external, options: {{log: {log}}}}}\n\
         chains:\n  c: {{ingress_lists: [in], egress_lists: [out], concurrency: {PLACES}, links: [ask]}}\n  \
         d: {{ingress_lists: [side], egress_lists: [beside], concurrency: 8, links: [other]}}\n",
        recorder.url("/ask")
    )
}

async fn recorder() -> Recorder {
    Recorder::start(Duration::from_millis(2)).await.expect("a recorder")
}

/// A stage on which a link is held for a second at first.
fn quick(mut stage: Stage) -> Stage {
    stage.settings.hold = Duration::from_secs(1);
    stage
}

async fn give(stage: &Stage, list: &str, numbers: std::ops::Range<u32>) {
    let vcons = numbers.map(|number| (list.to_owned(), uuid(number), vcon(&uuid(number)))).collect();
    stage.give_many(vcons).await;
}

async fn held(store: &Arc<dyn Store>) -> Option<Hold> {
    store.holds().await.expect("the holds").into_iter().find(|hold| hold.what == "link:ask")
}

async fn waiting(stage: &Stage, list: &str) -> u64 {
    let lists = stage.store.lists().await.expect("the lists");
    lists.iter().find(|status| status.list == list).map_or(0, |status| status.waiting)
}

/// Everything waits while the server refuses the key, and is done when it takes it again.
async fn refused_for_a_while(stage: Stage, others: Vec<Stage>, log: &str) {
    let recorder = recorder().await;
    recorder.answer("*", 401);
    give(&stage, "in", 0..MANY).await;
    let text = configuration(&recorder, log);
    let conductors: Vec<Conductor> = std::iter::once(&stage).chain(&others).map(|stage| stage.start(&text)).collect();
    let (first, count_of) = (&conductors[0], conductors.len());
    first.until("the link is held", Duration::from_secs(120), async || held(&stage.store).await.is_some()).await;
    // While it is held others are not disturbed.
    give(&stage, "side", MANY..MANY + OTHERS).await;
    first
        .until("the other chain is done", Duration::from_secs(120), async || {
            waiting(&stage, "beside").await == u64::from(OTHERS)
        })
        .await;
    first
        .until("it is held for the third time", Duration::from_secs(120), async || {
            held(&stage.store).await.is_some_and(|hold| hold.times >= 3)
        })
        .await;
    let hold = held(&stage.store).await.expect("it is held");
    assert!(hold.reason.contains("401") && hold.help.is_some() && hold.until > hold.since, "{hold:?}");
    let standing = stage.store.standing("in").await.expect("an answer");
    let waits = standing.waits.iter().map(|waits| (waits.reason, waits.runs)).collect::<BTreeMap<_, _>>();
    let known = waits.get(&WaitReason::Held).copied().unwrap_or_default();
    assert!(known <= (PLACES * count_of) as u64 && waits.len() <= 1, "{waits:?}");
    let calls = recorder.calls().len();
    let most = count_of * (PLACES + TRIAL * hold.times as usize);
    assert!(calls <= most, "{calls} calls of a link that is held, more than {most}");
    println!("{log}: {calls} calls in {} rounds while it was held", hold.times);
    recorder.answer("*", 200);
    first
        .until("all are done", Duration::from_secs(120), async || waiting(&stage, "out").await == u64::from(MANY))
        .await;
    assert!(held(&stage.store).await.is_none(), "it was let go");
    assert!(stage.dead("DLQ:in").await.is_empty());
    for conductor in conductors {
        let figures = conductor.stop().await;
        assert_eq!((figures.total(RunOutcome::Dead), figures.total(RunOutcome::Retried)), (0, 0));
    }
    let answered = recorder.calls().iter().filter(|call| call.answered).count();
    assert_eq!(answered, MANY as usize, "each was taken once");
    for number in MANY..MANY + OTHERS {
        assert_eq!(count(log, &format!("other {}", uuid(number))), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_stops_its_chain_and_loses_nothing_on_the_embedded_store() {
    refused_for_a_while(quick(Stage::new()), Vec::new(), "held-embedded").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_stops_its_chain_for_two_conductors_on_redis() {
    let server = RedisServer::start();
    let mut stages = Vec::new();
    for _ in 0..2 {
        let store = RedisStore::connect(&server.url(), Settings::default()).await.expect("a store");
        stages.push(quick(Stage::on(store)));
    }
    let first = stages.remove(0);
    refused_for_a_while(first, stages, "held-redis").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_own_document_is_refused_is_a_dead_letter_and_others_are_done() {
    let (stage, recorder) = (quick(Stage::new()), recorder().await);
    let bad = [0, 150];
    for number in bad {
        recorder.answer(&format!("/ask/{}", uuid(number)), 403);
    }
    give(&stage, "in", 0..300).await;
    let conductor = stage.start(&configuration(&recorder, "own"));
    conductor
        .until("the dead letters are there", Duration::from_secs(120), async || stage.dead("DLQ:in").await.len() == 2)
        .await;
    conductor.until_idle(Duration::from_secs(120)).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.len(), 298);
    for letter in stage.dead("DLQ:in").await {
        assert!(bad.iter().any(|number| letter.uuid == uuid(*number)), "{letter:?}");
        assert_eq!((letter.failure.class, letter.failure.step.as_str()), (Class::Configuration, "ask"));
        let parts = letter.ledger.iter().flat_map(|ledger| &ledger.steps).map(|entry| entry.parts.len()).sum::<usize>();
        assert_eq!(parts, 0, "a run that is revived begins without the mark");
    }
    let calls = |number: u32| recorder.calls().iter().filter(|call| call.uuid == uuid(number)).count();
    assert!(bad.iter().all(|number| (2..8).contains(&calls(*number))), "{} and {}", calls(0), calls(150));
    assert!((1..150).all(|number| calls(number) == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_nobody_proves_nothing() {
    let (stage, recorder) = (quick(Stage::new()), recorder().await);
    recorder.answer("*", 401);
    let silent = |number| format!("{{\"uuid\":\"{}\",\"dialog\":[]}}", uuid(number));
    let mixed = (0..200).map(|number| {
        let document = if number % 4 > 0 { silent(number) } else { vcon(&uuid(number)) };
        ("in".to_owned(), uuid(number), document)
    });
    stage.give_many(mixed.collect()).await;
    let conductor = stage.start(&configuration(&recorder, "silent"));
    conductor
        .until("some without dialogs are done", Duration::from_secs(120), async || waiting(&stage, "out").await >= 20)
        .await;
    conductor
        .until("the link was tried again", Duration::from_secs(120), async || {
            held(&stage.store).await.is_some_and(|hold| hold.times >= 3)
        })
        .await;
    assert!(stage.dead("DLQ:in").await.is_empty(), "nobody is at fault");
    recorder.answer("*", 200);
    conductor.until("all are done", Duration::from_secs(120), async || waiting(&stage, "out").await == 200).await;
    conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_result_proves_nothing_either() {
    let (stage, recorder) = (quick(Stage::new()), recorder().await);
    recorder.answer("*", 401);
    give(&stage, "in", 0..1).await;
    give(&stage, "kept", 1..50).await;
    let text = format!(
        "links:\n  ask: {{module: links.asking, options: {{url: '{}'}}}}\nchains:\n  \
         c: {{ingress_lists: [in], egress_lists: [out], links: [ask]}}\n  \
         k: {{ingress_lists: [kept], egress_lists: [out], links: [{{link: ask, options: {{reuses: true}}}}]}}\n",
        recorder.url("/ask")
    );
    let conductor = stage.start(&text);
    conductor
        .until("the kept ones are done", Duration::from_secs(120), async || waiting(&stage, "out").await == 49)
        .await;
    conductor
        .until("the link was tried again", Duration::from_secs(120), async || {
            held(&stage.store).await.is_some_and(|hold| hold.times >= 3)
        })
        .await;
    assert!(stage.dead("DLQ:in").await.is_empty(), "the other side has taken nothing");
    recorder.answer("*", 200);
    conductor.until("all are done", Duration::from_secs(120), async || waiting(&stage, "out").await == 50).await;
    conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_error_does_not_apply_to_a_held_link() {
    for (choice, log) in [("continue", "waits-continue"), ("stop", "waits-stop")] {
        let (stage, recorder) = (quick(Stage::new()), recorder().await);
        recorder.answer("*", 402);
        give(&stage, "in", 0..50).await;
        let text = configuration(&recorder, log)
            .replace("links: [ask]", &format!("links: [{{link: ask, on_error: {choice}}}]"));
        let conductor = stage.start(&text);
        conductor.until("it is held", Duration::from_secs(120), async || held(&stage.store).await.is_some()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(waiting(&stage, "out").await, 0);
        recorder.answer("*", 200);
        conductor.until("all are done", Duration::from_secs(120), async || waiting(&stage, "out").await == 50).await;
        conductor.stop().await;
        assert_eq!(recorder.calls().iter().filter(|call| call.answered).count(), 50, "{choice}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parallel_link_that_is_held_waits_and_its_siblings_are_not_executed_again() {
    let (stage, recorder) = (quick(Stage::new()), recorder().await);
    recorder.answer("*", 401);
    give(&stage, "in", 0..20).await;
    let text = configuration(&recorder, "siblings").replace("links: [ask]", "links: [{parallel: [ask, other]}]");
    let conductor = stage.start(&text);
    conductor
        .until("it was tried again", Duration::from_secs(120), async || {
            held(&stage.store).await.is_some_and(|hold| hold.times >= 2)
        })
        .await;
    recorder.answer("*", 200);
    conductor.until("all are done", Duration::from_secs(120), async || waiting(&stage, "out").await == 20).await;
    conductor.stop().await;
    for number in 0..20 {
        assert_eq!(count("siblings", &format!("other {}", uuid(number))), 1, "paid twice");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_let_go_by_hand_goes_on_at_once() {
    let (mut stage, recorder) = (Stage::new(), recorder().await);
    stage.settings.hold = Duration::from_secs(3600);
    recorder.answer("*", 401);
    give(&stage, "in", 0..300).await;
    let conductor = stage.start(&configuration(&recorder, "by-hand"));
    conductor.until("it is held", Duration::from_secs(120), async || held(&stage.store).await.is_some()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        conductor.engine.pending(Duration::from_secs(60)).await.expect("an answer").is_idle(),
        "what is held for long is not waited for"
    );
    recorder.answer("*", 200);
    assert!(stage.store.release("link:ask").await.expect("a release"));
    let most = u64::try_from(300 - PLACES).expect("a number");
    conductor
        .until("those that had not begun are done", Duration::from_secs(5), async || {
            waiting(&stage, "out").await >= most
        })
        .await;
    conductor.until("all are done", Duration::from_secs(45), async || waiting(&stage, "out").await == 300).await;
    conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conductor_that_starts_tries_what_is_held_at_once() {
    let (mut stage, recorder) = (Stage::new(), recorder().await);
    stage.settings.hold = Duration::from_secs(3600);
    give(&stage, "in", 0..100).await;
    let now = SystemClock.now();
    let hold = Hold {
        what: "link:ask".to_owned(),
        reason: "401".to_owned(),
        help: None,
        since: now - 1000,
        until: now + 3_600_000,
        times: 5,
    };
    stage.store.hold(&hold).await.expect("a hold");
    recorder.answer("*", 401);
    let conductor = stage.start(&configuration(&recorder, "starts"));
    conductor
        .until("it was tried again", Duration::from_secs(10), async || {
            held(&stage.store).await.is_some_and(|hold| hold.times == 6)
        })
        .await;
    conductor.stop().await;
    assert!(recorder.calls().len() <= TRIAL, "{} calls", recorder.calls().len());
    recorder.answer("*", 200);
    let conductor = stage.start(&configuration(&recorder, "starts"));
    conductor
        .until("all but those that wait are done", Duration::from_secs(10), async || {
            waiting(&stage, "out").await >= 100 - TRIAL as u64
        })
        .await;
    assert!(held(&stage.store).await.is_none());
    conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_is_held_is_not_claimed_for_until_its_end() {
    let (stage, recorder) = (Stage::new(), recorder().await);
    let now = SystemClock.now();
    let hold = Hold {
        what: "chain:c".to_owned(),
        reason: "the budget is spent".to_owned(),
        help: None,
        since: now,
        until: now + 8000,
        times: 1,
    };
    let key = Hold { what: "key:asked:1f".to_owned(), until: now + 3_600_000, ..hold.clone() };
    for hold in [&hold, &key] {
        stage.store.hold(hold).await.expect("a hold");
    }
    let conductor = stage.start(&configuration(&recorder, "budget"));
    conductor.until("it knows", Duration::from_secs(120), async || conductor.engine.held().len() == 2).await;
    give(&stage, "in", 0..200).await;
    give(&stage, "side", 200..250).await;
    conductor
        .until("the other is done", Duration::from_secs(120), async || waiting(&stage, "beside").await == 50)
        .await;
    assert_eq!((recorder.calls().len(), waiting(&stage, "in").await), (0, 200));
    assert!(SystemClock.now() < hold.until, "the other waited for the end of the hold");
    conductor.until("all are done", Duration::from_secs(120), async || waiting(&stage, "out").await == 200).await;
    assert!(SystemClock.now() >= hold.until);
    conductor.stop().await;
}
