//! What operators see.

use std::time::Duration;

use vconductor_core::store::{ListStatus, Pending};

use crate::world::{ALL, World, cases, new_vcon};

cases![
    lists_show_every_state,
    an_idle_store_has_nothing_pending,
    waiting_claimed_and_due_runs_are_pending,
    later_and_paused_runs_do_not_keep_a_conductor,
    another_program_sees_and_changes_the_same_store,
];

async fn lists_show_every_state(world: World) {
    world.put("calls", &["a", "b", "c", "d", "e", "f"]).await;
    let process = world.process().await;
    world.retry_in(&world.one(&process, "calls").await, 60).await;
    world.park(&world.one(&process, "calls").await, "t", 60).await;
    world.die(&world.one(&process, "calls").await, "DLQ:calls").await;
    world.one(&process, "calls").await;
    world.store.pause("empty", true).await.expect("a pause");
    let lists = world.store.lists().await.expect("the lists");
    assert_eq!(lists.iter().map(|status| status.list.as_str()).collect::<Vec<_>>(), ["calls", "empty"]);
    let expected = ListStatus {
        list: "calls".to_owned(),
        waiting: 2,
        claimed: 1,
        scheduled: 1,
        parked: 1,
        dead: 1,
        oldest: lists[0].oldest,
        paused: false,
    };
    assert_eq!(lists[0], expected);
    assert!(lists[0].oldest.is_some_and(|oldest| oldest <= world.now()));
    assert!(lists[1].paused);
}

async fn pending(world: &World, lists: &[&str]) -> Pending {
    let lists: Vec<_> = lists.iter().map(|list| (*list).to_owned()).collect();
    world.store.pending(&lists, Duration::from_secs(10)).await.expect("what is pending")
}

async fn an_idle_store_has_nothing_pending(world: World) {
    world.put("others", &["a"]).await;
    let process = world.process().await;
    world.die(&world.one(&process, "others").await, "DLQ:others").await;
    world.put("others", &["b"]).await;
    assert_eq!(pending(&world, &["calls"]).await, Pending::default());
    assert!(!pending(&world, &["others"]).await.is_idle());
}

async fn waiting_claimed_and_due_runs_are_pending(world: World) {
    world.put("calls", &["a", "b", "c", "d"]).await;
    let process = world.process().await;
    world.retry_in(&world.one(&process, "calls").await, 5).await;
    world.park(&world.one(&process, "calls").await, "t", 9).await;
    world.one(&process, "calls").await;
    let found = pending(&world, &["calls", "chats"]).await;
    assert_eq!(found, Pending { waiting: 1, claimed: 1, due: 2, ..Pending::default() });
    assert!(!found.is_idle());
}

async fn later_and_paused_runs_do_not_keep_a_conductor(world: World) {
    world.put("calls", &["a", "b"]).await;
    let process = world.process().await;
    world.retry_in(&world.one(&process, "calls").await, 60).await;
    world.park(&world.one(&process, "calls").await, "t", 60).await;
    world.put("held", &["c", "d"]).await;
    world.retry_in(&world.one(&process, "held").await, 1).await;
    world.store.pause("held", true).await.expect("a pause");
    let found = pending(&world, &["calls", "held"]).await;
    assert_eq!(found, Pending { paused: 2, scheduled: 1, parked: 1, ..Pending::default() });
    assert!(found.is_idle());
}

async fn another_program_sees_and_changes_the_same_store(world: World) {
    let cli = world.another().await;
    cli.ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    world.put("calls", &["b"]).await;
    let process = world.process().await;
    let claimed = world.take(&process, "calls", 9).await;
    assert_eq!(claimed.len(), 2);
    let lists = cli.lists().await.expect("the lists");
    assert_eq!(lists[0].claimed, 2);
    assert!(cli.reap().await.expect("a reap").is_empty(), "the conductor lives");
    cli.pause("calls", true).await.expect("a pause");
    world.put("calls", &["c"]).await;
    assert!(world.take(&process, "calls", 9).await.is_empty());
    assert!(cli.get(ALL, "c").await.expect("a read").is_some());
}
