//! Limits in sliding windows: who gets a permit, how long others wait, and what becomes of permits.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use vconductor_core::Class;
use vconductor_core::store::{Permit, Store, Taken, Want};

use crate::world::{World, cases};

cases![
    a_limit_says_how_long_to_wait,
    a_call_counts_until_a_window_after_its_end,
    the_true_amount_counts_once_it_is_known,
    the_first_alternative_with_room_is_taken_as_a_whole,
    another_number_holds_at_once,
    what_is_larger_than_the_limit_goes_alone,
    what_has_no_limit_is_granted,
    alternatives_that_mean_nothing_are_refused,
    two_programs_share_a_limit,
    what_a_dead_process_held_ends_when_it_is_found_dead,
    what_a_process_held_that_left_ends_with_it,
    what_belongs_to_no_process_ends_after_an_hour,
    a_permit_that_nobody_was_told_of_is_given_back,
    a_clock_that_is_turned_back_makes_nobody_wait_longer_than_a_window,
    thousands_of_entries_are_counted_and_forgotten,
];

/// The wait while it depends on calls that are under way.
const UNKNOWN: Duration = Duration::from_millis(250);

pub(crate) fn want(limit: &str, most: f64, seconds: u64, amount: f64) -> Want {
    Want { limit: limit.to_owned(), most, window: Duration::from_secs(seconds), amount }
}

/// A want of one unit of a limit of `most` in a minute.
pub(crate) fn one(limit: &str, most: f64) -> Want {
    want(limit, most, 60, 1.0)
}

async fn take(store: &Arc<dyn Store>, alternatives: &[Vec<Want>]) -> Taken {
    store.take(alternatives).await.expect("an answer about a permit")
}

pub(crate) async fn granted(world: &World, wants: &[Want]) -> Permit {
    match take(&world.store, &[wants.to_vec()]).await {
        Taken::Granted { index: 0, permit } => permit,
        other => panic!("{wants:?}: {other:?}"),
    }
}

pub(crate) async fn refused(world: &World, wants: &[Want]) -> Duration {
    match take(&world.store, &[wants.to_vec()]).await {
        Taken::Wait(wait) => wait,
        granted @ Taken::Granted { .. } => panic!("{wants:?}: {granted:?}"),
    }
}

pub(crate) async fn settled(world: &World, permit: &Permit, used: &[(&str, f64)]) {
    let used: Vec<(String, f64)> = used.iter().map(|(limit, amount)| ((*limit).to_owned(), *amount)).collect();
    world.store.settle(permit, &used).await.expect("a settlement");
}

/// A server's clock goes on while a case runs.
pub(crate) fn about(wait: Duration, seconds: u64) {
    let expected = Duration::from_secs(seconds);
    let nearly = expected.saturating_sub(Duration::from_secs(2))..=expected + Duration::from_millis(1);
    assert!(nearly.contains(&wait), "{wait:?} instead of {expected:?}");
}

async fn a_limit_says_how_long_to_wait(world: World) {
    let wants = [one("requests", 3.0)];
    for _ in 0..3 {
        let permit = granted(&world, &wants).await;
        settled(&world, &permit, &[]).await;
        world.advance(10).await;
    }
    about(refused(&world, &wants).await, 30);
    about(refused(&world, &[want("requests", 3.0, 60, 2.0)]).await, 40);
    about(refused(&world, &[want("requests", 3.0, 60, 3.0)]).await, 50);
    world.advance(31).await;
    granted(&world, &wants).await;
    about(refused(&world, &wants).await, 9);
}

async fn a_call_counts_until_a_window_after_its_end(world: World) {
    let wants = [one("requests", 1.0)];
    let permit = granted(&world, &wants).await;
    world.advance(300).await;
    assert_eq!(refused(&world, &wants).await, UNKNOWN, "it is still under way, longer than its window");
    settled(&world, &permit, &[]).await;
    about(refused(&world, &wants).await, 60);
    world.advance(58).await;
    refused(&world, &wants).await;
    world.advance(3).await;
    let next = granted(&world, &wants).await;
    // What has ended ends only once.
    settled(&world, &permit, &[("requests", 0.0)]).await;
    assert_eq!(refused(&world, &wants).await, UNKNOWN);
    settled(&world, &next, &[("requests", 0.0)]).await;
    granted(&world, &wants).await;
}

async fn the_true_amount_counts_once_it_is_known(world: World) {
    let tokens = |amount| want("tokens", 1000.0, 60, amount);
    let both = [one("requests", 10.0), tokens(600.0)];
    let first = granted(&world, &both).await;
    assert_eq!(first.limits, ["requests", "tokens"]);
    assert_eq!(refused(&world, &both).await, UNKNOWN);
    settled(&world, &first, &[("tokens", 150.5)]).await;
    granted(&world, &[tokens(849.5)]).await;
    refused(&world, &[tokens(0.001)]).await;
    world.advance(3700).await;
    // More than was expected counts, too.
    let second = granted(&world, &[tokens(10.0)]).await;
    settled(&world, &second, &[("tokens", 5000.0), ("other", 7.0)]).await;
    about(refused(&world, &[tokens(1.0)]).await, 60);
    world.advance(61).await;
    granted(&world, &[tokens(1000.0)]).await;
}

async fn the_first_alternative_with_room_is_taken_as_a_whole(world: World) {
    let first = vec![one("first:requests", 1.0), want("first:tokens", 100.0, 60, 60.0)];
    let second = vec![one("second:requests", 1.0), want("second:tokens", 100.0, 60, 60.0)];
    let both = [first, second];
    for expected in 0..2 {
        let taken = take(&world.store, &both).await;
        let Taken::Granted { index, permit } = taken else { panic!("{taken:?}") };
        assert_eq!(index, expected);
        settled(&world, &permit, &[]).await;
        world.advance(20).await;
    }
    let Taken::Wait(wait) = take(&world.store, &both).await else { panic!("both are used up") };
    about(wait, 20);
    // All or none: the tokens that are left were not touched by an attempt that lacks requests.
    granted(&world, &[want("first:tokens", 100.0, 60, 40.0)]).await;
}

async fn another_number_holds_at_once(world: World) {
    for _ in 0..5 {
        let permit = granted(&world, &[one("requests", 5.0)]).await;
        settled(&world, &permit, &[]).await;
    }
    granted(&world, &[one("requests", 6.0)]).await;
    world.advance(30).await;
    refused(&world, &[one("requests", 2.0)]).await;
    world.advance(31).await;
    granted(&world, &[one("requests", 2.0)]).await;
    refused(&world, &[one("requests", 2.0)]).await;
    about(refused(&world, &[one("requests", 0.0)]).await, 60);
}

async fn what_is_larger_than_the_limit_goes_alone(world: World) {
    let large = [want("tokens", 100.0, 60, 250.0)];
    let small = granted(&world, &[want("tokens", 100.0, 60, 1.0)]).await;
    assert_eq!(refused(&world, &large).await, UNKNOWN);
    settled(&world, &small, &[("tokens", 0.0)]).await;
    let permit = granted(&world, &large).await;
    refused(&world, &[want("tokens", 100.0, 60, 1.0)]).await;
    settled(&world, &permit, &[("tokens", 250.0)]).await;
    about(refused(&world, &[want("tokens", 100.0, 60, 1.0)]).await, 60);
}

async fn what_has_no_limit_is_granted(world: World) {
    let permit = granted(&world, &[]).await;
    assert!(permit.limits.is_empty());
    settled(&world, &permit, &[]).await;
    granted(&world, &[one("requests", 1.0)]).await;
    let taken = take(&world.store, &[vec![one("requests", 1.0)], Vec::new()]).await;
    assert!(matches!(taken, Taken::Granted { index: 1, .. }), "{taken:?}");
}

async fn alternatives_that_mean_nothing_are_refused(world: World) {
    for wrong in [vec![], vec![vec![one("requests", 1.0), one("requests", 2.0)]]] {
        let error = world.store.take(&wrong).await.expect_err("it means nothing");
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.help_text().is_some(), "{error}");
    }
}

async fn two_programs_share_a_limit(world: World) {
    let stores = [Arc::clone(&world.store), world.another().await];
    let alternatives = [vec![one("requests", 30.0), want("seconds", 1000.0, 60, 2.0)]];
    let taken = join_all((0..100).map(|index| take(&stores[index % 2], &alternatives))).await;
    let permits: Vec<Permit> = taken
        .into_iter()
        .filter_map(|taken| match taken {
            Taken::Granted { permit, .. } => Some(permit),
            Taken::Wait(_) => None,
        })
        .collect();
    assert_eq!(permits.len(), 30);
    // One may end what the other began.
    for permit in &permits {
        stores[1].settle(permit, &[("requests".to_owned(), 0.0)]).await.expect("a settlement");
    }
    let again = join_all((0..100).map(|index| take(&stores[index % 2], &alternatives))).await;
    assert_eq!(again.iter().filter(|taken| matches!(taken, Taken::Granted { .. })).count(), 30);
}

async fn what_a_dead_process_held_ends_when_it_is_found_dead(world: World) {
    let process = world.process().await;
    let wants = [one("requests", 1.0)];
    granted(&world, &wants).await;
    world.kill(&process).await;
    assert_eq!(refused(&world, &wants).await, UNKNOWN);
    world.store.reap().await.expect("a reap");
    about(refused(&world, &wants).await, 60);
    world.advance(61).await;
    granted(&world, &wants).await;
}

async fn what_a_process_held_that_left_ends_with_it(world: World) {
    let process = world.process().await;
    let wants = [one("requests", 2.0)];
    let first = granted(&world, &wants).await;
    let second = granted(&world, &wants).await;
    settled(&world, &first, &[]).await;
    world.store.deregister(&process).await.expect("an end");
    about(refused(&world, &wants).await, 60);
    settled(&world, &second, &[("requests", 0.0)]).await;
    refused(&world, &wants).await;
    world.advance(61).await;
    granted(&world, &wants).await;
}

async fn what_belongs_to_no_process_ends_after_an_hour(world: World) {
    let wants = [one("requests", 1.0)];
    let permit = granted(&world, &wants).await;
    world.advance(3590).await;
    assert_eq!(refused(&world, &wants).await, UNKNOWN);
    world.advance(11).await;
    granted(&world, &wants).await;
    // An end that comes even later changes nothing.
    settled(&world, &permit, &[("requests", 100.0)]).await;
    world.advance(3601).await;
    granted(&world, &wants).await;
}

async fn a_permit_that_nobody_was_told_of_is_given_back(world: World) {
    let alternatives = [vec![one("requests", 20.0)]];
    let mut left = 20;
    for _ in 0..1000 {
        if left == 0 {
            break;
        }
        let mut taking = Box::pin(world.store.take(&alternatives));
        // Asked for, and not waited for.
        match taking.as_mut().now_or_never() {
            None => left -= 1,
            // This thread stood still for so long that the answer came.
            Some(Ok(Taken::Granted { permit, .. })) => settled(&world, &permit, &[("requests", 0.0)]).await,
            Some(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(left, 0, "the answer is always there before anybody can leave");
    let all = [want("requests", 20.0, 60, 20.0)];
    for _ in 0..100 {
        if let Taken::Granted { .. } = take(&world.store, &[all.to_vec()]).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("some of what nobody uses is still counted");
}

async fn a_clock_that_is_turned_back_makes_nobody_wait_longer_than_a_window(world: World) {
    let wants = [one("requests", 2.0)];
    let ended = granted(&world, &wants).await;
    let flying = granted(&world, &wants).await;
    settled(&world, &ended, &[]).await;
    world.turn_back(86_400);
    about(refused(&world, &wants).await, 60);
    world.advance(61).await;
    granted(&world, &wants).await;
    settled(&world, &flying, &[]).await;
    about(refused(&world, &wants).await, 60);
    world.advance(61).await;
    granted(&world, &wants).await;
}

async fn thousands_of_entries_are_counted_and_forgotten(world: World) {
    const MANY: u32 = 3000;
    let wants = [one("requests", f64::from(MANY))];
    let alternatives = [wants.to_vec()];
    let taken = join_all((0..MANY).map(|_| take(&world.store, &alternatives))).await;
    let permits: Vec<Permit> = taken
        .into_iter()
        .map(|taken| match taken {
            Taken::Granted { permit, .. } => permit,
            Taken::Wait(wait) => panic!("there is room: {wait:?}"),
        })
        .collect();
    assert_eq!(refused(&world, &wants).await, UNKNOWN);
    join_all(permits.iter().map(|permit| settled(&world, permit, &[]))).await;
    about(refused(&world, &[want("requests", f64::from(MANY), 60, f64::from(MANY))]).await, 60);
    world.advance(61).await;
    world.store.sweep().await.expect("a sweep");
    granted(&world, &[want("requests", f64::from(MANY), 60, f64::from(MANY))]).await;
}
