//! Taking in once, replacing with a check of the revision, finding by time and by party.

use std::time::Duration;

use bytes::Bytes;
use vconductor_core::store::{End, NewVcon, Once, Replaced, Term, TermKind, TimeRange};

use crate::world::{ALL, World, cases, new_vcon, text_of};

cases![
    a_repeated_delivery_is_taken_in_once,
    a_delivery_is_forgotten_after_its_time,
    two_deliveries_at_once_are_one,
    a_replacement_wants_the_revision_it_saw,
    a_replacement_waits_for_the_run_that_holds_the_document,
    a_replacement_keeps_the_time_to_live,
    revisions_are_told_without_documents,
    vcons_are_listed_by_their_time_newest_first,
    vcons_are_found_by_what_their_parties_have,
    an_index_that_is_made_anew_finds_the_same,
];

fn once(key: &str, mark: &str) -> Once {
    Once { key: key.to_owned(), mark: mark.to_owned(), keep: Duration::from_secs(100) }
}

fn document(uuid: &str, created_at: &str, parties: &str) -> NewVcon {
    let text = format!(r#"{{"uuid":"{uuid}","created_at":"{created_at}","parties":{parties}}}"#);
    NewVcon { document: Some(Bytes::from(text)), ..new_vcon(uuid, &[]) }
}

fn term(kind: TermKind, value: &str) -> Term {
    Term { kind, value: value.to_owned() }
}

async fn a_repeated_delivery_is_taken_in_once(world: World) {
    let deliver = |mark: &'static str, uuid: &'static str| {
        let (store, once) = (world.store.clone(), once("post:1", mark));
        async move { store.ingest_once(ALL, &once, vec![new_vcon(uuid, &["calls"])]).await.expect("an answer") }
    };
    assert_eq!(deliver("first", "a").await, None);
    assert_eq!(deliver("second", "b").await.as_deref(), Some("first"));
    assert_eq!(world.status("calls").await.waiting, 1);
    assert_eq!(world.document("b").await, None, "nothing was done");
    let other = world.another().await;
    let again = other.ingest_once(ALL, &once("post:1", "third"), vec![new_vcon("a", &["calls"])]).await;
    assert_eq!(again.expect("an answer").as_deref(), Some("first"), "another handle knows it, too");
    assert_eq!(
        other.ingest_once(ALL, &once("post:2", "x"), vec![new_vcon("c", &["calls"])]).await.expect("an answer"),
        None
    );
    assert_eq!(world.status("calls").await.waiting, 2);
}

async fn a_delivery_is_forgotten_after_its_time(world: World) {
    let forgotten = Once { keep: Duration::from_millis(1), ..once("post:1", "first") };
    assert_eq!(
        world.store.ingest_once(ALL, &forgotten, vec![new_vcon("a", &["calls"])]).await.expect("an answer"),
        None
    );
    world.advance(2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    world.store.sweep().await.expect("a sweep");
    let again = world.store.ingest_once(ALL, &once("post:1", "second"), vec![new_vcon("a", &["calls"])]).await;
    assert_eq!(again.expect("an answer"), None);
    assert_eq!(world.status("calls").await.waiting, 2);
}

async fn two_deliveries_at_once_are_one(world: World) {
    let other = world.another().await;
    let mut deliveries = Vec::new();
    for number in 0..20 {
        let store = if number % 2 == 0 { world.store.clone() } else { other.clone() };
        deliveries.push(tokio::spawn(async move {
            let once = once("post:1", &number.to_string());
            store.ingest_once(ALL, &once, vec![new_vcon("a", &["calls"])]).await.expect("an answer")
        }));
    }
    let mut taken = 0;
    for delivery in deliveries {
        taken += usize::from(delivery.await.expect("a delivery ends").is_none());
    }
    assert_eq!((taken, world.status("calls").await.waiting), (1, 1));
}

async fn a_replacement_wants_the_revision_it_saw(world: World) {
    world.store.ingest(vec![new_vcon("a", &[])]).await.expect("an ingest");
    let seen = world.store.get(ALL, "a").await.expect("a read").expect("a document").revision;
    let replace = |text: &'static str, expected: Option<u64>| {
        let store = world.store.clone();
        async move { store.replace(ALL, "a", Bytes::from_static(text.as_bytes()), expected).await.expect("an answer") }
    };
    let Replaced::Done(next) = replace(r#"{"uuid":"a","n":1}"#, Some(seen)).await else {
        panic!("it was not replaced")
    };
    assert!(next > seen);
    assert_eq!(replace(r#"{"uuid":"a","n":2}"#, Some(seen)).await, Replaced::Changed(next));
    assert_eq!(world.document("a").await.as_deref(), Some(r#"{"uuid":"a","n":1}"#));
    assert!(matches!(replace(r#"{"uuid":"a","n":3}"#, None).await, Replaced::Done(last) if last > next));
    let missing = world.store.replace(ALL, "b", Bytes::from_static(b"{}"), None).await.expect("an answer");
    assert_eq!(missing, Replaced::Missing);
}

async fn a_replacement_waits_for_the_run_that_holds_the_document(world: World) {
    world.put("calls", &["a"]).await;
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let replace = async || world.store.replace(ALL, "a", Bytes::from(text_of("a")), None).await.expect("an answer");
    assert_eq!(replace().await, Replaced::Busy);
    world.finish(&claimed, End::Done).await;
    assert!(matches!(replace().await, Replaced::Done(_)));
}

async fn a_replacement_keeps_the_time_to_live(world: World) {
    let vcon = NewVcon { keep: Some(Duration::from_secs(100)), ..new_vcon("a", &[]) };
    world.store.ingest(vec![vcon]).await.expect("an ingest");
    let replaced = world.store.replace(ALL, "a", Bytes::from(text_of("a")), None).await.expect("an answer");
    assert!(matches!(replaced, Replaced::Done(_)));
    world.advance(101).await;
    assert_eq!(world.document("a").await, None);
}

async fn revisions_are_told_without_documents(world: World) {
    world.put("calls", &["a", "b"]).await;
    let asked = ["a", "unknown", "b"].map(str::to_owned);
    let told = world.store.revisions(ALL, &asked).await.expect("the revisions");
    let read = world.store.get(ALL, "a").await.expect("a read").expect("a document").revision;
    assert_eq!(told[0], Some(read));
    assert_eq!((told[1], told[2].is_some()), (None, true));
    assert!(world.store.revisions(ALL, &[]).await.expect("the revisions").is_empty());
}

async fn vcons_are_listed_by_their_time_newest_first(world: World) {
    let vcons = vec![
        document("b", "2026-01-02T00:00:00Z", "[]"),
        document("a", "2026-01-01T00:00:00Z", "[]"),
        document("c", "2026-01-03T00:00:00+00:00", "[]"),
    ];
    world.store.ingest(vcons).await.expect("an ingest");
    let list =
        async |range: TimeRange, skip, limit| world.store.by_time(ALL, range, skip, limit).await.expect("a page");
    assert_eq!(list(TimeRange::default(), 0, 10).await, ["c", "b", "a"]);
    assert_eq!(list(TimeRange::default(), 1, 1).await, ["b"]);
    let second = 1_767_312_000;
    assert_eq!(list(TimeRange { since: Some(second), until: Some(second) }, 0, 10).await, ["b"]);
    assert_eq!(list(TimeRange { since: Some(second + 1), until: None }, 0, 10).await, ["c"]);
    assert_eq!(list(TimeRange { since: None, until: Some(second - 1) }, 0, 10).await, ["a"]);
    world.store.delete(ALL, "c").await.expect("a delete");
    assert_eq!(list(TimeRange::default(), 0, 10).await, ["b", "a"]);
}

async fn vcons_are_found_by_what_their_parties_have(world: World) {
    let vcons = vec![
        document("a", "2026-01-01", r#"[{"tel":"+1","name":"Ann"},{"mailto":"bob@example.com"}]"#),
        document("b", "2026-01-01", r#"[{"tel":"+1"},{"name":"Bob"}]"#),
    ];
    world.store.ingest(vcons).await.expect("an ingest");
    let search = async |terms: &[Term]| world.store.search(ALL, terms).await.expect("a search");
    let tel = term(TermKind::Tel, "+1");
    assert_eq!(search(std::slice::from_ref(&tel)).await, ["a", "b"]);
    assert_eq!(search(&[tel.clone(), term(TermKind::Name, "Ann")]).await, ["a"]);
    assert_eq!(
        search(&[tel.clone(), term(TermKind::Mailto, "bob@example.com"), term(TermKind::Name, "Ann")]).await,
        ["a"]
    );
    assert!(search(&[tel, term(TermKind::Name, "nobody")]).await.is_empty(), "a term without hits finds nothing");
    assert!(search(&[term(TermKind::Tel, "+")]).await.is_empty(), "no part of a value");
    assert!(search(&[]).await.is_empty());
}

async fn an_index_that_is_made_anew_finds_the_same(world: World) {
    let vcons = (0..450).map(|number| {
        document(&format!("vcon-{number:03}"), "2026-01-01", &format!(r#"[{{"tel":"+{}"}}]"#, number % 2))
    });
    world.store.ingest(vcons.collect()).await.expect("an ingest");
    let search = async || world.store.search(ALL, &[term(TermKind::Tel, "+1")]).await.expect("a search");
    let found = search().await;
    assert_eq!(found.len(), 225);
    assert_eq!(world.store.reindex().await.expect("an index"), 450);
    assert_eq!(search().await, found);
    assert_eq!(world.store.by_time(ALL, TimeRange::default(), 0, 1000).await.expect("a page").len(), 450);
}
