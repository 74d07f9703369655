//! One writer per vCon: two runs of one uuid never overlap.

use vconductor_core::store::{Committed, End};

use crate::world::{World, cases, ending, ledger, new_vcon, request, save, text_of, uuids};

cases![
    a_uuid_is_never_claimed_twice_at_once,
    lists_and_processes_share_the_writer_lease,
    waiting_for_a_writer_is_visible_and_not_an_attempt,
    the_next_run_goes_on_right_after_the_writer,
    a_writer_that_is_tried_again_later_lets_the_next_one_go_first,
    a_dead_writer_frees_its_vcon,
    a_switch_takes_the_other_vcons_lease,
    a_switch_to_a_busy_vcon_can_be_tried_again,
    a_switch_to_a_missing_vcon_says_so,
    a_switch_of_a_dead_process_fails,
    a_switched_run_holds_both_vcons_when_it_is_claimed_again,
    a_switched_run_saves_the_other_vcon,
];

async fn a_uuid_is_never_claimed_twice_at_once(world: World) {
    world.put("calls", &["a", "a", "b", "a"]).await;
    let process = world.process().await;
    assert_eq!(uuids(&world.take(&process, "calls", 10).await), ["a", "b"]);
    assert!(world.take(&process, "calls", 10).await.is_empty());
}

async fn lists_and_processes_share_the_writer_lease(world: World) {
    world.store.ingest(vec![new_vcon("a", &["calls", "chats"])]).await.expect("an ingest");
    let (one, other) = (world.process().await, world.process().await);
    let claimed = world.one(&one, "calls").await;
    assert!(world.take(&other, "chats", 1).await.is_empty());
    world.finish(&claimed, End::Done).await;
    assert_eq!(uuids(&world.take(&other, "chats", 1).await), ["a"]);
}

async fn waiting_for_a_writer_is_visible_and_not_an_attempt(world: World) {
    world.put("calls", &["a", "a"]).await;
    let process = world.process().await;
    let first = world.one(&process, "calls").await;
    assert!(world.take(&process, "calls", 1).await.is_empty());
    let status = world.status("calls").await;
    assert_eq!((status.waiting, status.claimed, status.scheduled), (0, 1, 1));
    world.advance(1).await;
    world.store.pump().await.expect("a pump");
    assert!(world.take(&process, "calls", 1).await.is_empty(), "still busy");
    world.finish(&first, End::Done).await;
    let second = world.one(&process, "calls").await;
    assert_eq!(second.attempts, 0);
    assert!(second.waiting_since.is_some());
}

async fn the_next_run_goes_on_right_after_the_writer(world: World) {
    world.put("calls", &["a", "a", "a", "b"]).await;
    let process = world.process().await;
    let first = world.take(&process, "calls", 9).await;
    assert_eq!(uuids(&first), ["a", "b"]);
    // Without any time passing, in the same step as the ack.
    let commits = vec![ending(&first[0], End::Done)];
    let all = request(&[("calls", 9, 1)], 9);
    let (_, next) = world.store.exchange(&process, commits, Some(all)).await.expect("an exchange");
    assert_eq!(uuids(&next), ["a"]);
}

async fn a_writer_that_is_tried_again_later_lets_the_next_one_go_first(world: World) {
    world.put("calls", &["a", "a"]).await;
    let process = world.process().await;
    let first = world.take(&process, "calls", 9).await;
    world.retry_in(&first[0], 600).await;
    let second = world.one(&process, "calls").await;
    assert_ne!(second.claim.run, first[0].claim.run);
}

async fn a_dead_writer_frees_its_vcon(world: World) {
    world.put("calls", &["a", "a"]).await;
    let dead = world.process().await;
    let first = world.take(&dead, "calls", 9).await;
    world.kill_and_reap(&dead).await;
    let process = world.process().await;
    assert_eq!(world.one(&process, "calls").await.claim.run, first[0].claim.run);
}

async fn a_switch_takes_the_other_vcons_lease(world: World) {
    world.put("calls", &["a"]).await;
    world.put("chats", &["b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let stored = world.store.switch(&claimed.claim, "b").await.expect("a switch").expect("a document");
    assert_eq!(stored.document, text_of("b"));
    assert!(world.take(&process, "chats", 1).await.is_empty(), "b is being written");
    world.finish(&claimed, End::Done).await;
    assert_eq!(uuids(&world.take(&process, "chats", 1).await), ["b"]);
}

async fn a_switch_to_a_busy_vcon_can_be_tried_again(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let claimed = world.take(&process, "calls", 2).await;
    let error = world.store.switch(&claimed[0].claim, "b").await.expect_err("b is busy");
    assert!(error.is_retryable());
    world.finish(&claimed[1], End::Done).await;
    assert!(world.store.switch(&claimed[0].claim, "b").await.expect("a switch").is_some());
}

async fn a_switch_to_a_missing_vcon_says_so(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert_eq!(world.store.switch(&claimed.claim, "nowhere").await.expect("a switch"), None);
    world.finish(&claimed, End::Done).await;
}

async fn a_switch_of_a_dead_process_fails(world: World) {
    world.put("calls", &["a"]).await;
    world.put("chats", &["b"]).await;
    let dead = world.process().await;
    let claimed = world.one(&dead, "calls").await;
    world.kill_and_reap(&dead).await;
    assert!(world.store.switch(&claimed.claim, "b").await.is_err());
    assert_eq!(world.end(&claimed, End::Done).await, Committed::Lost);
    let process = world.process().await;
    assert_eq!(uuids(&world.take(&process, "chats", 1).await), ["b"], "the dead one took no lease");
}

async fn a_switched_run_holds_both_vcons_when_it_is_claimed_again(world: World) {
    world.put("calls", &["a"]).await;
    world.put("chats", &["b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.store.switch(&claimed.claim, "b").await.expect("a switch");
    let mut switched = ledger("support");
    switched.switched_to = Some("b".to_owned());
    let mut commit = ending(&claimed, End::Release);
    commit.ledger = Some(switched);
    assert_eq!(world.commit(commit).await, Committed::Done);
    let claimed = world.one(&process, "calls").await;
    assert!(world.take(&process, "chats", 1).await.is_empty(), "b is still being written");
    assert!(world.store.switch(&claimed.claim, "b").await.expect("a switch").is_some());
    world.finish(&claimed, End::Done).await;
    // The other way round: while b is written, the run that wants it waits.
    assert_eq!(uuids(&world.take(&process, "chats", 1).await), ["b"]);
}

async fn a_switched_run_saves_the_other_vcon(world: World) {
    world.put("calls", &["a"]).await;
    world.put("parked", &["b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.store.switch(&claimed.claim, "b").await.expect("a switch");
    let mut commit = ending(&claimed, End::Done);
    commit.save = save("b", "merged", 0);
    assert_eq!(world.commit(commit).await, Committed::Done);
    assert_eq!(world.document("b").await.as_deref(), Some("merged"));
    assert_eq!(world.document("a").await, Some(text_of("a")));
}
