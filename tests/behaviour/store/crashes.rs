//! Processes that die, and the fence that keeps them dead.

use std::collections::BTreeSet;

use vconductor_core::Class;
use vconductor_core::store::{Committed, End, ProcessId, dead_letter_queue};

use crate::backend::LEASE;
use crate::world::{World, cases, ending, ledger, push, request, save, text_of, uuids};

cases![
    a_crash_gives_the_claims_back_to_the_head_in_order_and_is_counted,
    a_living_process_is_not_reaped,
    a_silent_process_is_dead_after_its_lease,
    a_renewed_lease_lives_on,
    a_run_is_poison_at_its_third_crash_and_its_neighbours_survive,
    a_run_goes_alone_from_its_second_crash,
    a_run_that_must_go_alone_is_not_starved,
    a_dead_process_changes_nothing,
    a_dead_process_claims_nothing,
    an_unknown_process_claims_nothing,
    a_dead_process_cannot_renew,
    deregistering_gives_back_without_counting,
    a_crash_keeps_ledger_and_document,
];

async fn a_crash_gives_the_claims_back_to_the_head_in_order_and_is_counted(world: World) {
    world.put("calls", &["a", "b", "c", "d"]).await;
    let dead = world.process().await;
    let claimed = world.take(&dead, "calls", 3).await;
    world.kill(&dead).await;
    let reaped = world.store.reap().await.expect("a reap");
    assert_eq!(
        reaped.iter().map(|reaped| reaped.run).collect::<Vec<_>>(),
        [claimed[0].claim.run, claimed[1].claim.run, claimed[2].claim.run]
    );
    assert!(reaped.iter().all(|reaped| reaped.crashes == 1 && !reaped.dead && reaped.process == dead));
    let process = world.process().await;
    let again = world.take(&process, "calls", 4).await;
    assert_eq!(uuids(&again), ["a", "b", "c", "d"]);
    assert_eq!(again.iter().map(|claimed| claimed.crashes).collect::<Vec<_>>(), [1, 1, 1, 0]);
    assert_eq!(again[0].claim.run, claimed[0].claim.run, "it is the same run");
    assert_eq!(again[0].attempts, 0, "a crash is not an attempt");
}

async fn a_living_process_is_not_reaped(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert!(world.store.reap().await.expect("a reap").is_empty());
    world.finish(&claimed, End::Done).await;
}

async fn a_silent_process_is_dead_after_its_lease(world: World) {
    world.put("calls", &["a"]).await;
    let silent = world.process().await;
    world.one(&silent, "calls").await;
    world.advance(LEASE.as_secs() + 1).await;
    assert_eq!(world.store.reap().await.expect("a reap").len(), 1);
    assert_eq!(world.status("calls").await.waiting, 1);
}

async fn a_renewed_lease_lives_on(world: World) {
    let process = world.process().await;
    for _ in 0..5 {
        world.advance(LEASE.as_secs() / 2).await;
        assert!(world.store.renew(&process).expect("a renewal"));
        world.store.reap().await.expect("a reap");
    }
    assert!(world.store.renew(&process).expect("a renewal"));
}

async fn a_run_is_poison_at_its_third_crash_and_its_neighbours_survive(world: World) {
    world.put("calls", &["bad", "b", "c"]).await;
    for _ in 1..=2 {
        let process = world.process().await;
        assert_eq!(world.take(&process, "calls", 3).await.len(), 3);
        world.kill_and_reap(&process).await;
    }
    // From here each runs alone; only the culprit takes its process with it.
    let process = world.process().await;
    let alone = world.take(&process, "calls", 3).await;
    assert_eq!(uuids(&alone), ["bad"]);
    world.kill(&process).await;
    let reaped = world.store.reap().await.expect("a reap");
    assert!(reaped[0].dead && reaped[0].crashes == 3);
    let letters = world.store.dead_letters(&dead_letter_queue("calls"), None, 10).await.expect("dead letters");
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].uuid.as_str(), letters[0].failure.class), ("bad", Class::Poison));
    assert!(letters[0].failure.help.is_some());
    let process = world.process().await;
    for expected in ["b", "c"] {
        let survivor = world.one(&process, "calls").await;
        assert_eq!(survivor.claim.uuid, expected);
        world.finish(&survivor, End::Done).await;
    }
}

/// `bad` has crashed twice, and fresh runs wait behind it and on another list.
async fn twice_crashed(world: &World) -> ProcessId {
    world.put("calls", &["bad"]).await;
    for _ in 0..2 {
        let process = world.process().await;
        world.one(&process, "calls").await;
        world.kill_and_reap(&process).await;
    }
    world.put("calls", &["b"]).await;
    world.put("chats", &["x", "y"]).await;
    world.process().await
}

async fn a_run_goes_alone_from_its_second_crash(world: World) {
    let process = twice_crashed(&world).await;
    let both = request(&[("chats", 9, 1), ("calls", 9, 1)], 9);
    let alone = world.ask(&process, both.clone()).await;
    assert_eq!((uuids(&alone), alone[0].crashes), (vec!["bad"], 2));
    assert!(world.ask(&process, both.clone()).await.is_empty(), "nothing beside it");
    let other = world.process().await;
    assert_eq!(world.take(&other, "chats", 1).await.len(), 1, "other processes go on");
    world.finish(&alone[0], End::Done).await;
    assert_eq!(uuids(&world.ask(&process, both).await).len(), 2);
}

async fn a_run_that_must_go_alone_is_not_starved(world: World) {
    world.put("chats", &["w"]).await;
    let process = {
        world.put("calls", &["bad"]).await;
        for _ in 0..2 {
            let process = world.process().await;
            world.one(&process, "calls").await;
            world.kill_and_reap(&process).await;
        }
        world.process().await
    };
    let busy = world.one(&process, "chats").await;
    world.put("chats", &["x", "y"]).await;
    let both = request(&[("chats", 9, 1), ("calls", 9, 1)], 9);
    assert!(world.ask(&process, both.clone()).await.is_empty(), "it stops claiming until it is idle");
    world.finish(&busy, End::Done).await;
    assert_eq!(uuids(&world.ask(&process, both).await), ["bad"]);
}

async fn a_dead_process_changes_nothing(world: World) {
    world.put("calls", &["a"]).await;
    let zombie = world.process().await;
    let held = world.one(&zombie, "calls").await;
    world.advance(LEASE.as_secs() + 1).await;
    world.store.reap().await.expect("a reap");
    for end in [End::Continue, End::Done, End::Release, End::Park { token: "t".to_owned(), until: i64::MAX }] {
        let mut late = ending(&held, end);
        late.save = save("a", "changed", u64::MAX / 4);
        late.ledger = Some(ledger("late"));
        late.pushes = vec![push("done", "a")];
        assert_eq!(world.commit(late).await, Committed::Lost);
    }
    assert_eq!(world.document("a").await, Some(text_of("a")));
    assert_eq!(world.status("done").await.waiting, 0);
    let process = world.process().await;
    let again = world.one(&process, "calls").await;
    assert_eq!((again.ledger, again.crashes), (None, 1));
    // Not even while its successor holds the run.
    assert_eq!(world.end(&held, End::Done).await, Committed::Lost);
    assert_eq!(world.status("calls").await.claimed, 1);
}

async fn a_dead_process_claims_nothing(world: World) {
    let process = world.process().await;
    world.kill_and_reap(&process).await;
    world.put("calls", &["a"]).await;
    assert!(world.take(&process, "calls", 1).await.is_empty());
}

async fn an_unknown_process_claims_nothing(world: World) {
    world.put("calls", &["a"]).await;
    assert!(world.take(&ProcessId::random(), "calls", 1).await.is_empty());
}

async fn a_dead_process_cannot_renew(world: World) {
    let process = world.process().await;
    world.advance(LEASE.as_secs() + 1).await;
    world.store.reap().await.expect("a reap");
    assert!(!world.store.renew(&process).expect("a renewal"));
}

async fn deregistering_gives_back_without_counting(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let held = world.take(&process, "calls", 2).await;
    world.store.deregister(&process).await.expect("an end");
    assert_eq!(world.end(&held[0], End::Done).await, Committed::Lost);
    assert!(world.store.reap().await.expect("a reap").is_empty());
    let process = world.process().await;
    let again = world.take(&process, "calls", 2).await;
    assert_eq!(uuids(&again), ["a", "b"]);
    assert_eq!(again.iter().map(|claimed| claimed.crashes).collect::<BTreeSet<_>>(), BTreeSet::from([0]));
}

async fn a_crash_keeps_ledger_and_document(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut step = ending(&claimed, End::Continue);
    step.save = save("a", "edited", 0);
    step.ledger = Some(ledger("support"));
    assert_eq!(world.commit(step).await, Committed::Done);
    world.kill_and_reap(&process).await;
    let process = world.process().await;
    let again = world.one(&process, "calls").await;
    assert_eq!(again.ledger, Some(ledger("support")));
    assert_eq!(again.stored.expect("a document").document, "edited");
}
