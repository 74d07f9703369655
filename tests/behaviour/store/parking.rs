//! Runs that wait for something outside.

use serde_json::json;
use vconductor_core::store::{Committed, End, Resumption};

use crate::world::{World, cases, ending, ledger};

cases![
    a_parked_run_holds_nothing_and_goes_on_with_its_payload,
    a_parked_run_goes_on_by_itself_when_its_time_is_over,
    an_unknown_token_resumes_nothing,
    a_run_is_resumed_once,
    a_call_that_came_before_the_park_is_not_lost,
    an_early_call_is_forgotten_after_a_while,
    a_payload_is_handed_out_again_after_a_crash,
    a_parked_run_survives_a_restart_with_its_ledger,
];

async fn a_parked_run_holds_nothing_and_goes_on_with_its_payload(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.park(&claimed, "job-1", 3600).await;
    let status = world.status("calls").await;
    assert_eq!((status.waiting, status.claimed, status.parked), (1, 0, 1));
    assert!(world.store.resume("job-1", json!({"text": "hello"})).await.expect("a call"));
    let again = world.one(&process, "calls").await;
    assert_eq!(again.claim.run, claimed.claim.run, "back at its old place");
    assert_eq!(again.resumption, Some(Resumption::Called(json!({"text": "hello"}))));
    assert_eq!(again.attempts, 0);
}

async fn a_parked_run_goes_on_by_itself_when_its_time_is_over(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.park(&claimed, "job-1", 60).await;
    assert_eq!(world.store.pump().await.expect("a pump"), 0);
    world.advance(61).await;
    assert_eq!(world.store.pump().await.expect("a pump"), 1);
    assert_eq!(world.one(&process, "calls").await.resumption, Some(Resumption::TimedOut));
    assert!(!world.store.resume("job-1", json!(1)).await.expect("a call"), "too late");
}

async fn an_unknown_token_resumes_nothing(world: World) {
    assert!(!world.store.resume("who", json!(1)).await.expect("a call"));
}

async fn a_run_is_resumed_once(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.park(&claimed, "job-1", 3600).await;
    assert!(world.store.resume("job-1", json!(1)).await.expect("a call"));
    assert!(!world.store.resume("job-1", json!(2)).await.expect("a call"));
    let again = world.one(&process, "calls").await;
    assert_eq!(again.resumption, Some(Resumption::Called(json!(1))));
    assert_eq!(world.status("calls").await.waiting, 0);
}

async fn a_call_that_came_before_the_park_is_not_lost(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert!(!world.store.resume("job-1", json!("fast")).await.expect("a call"));
    world.park(&claimed, "job-1", 3600).await;
    let again = world.one(&process, "calls").await;
    assert_eq!(again.resumption, Some(Resumption::Called(json!("fast"))));
}

async fn an_early_call_is_forgotten_after_a_while(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    assert!(!world.store.resume("job-1", json!("old")).await.expect("a call"));
    world.advance(86_400).await;
    assert!(world.store.renew(&process).expect("a renewal"));
    let claimed = world.one(&process, "calls").await;
    world.park(&claimed, "job-1", 3600).await;
    assert_eq!(world.status("calls").await.parked, 1);
}

async fn a_payload_is_handed_out_again_after_a_crash(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.park(&claimed, "job-1", 3600).await;
    world.store.resume("job-1", json!(1)).await.expect("a call");
    world.one(&process, "calls").await;
    world.kill_and_reap(&process).await;
    let process = world.process().await;
    assert_eq!(world.one(&process, "calls").await.resumption, Some(Resumption::Called(json!(1))));
}

async fn a_parked_run_survives_a_restart_with_its_ledger(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Park { token: "job-1".to_owned(), until: world.in_seconds(3600) });
    commit.ledger = Some(ledger("support"));
    assert_eq!(world.commit(commit).await, Committed::Done);
    let world = world.restart().await;
    assert!(world.store.resume("job-1", json!(1)).await.expect("a call"));
    let process = world.process().await;
    assert_eq!(world.one(&process, "calls").await.ledger, Some(ledger("support")));
}
