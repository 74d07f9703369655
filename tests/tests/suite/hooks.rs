//! Hooks see every passage and every link, and can stop a run.

use vconductor::engine::report::RunOutcome;
use vconductor_tests::probes::{seen, set_broken};
use vconductor_tests::stage::{Stage, uuid, vcon};

#[tokio::test(flavor = "multi_thread")]
async fn hooks_are_called_around_links_and_runs_and_can_say_no() {
    let stage = Stage::new();
    let id = uuid(1);
    let chain = "links:\n  a: {module: links.probe, options: {log: hooked, fail_times: 1}}\nchains:\n  watched: {ingress_lists: [in], egress_lists: [out], concurrency: 4, links: [{link: a, retry: {attempts: 2, base: 1ms, cap: 1ms}}]}\n";
    stage.give("in", &id, &vcon(&id)).await;
    stage.run(chain).await;
    let expected = [
        format!("before {id} 1"),
        "link a error".into(),
        "after retried".into(),
        format!("before {id} 2"),
        "link a ok".into(),
        "after done".into(),
    ];
    assert_eq!(seen("hook-watched"), expected);

    set_broken("hook-watched", true);
    stage.give("in", &id, &vcon(&id)).await;
    let figures = stage.run(chain).await;
    assert_eq!(figures.total(RunOutcome::Stopped), 1);
    assert_eq!(seen("hooked").len(), 2, "a stopped run reaches no link");
    assert_eq!(stage.take("out").await.len(), 1);
}
