//! Whose vCons are, and that nobody sees, changes or overwrites another's.

use std::time::Duration;

use bytes::Bytes;
use vconductor_core::Class;
use vconductor_core::store::{
    Committed, End, Made, NewVcon, NotTheirs, Once, Replaced, Stored, TenantScope, Term, TermKind, TimeRange,
};

use crate::world::{ALL, World, cases, ending, new_vcon, save, text_of};

cases![
    each_scope_gets_its_own_documents_alone,
    a_document_is_deleted_by_its_own_tenant_alone,
    a_replacement_sees_the_same,
    revisions_are_told_of_ones_own,
    pages_by_arrival_count_ones_own,
    pages_by_time_count_ones_own,
    a_search_finds_ones_own,
    deliveries_of_two_tenants_never_meet,
    what_is_somebody_elses_is_not_overwritten,
    a_refused_batch_stores_nothing,
    only_ones_own_can_be_enqueued,
    a_vcon_stays_its_tenants,
    whose_a_vcon_is_survives_a_restart,
    what_a_run_made_is_of_the_same_tenant,
    after_its_time_nothing_is_left,
    a_deleted_uuid_is_free,
    two_tenants_at_once_are_one_owner,
    an_index_that_is_made_anew_is_the_same_for_a_tenant,
];

fn scope(tenant: &str) -> TenantScope {
    TenantScope::One(tenant.parse().expect("a name"))
}

/// A vCon of a tenant, or of nobody (`-`), of a minute after the epoch.
fn vcon(uuid: &str, tenant: &str, minute: i64) -> NewVcon {
    let text = format!(r#"{{"uuid":"{uuid}","created_at":{},"parties":[{{"tel":"+1"}}]}}"#, minute * 60);
    NewVcon { document: Some(Bytes::from(text)), tenant: scope_of(tenant).tenant().cloned(), ..new_vcon(uuid, &[]) }
}

fn scope_of(tenant: &str) -> TenantScope {
    if tenant == "-" { TenantScope::Everything } else { scope(tenant) }
}

/// Two of `acme`, two of `other`, two of nobody; mixed, so that pages would show it.
async fn mixed(world: &World) {
    for (minute, (uuid, tenant)) in
        [("a1", "acme"), ("o1", "other"), ("n1", "-"), ("a2", "acme"), ("n2", "-"), ("o2", "other")].iter().enumerate()
    {
        let vcon = vcon(uuid, tenant, i64::try_from(minute).expect("a minute"));
        world.store.ingest(vec![vcon]).await.expect("an ingest");
    }
}

async fn get(world: &World, scope: &TenantScope, uuid: &str) -> Option<Stored> {
    world.store.get(scope, uuid).await.expect("a read")
}

async fn by_arrival(world: &World, scope: &TenantScope) -> Vec<String> {
    world.store.documents(scope, None, 100).await.expect("a page")
}

async fn by_time(world: &World, scope: &TenantScope) -> Vec<String> {
    world.store.by_time(scope, TimeRange::default(), 0, 100).await.expect("a page")
}

async fn search(world: &World, scope: &TenantScope) -> Vec<String> {
    let term = Term { kind: TermKind::Tel, value: "+1".to_owned() };
    world.store.search(scope, &[term]).await.expect("a search")
}

/// Refuses for good, and says nothing of what is there.
async fn refused(world: &World, vcons: Vec<NewVcon>) {
    let error = world.store.ingest(vcons).await.expect_err("it is refused");
    assert!(NotTheirs::caused(&error) && error.class() == Class::Permanent, "{error}");
    let told = format!("{} {}", error.chain_text(), error.help_text().expect("what to do"));
    assert!(!told.contains("other") && !told.contains("created_at"), "{told}");
}

async fn each_scope_gets_its_own_documents_alone(world: World) {
    mixed(&world).await;
    for (uuid, tenant) in [("a1", "acme"), ("o1", "other"), ("n1", "-")] {
        assert!(get(&world, ALL, uuid).await.is_some());
        for asking in ["acme", "other", "nobody"] {
            assert_eq!(get(&world, &scope(asking), uuid).await.is_some(), asking == tenant, "{uuid} for {asking}");
        }
    }
    assert_eq!(get(&world, &scope("acme"), "unknown").await, None);
}

async fn a_document_is_deleted_by_its_own_tenant_alone(world: World) {
    mixed(&world).await;
    let delete = async |scope: &TenantScope, uuid| world.store.delete(scope, uuid).await.expect("a delete");
    for uuid in ["o1", "n1", "unknown"] {
        assert!(!delete(&scope("acme"), uuid).await, "{uuid}");
    }
    assert!(get(&world, ALL, "o1").await.is_some() && get(&world, ALL, "n1").await.is_some());
    assert!(delete(&scope("acme"), "a1").await);
    assert!(!delete(&scope("acme"), "a1").await);
    assert_eq!(get(&world, ALL, "a1").await, None);
    assert!(delete(ALL, "a2").await, "the operator deletes whatever there is");
    for left in [by_arrival(&world, &scope("acme")).await, by_time(&world, &scope("acme")).await] {
        assert!(left.is_empty(), "{left:?}");
    }
    assert_eq!(by_time(&world, ALL).await, ["o2", "n2", "n1", "o1"]);
}

async fn a_replacement_sees_the_same(world: World) {
    mixed(&world).await;
    let replace = async |scope: &TenantScope, uuid: &str, expected| {
        let text = format!(r#"{{"uuid":"{uuid}","created_at":6000}}"#);
        world.store.replace(scope, uuid, Bytes::from(text), expected).await.expect("an answer")
    };
    let before = get(&world, ALL, "o1").await;
    for expected in [None, before.as_ref().map(|stored| stored.revision), Some(1)] {
        assert_eq!(replace(&scope("acme"), "o1", expected).await, Replaced::Missing);
    }
    assert_eq!(replace(&scope("acme"), "n1", None).await, Replaced::Missing);
    assert_eq!(get(&world, ALL, "o1").await, before);
    assert!(matches!(replace(&scope("acme"), "a1", None).await, Replaced::Done(_)));
    assert_eq!(by_time(&world, &scope("acme")).await, ["a1", "a2"], "by its new time");
    assert!(matches!(replace(ALL, "a2", None).await, Replaced::Done(_)));
    assert!(get(&world, &scope("acme"), "a2").await.is_some(), "it is still his");
}

async fn revisions_are_told_of_ones_own(world: World) {
    mixed(&world).await;
    let asked = ["a1", "o1", "n1", "a2", "unknown"].map(str::to_owned);
    let told = async |scope: &TenantScope| -> Vec<bool> {
        let told = world.store.revisions(scope, &asked).await.expect("the revisions");
        told.iter().map(Option::is_some).collect()
    };
    assert_eq!(told(&scope("acme")).await, [true, false, false, true, false]);
    assert_eq!(told(ALL).await, [true, true, true, true, false]);
    assert_eq!(told(&scope("nobody")).await, [false; 5]);
}

async fn pages_by_arrival_count_ones_own(world: World) {
    mixed(&world).await;
    for (scope, all) in [(scope("acme"), vec!["a1", "a2"]), (scope("other"), vec!["o1", "o2"])] {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = world.store.documents(&scope, cursor, 1).await.expect("a page");
            let Some(last) = page.last() else { break };
            assert_eq!(page.len(), 1);
            cursor = Some(last.clone());
            seen.extend(page);
        }
        assert_eq!(seen, all);
    }
    assert_eq!(by_arrival(&world, ALL).await, ["a1", "o1", "n1", "a2", "n2", "o2"]);
    assert!(by_arrival(&world, &scope("nobody")).await.is_empty());
    let elsewhere = world.store.documents(&scope("acme"), Some("o1".to_owned()), 9).await;
    assert!(elsewhere.is_err(), "the place of another's vCon tells nothing");
}

async fn pages_by_time_count_ones_own(world: World) {
    mixed(&world).await;
    let acme = scope("acme");
    let page =
        async |range: TimeRange, skip, limit| world.store.by_time(&acme, range, skip, limit).await.expect("a page");
    assert_eq!(page(TimeRange::default(), 0, 10).await, ["a2", "a1"]);
    assert_eq!(page(TimeRange::default(), 0, 1).await, ["a2"]);
    assert_eq!(page(TimeRange::default(), 1, 1).await, ["a1"]);
    assert!(page(TimeRange::default(), 2, 1).await.is_empty());
    assert_eq!(page(TimeRange { since: None, until: Some(179) }, 0, 10).await, ["a1"]);
    assert_eq!(page(TimeRange { since: Some(180), until: Some(180) }, 0, 10).await, ["a2"]);
    assert!(by_time(&world, &scope("nobody")).await.is_empty());
}

async fn a_search_finds_ones_own(world: World) {
    mixed(&world).await;
    assert_eq!(search(&world, &scope("acme")).await, ["a1", "a2"]);
    assert_eq!(search(&world, &scope("other")).await, ["o1", "o2"]);
    assert_eq!(search(&world, ALL).await.len(), 6);
    assert!(search(&world, &scope("nobody")).await.is_empty());
}

async fn deliveries_of_two_tenants_never_meet(world: World) {
    let once = |mark: &str| Once { key: "post:1".to_owned(), mark: mark.to_owned(), keep: Duration::from_secs(60) };
    let post = async |tenant: &str, uuid: &str, mark: &str| {
        let answer = world.store.ingest_once(&scope_of(tenant), &once(mark), vec![vcon(uuid, tenant, 1)]).await;
        answer.expect("an answer")
    };
    for (tenant, uuid) in [("acme", "a"), ("other", "o"), ("-", "n")] {
        assert_eq!(post(tenant, uuid, tenant).await, None, "{tenant}");
    }
    for (tenant, uuid) in [("acme", "a"), ("other", "o"), ("-", "n")] {
        assert_eq!(post(tenant, uuid, "again").await.as_deref(), Some(tenant));
    }
    // What is refused is not remembered as taken in.
    let taken = |uuid: &str| vec![vcon(uuid, "acme", 1)];
    let key = |text: &str| Once { key: text.to_owned(), ..once("x") };
    let error = world.store.ingest_once(&scope("acme"), &key("post:2"), taken("o")).await.expect_err("it is refused");
    assert!(NotTheirs::caused(&error), "{error}");
    assert_eq!(world.store.ingest_once(&scope("acme"), &key("post:2"), taken("b")).await.expect("an answer"), None);
}

async fn what_is_somebody_elses_is_not_overwritten(world: World) {
    mixed(&world).await;
    let before = (get(&world, ALL, "o1").await, get(&world, ALL, "n1").await);
    for uuid in ["o1", "n1"] {
        refused(&world, vec![NewVcon { lists: vec!["calls".to_owned()], ..vcon(uuid, "acme", 77) }]).await;
    }
    assert_eq!((get(&world, ALL, "o1").await, get(&world, ALL, "n1").await), before);
    assert_eq!(world.status("calls").await.waiting, 0);
    // His own he may give again.
    world.store.ingest(vec![vcon("a1", "acme", 77)]).await.expect("an ingest");
    assert_eq!(by_time(&world, &scope("acme")).await, ["a1", "a2"]);
}

async fn a_refused_batch_stores_nothing(world: World) {
    mixed(&world).await;
    refused(&world, vec![vcon("new", "acme", 1), vcon("o1", "acme", 1)]).await;
    refused(&world, vec![vcon("new", "other", 1), vcon("new", "acme", 1)]).await;
    refused(&world, vec![vcon("new", "-", 1), vcon("new", "acme", 1)]).await;
    assert_eq!(get(&world, ALL, "new").await, None);
    let several = vec![vcon("b", "acme", 1), vcon("c", "other", 1), vcon("d", "-", 1)];
    world.store.ingest(several).await.expect("different vCons of different tenants");
    assert!(get(&world, &scope("other"), "c").await.is_some() && get(&world, &scope("acme"), "d").await.is_none());
}

async fn only_ones_own_can_be_enqueued(world: World) {
    mixed(&world).await;
    let enqueue = |uuid: &str| NewVcon { document: None, lists: vec!["calls".to_owned()], ..vcon(uuid, "acme", 1) };
    for uuid in ["o1", "n1", "unknown"] {
        refused(&world, vec![enqueue("a1"), enqueue(uuid)]).await;
    }
    assert_eq!(world.status("calls").await.waiting, 0);
    world.store.ingest(vec![enqueue("a1")]).await.expect("an ingest");
    assert_eq!(world.status("calls").await.waiting, 1);
}

async fn a_vcon_stays_its_tenants(world: World) {
    let first = NewVcon { lists: vec!["calls".to_owned()], ..vcon("a", "acme", 1) };
    world.store.ingest(vec![first]).await.expect("an ingest");
    world.store.ingest(vec![new_vcon("a", &["calls"]), new_vcon("n", &[])]).await.expect("the operator's ingest");
    assert!(get(&world, &scope("acme"), "a").await.is_some(), "after an ingest without tenant");
    let process = world.process().await;
    let claimed = world.one(&process, "calls").await;
    let mut commit = ending(&claimed, End::Done);
    commit.save = save("a", r#"{"uuid":"a","edited":true}"#, 0);
    assert_eq!(world.commit(commit).await, Committed::Done);
    let stored = get(&world, &scope("acme"), "a").await.expect("after a commit");
    assert!(stored.document.ends_with(b"true}"));
    assert!(get(&world, &scope("other"), "a").await.is_none());
    // What nobody's was stays nobody's.
    refused(&world, vec![vcon("n", "acme", 1)]).await;
    world.store.ingest(vec![new_vcon("n", &[])]).await.expect("an ingest");
    assert!(get(&world, &scope("acme"), "n").await.is_none());
}

async fn whose_a_vcon_is_survives_a_restart(world: World) {
    mixed(&world).await;
    let world = world.restart().await;
    assert!(get(&world, &scope("acme"), "a1").await.is_some());
    assert_eq!(get(&world, &scope("acme"), "o1").await, None);
    assert_eq!(by_arrival(&world, &scope("acme")).await, ["a1", "a2"]);
    refused(&world, vec![vcon("o1", "acme", 1)]).await;
}

async fn what_a_run_made_is_of_the_same_tenant(world: World) {
    mixed(&world).await;
    let lists = |vcon: NewVcon| NewVcon { lists: vec!["calls".to_owned()], ..vcon };
    world.store.ingest(vec![lists(vcon("a", "acme", 1)), lists(vcon("n", "-", 1))]).await.expect("an ingest");
    let process = world.process().await;
    for uuids in [["made-1", "o1"], ["made-2", "a1"]] {
        let mut commit = ending(&world.one(&process, "calls").await, End::Done);
        let made = |uuid: &str| {
            let document = Bytes::from(text_of(uuid));
            Made { uuid: uuid.to_owned(), document, lists: vec!["copies".to_owned()] }
        };
        commit.made = uuids.iter().map(|uuid| made(uuid)).collect();
        assert_eq!(world.commit(commit).await, Committed::Done);
    }
    assert_eq!(world.status("copies").await.waiting, 4);
    assert!(get(&world, &scope("acme"), "made-1").await.is_some());
    assert!(get(&world, &scope("acme"), "made-2").await.is_none());
    assert!(get(&world, &scope("other"), "o1").await.is_some(), "what was there stays whose it was");
    assert!(get(&world, &scope("acme"), "a1").await.is_some());
    assert_eq!(by_arrival(&world, &scope("acme")).await, ["a1", "a2", "a", "made-1"]);
}

async fn after_its_time_nothing_is_left(world: World) {
    let brief = |tenant| NewVcon { keep: Some(Duration::from_secs(100)), ..vcon("a", tenant, 1) };
    world.store.ingest(vec![brief("acme")]).await.expect("an ingest");
    world.advance(101).await;
    assert_eq!(get(&world, &scope("acme"), "a").await, None);
    // Its uuid is free, swept or not.
    world.store.ingest(vec![brief("other")]).await.expect("an ingest");
    assert!(get(&world, &scope("other"), "a").await.is_some() && get(&world, &scope("acme"), "a").await.is_none());
    for list in [by_arrival(&world, &scope("acme")).await, by_time(&world, &scope("acme")).await] {
        assert!(list.is_empty(), "{list:?}");
    }
    world.advance(101).await;
    assert_eq!(world.store.sweep().await.expect("a sweep"), 1);
    for list in [by_arrival(&world, &scope("other")).await, by_time(&world, &scope("other")).await] {
        assert!(list.is_empty(), "{list:?}");
    }
    world.store.ingest(vec![vcon("a", "-", 1)]).await.expect("an ingest");
    assert!(get(&world, &scope("other"), "a").await.is_none() && get(&world, &scope("acme"), "a").await.is_none());
}

async fn a_deleted_uuid_is_free(world: World) {
    mixed(&world).await;
    world.store.delete(ALL, "o1").await.expect("a delete");
    world.store.ingest(vec![vcon("o1", "acme", 9)]).await.expect("an ingest");
    assert_eq!(by_time(&world, &scope("acme")).await, ["o1", "a2", "a1"]);
    assert_eq!(by_arrival(&world, &scope("other")).await, ["o2"]);
    world.store.delete(&scope("acme"), "o1").await.expect("a delete");
    world.store.ingest(vec![new_vcon("o1", &[])]).await.expect("an ingest");
    assert!(get(&world, &scope("acme"), "o1").await.is_none() && get(&world, &scope("other"), "o1").await.is_none());
}

async fn two_tenants_at_once_are_one_owner(world: World) {
    let another = world.another().await;
    for round in 0..20 {
        let uuid = format!("v{round}");
        let posts = ["acme", "other", "acme", "-"].map(|tenant| {
            let store = if tenant == "acme" { world.store.clone() } else { another.clone() };
            let vcon = vcon(&uuid, tenant, 1);
            tokio::spawn(async move { (tenant, store.ingest(vec![vcon]).await.is_ok()) })
        });
        let mut taken = Vec::new();
        for post in posts {
            taken.push(post.await.expect("no panic"));
        }
        let may = |tenant: &str| taken.contains(&(tenant, true));
        assert!(may("-"), "the operator's is never refused");
        assert!(!(may("acme") && may("other")), "{taken:?}");
        for tenant in ["acme", "other"] {
            assert_eq!(get(&world, &scope(tenant), &uuid).await.is_some(), may(tenant), "{taken:?}");
        }
    }
}

async fn an_index_that_is_made_anew_is_the_same_for_a_tenant(world: World) {
    mixed(&world).await;
    world.store.reindex().await.expect("an index");
    assert_eq!(by_time(&world, &scope("acme")).await, ["a2", "a1"]);
    assert_eq!(search(&world, &scope("acme")).await, ["a1", "a2"]);
    assert_eq!(by_arrival(&world, &scope("acme")).await, ["a1", "a2"]);
}
