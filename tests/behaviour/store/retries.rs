//! Runs that are tried again later.

use vconductor_core::store::{End, WaitReason};

use crate::world::{World, cases, uuids};

cases![
    a_retry_is_invisible_until_it_is_due,
    a_retry_counts_as_an_attempt_and_keeps_its_place,
    a_wait_is_not_an_attempt,
    waiting_is_counted_from_its_beginning,
    a_scheduled_run_survives_a_restart,
];

async fn a_retry_is_invisible_until_it_is_due(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.retry_in(&claimed, 60).await;
    assert_eq!(world.store.pump().await.expect("a pump"), 0);
    assert!(world.take(&process, "calls", 1).await.is_empty());
    assert_eq!(world.status("calls").await.scheduled, 1);
    world.advance(61).await;
    assert_eq!(world.store.pump().await.expect("a pump"), 1);
    assert_eq!(world.one(&process, "calls").await.claim.run, claimed.claim.run);
}

async fn a_retry_counts_as_an_attempt_and_keeps_its_place(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    for attempts in 0..3 {
        let claimed = world.one(&process, "calls").await;
        assert_eq!((claimed.claim.uuid.as_str(), claimed.attempts), ("a", attempts));
        world.retry_in(&claimed, 1).await;
        world.advance(2).await;
        world.store.pump().await.expect("a pump");
    }
    assert_eq!(uuids(&world.take(&process, "calls", 2).await), ["a", "b"]);
}

async fn a_wait_is_not_an_attempt(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let end = End::Wait { due: world.in_seconds(1), reason: WaitReason::MissingDocument };
    world.finish(&claimed, end).await;
    assert_eq!(world.status("calls").await.scheduled, 1);
    world.advance(2).await;
    world.store.pump().await.expect("a pump");
    assert_eq!(world.one(&process, "calls").await.attempts, 0);
}

async fn waiting_is_counted_from_its_beginning(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let mut began = None::<vconductor_core::clock::Millis>;
    for _ in 0..3 {
        let claimed = world.one(&process, "calls").await;
        // A server's clock goes on between the question and the answer.
        let close = began.zip(claimed.waiting_since).is_none_or(|(began, since)| (since - began).abs() < 900);
        assert!(close && claimed.waiting_since.is_some() == began.is_some(), "{:?}", claimed.waiting_since);
        began = began.or(Some(world.now()));
        let end = End::Wait { due: world.in_seconds(1), reason: WaitReason::MissingDocument };
        world.finish(&claimed, end).await;
        world.advance(2).await;
        world.store.pump().await.expect("a pump");
    }
    let claimed = world.one(&process, "calls").await;
    world.retry_in(&claimed, 0).await;
    world.store.pump().await.expect("a pump");
    assert_eq!(world.one(&process, "calls").await.waiting_since, None, "an attempt ends the waiting");
}

async fn a_scheduled_run_survives_a_restart(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.retry_in(&claimed, 60).await;
    let world = world.restart().await;
    world.advance(61).await;
    world.store.pump().await.expect("a pump");
    let process = world.process().await;
    let again = world.one(&process, "calls").await;
    assert_eq!((again.claim.run, again.attempts), (claimed.claim.run, 1));
}
