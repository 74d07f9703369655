//! Documents: taking in, reading, deleting, keeping and expiring.

use std::time::Duration;

use bytes::Bytes;
use vconductor_core::store::{Committed, End, NewVcon};

use crate::world::{ALL, World, cases, ending, failure, new_vcon, push};

cases![
    an_ingest_stores_and_enqueues_on_several_lists,
    a_document_is_kept_byte_for_byte,
    a_document_can_be_deleted,
    documents_are_paged_in_order_of_arrival,
    a_listing_does_not_end_silently_at_a_deleted_vcon,
    a_vcon_without_a_keep_stays,
    a_vcon_expires_after_its_last_run,
    a_vcon_without_runs_expires_by_itself,
    nothing_expires_while_a_run_refers_to_it,
    a_push_stops_the_clock,
    a_link_can_change_the_keep,
    a_large_document_comes_back_whole,
];

async fn an_ingest_stores_and_enqueues_on_several_lists(world: World) {
    let vcons = vec![new_vcon("a", &["calls", "chats"]), new_vcon("b", &["chats"]), new_vcon("c", &[])];
    world.store.ingest(vcons).await.expect("an ingest");
    assert_eq!(world.status("calls").await.waiting, 1);
    assert_eq!(world.status("chats").await.waiting, 2);
    for uuid in ["a", "b", "c"] {
        assert!(world.document(uuid).await.is_some());
    }
}

async fn a_document_is_kept_byte_for_byte(world: World) {
    let odd = Bytes::from_static(b"{ \"n\": 1e3,\t\"n\": 1.0, \"\\u00e9\": \"\xc3\xa9\" }\n\n");
    let vcon = NewVcon { document: Some(odd.clone()), ..new_vcon("a", &["calls"]) };
    world.store.ingest(vec![vcon]).await.expect("an ingest");
    assert_eq!(world.store.get(ALL, "a").await.expect("a read").expect("a document").document, odd);
    let process = world.process().await;
    assert_eq!(world.one(&process, "calls").await.stored.expect("a document").document, odd);
}

async fn a_document_can_be_deleted(world: World) {
    world.put("calls", &["a"]).await;
    assert!(world.store.delete(ALL, "a").await.expect("a delete"));
    assert!(!world.store.delete(ALL, "a").await.expect("a delete"));
    assert_eq!(world.document("a").await, None);
    assert_eq!(world.status("calls").await.waiting, 1, "the run finds out by itself");
}

async fn documents_are_paged_in_order_of_arrival(world: World) {
    let arrived = ["m", "z", "a", "k", "b"];
    world.put("calls", &arrived).await;
    world.put("calls", &["m"]).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = world.store.documents(ALL, cursor, 2).await.expect("a page");
        let Some(last) = page.last() else { break };
        cursor = Some(last.clone());
        seen.extend(page);
    }
    assert_eq!(seen, arrived);
}

async fn a_listing_does_not_end_silently_at_a_deleted_vcon(world: World) {
    world.put("calls", &["a", "b", "c"]).await;
    world.store.delete(ALL, "b").await.expect("a delete");
    // A store that can place the cursor goes on, another says that it cannot.
    match world.store.documents(ALL, Some("b".to_owned()), 10).await {
        Ok(page) => assert_eq!(page, ["c"]),
        Err(error) => assert!(error.help_text().is_some()),
    }
}

async fn a_vcon_without_a_keep_stays(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    world.finish(&world.one(&process, "calls").await, End::Done).await;
    world.advance(10_000_000).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 0);
    assert!(world.document("a").await.is_some());
}

async fn a_vcon_expires_after_its_last_run(world: World) {
    world.put_keeping("calls", "a", 100).await;
    let process = world.process().await;
    world.finish(&world.one(&process, "calls").await, End::Done).await;
    world.advance(99).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 0);
    assert!(world.document("a").await.is_some());
    world.advance(2).await;
    assert_eq!(world.document("a").await, None, "also before the sweep");
    assert_eq!(world.store.sweep().await.expect("a sweep"), 1);
    assert!(world.store.documents(ALL, None, 10).await.expect("a page").is_empty());
}

async fn a_vcon_without_runs_expires_by_itself(world: World) {
    let vcon = NewVcon { keep: Some(Duration::from_secs(100)), ..new_vcon("a", &[]) };
    world.store.ingest(vec![vcon]).await.expect("an ingest");
    world.advance(101).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 1);
}

async fn nothing_expires_while_a_run_refers_to_it(world: World) {
    let lists = ["queued", "claimed", "scheduled", "parked", "dead"];
    for list in lists {
        world.put_keeping(list, list, 100).await;
    }
    let process = world.process().await;
    world.one(&process, "claimed").await;
    world.retry_in(&world.one(&process, "scheduled").await, 1_000_000).await;
    world.park(&world.one(&process, "parked").await, "t", 1_000_000).await;
    world.die(&world.one(&process, "dead").await, "DLQ:dead").await;
    world.advance(10_000).await;
    assert!(world.store.renew(&process).expect("a renewal"));
    assert_eq!(world.store.sweep().await.expect("a sweep"), 0);
    for uuid in lists {
        assert!(world.document(uuid).await.is_some(), "{uuid}");
    }
}

async fn a_push_stops_the_clock(world: World) {
    world.put_keeping("calls", "a", 100).await;
    let process = world.process().await;
    let mut commit = ending(&world.one(&process, "calls").await, End::Done);
    commit.pushes = vec![push("done", "a")];
    assert_eq!(world.commit(commit).await, Committed::Done);
    world.advance(1000).await;
    assert!(world.store.renew(&process).expect("a renewal"));
    assert_eq!(world.store.sweep().await.expect("a sweep"), 0);
    world.finish(&world.one(&process, "done").await, End::Done).await;
    world.advance(101).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 1);
}

async fn a_link_can_change_the_keep(world: World) {
    world.put_keeping("calls", "a", 100).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit =
        ending(&claimed, End::Retry { due: world.now(), failure: failure(vconductor_core::Class::Retryable) });
    commit.keep = Some(Duration::from_secs(1000));
    assert_eq!(world.commit(commit).await, Committed::Done);
    world.store.pump().await.expect("a pump");
    world.finish(&world.one(&process, "calls").await, End::Done).await;
    world.advance(900).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 0);
    world.advance(200).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 1);
}

async fn a_large_document_comes_back_whole(world: World) {
    let large = Bytes::from((0..20_000_000_u32).map(|index| (index % 251) as u8).collect::<Vec<_>>());
    let vcon = NewVcon { document: Some(large.clone()), ..new_vcon("a", &["calls"]) };
    world.store.ingest(vec![vcon]).await.expect("an ingest");
    let process = world.process().await;
    assert!(world.one(&process, "calls").await.stored.expect("a document").document == large);
}
