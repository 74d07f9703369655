//! What a commit saves, and that it saves all or nothing.

use std::time::Duration;

use bytes::Bytes;
use vconductor_core::store::{Committed, End, Made};

use crate::world::{ALL, World, cases, ending, ledger, push, save, text_of};

cases![
    ledger_and_document_are_saved_together_and_loaded_at_the_next_claim,
    continue_keeps_the_claim,
    an_ack_saves_pushes_and_removes_in_one_step,
    a_save_raises_the_revision,
    a_commit_and_the_next_claim_share_one_step,
    pushes_join_every_end,
    what_a_run_made_is_taken_in_with_its_commit_or_not_at_all,
    what_a_run_made_is_kept_as_long_as_its_own_vcon,
];

async fn ledger_and_document_are_saved_together_and_loaded_at_the_next_claim(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Release);
    commit.save = save("a", "edited", 0);
    commit.ledger = Some(ledger("support"));
    assert_eq!(world.commit(commit).await, Committed::Done);
    let again = world.one(&process, "calls").await;
    assert_eq!(again.ledger, Some(ledger("support")));
    assert_eq!(again.stored.expect("a document").document, "edited");
}

async fn continue_keeps_the_claim(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    world.finish(&claimed, End::Continue).await;
    world.finish(&claimed, End::Continue).await;
    assert_eq!(world.status("calls").await.claimed, 1);
    world.finish(&claimed, End::Done).await;
}

async fn an_ack_saves_pushes_and_removes_in_one_step(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Done);
    commit.save = save("a", "final", 0);
    commit.pushes = vec![push("done", "a")];
    assert_eq!(world.commit(commit).await, Committed::Done);
    let next = world.one(&process, "done").await;
    assert_eq!(next.stored.expect("a document").document, "final");
    assert_eq!(next.ledger, None, "a new run starts without a ledger");
    assert_ne!(next.claim.run, claimed.claim.run);
    assert_eq!(world.status("calls").await.claimed, 0);
}

fn made(uuid: &str, lists: &[&str]) -> Vec<Made> {
    let lists = lists.iter().map(|list| (*list).to_owned()).collect();
    vec![Made { uuid: uuid.to_owned(), document: Bytes::from(text_of(uuid)), lists }]
}

async fn what_a_run_made_is_taken_in_with_its_commit_or_not_at_all(world: World) {
    world.put("calls", &["a"]).await;
    let first = world.process().await;
    let lost = world.one(&first, "calls").await;
    world.kill_and_reap(&first).await;
    let mut late = ending(&lost, End::Done);
    late.made = made("b", &["redacted", "copies"]);
    assert_eq!(world.commit(late).await, Committed::Lost);
    assert_eq!(world.store.get(ALL, "b").await.expect("a read"), None, "a lost commit makes nothing");

    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Continue);
    commit.ledger = Some(ledger("support"));
    commit.made = made("b", &["redacted", "copies"]);
    assert_eq!(world.commit(commit).await, Committed::Done);
    assert_eq!(world.store.get(ALL, "b").await.expect("a read").expect("a document").document, text_of("b"));
    // Each list has a new run of it, which nothing of the first holds up.
    let redacted = world.one(&process, "redacted").await;
    assert_eq!((redacted.claim.uuid.as_str(), redacted.ledger.as_ref()), ("b", None));
    assert_ne!(redacted.claim.run, claimed.claim.run);
    assert_eq!(redacted.stored.as_ref().expect("a document").document, text_of("b"));
    assert_eq!(world.status("copies").await.waiting, 1);
    world.finish(&redacted, End::Done).await;
    world.finish(&claimed, End::Done).await;
    let listed = world.store.documents(ALL, None, 10).await.expect("a page");
    assert_eq!(listed, ["a", "b"]);
}

async fn what_a_run_made_is_kept_as_long_as_its_own_vcon(world: World) {
    world.put_keeping("calls", "a", 60).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Done);
    commit.made = made("b", &[]);
    assert_eq!(world.commit(commit).await, Committed::Done);
    assert!(world.store.get(ALL, "b").await.expect("a read").is_some());
    world.advance(61).await;
    world.store.sweep().await.expect("a sweep");
    for uuid in ["a", "b"] {
        assert_eq!(world.store.get(ALL, uuid).await.expect("a read"), None, "{uuid}");
    }
}

async fn a_save_raises_the_revision(world: World) {
    let before = world.now();
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let first = claimed.stored.as_ref().expect("a document").revision;
    assert!(first >= u64::try_from(before).expect("a time after the epoch"), "not less than the time of the save");
    let mut commit = ending(&claimed, End::Continue);
    commit.save = save("a", "second", 0);
    world.commit(commit.clone()).await;
    let second = world.store.get(ALL, "a").await.expect("a read").expect("a document").revision;
    assert!(second > first);
    commit.save = save("a", "third", second + 1000);
    world.commit(commit).await;
    assert_eq!(world.store.get(ALL, "a").await.expect("a read").expect("a document").revision, second + 1000);
    // Taking the vCon in again does not turn the revision back.
    world.advance(0).await;
    world.put("other", &["a"]).await;
    let stored = world.store.get(ALL, "a").await.expect("a read").expect("a document");
    assert!(stored.revision > second + 1000);
    assert_eq!(stored.document, text_of("a"));
}

async fn a_commit_and_the_next_claim_share_one_step(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let request = crate::world::request(&[("calls", 4, 1)], 4);
    let commits = vec![ending(&claimed, End::Done)];
    let (committed, next) = world.store.exchange(&process, commits, Some(request)).await.expect("an exchange");
    assert_eq!(committed, [Committed::Done]);
    assert_eq!(crate::world::uuids(&next), ["b"]);
}

async fn pushes_join_every_end(world: World) {
    let process = world.process().await;
    let due = world.in_seconds(60);
    let failure = crate::world::failure(vconductor_core::Class::Permanent);
    let ends = [
        End::Continue,
        End::Release,
        End::Retry { due, failure: failure.clone() },
        End::Park { token: "t".to_owned(), until: due },
        End::Dead { queue: "DLQ:calls".to_owned(), failure },
    ];
    for (index, end) in ends.into_iter().enumerate() {
        let uuid = format!("v{index}");
        let list = format!("list{index}");
        world.put(&list, &[&uuid]).await;
        let mut commit = ending(&world.one(&process, &list).await, end);
        commit.pushes = vec![push("copies", &uuid)];
        commit.keep = Some(Duration::from_secs(5));
        assert_eq!(world.commit(commit).await, Committed::Done);
        assert_eq!(world.status("copies").await.waiting, index as u64 + 1);
    }
}
