//! Runs that failed for good.

use vconductor_core::store::{Committed, End, dead_letter_queue, storage_dead_letter_queue};

use crate::backend::DEAD_LETTER_KEEP;
use crate::world::{World, cases, ending, failure, ledger, uuids};

cases![
    a_dead_run_lies_in_its_queue_with_reason_and_ledger,
    a_revived_run_goes_on_with_its_ledger_and_a_clean_count,
    a_revived_run_queues_at_the_tail,
    a_run_is_revived_once,
    a_buried_run_is_forgotten,
    dead_letters_are_paged_oldest_first,
    dead_letters_survive_a_restart,
    dead_letters_expire,
];

async fn a_dead_run_lies_in_its_queue_with_reason_and_ledger(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let queue = storage_dead_letter_queue("s3");
    let reason = failure(vconductor_core::Class::Permanent);
    let mut commit = ending(&claimed, End::Dead { queue: queue.clone(), failure: reason.clone() });
    commit.ledger = Some(ledger("support"));
    assert_eq!(world.commit(commit).await, Committed::Done);
    let letters = world.store.dead_letters(&queue, None, 10).await.expect("dead letters");
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.run, letter.uuid.as_str(), letter.list.as_str()), (claimed.claim.run, "a", "calls"));
    assert_eq!((&letter.queue, &letter.failure), (&queue, &reason));
    assert_eq!(letter.ledger, Some(ledger("support")));
    assert!(world.store.dead_letters(&dead_letter_queue("calls"), None, 10).await.expect("none").is_empty());
    assert_eq!(world.status("calls").await.dead, 1);
    assert!(world.take(&process, "calls", 1).await.is_empty());
}

async fn a_revived_run_goes_on_with_its_ledger_and_a_clean_count(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    world.one(&process, "calls").await;
    world.kill_and_reap(&process).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.retry_in(&claimed, 0).await;
    world.store.pump().await.expect("a pump");
    let claimed = world.one(&process, "calls").await;
    assert_eq!((claimed.attempts, claimed.crashes), (1, 1));
    let end = End::Dead { queue: "DLQ:calls".to_owned(), failure: failure(vconductor_core::Class::Permanent) };
    let mut commit = ending(&claimed, end);
    commit.ledger = Some(ledger("support"));
    world.commit(commit).await;
    assert!(world.store.revive(claimed.claim.run).await.expect("a revival"));
    let again = world.one(&process, "calls").await;
    assert_eq!((again.claim.run, again.attempts, again.crashes), (claimed.claim.run, 0, 0));
    assert_eq!(again.ledger, Some(ledger("support")));
    assert_eq!(world.status("calls").await.dead, 0);
}

async fn a_revived_run_queues_at_the_tail(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.die(&claimed, "DLQ:calls").await;
    assert!(world.store.revive(claimed.claim.run).await.expect("a revival"));
    assert_eq!(uuids(&world.take(&process, "calls", 2).await), ["b", "a"]);
}

async fn a_run_is_revived_once(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert!(!world.store.revive(claimed.claim.run).await.expect("a revival"), "it is not dead");
    world.die(&claimed, "DLQ:calls").await;
    assert!(world.store.revive(claimed.claim.run).await.expect("a revival"));
    assert!(!world.store.revive(claimed.claim.run).await.expect("a revival"));
    assert_eq!(world.status("calls").await.waiting, 1);
}

async fn a_buried_run_is_forgotten(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert!(!world.store.bury(claimed.claim.run).await.expect("a burial"), "it is not dead");
    world.die(&claimed, "DLQ:calls").await;
    assert!(world.store.bury(claimed.claim.run).await.expect("a burial"));
    assert!(!world.store.bury(claimed.claim.run).await.expect("a burial"));
    assert!(!world.store.revive(claimed.claim.run).await.expect("a revival"));
    assert!(world.document("a").await.is_some(), "its vCon stays");
}

async fn dead_letters_are_paged_oldest_first(world: World) {
    world.put("calls", &["a", "b", "c", "d", "e"]).await;
    let process = world.process().await;
    for _ in 0..5 {
        let claimed = world.one(&process, "calls").await;
        world.die(&claimed, "DLQ:calls").await;
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = world.store.dead_letters("DLQ:calls", cursor, 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        cursor = Some(last.run);
        seen.extend(page.into_iter().map(|letter| letter.uuid));
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
}

async fn dead_letters_survive_a_restart(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.die(&claimed, "DLQ:calls").await;
    let world = world.restart().await;
    assert_eq!(world.store.dead_letters("DLQ:calls", None, 5).await.expect("letters").len(), 1);
}

async fn dead_letters_expire(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.die(&claimed, "DLQ:calls").await;
    world.advance(DEAD_LETTER_KEEP.as_secs() - 10).await;
    world.store.sweep().await.expect("a sweep");
    assert_eq!(world.status("calls").await.dead, 1);
    world.advance(20).await;
    world.store.sweep().await.expect("a sweep");
    assert_eq!(world.status("calls").await.dead, 0);
}
