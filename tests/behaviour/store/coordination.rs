//! Counters, holds and results that conductors share, and what of it a restart finds.

use std::time::Duration;

use bytes::Bytes;
use vconductor_core::Class;
use vconductor_core::store::Hold;

use crate::limits::{about, granted, one, refused, settled};
use crate::world::{ALL, World, cases, new_vcon};

cases![
    a_restart_changes_nothing,
    counters_add_up_and_are_forgotten_when_idle,
    holds_are_replaced_remembered_and_let_go,
    results_are_kept_byte_for_byte_for_a_while,
    large_results_are_kept,
    results_go_with_their_vcon,
    results_go_when_their_vcon_expires,
];

async fn a_restart_changes_nothing(world: World) {
    let wants = [one("requests", 2.0)];
    let ended = granted(&world, &wants).await;
    settled(&world, &ended, &[]).await;
    let flying = granted(&world, &wants).await;
    world.store.add("spent", 1.5, Duration::from_secs(3600)).await.expect("a sum");
    let held = hold(&world, "link:transcribe", 60);
    world.store.hold(&held).await.expect("a hold");
    world.store.keep_result("k", "a", Bytes::from("kept"), Duration::from_secs(600)).await.expect("a result");
    let world = world.restart().await;
    about(refused(&world, &wants).await, 60);
    settled(&world, &flying, &[("requests", 0.0)]).await;
    granted(&world, &wants).await;
    assert_eq!(world.store.add("spent", 1.0, Duration::from_secs(3600)).await.expect("a sum"), 2.5);
    assert_eq!(world.store.holds().await.expect("the holds"), [held]);
    assert_eq!(world.store.result("k").await.expect("a result").as_deref(), Some(&b"kept"[..]));
}

async fn counters_add_up_and_are_forgotten_when_idle(world: World) {
    let keep = Duration::from_secs(100);
    for _ in 0..10 {
        world.store.add("spent:a", 0.1, keep).await.expect("a sum");
    }
    let sum = world.store.add("spent:a", -0.25, keep).await.expect("a sum");
    assert!((sum - 0.75).abs() < 1e-9, "{sum}");
    assert_eq!(world.another().await.add("spent:b", 3.0, keep).await.expect("a sum"), 3.0);
    world.advance(60).await;
    world.store.add("spent:a", 0.0, keep).await.expect("a sum");
    world.advance(60).await;
    let sum = world.store.add("spent:a", 0.25, keep).await.expect("a sum");
    assert!((sum - 1.0).abs() < 1e-9, "its last addition was a minute ago: {sum}");
    assert_eq!(world.store.add("spent:b", 1.0, keep).await.expect("a sum"), 1.0, "nothing was added for two minutes");
    assert_eq!(world.store.add("spent:b", 1e-7, keep).await.expect("a sum"), 1.000_000_1);
}

fn hold(world: &World, what: &str, seconds: i64) -> Hold {
    Hold {
        what: what.to_owned(),
        reason: "the server refuses the key (401)".to_owned(),
        help: Some("set DEEPGRAM_KEY".to_owned()),
        since: world.now(),
        until: world.in_seconds(seconds),
        times: 1,
    }
}

async fn holds_are_replaced_remembered_and_let_go(world: World) {
    let link = hold(&world, "link:transcribe", 10);
    let chain = Hold { help: None, ..hold(&world, "chain:support", 3000) };
    for hold in [&link, &chain] {
        world.store.hold(hold).await.expect("a hold");
    }
    let other = world.another().await;
    assert_eq!(other.holds().await.expect("the holds"), [chain.clone(), link.clone()], "by name");
    let again = Hold { until: world.in_seconds(20), times: 2, ..link };
    other.hold(&again).await.expect("a hold");
    assert_eq!(world.store.holds().await.expect("the holds"), [chain.clone(), again.clone()]);
    world.advance(600).await;
    assert_eq!(world.store.holds().await.expect("the holds"), [chain.clone(), again.clone()], "it tells how often");
    assert!(world.store.release("link:transcribe").await.expect("a release"));
    assert!(!world.store.release("link:transcribe").await.expect("a release"));
    assert!(!world.store.release("link:unheard").await.expect("a release"));
    world.store.hold(&again).await.expect("a hold");
    world.advance(3100).await;
    assert_eq!(world.store.holds().await.expect("the holds"), [chain], "an hour after its time it is forgotten");
    assert!(!world.store.release("link:transcribe").await.expect("a release"));
    world.advance(3600).await;
    world.store.sweep().await.expect("a sweep");
    assert_eq!(world.store.holds().await.expect("the holds"), []);
}

async fn results_are_kept_byte_for_byte_for_a_while(world: World) {
    let keep = Duration::from_secs(100);
    let bytes = Bytes::from_static(b"\0\xff{\"a\": 1e3}\r\n");
    assert_eq!(world.store.result("sha256:1").await.expect("a result"), None);
    world.store.keep_result("sha256:1", "a", bytes.clone(), keep).await.expect("a result");
    world.store.keep_result("sha256:empty", "a", Bytes::new(), keep).await.expect("a result");
    let other = world.another().await;
    assert_eq!(other.result("sha256:1").await.expect("a result"), Some(bytes));
    assert_eq!(other.result("sha256:empty").await.expect("a result"), Some(Bytes::new()));
    world.advance(60).await;
    other.keep_result("sha256:1", "a", Bytes::from("newer"), keep).await.expect("a result");
    world.advance(60).await;
    assert_eq!(world.store.result("sha256:1").await.expect("a result"), Some(Bytes::from("newer")));
    assert_eq!(world.store.result("sha256:empty").await.expect("a result"), None);
    world.advance(60).await;
    world.store.sweep().await.expect("a sweep");
    assert_eq!(world.store.result("sha256:1").await.expect("a result"), None);
}

async fn large_results_are_kept(world: World) {
    let large: Bytes = (0..5_000_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    world.put("calls", &["a"]).await;
    world.store.keep_result("large", "a", large.clone(), Duration::from_secs(600)).await.expect("a result");
    assert_eq!(world.another().await.result("large").await.expect("a result"), Some(large));
    assert!(world.store.delete(ALL, "a").await.expect("a deletion"));
    assert_eq!(world.store.result("large").await.expect("a result"), None);
    let too_large = Bytes::from(vec![0; (256 << 20) + 1]);
    let error = world.store.keep_result("larger", "a", too_large, Duration::from_secs(600)).await;
    assert_eq!(error.expect_err("it is too large").class(), Class::Permanent);
}

async fn results_go_with_their_vcon(world: World) {
    let keep = Duration::from_secs(600);
    world.put("calls", &["a", "b"]).await;
    for (key, uuid) in [("one", "a"), ("two", "a"), ("three", "b"), ("shared", "a"), ("shared", "b")] {
        world.store.keep_result(key, uuid, Bytes::from(uuid), keep).await.expect("a result");
    }
    assert!(world.store.delete(ALL, "a").await.expect("a deletion"));
    for (key, left) in [("one", false), ("two", false), ("three", true), ("shared", true)] {
        assert_eq!(world.store.result(key).await.expect("a result").is_some(), left, "{key}");
    }
    assert!(world.store.delete(ALL, "b").await.expect("a deletion"));
    assert_eq!(world.store.result("shared").await.expect("a result"), None);
}

async fn results_go_when_their_vcon_expires(world: World) {
    let short = vconductor_core::store::NewVcon { keep: Some(Duration::from_secs(60)), ..new_vcon("short", &[]) };
    world.store.ingest(vec![short, new_vcon("long", &[])]).await.expect("an ingest");
    for uuid in ["short", "long"] {
        let kept = world.store.keep_result(uuid, uuid, Bytes::from("text"), Duration::from_secs(7200)).await;
        kept.expect("a result");
    }
    world.advance(61).await;
    world.store.sweep().await.expect("a sweep");
    assert_eq!(world.store.result("short").await.expect("a result"), None);
    assert!(world.store.result("long").await.expect("a result").is_some());
}
