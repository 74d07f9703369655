//! Lists, claims and their ordinary ends.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use vconductor_core::store::{Committed, End};

use crate::world::{ALL, World, cases, ending, new_vcon, push, text_of, uuids};

cases![
    claims_are_fifo,
    a_uuid_enqueued_three_times_is_three_runs,
    a_claim_moves_and_an_ack_removes,
    a_released_run_is_back_at_its_old_place,
    an_unacked_claim_survives_a_restart,
    a_missing_document_is_handed_out_as_none,
    a_vcon_can_be_enqueued_before_it_is_stored,
    pushes_go_to_the_tail_of_several_lists_with_duplicates,
    the_producers_context_reaches_the_run,
    commits_are_answered_in_their_order,
    an_ended_claim_cannot_be_ended_again,
    unicode_quotes_and_braces_are_ordinary_names,
    a_claim_that_nobody_waits_for_is_given_back,
    the_doorbell_rings_for_an_ingest,
    the_doorbell_rings_for_another_program,
    the_doorbell_waits_while_nothing_can_be_claimed,
];

async fn claims_are_fifo(world: World) {
    world.put("calls", &["a", "b", "c", "d"]).await;
    let process = world.process().await;
    let first = world.take(&process, "calls", 3).await;
    assert_eq!(uuids(&first), ["a", "b", "c"]);
    assert_eq!(uuids(&world.take(&process, "calls", 3).await), ["d"]);
}

async fn a_uuid_enqueued_three_times_is_three_runs(world: World) {
    world.put("calls", &["a", "a", "a"]).await;
    let process = world.process().await;
    let mut runs = HashSet::new();
    for _ in 0..3 {
        let claimed = world.one(&process, "calls").await;
        assert_eq!(claimed.claim.uuid, "a");
        runs.insert(claimed.claim.run);
        world.finish(&claimed, End::Done).await;
    }
    assert_eq!(runs.len(), 3, "each is a run of its own");
    assert!(world.take(&process, "calls", 1).await.is_empty());
}

async fn a_claim_moves_and_an_ack_removes(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let status = world.status("calls").await;
    assert_eq!((status.waiting, status.claimed), (1, 1));
    world.finish(&claimed, End::Done).await;
    let status = world.status("calls").await;
    assert_eq!((status.waiting, status.claimed), (1, 0));
    assert_eq!(world.document("a").await, Some(text_of("a")), "the document stays");
}

async fn a_released_run_is_back_at_its_old_place(world: World) {
    world.put("calls", &["a", "b", "c", "d"]).await;
    let process = world.process().await;
    let claimed = world.take(&process, "calls", 3).await;
    // In the wrong order on purpose.
    for index in [1, 2, 0] {
        world.finish(&claimed[index], End::Release).await;
    }
    let again = world.take(&process, "calls", 4).await;
    assert_eq!(uuids(&again), ["a", "b", "c", "d"]);
    assert_eq!(again[0].claim.run, claimed[0].claim.run, "it is the same run");
    assert_eq!((again[0].attempts, again[0].crashes), (0, 0));
}

async fn an_unacked_claim_survives_a_restart(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let world = world.restart().await;
    let reaped = world.store.reap().await.expect("a reap");
    assert_eq!(reaped.len(), 1);
    let process = world.process().await;
    let again = world.take(&process, "calls", 2).await;
    assert_eq!(uuids(&again), ["a", "b"]);
    assert_eq!(again[0].claim.run, claimed.claim.run);
}

async fn a_missing_document_is_handed_out_as_none(world: World) {
    world.put("calls", &["a"]).await;
    assert!(world.store.delete(ALL, "a").await.expect("a delete"));
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert_eq!(claimed.stored, None);
    assert_eq!(claimed.waiting_since, None);
}

async fn a_vcon_can_be_enqueued_before_it_is_stored(world: World) {
    let early = vconductor_core::store::NewVcon { document: None, ..new_vcon("a", &["calls"]) };
    world.store.ingest(vec![early]).await.expect("an ingest");
    world.store.ingest(vec![new_vcon("a", &[])]).await.expect("an ingest");
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert_eq!(claimed.stored.expect("a document").document, text_of("a"));
    assert!(world.take(&process, "calls", 1).await.is_empty(), "it was enqueued once");
}

async fn pushes_go_to_the_tail_of_several_lists_with_duplicates(world: World) {
    world.put("calls", &["a"]).await;
    world.put("done", &["z"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let pushes = vec![push("done", "a"), push("audit", "a"), push("done", "a"), push("done", "b")];
    let mut commit = ending(&claimed, End::Done);
    commit.pushes = pushes;
    assert_eq!(world.commit(commit).await, Committed::Done);
    assert_eq!(world.status("done").await.waiting, 4);
    for expected in ["z", "a", "a", "b"] {
        let next = world.one(&process, "done").await;
        assert_eq!(next.claim.uuid, expected);
        world.finish(&next, End::Done).await;
    }
    assert_eq!(uuids(&world.take(&process, "audit", 5).await), ["a"]);
}

async fn the_producers_context_reaches_the_run(world: World) {
    let vcon = vconductor_core::store::NewVcon { context: Some("00-abc".to_owned()), ..new_vcon("a", &["calls"]) };
    world.store.ingest(vec![vcon]).await.expect("an ingest");
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    assert_eq!(claimed.context.as_deref(), Some("00-abc"));
    let mut first = ending(&claimed, End::Continue);
    first.pushes = vec![push("next", "a")];
    assert_eq!(world.commit(first).await, Committed::Done);
    let mut last = ending(&claimed, End::Done);
    last.pushes = vec![push("done", "a")];
    last.context = Some("00-def".to_owned());
    assert_eq!(world.commit(last).await, Committed::Done);
    let done = world.one(&process, "done").await;
    assert_eq!(done.context.as_deref(), Some("00-def"), "the run's own");
    world.finish(&done, End::Done).await;
    assert_eq!(world.one(&process, "next").await.context.as_deref(), Some("00-abc"), "the producer's");
}

async fn commits_are_answered_in_their_order(world: World) {
    world.put("calls", &["a", "b", "c"]).await;
    let process = world.process().await;
    let claimed = world.take(&process, "calls", 3).await;
    world.finish(&claimed[1], End::Done).await;
    let commits = claimed.iter().map(|claimed| ending(claimed, End::Done)).collect();
    let (committed, _) = world.store.exchange(&process, commits, None).await.expect("an exchange");
    assert_eq!(committed, [Committed::Done, Committed::Lost, Committed::Done]);
}

async fn an_ended_claim_cannot_be_ended_again(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.finish(&claimed, End::Release).await;
    let mut late = ending(&claimed, End::Done);
    late.pushes = vec![push("done", "a")];
    assert_eq!(world.commit(late).await, Committed::Lost);
    assert_eq!(world.status("calls").await.waiting, 1);
    assert_eq!(world.status("done").await.waiting, 0);
}

async fn unicode_quotes_and_braces_are_ordinary_names(world: World) {
    let process = world.process().await;
    for list in ["{calls}:x", "o'clock", "\"quoted\"", "Gespräche 📞", "a;DROP TABLE runs;--", "%s{}"] {
        for uuid in ["é-ü-漢字", "'; --", "{uuid}"] {
            world.put(list, &[uuid]).await;
            let claimed = world.one(&process, list).await;
            assert_eq!((claimed.claim.list.as_str(), claimed.claim.uuid.as_str()), (list, uuid));
            assert!(claimed.stored.is_some());
            world.finish(&claimed, End::Done).await;
        }
    }
}

async fn a_claim_that_nobody_waits_for_is_given_back(world: World) {
    let names: Vec<_> = (0..50).map(|index| format!("v{index}")).collect();
    world.put("calls", &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let process = world.process().await;
    for round in 0..50 {
        // Cancelled while the question is on its way, or when the answer is there but nobody has looked.
        let busy = async {
            if round % 2 == 0 {
                std::thread::sleep(Duration::from_millis(3));
            }
        };
        tokio::select! {
            biased;
            claimed = world.take(&process, "calls", 3) => {
                for claimed in claimed {
                    world.finish(&claimed, End::Release).await;
                }
            }
            () = busy => {}
        }
    }
    let start = Instant::now();
    while world.status("calls").await.waiting < 50 {
        assert!(start.elapsed() < Duration::from_secs(10), "claims are lost: {:?}", world.status("calls").await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn the_doorbell_rings_for_an_ingest(world: World) {
    let process = world.process().await;
    assert!(world.take(&process, "calls", 1).await.is_empty());
    let store = world.store.clone();
    let waiting = tokio::spawn(async move {
        let start = Instant::now();
        store.doorbell(&["calls".to_owned()], Duration::from_secs(20)).await;
        start.elapsed()
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.put("calls", &["a"]).await;
    assert!(waiting.await.expect("a wait") < Duration::from_secs(10));
}

async fn the_doorbell_rings_for_another_program(world: World) {
    let process = world.process().await;
    assert!(world.take(&process, "calls", 1).await.is_empty());
    let other = world.another().await;
    other.ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    let start = Instant::now();
    world.store.doorbell(&["calls".to_owned()], Duration::from_secs(20)).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(uuids(&world.take(&process, "calls", 5).await), ["a"]);
}

async fn the_doorbell_waits_while_nothing_can_be_claimed(world: World) {
    let process = world.process().await;
    world.put("calls", &["a"]).await;
    let claimed = world.take(&process, "calls", 5).await;
    assert_eq!(claimed.len(), 1);
    let start = Instant::now();
    // An idle store may ring for nothing now and then, but not all the time.
    for _ in 0..3 {
        world.store.doorbell(&["calls".to_owned()], Duration::from_millis(60)).await;
        world.take(&process, "calls", 5).await;
    }
    assert!(start.elapsed() >= Duration::from_millis(60));
}
