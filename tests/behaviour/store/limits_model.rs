//! Random histories of calls under limits: a server that may count a call at any moment between its start and its end never
//! sees more than it allows, and nobody waits without need.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use vconductor_core::clock::Millis;
use vconductor_core::store::{Permit, Taken, Want};
use vconductor_tests::servers::redis::RedisServer;

use crate::embedded::Files;
use crate::redis::Server;
use crate::world::{self, World};

/// Name, how much in a window, the window in milliseconds. Steps last whole seconds, so that the ends of windows lie half
/// a second away from every step, and a server whose clock goes on agrees with the model.
const LIMITS: [(&str, i64, Millis); 3] = [("requests", 3, 10_500), ("tokens", 1000, 4_500), ("seconds", 60, 30_500)];

/// How much later than the model a server's clock may be.
const DRIFT: Millis = 490;

#[derive(Debug, Clone)]
enum Step {
    /// Takes out of alternatives; each has an amount for some of the limits.
    Take(Vec<[Option<i64>; LIMITS.len()]>),
    /// Ends a call; it has used so many thousandths of what it meant to.
    Settle {
        which: usize,
        share: i64,
    },
    Advance {
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amounts = (prop::option::of(0..3_i64), prop::option::of(0..1300_i64), prop::option::of(1..40_i64));
    let alternatives = prop::collection::vec(amounts.prop_map(|(one, two, three)| [one, two, three]), 1..3);
    let step = prop_oneof![
        6 => alternatives.prop_map(Step::Take),
        4 => (any::<usize>(), prop_oneof![3 => Just(1000), 1 => 0..1000_i64])
            .prop_map(|(which, share)| Step::Settle { which, share }),
        4 => (1..12_u64).prop_map(|seconds| Step::Advance { seconds }),
    ];
    prop::collection::vec(step, 1..80)
}

/// What a call uses of one limit, in thousandths.
#[derive(Debug, Clone)]
struct Use {
    limit: usize,
    call: usize,
    start: Millis,
    end: Option<Millis>,
    amount: i64,
}

pub(crate) fn trials() -> Vec<Trial> {
    let embedded = Trial::test("embedded::limits_model::no_window_holds_too_much_and_nobody_waits_too_long", || {
        histories(256, || async { World::new(Box::new(Files::new())) })
    });
    let redis = Trial::test("redis::limits_model::no_window_holds_too_much_and_nobody_waits_too_long", || {
        let server = Arc::new(RedisServer::start());
        histories(96, || async { World::new(Box::new(Server::open(Arc::clone(&server)).await)) })
    });
    vec![embedded, redis]
}

fn histories(cases: u32, open: impl AsyncFn() -> World) -> Result<(), Failed> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |steps| world::runtime().block_on(async { run(open().await, &steps).await }));
    result.map_err(|error| error.to_string().into())
}

async fn run(world: World, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut uses: Vec<Use> = Vec::new();
    let mut flying: Vec<(usize, Permit)> = Vec::new();
    // The model's clock: steps only. What a server's clock does beside them stays below half a second.
    let began = world.now();
    let mut now = 0;
    for (call, step) in steps.iter().enumerate() {
        match step {
            Step::Advance { seconds } => {
                world.advance(*seconds).await;
                now += *seconds as Millis * 1000;
            }
            Step::Settle { .. } if flying.is_empty() => {}
            Step::Settle { which, share } => {
                let (call, permit) = flying.swap_remove(which % flying.len());
                let mut used = Vec::new();
                for one in uses.iter_mut().filter(|one| one.call == call) {
                    one.amount = one.amount * share / 1000;
                    one.end = Some(now);
                    used.push((LIMITS[one.limit].0.to_owned(), one.amount as f64 / 1000.0));
                }
                world.store.settle(&permit, &used).await.expect("a settlement");
            }
            Step::Take(alternatives) => {
                let wants: Vec<Vec<Want>> = alternatives.iter().map(wants_of).collect();
                let waits: Vec<Option<Millis>> = alternatives.iter().map(|amounts| wait(&uses, amounts, now)).collect();
                let taken = world.store.take(&wants).await.expect("an answer about a permit");
                let first = waits.iter().position(Option::is_none);
                match (taken, first) {
                    (Taken::Granted { index, permit }, Some(first)) => {
                        prop_assert_eq!(index, first);
                        for (limit, amount) in alternatives[index].iter().enumerate() {
                            let Some(amount) = amount else { continue };
                            let amount = amount.min(&LIMITS[limit].1) * 1000;
                            uses.push(Use { limit, call, start: now, end: None, amount });
                        }
                        flying.push((call, permit));
                    }
                    (Taken::Wait(wait), None) => {
                        let expected = waits.iter().flatten().min().copied().unwrap_or_default();
                        let wait = wait.as_millis() as Millis;
                        prop_assert!(
                            wait <= expected && wait >= (expected - DRIFT).min(250),
                            "waits {wait} ms where {expected} ms are needed"
                        );
                    }
                    (taken, first) => prop_assert!(false, "{taken:?}, but the model says {first:?}"),
                }
            }
        }
        prop_assert!(world.now() - began - now < DRIFT, "the machine is too slow for this test");
    }
    for (limit, (name, most, window)) in LIMITS.iter().enumerate() {
        no_window_holds_too_much(&uses, limit, most * 1000, *window)
            .map_err(|held| TestCaseError::fail(format!("{name}: {held}")))?;
    }
    Ok(())
}

fn wants_of(amounts: &[Option<i64>; LIMITS.len()]) -> Vec<Want> {
    let wants = LIMITS.iter().zip(amounts).filter_map(|((name, most, window), amount)| {
        Some(Want {
            limit: (*name).to_owned(),
            most: *most as f64,
            window: Duration::from_millis(*window as u64),
            amount: (*amount)? as f64,
        })
    });
    wants.collect()
}

/// How long an alternative must wait; none if it has room.
fn wait(uses: &[Use], amounts: &[Option<i64>; LIMITS.len()], now: Millis) -> Option<Millis> {
    let mut longest = None;
    for (limit, amount) in amounts.iter().enumerate() {
        let (Some(amount), (_, most, window)) = (amount, LIMITS[limit]) else { continue };
        // The millisecond in which a call ends counts whole.
        let leaves = |one: &Use| one.end.map(|end| end + 1 + window);
        let counted: Vec<&Use> =
            uses.iter().filter(|one| one.limit == limit && leaves(one).is_none_or(|leaves| leaves > now)).collect();
        let mut missing = counted.iter().map(|one| one.amount).sum::<i64>() + (*amount).min(most) * 1000 - most * 1000;
        if missing <= 0 {
            continue;
        }
        let mut ended: Vec<(Millis, i64)> = counted.iter().filter_map(|one| Some((leaves(one)?, one.amount))).collect();
        ended.sort_unstable();
        let enough = ended.into_iter().find_map(|(leaves, amount)| {
            missing -= amount;
            (missing <= 0).then_some(leaves - now)
        });
        longest = longest.max(Some(enough.unwrap_or(250)));
    }
    longest
}

/// Whether a server could have counted too much, whenever between start and end it counted each call.
fn no_window_holds_too_much(uses: &[Use], limit: usize, most: i64, window: Millis) -> Result<(), String> {
    let calls: Vec<&Use> = uses.iter().filter(|one| one.limit == limit && one.amount > 0).collect();
    // A window that holds most begins where a call ends, or ends where one starts.
    let starts = calls.iter().flat_map(|call| [call.end.unwrap_or(call.start), call.start - window + 1]);
    for from in starts {
        let until = from + window;
        let inside = calls.iter().filter(|call| call.start < until && call.end.is_none_or(|end| end >= from));
        let held: i64 = inside.map(|call| call.amount).sum();
        if held > most {
            return Err(format!("{held} of {most} thousandths between {from} and {until} ms: {calls:?}"));
        }
    }
    Ok(())
}
