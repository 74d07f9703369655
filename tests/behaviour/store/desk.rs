//! What an operator looks at closely and moves by hand.

use vconductor_core::Class;
use vconductor_core::run::{RunId, Stage, StepKey};
use vconductor_core::store::{
    DeadLetter, DeadLetterQueue, End, Resumption, Revival, WaitReason, storage_dead_letter_queue,
};

use crate::world::{World, cases, ending, failure, ledger, uuids};

cases![
    standing_names_holders_and_what_runs_wait_for,
    peek_shows_the_head_and_touches_nothing,
    a_transfer_keeps_order_and_takes_no_more_than_asked,
    a_run_that_has_begun_is_not_transferred,
    dead_letter_queues_are_counted,
    a_revival_may_change_the_ledger,
    a_revival_may_change_the_list,
    a_revival_may_be_a_new_run,
    a_letter_that_is_out_of_date_revives_nothing,
    a_resumption_is_kept_for_a_parked_step_only,
];

async fn standing_names_holders_and_what_runs_wait_for(world: World) {
    world.put("calls", &["a", "b", "c", "d", "e"]).await;
    world.put("chats", &["z"]).await;
    let (one, other) = (world.process().await, world.process().await);
    for reason in [WaitReason::MissingDocument, WaitReason::Storage] {
        let due = world.in_seconds(60);
        world.finish(&world.one(&one, "calls").await, End::Wait { due, reason }).await;
    }
    assert_eq!(world.take(&one, "calls", 2).await.len(), 2);
    assert_eq!(world.take(&other, "calls", 1).await.len(), 1);
    world.put("calls", &["e"]).await;
    assert!(world.take(&one, "calls", 9).await.is_empty(), "another run writes e");
    let standing = world.store.standing("calls").await.expect("a standing");
    let mut expected = [(one.clone(), 2), (other.clone(), 1)];
    expected.sort();
    let holders: Vec<_> = standing.holders.iter().map(|holder| (holder.process.clone(), holder.runs)).collect();
    assert_eq!(holders, expected);
    assert!(standing.holders.iter().all(|holder| holder.lease_until.is_some_and(|until| until > world.now())));
    let waits: Vec<_> = standing.waits.iter().map(|waits| (waits.reason, waits.runs)).collect();
    assert_eq!(waits, [(WaitReason::Writer, 1), (WaitReason::MissingDocument, 1), (WaitReason::Storage, 1)]);
    assert_eq!(world.store.standing("chats").await.expect("a standing"), vconductor_core::store::Standing::default());
}

async fn peek_shows_the_head_and_touches_nothing(world: World) {
    world.put("calls", &["a", "b", "c"]).await;
    let process = world.process().await;
    world.retry_in(&world.one(&process, "calls").await, 0).await;
    world.store.pump().await.expect("a pump");
    let head = world.store.peek("calls", 2).await.expect("a peek");
    let shown: Vec<_> = head.iter().map(|queued| (queued.uuid.as_str(), queued.attempts)).collect();
    assert_eq!(shown, [("a", 1), ("b", 0)]);
    assert!(head[0].run.is_some(), "it has begun");
    assert!(head.iter().all(|queued| queued.enqueued_at.is_none_or(|at| at <= world.now())));
    assert!(world.store.peek("chats", 2).await.expect("a peek").is_empty());
    assert_eq!(uuids(&world.take(&process, "calls", 9).await), ["a", "b", "c"]);
}

async fn a_transfer_keeps_order_and_takes_no_more_than_asked(world: World) {
    world.put("calls", &["a", "b", "b", "c"]).await;
    world.put("chats", &["z"]).await;
    assert_eq!(world.store.transfer("calls", "chats", 3).await.expect("a transfer"), 3);
    assert_eq!((world.status("calls").await.waiting, world.status("chats").await.waiting), (1, 4));
    assert_eq!(world.store.transfer("none", "chats", 3).await.expect("a transfer"), 0);
    let shown: Vec<_> = world.store.peek("chats", 9).await.expect("a peek").into_iter().map(|run| run.uuid).collect();
    assert_eq!(shown, ["z", "a", "b", "b"]);
    let process = world.process().await;
    assert_eq!(uuids(&world.take(&process, "chats", 9).await), ["z", "a", "b"], "the second b waits for its writer");
    assert_eq!(uuids(&world.take(&process, "calls", 9).await), ["c"]);
}

async fn a_run_that_has_begun_is_not_transferred(world: World) {
    world.put("calls", &["a", "b", "c", "d"]).await;
    let process = world.process().await;
    world.retry_in(&world.one(&process, "calls").await, 0).await;
    let revived = world.one(&process, "calls").await;
    let mut commit = ending(&revived, End::Dead { queue: "DLQ:calls".to_owned(), failure: failure(Class::Permanent) });
    commit.ledger = Some(ledger("support"));
    world.commit(commit).await;
    world.store.pump().await.expect("a pump");
    assert!(world.store.revive(revived.claim.run).await.expect("a revival"));
    assert_eq!(world.store.transfer("calls", "chats", 9).await.expect("a transfer"), 2);
    assert_eq!(uuids(&world.take(&process, "chats", 9).await), ["c", "d"]);
    let stayed = world.take(&process, "calls", 9).await;
    assert_eq!(uuids(&stayed), ["a", "b"]);
    assert_eq!((stayed[1].claim.run, &stayed[1].ledger), (revived.claim.run, &Some(ledger("support"))));
}

async fn dead_letter_queues_are_counted(world: World) {
    assert!(world.store.dead_letter_queues().await.expect("queues").is_empty());
    world.put("calls", &["a", "b", "c"]).await;
    let process = world.process().await;
    for queue in ["DLQ:calls", "DLQ:calls", &storage_dead_letter_queue("files")] {
        world.die(&world.one(&process, "calls").await, queue).await;
    }
    let count = |queue: &str, letters| DeadLetterQueue { queue: queue.to_owned(), letters };
    let found = world.store.dead_letter_queues().await.expect("queues");
    assert_eq!(found, [count("DLQ:calls", 2), count("DLQ:storage:files", 1)]);
    for letter in world.store.dead_letters("DLQ:calls", None, 9).await.expect("letters") {
        assert!(world.store.bury(letter.run).await.expect("a burial"));
    }
    assert_eq!(world.store.dead_letter_queues().await.expect("queues"), [count("DLQ:storage:files", 1)]);
}

/// A run of `uuid` that died in `DLQ:calls` at stage storages.
async fn dead(world: &World, uuid: &str) -> DeadLetter {
    world.put("calls", &[uuid]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Dead { queue: "DLQ:calls".to_owned(), failure: failure(Class::Permanent) });
    let mut ledger = ledger("support");
    ledger.stage = Stage::Storages;
    commit.ledger = Some(ledger);
    world.commit(commit).await;
    let letters = world.store.dead_letters("DLQ:calls", None, 9).await.expect("letters");
    letters.into_iter().find(|letter| letter.run == claimed.claim.run).expect("a letter")
}

async fn a_revival_may_change_the_ledger(world: World) {
    let letter = dead(&world, "a").await;
    let revival = Revival { run: letter.run, list: "calls".to_owned(), ledger: Some(ledger("support")) };
    assert!(world.store.revive_as(&letter, revival.clone()).await.expect("a revival"));
    assert!(!world.store.revive_as(&letter, revival).await.expect("a revival"), "it is not dead any more");
    let again = world.one(&world.process().await, "calls").await;
    assert_eq!((again.claim.run, again.attempts), (letter.run, 0));
    assert_eq!(again.ledger, Some(ledger("support")));
    assert!(world.store.dead_letter_queues().await.expect("queues").is_empty());
}

async fn a_revival_may_change_the_list(world: World) {
    let letter = dead(&world, "a").await;
    world.put("chats", &["z"]).await;
    let revival = Revival { run: letter.run, list: "chats".to_owned(), ledger: letter.ledger.clone() };
    assert!(world.store.revive_as(&letter, revival).await.expect("a revival"));
    assert_eq!((world.status("calls").await.dead, world.status("calls").await.waiting), (0, 0));
    let process = world.process().await;
    let claimed = world.take(&process, "chats", 9).await;
    assert_eq!(uuids(&claimed), ["z", "a"]);
    assert_eq!((claimed[1].claim.run, &claimed[1].ledger), (letter.run, &letter.ledger));
    world.die(&claimed[1], "DLQ:chats").await;
    let letters = world.store.dead_letters("DLQ:chats", None, 9).await.expect("letters");
    assert_eq!((letters[0].run, letters[0].list.as_str()), (letter.run, "chats"));
}

async fn a_revival_may_be_a_new_run(world: World) {
    let letter = dead(&world, "a").await;
    let new = RunId::new();
    let revival = Revival { run: new, list: "calls".to_owned(), ledger: None };
    assert!(world.store.revive_as(&letter, revival).await.expect("a revival"));
    let again = world.one(&world.process().await, "calls").await;
    assert_eq!((again.claim.run, again.ledger.as_ref()), (new, None));
    assert!(!world.store.revive(letter.run).await.expect("a revival"), "the old run is gone");
}

async fn a_letter_that_is_out_of_date_revives_nothing(world: World) {
    let letter = dead(&world, "a").await;
    assert!(world.store.revive(letter.run).await.expect("a revival"));
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut later = failure(Class::Permanent);
    later.at = letter.failure.at + 5000;
    world.finish(&claimed, End::Dead { queue: "DLQ:calls".to_owned(), failure: later }).await;
    let revival = Revival { run: letter.run, list: "calls".to_owned(), ledger: None };
    assert!(!world.store.revive_as(&letter, revival).await.expect("a refusal"));
    assert_eq!(world.status("calls").await.dead, 1);
}

async fn a_resumption_is_kept_for_a_parked_step_only(world: World) {
    for parked in [true, false] {
        world.put("calls", &["a"]).await;
        let process = world.process().await;
        world.park(&world.one(&process, "calls").await, "t", 60).await;
        assert!(world.store.resume("t", serde_json::json!(7)).await.expect("a resumption"));
        let claimed = world.one(&process, "calls").await;
        world.die(&claimed, "DLQ:calls").await;
        let letter = world.store.dead_letters("DLQ:calls", None, 1).await.expect("letters").remove(0);
        let mut ledger = ledger("support");
        let key = StepKey { link: "transcribe".to_owned(), occurrence: 0, options: "o".to_owned() };
        ledger.parked = parked.then_some(key);
        let revival = Revival { run: letter.run, list: "calls".to_owned(), ledger: Some(ledger) };
        assert!(world.store.revive_as(&letter, revival).await.expect("a revival"));
        let again = world.one(&process, "calls").await;
        assert_eq!(again.resumption, parked.then(|| Resumption::Called(serde_json::json!(7))));
        world.finish(&again, End::Done).await;
    }
}
