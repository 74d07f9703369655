//! The engine's edges: parking, switching, parallel links, attempts and storages where several things happen at once.

use std::time::Duration;

use serde_json::json;
use vconductor::engine::report::RunOutcome;
use vconductor_core::store::TenantScope;
use vconductor_tests::probes::{count, peak, seen, set_broken, stored, token};
use vconductor_tests::stage::{Conductor, Stage, uuid, vcon};

const LIMIT: Duration = Duration::from_secs(60);
const QUICK: &str = "base: 5ms, cap: 5ms";

fn chain(links: &str, steps: &str, rest: &str) -> String {
    format!(
        "links:\n{links}\nchains:\n  c:\n    ingress_lists: [in]\n    egress_lists: [out]\n    concurrency: 64\n    links: {steps}\n{rest}"
    )
}

fn external(name: &str, options: &str) -> String {
    format!("  {name}: {{module: links.probe_external, options: {{{options}}}}}\n")
}

fn pure(name: &str, options: &str) -> String {
    format!("  {name}: {{module: links.probe, options: {{{options}}}}}\n")
}

async fn parked(conductor: &Conductor, stage: &Stage, runs: u64) {
    let holds = async || stage.pending("in").await.parked == runs && stage.pending("in").await.claimed == 0;
    conductor.until("parked", LIMIT, holds).await;
}

async fn resume(conductor: &Conductor, stage: &Stage, log: &str, name: &str, parks: usize) {
    let start = format!("{name} token ");
    let holds = async || seen(log).iter().filter(|line| line.starts_with(&start)).count() == parks;
    conductor.until("the link parked", LIMIT, holds).await;
    parked(conductor, stage, 1).await;
    let token = token(log, name).expect("a token");
    assert!(stage.store.resume(&token, json!({ "for": name, "park": parks })).await.expect("an answer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_run_is_resumed_by_a_call_with_its_payload() {
    let (stage, id) = (Stage::new(), uuid(1));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("before", "log: call") + &external("p", "log: call, park: 3600000");
    let conductor = stage.start(&chain(&links, "[before, p]", ""));
    resume(&conductor, &stage, "call", "p", 1).await;
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!(count("call", "p called {\"for\":\"p\",\"park\":1}"), 1, "{:?}", seen("call"));
    assert_eq!(count("call", &format!("before {id}")), 1);
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_may_park_twice_and_a_failure_after_it_keeps_the_resumption() {
    let (stage, id) = (Stage::new(), uuid(2));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("p", "log: twice, park: 3600000, parks: 2, fail_resumed: true");
    let conductor = stage.start(&chain(&links, &format!("[{{link: p, retry: {{attempts: 2, {QUICK}}}}}]"), ""));
    resume(&conductor, &stage, "twice", "p", 1).await;
    resume(&conductor, &stage, "twice", "p", 2).await;
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!(count("twice", "p fails resumed"), 1);
    assert_eq!(count("twice", "p called {\"for\":\"p\",\"park\":2}"), 1, "{:?}", seen("twice"));
    assert_eq!(stage.take("out").await.get(&id), Some(&1), "parking is no attempt");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pure_links_that_park_one_after_the_other_both_go_on() {
    let (stage, id) = (Stage::new(), uuid(3));
    stage.give("in", &id, &vcon(&id)).await;
    let links = pure("one", "log: two, park: 50, push: noted") + &pure("other", "log: two, park: 50");
    stage.run(&chain(&links, "[one, other]", "")).await;
    assert_eq!((count("two", "one timed out"), count("two", "other timed out")), (1, 1), "{:?}", seen("two"));
    assert_eq!((stage.take("out").await.len(), stage.take("noted").await.get(&id)), (1, Some(&1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_of_a_parallel_that_park_each_get_their_own_payload() {
    let (stage, id) = (Stage::new(), uuid(4));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("a", "log: parpark, park: 3600000")
        + &external("b", "log: parpark, park: 3600000")
        + &external("paid", "log: parpark, set: paid");
    let conductor = stage.start(&chain(&links, "[{parallel: [a, paid, b]}]", ""));
    parked(&conductor, &stage, 1).await;
    let tokens = ["a", "b"].map(|name| (name, token("parpark", name).expect("a token")));
    let mut found = 0;
    for (name, token) in tokens {
        found += usize::from(stage.store.resume(&token, json!(name)).await.expect("an answer"));
    }
    // Both, if it went on and parked under the second one in between.
    assert!(found >= 1, "a run is parked under one token; the other payload is kept until it parks under that");
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!(
        (count("parpark", "a called \"a\""), count("parpark", "b called \"b\"")),
        (1, 1),
        "{:?}",
        seen("parpark")
    );
    assert_eq!(count("parpark", &format!("paid {id}")), 1);
    let executions = ["a", "b"].map(|name| count("parpark", &format!("{name} {id}")));
    assert_eq!(executions, [2, 2], "a parked link was executed again while it waited");
    assert_eq!((stage.take("out").await.get(&id), &stage.document(&id).await["paid"]), (Some(&1), &"paid".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_beside_a_park_gives_the_parked_link_no_foreign_payload() {
    let (stage, id) = (Stage::new(), uuid(5));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("first", "log: foreign, park: 3600000")
        + &external("shaky", "log: foreign, fail_times: 1")
        + &external("second", "log: foreign, park: 3600000");
    let steps = format!("[first, {{parallel: [{{link: shaky, retry: {{attempts: 3, {QUICK}}}}}, second]}}]");
    let conductor = stage.start(&chain(&links, &steps, ""));
    resume(&conductor, &stage, "foreign", "first", 1).await;
    let start = "second token ";
    let holds = async || seen("foreign").iter().filter(|line| line.starts_with(start)).count() >= 1;
    conductor.until("the second link parked", LIMIT, holds).await;
    parked(&conductor, &stage, 1).await;
    stage.store.resume(&token("foreign", "second").expect("a token"), json!("mine")).await.expect("an answer");
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    assert_eq!(count("foreign", "second called \"mine\""), 1, "{:?}", seen("foreign"));
    assert_eq!(stage.take("out").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_before_a_switch_do_not_touch_the_other_vcon_when_the_run_goes_on() {
    let (stage, one, other) = (Stage::new(), uuid(10), uuid(11));
    stage.give("in", &one, &vcon(&one)).await;
    stage.give("unused", &other, &vcon(&other)).await;
    let links = pure("before", "log: swpure, set: before, push: seen")
        + &pure("jump", &format!("log: swpure, outcome: \"{other}\""))
        + &pure("after", "log: swpure, set: after, fail_times: 1");
    let steps = format!("[before, jump, {{link: after, retry: {{attempts: 3, {QUICK}}}}}]");
    stage.run(&chain(&links, &steps, "")).await;
    assert_eq!(count("swpure", &format!("before {other}")), 0, "{:?}", seen("swpure"));
    assert!(stage.document(&other).await.get("before").is_none());
    assert_eq!(stage.take("seen").await.into_iter().collect::<Vec<_>>(), [(one, 1)], "the push of before the switch");
    assert_eq!(stage.take("out").await.into_iter().collect::<Vec<_>>(), [(other, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_beside_a_failing_link_is_made_when_that_link_is_done() {
    let (stage, one, other) = (Stage::new(), uuid(12), uuid(13));
    stage.give("in", &one, &vcon(&one)).await;
    stage.give("unused", &other, &vcon(&other)).await;
    let links = external("jump", &format!("log: swpar, outcome: \"{other}\""))
        + &external("shaky", "log: swpar, fail_times: 1");
    let steps = format!("[{{parallel: [jump, {{link: shaky, retry: {{attempts: 3, {QUICK}}}}}]}}]");
    stage.run(&chain(&links, &steps, "")).await;
    assert_eq!(count("swpar", &format!("jump {one}")), 1);
    assert_eq!(stage.take("out").await.into_iter().collect::<Vec<_>>(), [(other, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_link_of_a_parallel_is_not_executed_again_when_its_sibling_is_too_slow() {
    let (stage, id) = (Stage::new(), uuid(20));
    stage.give("in", &id, &vcon(&id)).await;
    let links =
        external("paid", "log: parslow, set: paid, push: extra") + &external("slow", "log: parslow, sleep: 60000");
    let rest = format!("    timeout: 300ms\n    retry: {{attempts: 3, {QUICK}}}\n");
    stage.run(&chain(&links, "[{parallel: [paid, slow]}]", &rest)).await;
    let dead = stage.dead("DLQ:in").await;
    assert_eq!((dead.len(), dead[0].failure.attempts, dead[0].failure.step.as_str()), (1, 3, "timeout"));
    assert_eq!(count("parslow", &format!("slow {id}")), 3);
    assert_eq!(count("parslow", &format!("paid {id}")), 1, "a finished external link was executed again");
    assert_eq!(stage.document(&id).await["paid"], "paid");
    assert!(stage.take("extra").await.is_empty(), "a push of a run that is not done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_link_of_a_parallel_is_not_executed_again_after_a_stop_or_a_conflict() {
    let (mut stage, id) = (Stage::new(), uuid(21));
    stage.settings.grace = Duration::from_millis(100);
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("paid", "log: parstop, set: x")
        + &external("parts", "log: parstop, parts: 2, sleep: 400")
        + &pure("late", "log: parstop, sleep: 500, set: x");
    let yaml = chain(&links, "[{parallel: [paid, parts, late]}]", "");
    let conductor = stage.start(&yaml);
    conductor.until("paid", LIMIT, async || count("parstop", &format!("paid {id}")) == 1).await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    conductor.stop().await;
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    assert!(dead[0].failure.message.contains("both write /x"), "{dead:?}");
    assert!(stage.store.revive(dead[0].run).await.expect("revive"));
    stage.run(&yaml.replace("sleep: 500, set: x", "sleep: 500, set: y")).await;
    assert_eq!(count("parstop", &format!("paid {id}")), 1, "{:?}", seen("parstop"));
    assert_eq!(count("parstop", "parts part 0"), 1);
    let document = stage.document(&id).await;
    assert_eq!((&document["x"], &document["y"]), (&"paid".into(), &"late".into()));
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_link_and_each_cause_has_its_own_count_of_attempts() {
    let (stage, id) = (Stage::new(), uuid(30));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("a", "log: attempts, fail_times: 2, show: true")
        + &pure("p", "log: attempts, fail_times: 2, show: true")
        + &external("b", "log: attempts, fail_times: 2, show: true");
    let retry = format!("retry: {{attempts: 3, {QUICK}}}");
    let steps = format!("[{{link: a, {retry}}}, {{link: p, {retry}}}, {{link: b, {retry}}}]");
    let figures = stage.run(&chain(&links, &steps, "")).await;
    assert_eq!(stage.dead("DLQ:in").await, [], "{:?}", seen("attempts"));
    assert_eq!((figures.total(RunOutcome::Retried), stage.take("out").await.len()), (6, 1));
    for attempt in 1..=3 {
        assert_eq!(count("attempts", &format!("b attempt {attempt}")), 1, "{:?}", seen("attempts"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revived_run_has_all_its_attempts_again() {
    let (stage, id) = (Stage::new(), uuid(31));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("a", "log: anew, fail_times: 3, parts: 1");
    let yaml = chain(&links, &format!("[{{link: a, retry: {{attempts: 2, {QUICK}}}}}]"), "");
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    assert_eq!(dead[0].failure.attempts, 2);
    assert!(stage.store.revive(dead[0].run).await.expect("revive"));
    stage.run(&yaml).await;
    assert_eq!(stage.take("out").await.get(&id), Some(&1), "{:?}", stage.dead("DLQ:in").await);
    assert_eq!(count("anew", "a part 0"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_change_the_result_identify_the_step_and_others_do_not() {
    let (stage, id) = (Stage::new(), uuid(32));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("a", "log: hash, tag: one, patience: 1")
        + &external("b", "log: hash, set: b")
        + &pure("end", "log: hash, fail_times: 2, class: permanent");
    let yaml = chain(&links, "[a, b, end]", "");
    stage.run(&yaml).await;
    for (old, new) in [("patience: 1", "patience: 2"), ("tag: one", "tag: two")] {
        let yaml = yaml.replace(old, new);
        assert!(stage.store.revive(stage.dead("DLQ:in").await[0].run).await.expect("revive"));
        stage.run(&yaml).await;
        let executed = if old.starts_with("tag") { 2 } else { 1 };
        assert_eq!(count("hash", &format!("a {id}")), executed, "after {new}");
        assert_eq!(count("hash", &format!("b {id}")), 1);
    }
    assert_eq!(stage.take("out").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_used_twice_disabled_steps_and_inline_options() {
    let (stage, id) = (Stage::new(), uuid(33));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("a", "log: occur, tag: base") + &pure("end", "log: occur, fail_times: 2, class: permanent");
    let yaml = chain(&links, "[a, {link: a, enabled: false}, {link: a, options: {tag: inline}}, end]", "");
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    let keys: Vec<_> = dead[0].ledger.iter().flat_map(|ledger| &ledger.steps).map(|entry| &entry.key).collect();
    assert_eq!(keys.iter().map(|key| key.occurrence).collect::<Vec<_>>(), [0, 2], "{keys:?}");
    assert_ne!(keys[0].options, keys[1].options);
    assert_eq!(count("occur", &format!("a {id}")), 2);
    assert!(stage.store.revive(dead[0].run).await.expect("revive"));
    stage.run(&yaml.replace("enabled: false", "enabled: true")).await;
    assert_eq!(count("occur", &format!("a {id}")), 3, "switching the second on executes that one alone");
    let tags = stage.document(&id).await["attachments"][0]["body"].to_string();
    assert!(tags.contains("base:base") && tags.contains("inline:inline"), "{tags}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_used_of_a_paid_service_is_summed_over_failures_and_parks() {
    let (stage, id) = (Stage::new(), uuid(34));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("a", "log: usage, usage: 2, parts: 1, park: 30, fail_resumed: true, push: asked")
        + &pure("end", "log: usage, fail_times: 1, class: permanent");
    let yaml = chain(&links, &format!("[{{link: a, retry: {{attempts: 2, {QUICK}}}}}, end]"), "");
    stage.run(&yaml).await;
    let dead = stage.dead("DLQ:in").await;
    let entry = dead[0].ledger.as_ref().and_then(|ledger| ledger.steps.first()).expect("an entry");
    assert_eq!(entry.usage.as_ref().and_then(|usage| usage.units.get("calls")), Some(&6.0), "{entry:?}");
    assert!(stage.store.revive(dead[0].run).await.expect("revive"));
    stage.run(&yaml).await;
    assert_eq!(stage.take("asked").await.get(&id), Some(&1), "a push of a parked link");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_storages_that_fail_at_once_and_an_optional_one_are_tried_and_counted_alone() {
    let (stage, id) = (Stage::new(), uuid(40));
    stage.give("in", &id, &vcon(&id)).await;
    let links = external("flaky", "log: both-link, fail_times: 2")
        + "storages:\n  a: {module: storage.probe, options: {log: both-a}}\n  b: {module: storage.probe, options: {log: both-b}}\n  \
           o: {module: storage.probe, options: {log: both-o}}\n  good: {module: storage.probe, options: {log: both-good}}\n";
    let retry = format!("retry: {{attempts: 3, {QUICK}}}");
    let rest = format!(
        "    storages: [{{storage: a, {retry}}}, {{storage: b, {retry}}}, {{storage: o, required: false, {retry}}}, good]\n"
    );
    let yaml = chain(&links, &format!("[{{link: flaky, {retry}}}]"), &rest);
    for log in ["both-a", "both-b", "both-o"] {
        set_broken(log, true);
    }
    let conductor = stage.start(&yaml);
    let dead = async || stage.dead("DLQ:storage:a").await.len() == 1;
    conductor.until("dead at a required storage", LIMIT, dead).await;
    let letter = stage.dead("DLQ:storage:a").await.remove(0);
    assert_eq!(letter.failure.attempts, 3, "attempts of the storages, not of the links");
    for log in ["both-a", "both-b", "both-o"] {
        assert_eq!(count(log, &format!("failed {id}")), 3);
    }
    assert_eq!(stage.pending("out").await.waiting, 0, "egress before the required storages");
    set_broken("both-a", false);
    let moved = async || stage.dead("DLQ:storage:b").await.len() == 1;
    conductor.until("dead at the other", LIMIT, moved).await;
    assert_eq!(stage.pending("out").await.waiting, 0, "egress before the required storages");
    set_broken("both-b", false);
    conductor.until("egress", LIMIT, async || stage.pending("out").await.waiting == 1).await;
    set_broken("both-o", false);
    conductor.until("the optional copy", LIMIT, async || stored("both-o", &id).is_some()).await;
    conductor.until_idle(LIMIT).await;
    conductor.stop().await;
    for log in ["both-a", "both-b", "both-o", "both-good"] {
        assert_eq!(count(log, &format!("save {id}")), 1, "{log}");
    }
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
    assert_eq!(count("both-link", &format!("flaky {id}")), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_storage_that_refuses_for_good_withholds_nothing() {
    let (stage, id) = (Stage::new(), uuid(41));
    stage.give("in", &id, &vcon(&id)).await;
    let links = "  a: {module: links.probe, options: {log: optper}}\nstorages:\n  o: {module: storage.probe, options: {log: optper-o, class: permanent}}\n  r: {module: storage.probe, options: {log: optper-r}}\n";
    set_broken("optper-o", true);
    stage.run(&chain(links, "[a]", "    storages: [{storage: o, required: false}, r]\n")).await;
    assert_eq!(stage.take("out").await.get(&id), Some(&1));
    assert_eq!((stage.dead("DLQ:storage:o").await.len(), count("optper-o", &format!("failed {id}"))), (1, 1));
    assert!(stored("optper-r", &id).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_panics_over_one_vcon_takes_the_others() {
    let stage = Stage::new();
    let vcons = (0..40).map(|number| ("in".to_owned(), uuid(4100 + number), vcon(&uuid(4100 + number))));
    stage.give_many(vcons.collect()).await;
    let links = "  a: {module: links.probe, options: {log: panicst-l}}\nstorages:\n  s: {module: storage.probe, options: {log: panicst, panic_on: '4117', sleep: 1}}\n";
    let rest = format!("    storages: [{{storage: s, retry: {{attempts: 2, {QUICK}}}}}]\n");
    let conductor = stage.start(&chain(links, "[a]", &rest));
    conductor.until("39 are out", LIMIT, async || stage.pending("out").await.waiting == 39).await;
    conductor.stop().await;
    assert!(seen("panicst").iter().all(|line| !line.contains("4117")));
    assert_eq!(stage.take("out").await.len(), 39);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_vcon_is_skipped_or_refused_and_never_rewritten() {
    let text = include_str!("../../fixtures/vcon/valid/synthetic-jose/jws_rs256_pyvcon_style.json");
    for (number, mode, paid) in [(50, "skip", 0), (51, "fail", 0)] {
        let (stage, id) = (Stage::new(), uuid(number));
        stage.give("in", &id, text).await;
        let log = format!("signed-{mode}");
        let yaml =
            chain(&external("a", &format!("log: {log}, set: x")), &format!("[{{link: a, on_signed: {mode}}}]"), "");
        let figures = stage.run(&yaml).await;
        assert_eq!(count(&log, &format!("a {id}")), paid);
        let held = stage.store.get(&TenantScope::Everything, &id).await.expect("an answer").expect("a document");
        assert_eq!(held.document, text.as_bytes(), "rewritten");
        if mode == "skip" {
            assert_eq!((stage.take("out").await.len(), figures.chains["c"].links[0].1.skipped), (1, 1));
        } else {
            let dead = stage.dead("DLQ:in").await;
            assert!(dead[0].failure.message.contains("on_signed: fail") && dead[0].failure.step == "a", "{dead:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_concurrency_of_a_chain_holds_over_all_its_lists() {
    let stage = Stage::new();
    let lists = ["l1", "l2", "l3"];
    let vcons =
        (0..90).map(|number| (lists[number as usize % 3].to_owned(), uuid(600 + number), vcon(&uuid(600 + number))));
    stage.give_many(vcons.collect()).await;
    let yaml = chain(&pure("a", "log: limit, sleep: 10"), "[a]", "")
        .replace("[in]", "[l1, l2, l3]")
        .replace("concurrency: 64", "concurrency: 5");
    stage.run(&yaml).await;
    assert_eq!(stage.take("out").await.len(), 90);
    assert_eq!(seen("limit").len(), 90);
    assert!((2..=5).contains(&peak("limit")), "{} at once", peak("limit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_documents_never_pass_the_byte_budget_by_more_than_one() {
    let mut stage = Stage::new();
    stage.settings.bytes = 4 << 20;
    let big = |id: &str| vcon(id).replace("hello", &"x".repeat(1 << 20));
    let vcons = (0..40).map(|number| ("in".to_owned(), uuid(700 + number), big(&uuid(700 + number))));
    stage.give_many(vcons.collect()).await;
    stage.run(&chain(&pure("a", "log: bytes, sleep: 20"), "[a]", "")).await;
    assert_eq!(stage.take("out").await.len(), 40);
    assert!((2..=4).contains(&peak("bytes")), "{} MB at once", peak("bytes"));
}
