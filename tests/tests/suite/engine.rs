//! The engine on the embedded store: what becomes of a vCon when links, storages and processes misbehave.

use std::time::Duration;

use vconductor::engine::report::RunOutcome;
use vconductor_core::error::Class;
use vconductor_core::store::{NewVcon, TenantScope};
use vconductor_tests::probes::{count, seen, set_broken, stored};
use vconductor_tests::stage::{Stage, uuid, vcon};

fn chain(links: &str, steps: &str, rest: &str) -> String {
    format!(
        "links:\n{links}\nchains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    concurrency: 64\n    links: {steps}\n{rest}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vcon_goes_through_links_storages_and_egress() {
    let stage = Stage::new();
    let id = uuid(1);
    stage.give("in", &id, &vcon(&id)).await;
    let yaml = chain(
        "  a: {module: links.probe, options: {log: flow, tag: seen}}\n  b: {module: links.probe, options: {log: flow, set: mark}}\nstorages:\n  s: {module: storage.probe, options: {log: flow-store}}",
        "[a, b]",
        "    storages: [s]\n",
    );
    let figures = stage.run(&yaml).await;
    assert_eq!(seen("flow"), [format!("a {id}"), format!("b {id}")]);
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
    assert_eq!(figures.total(RunOutcome::Done), 1);
    let held = String::from_utf8(stored("flow-store", &id).expect("stored").to_vec()).expect("text");
    assert!(held.contains("\"mark\":\"b\"") && held.contains("seen:seen") && held.contains("1e3"), "{held}");
    assert_eq!(stage.document(&id).await["mark"], "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_uuid_that_is_enqueued_three_times_runs_three_times_without_overlap() {
    let stage = Stage::new();
    let id = uuid(2);
    let vcons = vec![NewVcon {
        uuid: id.clone(),
        document: Some(vcon(&id).into()),
        lists: vec!["in".into(); 3],
        keep: None,
        context: None,
        tenant: None,
    }];
    stage.store.ingest(vcons).await.expect("ingest");
    stage.run(&chain("  a: {module: links.probe_external, options: {log: thrice, sleep: 30}}", "[a]", "")).await;
    assert_eq!(count("thrice", &format!("a {id}")), 3);
    assert_eq!(stage.take("out").await.get(&id), Some(&3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retryable_failure_is_tried_again_and_finished_external_steps_are_not() {
    let stage = Stage::new();
    let id = uuid(3);
    stage.give("in", &id, &vcon(&id)).await;
    let yaml = chain(
        "  paid: {module: links.probe_external, options: {log: retry, set: paid}}\n  shaky: {module: links.probe_external, options: {log: retry, fail_times: 2}}",
        "[paid, {link: shaky, retry: {attempts: 5, base: 10ms, cap: 50ms}}]",
        "",
    );
    let figures = stage.run(&yaml).await;
    assert_eq!(count("retry", &format!("paid {id}")), 1, "a finished external step was executed again");
    assert_eq!(count("retry", &format!("shaky {id}")), 3);
    assert_eq!((figures.total(RunOutcome::Retried), figures.total(RunOutcome::Done)), (2, 1));
    assert_eq!(stage.document(&id).await["paid"], "paid", "the edit of the finished step survived the retries");
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_parts_of_a_failed_step_are_not_done_again() {
    let stage = Stage::new();
    let id = uuid(4);
    stage.give("in", &id, &vcon(&id)).await;
    let yaml = chain(
        "  parts: {module: links.probe_external, options: {log: parts, parts: 3, fail_after_part: 2}}",
        "[{link: parts, retry: {attempts: 3, base: 10ms, cap: 10ms}}]",
        "",
    );
    stage.run(&yaml).await;
    for part in 0..3 {
        assert_eq!(count("parts", &format!("parts part {part}")), 1);
    }
    assert_eq!(stage.take("out").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn exhausted_retries_and_permanent_failures_are_dead_letters_with_their_reason() {
    let stage = Stage::new();
    for number in 10..12 {
        stage.give("in", &uuid(number), &vcon(&uuid(number))).await;
    }
    let yaml =
        chain("  bad: {module: links.probe, options: {log: dead, fail_times: 99, class: permanent}}", "[bad]", "");
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    assert_eq!(dead.len(), 2);
    assert_eq!(
        (dead[0].failure.class, dead[0].failure.step.as_str(), dead[0].failure.attempts),
        (Class::Permanent, "bad", 1)
    );
    assert!(dead[0].failure.message.contains("told to fail"), "{:?}", dead[0]);
    assert!(stage.take("out").await.is_empty());

    stage.give("shaky", &uuid(12), &vcon(&uuid(12))).await;
    let yaml = yaml
        .replace("permanent", "retryable")
        .replace("[in]", "[shaky]")
        .replace("[bad]", "[{link: bad, retry: {attempts: 3, base: 5ms, cap: 5ms}}]");
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:shaky").await;
    assert_eq!((dead.len(), dead[0].failure.attempts), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_error_continue_goes_on_and_stop_ends_without_egress() {
    let stage = Stage::new();
    let links = "  bad: {module: links.probe, options: {log: onerror, fail_times: 99, class: permanent}}\n  next: {module: links.probe, options: {log: onerror}}";
    stage.give("in", &uuid(20), &vcon(&uuid(20))).await;
    stage.run(&chain(links, "[{link: bad, on_error: continue}, next]", "")).await;
    assert_eq!(count("onerror", &format!("next {}", uuid(20))), 1);
    assert_eq!(stage.take("out").await.len(), 1);

    stage.give("in", &uuid(21), &vcon(&uuid(21))).await;
    let figures = stage.run(&chain(links, "[{link: bad, on_error: stop}, next]", "")).await;
    assert_eq!(count("onerror", &format!("next {}", uuid(21))), 0);
    assert_eq!(figures.total(RunOutcome::Stopped), 1);
    assert!(stage.take("out").await.is_empty() && stage.dead("DLQ:in").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_keeps_pushes_and_skips_storages_and_egress() {
    let stage = Stage::new();
    let id = uuid(30);
    stage.give("in", &id, &vcon(&id)).await;
    let yaml = chain(
        "  filter: {module: links.probe, options: {log: stop, push: elsewhere, outcome: stop, tag: kept}}\n  never: {module: links.probe, options: {log: stop}}\nstorages:\n  s: {module: storage.probe, options: {log: stop-store}}",
        "[filter, never]",
        "    storages: [s]\n",
    );
    stage.run(&yaml).await;
    assert_eq!(seen("stop"), [format!("filter {id}")]);
    assert_eq!(stage.take("elsewhere").await.get(&id), Some(&1));
    assert!(stage.take("out").await.is_empty() && stored("stop-store", &id).is_none());
    assert!(
        stage.document(&id).await["attachments"][0]["body"].to_string().contains("kept:kept"),
        "edits before the stop are saved"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_goes_on_with_the_other_vcon() {
    let stage = Stage::new();
    let (one, other) = (uuid(40), uuid(41));
    stage.give("in", &one, &vcon(&one)).await;
    stage.give("unused", &other, &vcon(&other)).await;
    let yaml = chain(
        &format!(
            "  before: {{module: links.probe, options: {{log: switch, set: before}}}}\n  jump: {{module: links.probe, options: {{log: switch, outcome: \"{other}\"}}}}\n  after: {{module: links.probe, options: {{log: switch, set: after, fail_times: 1}}}}\nstorages:\n  s: {{module: storage.probe, options: {{log: switch-store}}}}"
        ),
        "[before, jump, {link: after, retry: {attempts: 3, base: 5ms, cap: 5ms}}]",
        "    storages: [s]\n",
    );
    stage.run(&yaml).await;
    assert_eq!(count("switch", &format!("after {other}")), 2, "{:?}", seen("switch"));
    assert_eq!(count("switch", &format!("jump {one}")), 1, "a switch is in the ledger and not decided again");
    assert_eq!(stage.take("out").await.get(&other), Some(&1));
    assert!(stored("switch-store", &other).is_some() && stored("switch-store", &one).is_none());
    assert_eq!(stage.document(&one).await["before"], "before");
    assert_eq!(stage.document(&other).await["after"], "after");
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_links_are_merged_and_two_writes_to_one_path_are_refused() {
    let stage = Stage::new();
    let links = "  a: {module: links.probe_external, options: {log: par, set: a, sleep: 100}}\n  b: {module: links.probe_external, options: {log: par, set: b, sleep: 100}}\n  clash: {module: links.probe, options: {log: par, set: a}}";
    let id = uuid(50);
    stage.give("in", &id, &vcon(&id)).await;
    let started = std::time::Instant::now();
    stage.run(&chain(links, "[{parallel: [a, b]}]", "")).await;
    assert!(started.elapsed() < Duration::from_millis(1500));
    let document = stage.document(&id).await;
    assert_eq!((&document["a"], &document["b"]), (&"a".into(), &"b".into()));

    stage.give("in", &uuid(51), &vcon(&uuid(51))).await;
    stage.run(&chain(links, "[{parallel: [a, clash]}]", "")).await;
    let dead = stage.dead("DLQ:in").await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].failure.message.contains("/a") && dead[0].failure.class == Class::Permanent, "{:?}", dead[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_run_holds_no_place_and_goes_on_by_call_or_by_time() {
    let stage = Stage::new();
    let links = "  p: {module: links.probe_external, options: {log: park, park: 300}}\n  long: {module: links.probe_external, options: {log: park, park: 3600000}}\n  next: {module: links.probe, options: {log: park}}";
    stage.give("in", &uuid(60), &vcon(&uuid(60))).await;
    let yaml = chain(links, "[p, next]", "").replace("concurrency: 64", "concurrency: 1");
    let conductor = stage.start(&yaml);
    conductor
        .until("the run is parked", Duration::from_secs(60), async || {
            stage.pending("in").await.due + stage.pending("in").await.parked == 1
        })
        .await;
    stage.give("in", &uuid(61), &vcon(&uuid(61))).await;
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(count("park", "p timed out"), 2);
    assert_eq!(stage.take("out").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_decides_whether_a_link_runs() {
    let stage = Stage::new();
    stage.give("in", &uuid(70), &vcon(&uuid(70))).await;
    let links =
        "  met: {module: links.probe, options: {log: cond}}\n  unmet: {module: links.probe, options: {log: cond}}";
    stage
        .run(&chain(links, "[{link: met, if: '.dialog | length > 0'}, {link: unmet, if: '.dialog | length > 1'}]", ""))
        .await;
    assert_eq!(seen("cond"), [format!("met {}", uuid(70))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panicking_or_slow_link_costs_nobody_else_anything() {
    let stage = Stage::new();
    for number in 80..90 {
        stage.give("in", &uuid(number), &vcon(&uuid(number))).await;
    }
    let yaml = chain(
        "  boom: {module: links.probe, options: {log: boom, panic: true}}\n  slow: {module: links.probe, options: {log: boom, sleep: 60000}}\n  ok: {module: links.probe, options: {log: boom-ok}}",
        "[{link: ok}, {link: boom, if: '.uuid | endswith(\"80\")'}, {link: slow, if: '.uuid | endswith(\"81\")', timeout: 100ms, retry: {attempts: 1}}]",
        "",
    );
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().any(|letter| letter.failure.message.contains("panicked")), "{dead:?}");
    assert!(dead.iter().any(|letter| letter.failure.message.contains("100ms")), "{dead:?}");
    assert_eq!(stage.take("out").await.len(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_is_down_withholds_egress_and_is_drained_by_itself() {
    let stage = Stage::new();
    for number in 100..120 {
        stage.give("in", &uuid(number), &vcon(&uuid(number))).await;
    }
    let yaml = chain(
        "  paid: {module: links.probe_external, options: {log: down}}\nstorages:\n  good: {module: storage.probe, options: {log: down-good}}\n  bad: {module: storage.probe, options: {log: down-bad}}",
        "[paid]",
        "    storages: [good, {storage: bad, retry: {attempts: 2, base: 20ms, cap: 20ms}}]\n",
    );
    set_broken("down-bad", true);
    let conductor = stage.start(&yaml);
    conductor
        .until("all are dead letters of the storage", Duration::from_secs(60), async || {
            stage.dead("DLQ:storage:bad").await.len() == 20
        })
        .await;
    assert!(stage.take("out").await.is_empty(), "egress went out before the storage had it");
    assert!(stored("down-good", &uuid(100)).is_some(), "the other storage is not held up");
    set_broken("down-bad", false);
    conductor
        .until("all are drained", Duration::from_secs(60), async || stage.dead("DLQ:storage:bad").await.is_empty())
        .await;
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.len(), 20);
    for number in 100..120 {
        assert_eq!(count("down", &format!("paid {}", uuid(number))), 1, "a link ran twice");
        assert_eq!(count("down-good", &format!("save {}", uuid(number))), 1, "a storage that had it was written again");
        assert!(stored("down-bad", &uuid(number)).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_storage_that_is_down_lets_egress_go_at_once_and_still_gets_its_copy() {
    let stage = Stage::new();
    let id = uuid(130);
    stage.give("in", &id, &vcon(&id)).await;
    let yaml = chain(
        "storages:\n  extra: {module: storage.probe, options: {log: optional}}".trim_start_matches("  "),
        "[]",
        "    storages: [{storage: extra, required: false, retry: {attempts: 2, base: 20ms, cap: 20ms}}]\n",
    )
    .replace("links:\nstorages", "storages");
    set_broken("optional", true);
    let conductor = stage.start(&yaml);
    conductor.until("egress", Duration::from_secs(60), async || stage.pending("out").await.waiting == 1).await;
    conductor
        .until("the copy waits", Duration::from_secs(60), async || stage.dead("DLQ:storage:extra").await.len() == 1)
        .await;
    set_broken("optional", false);
    conductor.until("the copy is there", Duration::from_secs(60), async || stored("optional", &id).is_some()).await;
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.get(&id), Some(&1), "egress is pushed once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_comes_late_is_waited_for_and_one_that_never_comes_is_a_dead_letter() {
    let stage = Stage::new();
    let only_uuid = |number: u32| NewVcon {
        uuid: uuid(number),
        document: None,
        lists: vec!["in".into()],
        keep: None,
        context: None,
        tenant: None,
    };
    stage.store.ingest(vec![only_uuid(140), only_uuid(141)]).await.expect("ingest");
    let conductor = stage.start(&chain("  a: {module: links.probe, options: {log: late}}", "[a]", ""));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let late = NewVcon { document: Some(vcon(&uuid(140)).into()), lists: Vec::new(), ..only_uuid(140) };
    stage.store.ingest(vec![late]).await.expect("ingest");
    conductor.until("one dead letter", Duration::from_secs(60), async || stage.dead("DLQ:in").await.len() == 1).await;
    conductor.until_idle(Duration::from_secs(60)).await;
    conductor.stop().await;
    assert_eq!(stage.take("out").await.keys().collect::<Vec<_>>(), [&uuid(140)]);
    let dead = stage.dead("DLQ:in").await;
    assert_eq!(dead[0].uuid, uuid(141));
    assert!(dead[0].failure.message.contains("vcon_missing"), "{:?}", dead[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_only_in_a_storage_is_read_back() {
    let stage = Stage::new();
    let id = uuid(150);
    stage.give("first", &id, &vcon(&id)).await;
    let yaml = chain(
        "  a: {module: links.probe, options: {log: back}}\nstorages:\n  s: {module: storage.probe, options: {log: back-store}}",
        "[a]",
        "    storages: [s]\n",
    );
    stage.run(&yaml.replace("[in]", "[first]")).await;
    stage.store.delete(&TenantScope::Everything, &id).await.expect("delete");
    let again =
        NewVcon { uuid: id.clone(), document: None, lists: vec!["in".into()], keep: None, context: None, tenant: None };
    stage.store.ingest(vec![again]).await.expect("ingest");
    stage.run(&yaml).await;
    assert_eq!(count("back", &format!("a {id}")), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_run_that_is_revived_continues_with_its_ledger() {
    let stage = Stage::new();
    let id = uuid(160);
    stage.give("in", &id, &vcon(&id)).await;
    let yaml = chain(
        "  paid: {module: links.probe_external, options: {log: revive, set: paid}}\n  shaky: {module: links.probe, options: {log: revive, fail_times: 1, class: permanent}}",
        "[paid, shaky]",
        "",
    );
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    assert!(dead[0].ledger.as_ref().is_some_and(|ledger| ledger.steps.len() == 1), "{dead:?}");
    assert!(stage.store.revive(dead[0].run).await.expect("revive"));
    stage.run(&yaml).await;
    assert_eq!(count("revive", &format!("paid {id}")), 1);
    assert_eq!(stage.take("out").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracer_sees_every_hop_and_its_failure_counts_only_where_asked() {
    let stage = Stage::new();
    let id = uuid(170);
    let yaml = |fatal: bool, list: &str| {
        format!(
            "links:\n  a: {{module: links.probe, options: {{log: hops-link}}}}\ntracers:\n  t: {{module: tracers.probe, options: {{log: hops-{fatal}, dlq_vcon_on_error: {fatal}}}}}\nchains:\n  c: {{ingress_lists: [{list}], egress_lists: [out], concurrency: 4, links: [a], retry: {{attempts: 1}}}}\n"
        )
    };
    stage.give("in", &id, &vcon(&id)).await;
    set_broken("hops-false", true);
    stage.run(&yaml(false, "in")).await;
    assert_eq!(seen("hops-false"), [format!("hop -1 {id} {id}"), format!("hop 0 {id} {id}")]);
    assert_eq!(stage.take("out").await.len(), 1);
    set_broken("hops-true", true);
    stage.give("in", &id, &vcon(&id)).await;
    stage.run(&yaml(true, "in")).await;
    assert_eq!(stage.dead("DLQ:in").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_short_and_gives_back_what_is_long() {
    let mut stage = Stage::new();
    stage.settings.grace = Duration::from_millis(300);
    for number in 180..184 {
        stage.give("in", &uuid(number), &vcon(&uuid(number))).await;
    }
    let yaml = chain(
        "  work: {module: links.probe_external, options: {log: sigterm, sleep: 100}}\n  long: {module: links.probe_external, options: {log: sigterm, sleep: 60000}}",
        "[work, {link: long, if: '.uuid | endswith(\"180\")'}]",
        "",
    );
    let conductor = stage.start(&yaml);
    conductor.until("all are at work", Duration::from_secs(60), async || seen("sigterm").len() >= 4).await;
    let started = std::time::Instant::now();
    conductor.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2), "stopping took {:?}", started.elapsed());
    assert_eq!(stage.take("out").await.len(), 3);
    let pending = stage.pending("in").await;
    assert_eq!((pending.waiting, pending.claimed), (1, 0), "the long run went back to its list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_list_does_not_starve_another() {
    let stage = Stage::new();
    let many =
        (0..2000).map(|number| ("busy".to_owned(), uuid(10_000 + number), vcon(&uuid(10_000 + number)))).collect();
    stage.give_many(many).await;
    stage.give("rare", &uuid(190), &vcon(&uuid(190))).await;
    let yaml = "links:\n  b: {module: links.probe, options: {log: busy, sleep: 2}}\n  r: {module: links.probe, options: {log: busy}}\nchains:\n  busy: {ingress_lists: [busy], concurrency: 16, links: [b]}\n  rare: {ingress_lists: [rare], concurrency: 16, links: [r]}\n";
    stage.run(yaml).await;
    let position = seen("busy").iter().position(|line| line.starts_with("r ")).expect("the rare one ran");
    assert!(position < 200, "it waited behind {position} others");
}
