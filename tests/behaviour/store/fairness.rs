//! Which list's turn it is: weights, limits, the byte budget, pausing.

use bytes::Bytes;
use vconductor_core::store::{ClaimRequest, End, NewVcon};

use crate::world::{World, cases, new_vcon, request, uuids};

cases![
    a_full_list_does_not_starve_a_short_one,
    single_claims_take_turns,
    weights_share_a_busy_round,
    quotas_and_the_limit_hold,
    the_byte_budget_holds,
    one_document_is_always_allowed,
    a_large_document_is_not_starved_by_small_ones,
    a_paused_list_is_left_alone_and_stays_so,
];

async fn fill(world: &World, list: &str, count: usize) {
    let vcons = (0..count).map(|index| new_vcon(&format!("{list}-{index}"), &[list])).collect();
    world.store.ingest(vcons).await.expect("an ingest");
}

async fn a_full_list_does_not_starve_a_short_one(world: World) {
    fill(&world, "busy", 10_000).await;
    fill(&world, "short", 10).await;
    let process = world.process().await;
    let both = request(&[("busy", 64, 1), ("short", 64, 1)], 32);
    let claimed = world.ask(&process, both).await;
    assert_eq!(uuids(&claimed).iter().filter(|uuid| uuid.starts_with("short")).count(), 10);
    assert_eq!(claimed.len(), 32);
}

async fn single_claims_take_turns(world: World) {
    fill(&world, "busy", 100).await;
    fill(&world, "short", 3).await;
    let process = world.process().await;
    let both = request(&[("busy", 1, 1), ("short", 1, 1)], 1);
    let mut short = 0;
    for _ in 0..8 {
        let claimed = world.ask(&process, both.clone()).await;
        short += usize::from(claimed[0].claim.list == "short");
        world.finish(&claimed[0], End::Done).await;
    }
    assert_eq!(short, 3);
}

async fn weights_share_a_busy_round(world: World) {
    fill(&world, "gold", 100).await;
    fill(&world, "iron", 100).await;
    let process = world.process().await;
    let mut gold = 0;
    // In odd steps, so that a share is cut by the end of a claim.
    for limit in [1, 3, 5, 7, 9, 15] {
        let claimed = world.ask(&process, request(&[("gold", 99, 3), ("iron", 99, 1)], limit)).await;
        assert_eq!(claimed.len(), limit);
        gold += claimed.iter().filter(|claimed| claimed.claim.list == "gold").count();
    }
    assert_eq!(gold, 30, "three of four");
}

async fn quotas_and_the_limit_hold(world: World) {
    fill(&world, "calls", 10).await;
    fill(&world, "chats", 10).await;
    let process = world.process().await;
    let claimed = world.ask(&process, request(&[("calls", 2, 1), ("chats", 9, 1)], 6)).await;
    let calls = claimed.iter().filter(|claimed| claimed.claim.list == "calls").count();
    assert_eq!((calls, claimed.len()), (2, 6));
    assert!(world.ask(&process, request(&[("calls", 0, 1)], 6)).await.is_empty());
    assert!(world.ask(&process, request(&[("calls", 6, 1)], 0)).await.is_empty());
}

fn sized(list: &str, uuid: &str, bytes: usize) -> NewVcon {
    NewVcon { document: Some(Bytes::from(vec![b'x'; bytes])), ..new_vcon(uuid, &[list]) }
}

fn budget(lists: &[&str], bytes: u64) -> ClaimRequest {
    let quotas: Vec<_> = lists.iter().map(|list| (*list, 99, 1)).collect();
    ClaimRequest { bytes, ..request(&quotas, 99) }
}

async fn the_byte_budget_holds(world: World) {
    let vcons = (0..10).map(|index| sized("calls", &index.to_string(), 1000)).collect();
    world.store.ingest(vcons).await.expect("an ingest");
    let process = world.process().await;
    assert_eq!(uuids(&world.ask(&process, budget(&["calls"], 3500)).await), ["0", "1", "2"]);
    assert!(world.ask(&process, budget(&["calls"], 500)).await.is_empty());
    assert_eq!(uuids(&world.ask(&process, budget(&["calls"], 1000)).await), ["3"]);
}

async fn one_document_is_always_allowed(world: World) {
    world.store.ingest(vec![sized("calls", "a", 9000), sized("calls", "b", 9000)]).await.expect("an ingest");
    let process = world.process().await;
    let claimed = world.ask(&process, budget(&["calls"], 10)).await;
    assert_eq!(uuids(&claimed), ["a"]);
    assert!(world.ask(&process, budget(&["calls"], 10)).await.is_empty(), "only while it holds nothing");
    world.finish(&claimed[0], End::Done).await;
    assert_eq!(uuids(&world.ask(&process, budget(&["calls"], 10)).await), ["b"]);
}

async fn a_large_document_is_not_starved_by_small_ones(world: World) {
    world.store.ingest(vec![sized("small", "first", 100)]).await.expect("an ingest");
    let process = world.process().await;
    let mut held = world.ask(&process, budget(&["small", "large"], 1000)).await;
    world.store.ingest(vec![sized("large", "big", 5000)]).await.expect("an ingest");
    for round in 0..50 {
        world.store.ingest(vec![sized("small", &format!("s{round}"), 100)]).await.expect("an ingest");
        let claimed = world.ask(&process, budget(&["small", "large"], 1000)).await;
        if uuids(&claimed).contains(&"big") {
            return;
        }
        for done in std::mem::replace(&mut held, claimed) {
            world.finish(&done, End::Done).await;
        }
    }
    panic!("the large document never got its turn");
}

async fn a_paused_list_is_left_alone_and_stays_so(world: World) {
    world.put("calls", &["a"]).await;
    world.put("chats", &["b"]).await;
    world.store.pause("calls", true).await.expect("a pause");
    let world = world.restart().await;
    let process = world.process().await;
    let both = request(&[("calls", 9, 1), ("chats", 9, 1)], 9);
    let claimed = world.ask(&process, both.clone()).await;
    assert_eq!(uuids(&claimed), ["b"], "others go on");
    assert!(world.status("calls").await.paused);
    world.store.pause("calls", false).await.expect("an end of the pause");
    assert_eq!(uuids(&world.ask(&process, both).await), ["a"]);
}
