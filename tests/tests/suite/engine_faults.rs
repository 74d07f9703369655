//! The engine when what it stands on fails: the store errors, hangs or refuses; the lease is lost; a storage hangs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use vconductor_core::error::Class;
use vconductor_core::store::{ClaimRequest, Commit, End, Failure, ProcessId, Quota};
use vconductor_tests::faulty::Faulty;
use vconductor_tests::probes::{count, peak, seen, set_broken, set_hanging, stored};
use vconductor_tests::stage::{Stage, uuid, vcon};

const LIMIT: Duration = Duration::from_secs(60);
const TWO: &str = "links:\n  a: {module: links.probe_external, options: {log: LOG, set: a}}\n  b: {module: links.probe_external, options: {log: LOG, set: b, sleep: SLEEP}}\n\
     chains:\n  c: {ingress_lists: [in], egress_lists: [out], links: [a, b]}\n";

fn two(log: &str, sleep: u32) -> String {
    TWO.replace("LOG", log).replace("SLEEP", &sleep.to_string())
}

fn faulty() -> (Stage, Arc<Faulty>) {
    let mut stage = Stage::new();
    let store = Faulty::new(Arc::clone(&stage.store));
    stage.store = Arc::clone(&store) as _;
    stage.settings.heartbeat = Duration::from_millis(100);
    (stage, store)
}

async fn give(stage: &Stage, numbers: std::ops::Range<u32>) {
    stage.give_many(numbers.map(|number| ("in".to_owned(), uuid(number), vcon(&uuid(number)))).collect()).await;
}

async fn outage(class: Class, log: &str) {
    let (stage, store) = faulty();
    give(&stage, 0..30).await;
    *store.class.lock().expect("a lock") = class;
    store.failing.store(3, Ordering::SeqCst);
    let conductor = stage.start(&two(log, 20));
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        store.failing.store(2, Ordering::SeqCst);
    }
    store.failing.store(0, Ordering::SeqCst);
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.values().sum::<usize>(), 30);
    for number in 0..30 {
        assert_eq!(count(log, &format!("a {}", uuid(number))), 1);
        assert_eq!(count(log, &format!("b {}", uuid(number))), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_for_a_while_costs_time_only() {
    outage(Class::Retryable, "outage").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_an_operator_must_mend_costs_time_only() {
    outage(Class::Configuration, "mended").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_down_is_not_asked_without_a_pause() {
    let (stage, store) = faulty();
    give(&stage, 40..50).await;
    store.failing.store(usize::MAX, Ordering::SeqCst);
    let conductor = stage.start(&two("pause", 0));
    tokio::time::sleep(Duration::from_millis(600)).await;
    let asked = store.exchanges.load(Ordering::SeqCst);
    assert!(asked < 40, "{asked} exchanges within 600 ms");
    store.failing.store(0, Ordering::SeqCst);
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_the_store_refuses_is_a_dead_letter_and_holds_nobody_up() {
    let (stage, store) = faulty();
    give(&stage, 60..80).await;
    *store.refused.lock().expect("a lock") = Some("\"b\":\"b\"".to_owned());
    let marked = vcon(&uuid(80)).replace("\"unknown\"", "\"a\":0,\"unknown\"");
    stage.give("in", &uuid(80), &marked).await;
    let yaml = |link: &str| {
        format!(
            "links:\n  b: {{module: {link}, options: {{log: refuse, set: b}}}}\nchains:\n  c: {{ingress_lists: [in], egress_lists: [out], links: [{{link: b, if: '.a == 0'}}]}}\n"
        )
    };
    stage.run(&yaml("links.probe")).await;
    assert_eq!(stage.take("out").await.len(), 20);
    let dead = stage.dead("DLQ:in").await;
    assert_eq!((dead.len(), dead[0].failure.class, dead[0].failure.step.as_str()), (1, Class::Permanent, "store"));
    assert!(dead[0].failure.message.contains("told to refuse"), "{dead:?}");

    stage.give("in", &uuid(81), &marked.replace("000080", "000081")).await;
    let mid_run = yaml("links.probe_external").replace("'.a == 0'}", "'.a == 0'}, {link: b, if: 'false'}");
    stage.run(&mid_run).await;
    assert_eq!((stage.dead("DLQ:in").await.len(), count("refuse", &format!("b {}", uuid(81)))), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_claim_in_the_middle_of_a_run_ends_it_without_further_calls() {
    let (stage, store) = faulty();
    let id = uuid(90);
    stage.give("in", &id, &vcon(&id)).await;
    store.dies_mid_run.store(true, Ordering::SeqCst);
    let conductor = stage.start(&two("midlost", 0));
    conductor.until_idle(LIMIT).await;
    let figures = conductor.stop().await;
    assert_eq!(figures.lost, 1);
    assert!(store.registered() >= 2, "no new identity");
    assert_eq!(seen("midlost"), [format!("a {id}"), format!("a {id}"), format!("b {id}")], "b ran without a claim");
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_cannot_be_saved_for_want_of_the_claim_is_the_last_call() {
    let (stage, store) = faulty();
    let id = uuid(91);
    stage.give("in", &id, &vcon(&id)).await;
    store.dies_mid_run.store(true, Ordering::SeqCst);
    let yaml = two("partlost", 0).replace("set: a", "parts: 3");
    let conductor = stage.start(&yaml);
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!((count("partlost", "a part 0"), count("partlost", "a part 1")), (2, 1), "{:?}", seen("partlost"));
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_ends_the_runs_of_the_old_identity_at_once() {
    let (stage, store) = faulty();
    give(&stage, 100..104).await;
    let conductor = stage.start(&two("lease", 2000));
    conductor
        .until("at work", LIMIT, async || seen("lease").iter().filter(|line| line.starts_with("b ")).count() == 4)
        .await;
    store.declare_all_dead().await;
    let started = Instant::now();
    conductor
        .until("the runs begin again", LIMIT, async || {
            seen("lease").iter().filter(|line| line.starts_with("b ")).count() == 8
        })
        .await;
    assert!(started.elapsed() < Duration::from_millis(1700), "the old runs were kept for {:?}", started.elapsed());
    conductor.until_idle(LIMIT).await;
    let figures = conductor.stop().await;
    assert_eq!(figures.lost, 4);
    // Up to the moment of the hand-over an old run may still be there; four old and four new ones side by side are a breach.
    assert!(peak("lease") < 8, "the old runs went on beside their successors");
    let out = stage.take("out").await;
    assert_eq!((out.len(), out.values().sum::<usize>()), (4, 4), "done once each");
    for number in 100..104 {
        assert_eq!(count("lease", &format!("a {}", uuid(number))), 1, "finished before the lease was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_ends_also_when_the_store_hangs_or_is_away() {
    for hang in [true, false] {
        let (mut stage, store) = faulty();
        stage.settings.grace = Duration::from_millis(200);
        give(&stage, 110..114).await;
        let log = format!("hang-{hang}");
        let conductor = stage.start(&two(&log, 50));
        conductor.until("at work", LIMIT, async || seen(&log).len() >= 4).await;
        if hang {
            store.hanging.store(true, Ordering::SeqCst);
        } else {
            store.failing.store(usize::MAX, Ordering::SeqCst);
        }
        conductor.engine.stopper().stop();
        let started = Instant::now();
        // It may say that it could not leave the store properly, but it must end.
        drop(tokio::time::timeout(Duration::from_secs(12), conductor.ends()).await.expect("the engine hangs"));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_defect_of_a_lane_ends_the_conductor_with_an_error() {
    let (stage, store) = faulty();
    give(&stage, 120..121).await;
    store.panicking.store(true, Ordering::SeqCst);
    let conductor = stage.start(&two("lanepanic", 0));
    let ended =
        tokio::time::timeout(Duration::from_secs(10), conductor.ends()).await.expect("it works on without lanes");
    assert!(ended.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_whose_health_hangs_does_not_stop_retries_and_recovery() {
    let stage = Stage::new();
    let (stuck, shaky) = (uuid(130), uuid(131));
    stage.give("in", &stuck, &vcon(&stuck)).await;
    let yaml = "links:\n  a: {module: links.probe, options: {log: health, fail_times: 1}}\nstorages:\n  s: {module: storage.probe, options: {log: health-store}}\n\
         chains:\n  c: {ingress_lists: [in], links: [], storages: [{storage: s, retry: {attempts: 1}}]}\n  \
         d: {ingress_lists: [other], egress_lists: [out], links: [{link: a, retry: {attempts: 3, base: 5ms, cap: 5ms}}]}\n";
    set_broken("health-store", true);
    set_hanging("health-store", true);
    let conductor = stage.start(yaml);
    conductor.until("dead", LIMIT, async || stage.dead("DLQ:storage:s").await.len() == 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    stage.give("other", &shaky, &vcon(&shaky)).await;
    conductor
        .until("the retry is woken", Duration::from_secs(5), async || stage.pending("out").await.waiting == 1)
        .await;
    conductor.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_cannot_be_mended_do_not_keep_others_from_being_drained() {
    let stage = Stage::new();
    give(&stage, 1000..1300).await;
    let process = ProcessId::random();
    stage.store.register(&process).await.expect("a process");
    let request = ClaimRequest {
        quotas: vec![Quota { list: "in".to_owned(), limit: 300, weight: 1 }],
        limit: 300,
        bytes: u64::MAX >> 1,
    };
    let (_, claimed) = stage.store.exchange(&process, Vec::new(), Some(request)).await.expect("claims");
    assert_eq!(claimed.len(), 300);
    let dead = |(index, claimed): (usize, vconductor_core::store::Claimed)| Commit {
        claim: claimed.claim,
        save: None,
        ledger: None,
        keep: None,
        pushes: Vec::new(),
        made: Vec::new(),
        context: None,
        end: End::Dead {
            queue: "DLQ:storage:s".to_owned(),
            failure: Failure {
                class: if index == 299 { Class::Retryable } else { Class::Permanent },
                step: "s".to_owned(),
                message: "for the test".to_owned(),
                help: None,
                attempts: 1,
                at: 0,
            },
        },
    };
    let commits = claimed.into_iter().enumerate().map(dead).collect();
    stage.store.exchange(&process, commits, None).await.expect("commits");
    stage.store.deregister(&process).await.expect("it leaves");
    let yaml = "storages:\n  s: {module: storage.probe, options: {log: drainhead}}\nchains:\n  c: {ingress_lists: [in], egress_lists: [out], links: [], storages: [s]}\n";
    let conductor = stage.start(yaml);
    conductor.until("it is drained", LIMIT, async || stored("drainhead", &uuid(1299)).is_some()).await;
    conductor.stop().await;
    assert_eq!(stage.dead("DLQ:storage:s").await.len(), 299);
}
