//! Dead runs that go on: with all their attempts, and in another chain with what they have paid for and nothing skipped.

use vconductor_tests::probes::{count, seen, set_broken, stored};
use vconductor_tests::stage::{Stage, uuid, vcon};

const LINKS: &str = "links:\n  paid: {module: links.probe_external, options: {log: LOG, tag: paid}}\n  shaky: {module: links.probe_external, options: {log: LOG-shaky}}\n  extra: {module: links.probe_external, options: {log: LOG}}\nstorages:\n  s: {module: storage.probe, options: {log: LOG-store}}\nchains:\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_revived_run_has_all_its_attempts_again() {
    let stage = Stage::new();
    let id = uuid(1);
    let chain = LINKS.replace("LOG", "again")
        + "  c: {ingress_lists: [in], egress_lists: [out], concurrency: 4, links: [paid, {link: shaky, retry: {attempts: 3, base: 1ms, cap: 1ms}}]}\n";
    stage.give("in", &id, &vcon(&id)).await;
    set_broken("again-shaky", true);
    stage.run(&chain).await;
    for round in 1..=2 {
        let dead = stage.dead("DLQ:in").await;
        assert_eq!((dead.len(), dead[0].failure.attempts), (1, 3));
        assert_eq!(count("again-shaky", &format!("shaky {id}")), 3 * round);
        assert!(stage.store.revive(dead[0].run).await.expect("revive"));
        set_broken("again-shaky", round == 1);
        stage.run(&chain).await;
    }
    assert_eq!(stage.take("out").await.len(), 1);
    assert_eq!(count("again", &format!("paid {id}")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_another_chain_continues_skips_nothing_of_that_chain() {
    let stage = Stage::new();
    let id = uuid(2);
    let first = LINKS.replace("LOG", "moved")
        + "  first: {ingress_lists: [in], egress_lists: [wrong], concurrency: 4, links: [paid], storages: [{storage: s, retry: {attempts: 1}}]}\n";
    stage.give("in", &id, &vcon(&id)).await;
    set_broken("moved-store", true);
    let conductor = stage.start(&first);
    conductor
        .until("it waits for its storage", std::time::Duration::from_secs(60), async || {
            stage.dead("DLQ:storage:s").await.len() == 1
        })
        .await;
    conductor.stop().await;
    set_broken("moved-store", false);
    let dead = stage.dead("DLQ:storage:s").await;
    assert!(stage.store.revive(dead[0].run).await.expect("revive"));
    // Another chain takes from that list now.
    let second = LINKS.replace("LOG", "moved")
        + "  second: {ingress_lists: [in], egress_lists: [out], concurrency: 4, links: [paid, extra], storages: [s]}\n";
    stage.run(&second).await;
    assert_eq!(seen("moved"), [format!("paid {id}"), format!("extra {id}")]);
    assert!(stored("moved-store", &id).is_some());
    assert!(stage.take("wrong").await.is_empty());
    assert_eq!(stage.take("out").await.len(), 1);
}
