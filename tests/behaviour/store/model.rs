//! Random histories against a model: nothing is lost, nothing is done twice, nothing overlaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use vconductor_core::Class;
use vconductor_core::run::RunId;
use vconductor_core::store::{Claimed, Commit, Committed, End, ProcessId, WaitReason};

use vconductor_tests::servers::redis::RedisServer;

use crate::embedded::Files;
use crate::redis::Server;
use crate::world::{self, World, ending, failure, ledger, new_vcon, push, request, save};

const PROCESSES: usize = 3;
const UUIDS: usize = 4;
const POISON_AT: u32 = 3;
const LIST: &str = "calls";
const PUSHED: &str = "done";

#[derive(Debug, Clone)]
enum Step {
    Enqueue { uuid: usize },
    Claim { process: usize, limit: usize },
    End { process: usize, which: usize, end: Ending },
    LateCommit { which: usize },
    Kill { process: usize },
    Leave { process: usize },
    Reap,
    Pump,
    Resume { token: usize },
    Revive { which: usize },
    Advance { seconds: u64 },
}

#[derive(Debug, Clone, Copy)]
enum Ending {
    Continue,
    Done,
    Release,
    Retry,
    Wait,
    Park,
    Dead,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let process = 0..PROCESSES;
    let ending = prop_oneof![
        1 => Just(Ending::Continue),
        4 => Just(Ending::Done),
        1 => Just(Ending::Release),
        1 => Just(Ending::Retry),
        1 => Just(Ending::Wait),
        1 => Just(Ending::Park),
        1 => Just(Ending::Dead),
    ];
    let step = prop_oneof![
        5 => (0..UUIDS).prop_map(|uuid| Step::Enqueue { uuid }),
        6 => (process.clone(), 1..5_usize).prop_map(|(process, limit)| Step::Claim { process, limit }),
        6 => (process.clone(), any::<usize>(), ending)
            .prop_map(|(process, which, end)| Step::End { process, which, end }),
        2 => any::<usize>().prop_map(|which| Step::LateCommit { which }),
        2 => process.clone().prop_map(|process| Step::Kill { process }),
        1 => process.prop_map(|process| Step::Leave { process }),
        2 => Just(Step::Reap),
        2 => Just(Step::Pump),
        1 => any::<usize>().prop_map(|token| Step::Resume { token }),
        1 => any::<usize>().prop_map(|which| Step::Revive { which }),
        2 => (0..20_u64).prop_map(|seconds| Step::Advance { seconds }),
    ];
    prop::collection::vec(step, 1..60)
}

/// What a run must look like at its next claim.
#[derive(Debug, Clone, Default)]
struct Run {
    uuid: String,
    attempts: u32,
    crashes: u32,
    ledger: Option<String>,
}

/// What the store must hold.
#[derive(Default)]
struct Model {
    /// Enqueued and neither acked nor dead, by uuid.
    live: BTreeMap<String, usize>,
    runs: BTreeMap<RunId, Run>,
    dead: Vec<RunId>,
    pushed: usize,
    tokens: Vec<String>,
    /// Claims that were taken away from their process.
    lost: Vec<Claimed>,
}

struct Member {
    id: ProcessId,
    alive: bool,
    holds: Vec<Claimed>,
}

pub(crate) fn trials() -> Vec<Trial> {
    let embedded = Trial::test("embedded::model::random_histories_keep_every_promise", || {
        histories(96, || async { World::new(Box::new(Files::new())) })
    });
    let redis = Trial::test("redis::model::random_histories_keep_every_promise", || {
        let server = Arc::new(RedisServer::start());
        histories(48, || async { World::new(Box::new(Server::open(Arc::clone(&server)).await)) })
    });
    vec![embedded, redis]
}

fn histories(cases: u32, open: impl AsyncFn() -> World) -> Result<(), libtest_mimic::Failed> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |steps| world::runtime().block_on(async { run(open().await, &steps).await }));
    result.map_err(|error| error.to_string().into())
}

async fn run(world: World, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut members = Vec::new();
    for _ in 0..PROCESSES {
        members.push(Member { id: world.process().await, alive: true, holds: Vec::new() });
    }
    for (index, step) in steps.iter().enumerate() {
        apply(&world, &mut model, &mut members, step, index).await?;
        check(&world, &model).await?;
    }
    drain(&world, &mut model, &mut members).await
}

async fn apply(
    world: &World,
    model: &mut Model,
    members: &mut [Member],
    step: &Step,
    index: usize,
) -> Result<(), TestCaseError> {
    match step {
        Step::Enqueue { uuid } => {
            let uuid = format!("v{uuid}");
            world.store.ingest(vec![new_vcon(&uuid, &[LIST])]).await.expect("an ingest");
            *model.live.entry(uuid).or_default() += 1;
        }
        Step::Claim { process, limit } => claim(world, model, members, *process, *limit).await?,
        Step::End { process, which, end } => {
            let member = &mut members[*process];
            if member.holds.is_empty() {
                return Ok(());
            }
            let which = which % member.holds.len();
            let claimed = member.holds[which].clone();
            let commit = commit(world, &claimed, *end, index);
            let (text, token) = (commit.ledger.clone(), matches!(end, Ending::Park));
            // A killed process may go on for a while: as long as it was not reaped its claims are its own.
            let committed = world.commit(commit).await;
            prop_assert_eq!(committed, Committed::Done, "a held claim can be ended");
            if !matches!(end, Ending::Continue) {
                member.holds.remove(which);
            }
            let run = model.runs.get_mut(&claimed.claim.run).expect("a claimed run is known");
            run.ledger = text.map(|ledger| ledger.chain);
            model.pushed += 1;
            match end {
                Ending::Done => {
                    *model.live.get_mut(&run.uuid).expect("a known uuid") -= 1;
                    model.runs.remove(&claimed.claim.run);
                }
                Ending::Retry => run.attempts += 1,
                Ending::Dead => {
                    *model.live.get_mut(&run.uuid).expect("a known uuid") -= 1;
                    model.dead.push(claimed.claim.run);
                }
                Ending::Continue | Ending::Release | Ending::Wait | Ending::Park => {}
            }
            if token {
                model.tokens.push(format!("token-{index}"));
            }
        }
        Step::LateCommit { which } => {
            if !model.lost.is_empty() {
                let claimed = &model.lost[which % model.lost.len()];
                let late = commit(world, claimed, Ending::Done, index);
                prop_assert_eq!(world.commit(late).await, Committed::Lost);
            }
        }
        Step::Kill { process } => {
            world.kill(&members[*process].id).await;
            members[*process].alive = false;
        }
        Step::Leave { process } => {
            let member = &mut members[*process];
            world.store.deregister(&member.id).await.expect("an end");
            model.lost.append(&mut member.holds);
            *member = Member { id: world.process().await, alive: true, holds: Vec::new() };
        }
        Step::Reap => reap(world, model, members).await?,
        Step::Pump => drop(world.store.pump().await.expect("a pump")),
        Step::Resume { token } => {
            if !model.tokens.is_empty() {
                let token = model.tokens.remove(token % model.tokens.len());
                world.store.resume(&token, serde_json::json!(index)).await.expect("a call");
            }
        }
        Step::Revive { which } => {
            if !model.dead.is_empty() {
                let run = model.dead.remove(which % model.dead.len());
                prop_assert!(world.store.revive(run).await.expect("a revival"));
                let known = model.runs.get_mut(&run).expect("a dead run is known");
                (known.attempts, known.crashes) = (0, 0);
                *model.live.get_mut(&known.uuid).expect("a known uuid") += 1;
            }
        }
        Step::Advance { seconds } => {
            world.advance(*seconds).await;
            for member in members.iter().filter(|member| member.alive) {
                // The lease is longer than any step, so a living process never misses its renewal.
                prop_assert!(world.store.renew(&member.id).expect("a renewal"));
            }
        }
    }
    Ok(())
}

fn commit(world: &World, claimed: &Claimed, end: Ending, index: usize) -> Commit {
    let uuid = claimed.claim.uuid.clone();
    let end = match end {
        Ending::Continue => End::Continue,
        Ending::Done => End::Done,
        Ending::Release => End::Release,
        Ending::Retry => End::Retry { due: world.in_seconds(5), failure: failure(Class::Retryable) },
        Ending::Wait => End::Wait { due: world.in_seconds(5), reason: WaitReason::Storage },
        Ending::Park => End::Park { token: format!("token-{index}"), until: world.in_seconds(15) },
        Ending::Dead => End::Dead { queue: "DLQ:calls".to_owned(), failure: failure(Class::Permanent) },
    };
    let mut commit = ending(claimed, end);
    commit.save = save(&uuid, &format!("saved at {index}"), 0);
    commit.ledger = Some(ledger(&format!("step {index}")));
    commit.pushes = vec![push(PUSHED, &uuid)];
    commit
}

async fn claim(
    world: &World,
    model: &mut Model,
    members: &mut [Member],
    process: usize,
    limit: usize,
) -> Result<(), TestCaseError> {
    let id = members[process].id.clone();
    let claimed = world.ask(&id, request(&[(LIST, limit, 1)], limit)).await;
    prop_assert!(claimed.len() <= limit);
    prop_assert!(claimed.is_sorted_by_key(|claimed| claimed.claim.entry), "in the order of the list");
    for claimed in claimed {
        let uuid = &claimed.claim.uuid;
        let overlap = members.iter().flat_map(|member| &member.holds).any(|held| held.claim.uuid == *uuid);
        prop_assert!(!overlap, "{} is being written", uuid);
        let run = model.runs.entry(claimed.claim.run).or_insert_with(|| Run { uuid: uuid.clone(), ..Run::default() });
        prop_assert_eq!(&run.uuid, uuid);
        prop_assert_eq!((claimed.attempts, claimed.crashes), (run.attempts, run.crashes));
        prop_assert_eq!(claimed.ledger.as_ref().map(|ledger| &ledger.chain), run.ledger.as_ref());
        prop_assert!(!model.dead.contains(&claimed.claim.run), "a dead run is not handed out");
        members[process].holds.push(claimed);
    }
    let crashed = members[process].holds.iter().filter(|held| held.crashes + 1 >= POISON_AT).count();
    prop_assert!(crashed == 0 || members[process].holds.len() == 1, "a run that crashed twice goes alone");
    Ok(())
}

async fn reap(world: &World, model: &mut Model, members: &mut [Member]) -> Result<(), TestCaseError> {
    let reaped = world.store.reap().await.expect("a reap");
    let expected: usize = members.iter().filter(|member| !member.alive).map(|member| member.holds.len()).sum();
    prop_assert_eq!(reaped.len(), expected);
    for reaped in reaped {
        let run = model.runs.get_mut(&reaped.run).expect("a claimed run is known");
        run.crashes += 1;
        prop_assert_eq!(reaped.crashes, run.crashes);
        prop_assert_eq!(reaped.dead, run.crashes >= POISON_AT);
        if reaped.dead {
            *model.live.get_mut(&run.uuid).expect("a known uuid") -= 1;
            model.dead.push(reaped.run);
        }
    }
    for member in members.iter_mut().filter(|member| !member.alive) {
        model.lost.append(&mut member.holds);
        *member = Member { id: world.process().await, alive: true, holds: Vec::new() };
    }
    Ok(())
}

/// Every run is somewhere, and only there.
async fn check(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let status = world.status(LIST).await;
    let live: usize = model.live.values().sum();
    prop_assert_eq!((status.waiting + status.claimed + status.scheduled + status.parked) as usize, live);
    prop_assert_eq!(status.dead as usize, model.dead.len());
    prop_assert_eq!(world.status(PUSHED).await.waiting as usize, model.pushed, "pushes of commits that were done");
    Ok(())
}

/// Lets everything end: each live run is completed exactly once.
async fn drain(world: &World, model: &mut Model, members: &mut [Member]) -> Result<(), TestCaseError> {
    for member in members.iter() {
        world.store.deregister(&member.id).await.expect("an end");
    }
    let mut done: BTreeMap<String, usize> = BTreeMap::new();
    let process = world.process().await;
    for _ in 0..400 {
        world.advance(20).await;
        world.store.renew(&process).expect("a renewal");
        world.store.pump().await.expect("a pump");
        for claimed in world.take(&process, LIST, 10).await {
            world.finish(&claimed, End::Done).await;
            *done.entry(claimed.claim.uuid).or_default() += 1;
        }
        if world.status(LIST).await.claimed + world.status(LIST).await.waiting == 0 && done == live(model) {
            break;
        }
    }
    prop_assert_eq!(done, live(model));
    Ok(())
}

fn live(model: &Model) -> BTreeMap<String, usize> {
    model.live.iter().filter(|(_, count)| **count > 0).map(|(uuid, count)| (uuid.clone(), *count)).collect()
}
