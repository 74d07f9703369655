//! `PUT /vcon/{uuid}`: nobody overwrites what he has not seen.

use vconductor_core::store::{ClaimRequest, Commit, End, ProcessId, Quota};

use crate::world::{Call, World, cases, uuid, vcon};

cases![only_what_was_seen_is_replaced, a_run_at_work_is_not_disturbed, what_does_not_belong_there_is_refused,];

fn put(number: usize, tag: Option<&str>, body: String) -> Call {
    let call = Call::new("PUT", &format!("/vcon/{}", uuid(number))).body(body);
    match tag {
        Some(tag) => call.header("If-Match", tag),
        None => call,
    }
}

async fn only_what_was_seen_is_replaced(world: World) {
    let server = world.serve().await;
    server.post("/vcon", vcon(&uuid(1))).await;
    let path = format!("/vcon/{}", uuid(1));
    let first = server.get(&path).await.header("etag").expect("a tag").to_owned();
    let changed = vcon(&uuid(1)).replace("1e3", "2e3");
    let replaced = server.ask(put(1, Some(&first), changed.clone())).await;
    assert_eq!((replaced.status.as_u16(), &replaced.text), (200, &changed));
    let second = replaced.header("etag").expect("a tag").to_owned();
    assert_ne!(first, second);
    assert_eq!(server.get(&path).await.header("etag"), Some(second.as_str()));
    assert_eq!(server.ask(put(1, Some(&first), vcon(&uuid(1)))).await.status, 412);
    assert_eq!(server.ask(put(1, None, vcon(&uuid(1)))).await.status, 428);
    assert_eq!(server.ask(put(1, Some("\"x\""), vcon(&uuid(1)))).await.status, 412);
    assert_eq!(server.get(&path).await.text, changed);
    assert_eq!(server.ask(put(1, Some("*"), vcon(&uuid(1)))).await.status, 200);
    assert_eq!(server.ask(put(2, Some("*"), vcon(&uuid(2)))).await.status, 404);
}

async fn a_run_at_work_is_not_disturbed(world: World) {
    let server = world.serve().await;
    server.post("/vcon?ingress_lists=calls", vcon(&uuid(1))).await;
    let process = ProcessId::random();
    world.store.register(&process).await.expect("a process");
    let quotas = vec![Quota { list: "calls".to_owned(), limit: 1, weight: 1 }];
    let request = ClaimRequest { quotas, limit: 1, bytes: 1 << 20 };
    let (_, claimed) = world.store.exchange(&process, Vec::new(), Some(request)).await.expect("an exchange");
    let answer = server.ask(put(1, Some("*"), vcon(&uuid(1)))).await;
    assert!(answer.status == 409 && answer.header("retry-after").is_some(), "{answer:?}");
    let done = Commit::ending(claimed[0].claim.clone(), End::Done);
    world.store.exchange(&process, vec![done], None).await.expect("an exchange");
    assert_eq!(server.ask(put(1, Some("*"), vcon(&uuid(1)))).await.status, 200);
}

async fn what_does_not_belong_there_is_refused(world: World) {
    let server = world.serve().await;
    server.post("/vcon", vcon(&uuid(1))).await;
    assert_eq!(server.ask(put(1, Some("*"), vcon(&uuid(2)))).await.status, 422);
    assert_eq!(server.ask(put(1, Some("*"), "{}".to_owned())).await.status, 422);
    assert_eq!(server.get(&format!("/vcon/{}", uuid(1))).await.text, vcon(&uuid(1)));
}
