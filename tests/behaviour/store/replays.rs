//! Commands that are stopped and go on: cursors, runs that begin with a ledger, and runs that are taken off a list.

use std::time::Duration;

use vconductor_core::run::{Deviation, Ledger};
use vconductor_core::store::{Advance, End, NewVcon, Retaken};

use crate::world::{World, cases, new_vcon, uuids};

cases![
    a_cursor_moves_in_one_step_with_what_it_enqueues,
    a_cursor_that_is_elsewhere_stops_the_step,
    one_of_many_moves_from_one_place_is_made,
    a_cursor_is_forgotten_after_its_time,
    a_run_begins_with_its_ledger_and_keeps_it,
    waiting_runs_are_taken_off_their_list_once,
    a_run_that_has_begun_stays_on_its_list,
    runs_may_begin_anew_on_their_own_list,
];

fn step(from: Option<&str>, to: &str) -> Advance {
    let name = "export".to_owned();
    Advance { name, from: from.map(str::to_owned), to: to.to_owned(), keep: Duration::from_secs(100) }
}

fn skipping(link: &str) -> Ledger {
    let deviation = Deviation { skip: vec![link.to_owned()], ..Deviation::default() };
    Ledger { chain: "support".to_owned(), deviation, ..Ledger::default() }
}

async fn advance(world: &World, step: Advance, uuids: &[&str], ledger: Option<&Ledger>) -> bool {
    let vcons: Vec<NewVcon> = uuids.iter().map(|uuid| new_vcon(uuid, &["calls"])).collect();
    world.store.advance(&step, vcons, ledger).await.expect("a step")
}

async fn cursor(world: &World) -> Option<String> {
    world.store.cursor("export").await.expect("a cursor")
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

async fn a_cursor_moves_in_one_step_with_what_it_enqueues(world: World) {
    assert_eq!(cursor(&world).await, None);
    assert!(advance(&world, step(None, "1"), &["a", "b"], None).await);
    assert!(advance(&world, step(Some("1"), "2"), &["c"], None).await);
    let world = world.restart().await;
    assert_eq!(cursor(&world).await.as_deref(), Some("2"));
    assert_eq!(world.status("calls").await.waiting, 3);
    assert!(advance(&world, step(Some("2"), "3"), &[], None).await, "a step need not enqueue anything");
    assert!(world.store.forget_cursor("export").await.expect("an answer"));
    assert!(!world.store.forget_cursor("export").await.expect("an answer"));
    assert_eq!(cursor(&world).await, None);
    let process = world.process().await;
    assert_eq!(uuids(&world.take(&process, "calls", 9).await), ["a", "b", "c"]);
}

async fn a_cursor_that_is_elsewhere_stops_the_step(world: World) {
    assert!(!advance(&world, step(Some("1"), "2"), &["a"], None).await, "there is none yet");
    assert!(advance(&world, step(None, "1"), &["a"], None).await);
    assert!(!advance(&world, step(None, "x"), &["b"], Some(&skipping("x"))).await);
    assert!(!advance(&world, step(Some("0"), "x"), &["b"], None).await);
    assert_eq!((cursor(&world).await.as_deref(), world.document("b").await), (Some("1"), None));
    assert_eq!(world.status("calls").await.waiting, 1);
}

async fn one_of_many_moves_from_one_place_is_made(world: World) {
    let other = world.another().await;
    let mut moves = Vec::new();
    for number in 0..20 {
        let store = if number % 2 == 0 { world.store.clone() } else { other.clone() };
        moves.push(tokio::spawn(async move {
            let vcon = new_vcon("a", &["calls"]);
            store.advance(&step(None, &number.to_string()), vec![vcon], Some(&skipping("x"))).await.expect("a step")
        }));
    }
    let mut made = 0;
    for one in moves {
        made += usize::from(one.await.expect("a step ends"));
    }
    assert_eq!((made, world.status("calls").await.waiting), (1, 1));
}

async fn a_cursor_is_forgotten_after_its_time(world: World) {
    let short = Advance { keep: Duration::from_millis(1), ..step(None, "1") };
    assert!(world.store.advance(&short, Vec::new(), None).await.expect("a step"));
    world.advance(2).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(cursor(&world).await, None);
    assert!(advance(&world, step(None, "2"), &["a"], None).await);
}

async fn a_run_begins_with_its_ledger_and_keeps_it(world: World) {
    let ledger = skipping("transcribe");
    world.put("calls", &["b"]).await;
    assert!(advance(&world, step(None, "1"), &["a", "a"], Some(&ledger)).await);
    let process = world.process().await;
    let plain = world.one(&process, "calls").await;
    assert_eq!((plain.claim.uuid.as_str(), plain.ledger.clone()), ("b", None));
    let first = world.one(&process, "calls").await;
    assert_eq!((first.claim.uuid.as_str(), first.ledger.as_ref()), ("a", Some(&ledger)));
    assert_eq!((first.attempts, first.crashes), (0, 0));
    world.retry_in(&first, 0).await;
    world.store.pump().await.expect("a pump");
    let again = world.one(&process, "calls").await;
    assert_eq!(again.ledger.as_ref(), Some(&ledger), "through a retry");
    world.kill_and_reap(&process).await;
    let process = world.process().await;
    let reaped = world.one(&process, "calls").await;
    assert_eq!((reaped.claim.uuid.as_str(), reaped.crashes), ("b", 1));
    world.finish(&reaped, End::Done).await;
    let mut runs = Vec::new();
    while let Some(claimed) = world.take(&process, "calls", 1).await.pop() {
        assert_eq!(claimed.ledger.as_ref(), Some(&ledger), "through a crash");
        runs.push(claimed.claim.run);
        world.finish(&claimed, End::Done).await;
    }
    runs.dedup();
    assert_eq!(runs.len(), 2);
    world.put("calls", &["a"]).await;
    assert_eq!(world.one(&process, "calls").await.ledger, None, "the next run has nothing of it");
}

async fn waiting_runs_are_taken_off_their_list_once(world: World) {
    world.put("done", &["a", "b", "a", "c"]).await;
    assert_eq!(world.store.waiting("done", 0, 9).await.expect("uuids"), ["a", "b", "a", "c"]);
    assert_eq!(world.store.waiting("done", 1, 2).await.expect("uuids"), ["b", "a"]);
    assert!(world.store.waiting("done", 4, 9).await.expect("uuids").is_empty());
    let ledger = skipping("x");
    let wanted = texts(&["c", "a", "z"]);
    let retaken = world.store.retake("done", "calls", &wanted, Some(&ledger)).await.expect("a move");
    assert_eq!(retaken, [Retaken::Moved, Retaken::Moved, Retaken::Gone]);
    assert_eq!(world.store.waiting("done", 0, 9).await.expect("uuids"), ["b", "a"]);
    let again = world.store.retake("done", "calls", &texts(&["c"]), None).await.expect("a move");
    assert_eq!(again, [Retaken::Gone]);
    assert_eq!(world.store.retake("done", "calls", &texts(&["b"]), None).await.expect("a move"), [Retaken::Moved]);
    let process = world.process().await;
    let claimed = world.take(&process, "calls", 9).await;
    assert_eq!(uuids(&claimed), ["c", "a", "b"]);
    let ledgers: Vec<_> = claimed.iter().map(|claimed| claimed.ledger.as_ref()).collect();
    assert_eq!(ledgers, [Some(&ledger), Some(&ledger), None]);
}

async fn a_run_that_has_begun_stays_on_its_list(world: World) {
    let ledger = skipping("x");
    assert!(advance(&world, step(None, "1"), &["a"], Some(&ledger)).await);
    let stays = world.store.retake("calls", "other", &texts(&["a"]), None).await.expect("a move");
    assert_eq!(stays, [Retaken::Stays]);
    world.put("calls", &["a"]).await;
    let moved = world.store.retake("calls", "other", &texts(&["a"]), None).await.expect("a move");
    assert_eq!(moved, [Retaken::Moved]);
    let process = world.process().await;
    assert_eq!(world.one(&process, "calls").await.ledger.as_ref(), Some(&ledger));
}

async fn runs_may_begin_anew_on_their_own_list(world: World) {
    world.put("calls", &["a", "b"]).await;
    let ledger = skipping("x");
    let moved = world.store.retake("calls", "calls", &texts(&["a", "b"]), Some(&ledger)).await.expect("a move");
    assert_eq!(moved, [Retaken::Moved, Retaken::Moved]);
    let again = world.store.retake("calls", "calls", &texts(&["a"]), Some(&ledger)).await.expect("a move");
    assert_eq!(again, [Retaken::Stays], "once");
    let process = world.process().await;
    let claimed = world.take(&process, "calls", 9).await;
    assert_eq!(uuids(&claimed), ["a", "b"]);
    assert!(claimed.iter().all(|claimed| claimed.ledger.as_ref() == Some(&ledger)));
}
