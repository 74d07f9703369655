//! What an operator looks at when nothing moves.

use std::time::Duration;

use vconductor_core::Class;
use vconductor_core::run::RunId;
use vconductor_core::store::{
    AtWork, Card, CardChain, End, PastQuery, PastRun, ProcessId, RunQuery, RunState, StepEnd, StepTime, Vitals,
    WaitReason,
};

use crate::world::{World, cases, ending, failure, ledger};

cases![
    runs_are_told_in_every_state,
    so_many_runs_of_each_state_and_no_more,
    runs_of_one_vcon_are_found_wherever_they_are,
    a_run_is_found_by_its_name,
    conductors_are_known_by_what_they_tell,
    a_dead_conductor_is_known_for_a_day,
    who_leaves_is_forgotten,
    what_ended_is_kept_in_order_and_bounds,
    what_ended_is_forgotten_after_a_day,
    vitals_are_told,
];

fn query() -> RunQuery {
    RunQuery { limit: 100, ledgers: true, ..RunQuery::default() }
}

async fn runs_are_told_in_every_state(world: World) {
    world.put("calls", &["a", "b", "c", "d", "e", "f"]).await;
    world.put("chats", &["z"]).await;
    let process = world.process().await;
    let retried = world.one(&process, "calls").await;
    let due = world.in_seconds(60);
    let mut commit = ending(&retried, End::Retry { due, failure: failure(Class::Retryable) });
    commit.ledger = Some(ledger("support"));
    world.commit(commit).await;
    world.park(&world.one(&process, "calls").await, "t", 90).await;
    let waits = world.one(&process, "calls").await;
    world.finish(&waits, End::Wait { due: world.in_seconds(30), reason: WaitReason::Held }).await;
    world.die(&world.one(&process, "calls").await, "DLQ:calls").await;
    let claimed = world.one(&process, "calls").await;
    let runs = world.store.runs(&query()).await.expect("runs");
    let told: Vec<_> = runs.iter().map(|run| (run.list.as_str(), run.uuid.as_str(), run.state)).collect();
    use RunState::{Claimed, Dead, Parked, Scheduled, Waiting};
    let expected = [("f", Waiting), ("e", Claimed), ("c", Scheduled), ("a", Scheduled), ("b", Parked), ("d", Dead)];
    let mut expected: Vec<_> = expected.into_iter().map(|(uuid, state)| ("calls", uuid, state)).collect();
    expected.push(("chats", "z", Waiting));
    assert_eq!(told, expected);
    let near = |time: Option<i64>, wanted: i64| time.is_some_and(|time| (time - wanted).abs() < 1000);
    assert_eq!((&runs[1].process, runs[1].run), (&Some(process), Some(claimed.claim.run)));
    assert!(near(runs[2].due, world.in_seconds(30)) && runs[2].waits.is_some_and(|(why, _)| why == WaitReason::Held));
    assert!(near(runs[3].due, due) && runs[3].attempts == 1 && runs[3].waits.is_none());
    assert_eq!(runs[3].ledger, Some(ledger("support")));
    assert_eq!(runs[3].failure.as_ref().map(|failure| failure.step.as_str()), Some("notify"));
    assert!(near(runs[4].due, world.in_seconds(90)));
    assert_eq!(runs[5].queue.as_deref(), Some("DLQ:calls"));
    let only = RunQuery { lists: vec!["calls".to_owned()], states: vec![Parked, Dead], ..query() };
    let only = world.store.runs(&only).await.expect("runs");
    assert_eq!(only.iter().map(|run| run.uuid.as_str()).collect::<Vec<_>>(), ["b", "d"]);
    let light = world.store.runs(&RunQuery { ledgers: false, ..query() }).await.expect("runs");
    assert!(light.len() == 7 && light.iter().all(|run| run.ledger.is_none()), "ledgers may be large");
}

async fn so_many_runs_of_each_state_and_no_more(world: World) {
    world.put("calls", &["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    let process = world.process().await;
    for _ in 0..3 {
        world.die(&world.one(&process, "calls").await, "DLQ:calls").await;
        world.advance(1).await;
    }
    world.finish(&world.one(&process, "calls").await, End::Release).await;
    assert_eq!(world.take(&process, "calls", 3).await.len(), 3);
    world.finish(&world.one(&process, "calls").await, End::Release).await;
    let query = RunQuery { limit: 2, ..RunQuery::default() };
    let runs = world.store.runs(&query).await.expect("runs");
    let told: Vec<_> = runs.iter().map(|run| (run.uuid.as_str(), run.state)).collect();
    let expected = [
        ("g", RunState::Waiting),
        ("h", RunState::Waiting),
        ("d", RunState::Claimed),
        ("e", RunState::Claimed),
        ("c", RunState::Dead),
        ("b", RunState::Dead),
    ];
    assert_eq!(told, expected, "the latest dead ones");
    let nothing = RunQuery { limit: 0, ..RunQuery::default() };
    assert!(world.store.runs(&nothing).await.expect("runs").is_empty());
}

async fn runs_of_one_vcon_are_found_wherever_they_are(world: World) {
    world.put("calls", &["a", "b", "a", "a"]).await;
    world.put("chats", &["a", "z"]).await;
    let process = world.process().await;
    world.die(&world.one(&process, "calls").await, "DLQ:calls").await;
    let one = RunQuery { uuid: Some("a".to_owned()), ..query() };
    let runs = world.store.runs(&one).await.expect("runs");
    let told: Vec<_> = runs.iter().map(|run| (run.list.as_str(), run.uuid.as_str(), run.state)).collect();
    let waiting = |list| (list, "a", RunState::Waiting);
    assert_eq!(told, [waiting("calls"), waiting("calls"), ("calls", "a", RunState::Dead), waiting("chats")]);
    let dead = RunQuery { states: vec![RunState::Dead], lists: vec!["calls".to_owned()], ..one };
    assert_eq!(world.store.runs(&dead).await.expect("runs").len(), 1);
    let none = RunQuery { uuid: Some("none".to_owned()), ..query() };
    assert!(world.store.runs(&none).await.expect("runs").is_empty());
}

async fn a_run_is_found_by_its_name(world: World) {
    world.put("calls", &["a", "b", "c"]).await;
    let process = world.process().await;
    let parked = world.one(&process, "calls").await;
    world.park(&parked, "t", 60).await;
    let claimed = world.one(&process, "calls").await;
    for (run, state) in [(parked.claim.run, RunState::Parked), (claimed.claim.run, RunState::Claimed)] {
        let runs = world.store.runs(&RunQuery { run: Some(run), ..query() }).await.expect("runs");
        assert_eq!(runs.iter().map(|run| (run.run, run.state)).collect::<Vec<_>>(), [(Some(run), state)]);
    }
    assert!(world.store.runs(&RunQuery { run: Some(RunId::new()), ..query() }).await.expect("runs").is_empty());
}

fn step(name: &str, end: Option<StepEnd>) -> StepTime {
    let took_ms = end.map(|_| 7);
    let name = name.to_owned();
    StepTime { name, began: 1000, took_ms, limit_ms: Some(9), attempt: 1, end, error: None, usage: None }
}

fn card(host: &str, told_at: i64) -> Card {
    let chain =
        CardChain { name: "support".to_owned(), ingress_lists: vec!["calls".to_owned()], ..CardChain::default() };
    let at_work = AtWork {
        run: RunId::new(),
        uuid: "a".to_owned(),
        list: "calls".to_owned(),
        chain: "support".to_owned(),
        attempt: 1,
        began: 900,
        limit_ms: None,
        steps: vec![step("tell", Some(StepEnd::Done)), step("transcribe", None)],
    };
    Card { host: host.to_owned(), told_at, chains: vec![chain], at_work: vec![at_work], working: 1, ..Card::default() }
}

async fn conductors_are_known_by_what_they_tell(world: World) {
    assert!(world.store.conductors().await.expect("conductors").is_empty());
    let (told, silent) = (world.process().await, world.process().await);
    world.put("calls", &["a", "b"]).await;
    assert_eq!(world.take(&silent, "calls", 2).await.len(), 2);
    world.store.announce(&told, &card("one", 5)).await.expect("a card");
    let second = card("two", 6);
    world.store.announce(&told, &second).await.expect("a card");
    let found = world.another().await.conductors().await.expect("conductors");
    assert_eq!(found.len(), 2);
    let of = |process: &ProcessId| found.iter().find(|one| one.process == *process).expect("a conductor");
    let (told, silent) = (of(&told), of(&silent));
    assert!(told.alive && silent.alive && told.lease_until.is_some_and(|until| until > world.now()));
    assert_eq!((told.holds, silent.holds, told.card.as_ref(), silent.card.as_ref()), (0, 2, Some(&second), None));
    assert_eq!(told.card.as_ref().and_then(|card| card.at_work[0].step()).map(|step| &*step.name), Some("transcribe"));
    world.store.withdraw(&told.process).await.expect("a withdrawal");
    let found = world.store.conductors().await.expect("conductors");
    assert!(found.iter().all(|one| one.card.is_none()), "{found:?}");
}

async fn a_dead_conductor_is_known_for_a_day(world: World) {
    let process = world.process().await;
    world.put("calls", &["a"]).await;
    world.one(&process, "calls").await;
    let told_at = world.now();
    world.store.announce(&process, &card("one", told_at)).await.expect("a card");
    world.kill(&process).await;
    let found = world.store.conductors().await.expect("conductors");
    assert_eq!((found.len(), found[0].alive, found[0].holds), (1, false, 1));
    world.store.reap().await.expect("a reap");
    let found = world.store.conductors().await.expect("conductors");
    assert_eq!((found.len(), found[0].alive, found[0].lease_until, found[0].holds), (1, false, None, 0));
    assert_eq!(found[0].card.as_ref().map(|card| card.host.as_str()), Some("one"));
    world.advance(23 * 3600).await;
    world.store.sweep().await.expect("a sweep");
    assert_eq!(world.store.conductors().await.expect("conductors").len(), 1);
    world.advance(2 * 3600).await;
    assert!(world.store.conductors().await.expect("conductors").is_empty());
    world.store.sweep().await.expect("a sweep");
    assert!(world.store.conductors().await.expect("conductors").is_empty());
}

async fn who_leaves_is_forgotten(world: World) {
    let process = world.process().await;
    world.store.announce(&process, &card("one", world.now())).await.expect("a card");
    world.store.deregister(&process).await.expect("a farewell");
    assert!(world.store.conductors().await.expect("conductors").is_empty());
}

fn past(uuid: &str, chain: &str, outcome: &str, ended: i64) -> PastRun {
    PastRun {
        run: RunId::new(),
        uuid: uuid.to_owned(),
        list: "calls".to_owned(),
        chain: chain.to_owned(),
        process: ProcessId("p".to_owned()),
        began: ended - 7,
        ended,
        attempt: 2,
        outcome: outcome.to_owned(),
        until: None,
        failure: Some(failure(Class::Permanent)),
        steps: vec![step("tell", Some(StepEnd::Done))],
        pushed: vec!["done".to_owned()],
    }
}

async fn what_ended_is_kept_in_order_and_bounds(world: World) {
    let now = world.now();
    let one = past("a", "support", "done", now - 4);
    let more = [past("b", "chat", "dead", now - 3), past("a", "chat", "done", now - 2)];
    world.store.note(std::slice::from_ref(&one), 4).await.expect("a note");
    world.store.note(&more, 4).await.expect("a note");
    let store = &world.store;
    let ask = |query: PastQuery| async move { store.past(&query).await.expect("what ended") };
    let all = PastQuery { limit: 100, ..PastQuery::default() };
    assert_eq!(ask(all.clone()).await, [more[1].clone(), more[0].clone(), one.clone()]);
    let runs = |found: Vec<PastRun>| found.into_iter().map(|past| past.run).collect::<Vec<_>>();
    assert_eq!(runs(ask(PastQuery { limit: 1, ..all.clone() }).await), [more[1].run]);
    assert_eq!(runs(ask(PastQuery { uuid: Some("a".to_owned()), ..all.clone() }).await), [more[1].run, one.run]);
    assert_eq!(runs(ask(PastQuery { run: Some(one.run), ..all.clone() }).await), [one.run]);
    let chats = PastQuery { chain: Some("chat".to_owned()), outcomes: vec!["dead".to_owned()], ..all.clone() };
    assert_eq!(runs(ask(chats).await), [more[0].run]);
    assert_eq!(runs(ask(PastQuery { since: Some(now - 3), ..all.clone() }).await), [more[1].run, more[0].run]);
    let last = [past("c", "chat", "done", now - 1), past("d", "chat", "done", now)];
    world.store.note(&last, 4).await.expect("a note");
    assert_eq!(runs(ask(all.clone()).await), [last[1].run, last[0].run, more[1].run, more[0].run]);
    world.store.note(&[], 4).await.expect("nothing");
    world.store.note(&more, 1).await.expect("a note");
    assert_eq!(runs(ask(all).await), [more[1].run]);
}

async fn what_ended_is_forgotten_after_a_day(world: World) {
    world.store.note(&[past("a", "support", "done", world.now())], 10).await.expect("a note");
    world.advance(12 * 3600).await;
    world.store.note(&[past("b", "support", "done", world.now())], 10).await.expect("a note");
    world.advance(13 * 3600).await;
    world.store.sweep().await.expect("a sweep");
    let query = PastQuery { limit: 9, ..PastQuery::default() };
    let found = world.store.past(&query).await.expect("what ended");
    assert_eq!(found.iter().map(|past| past.uuid.as_str()).collect::<Vec<_>>(), ["b"]);
}

async fn vitals_are_told(world: World) {
    world.put("calls", &["a"]).await;
    match world.store.vitals(Duration::from_secs(20)).await.expect("vitals") {
        Vitals::Redis(vitals) => {
            assert!(vitals.server.starts_with("Redis ") || vitals.server.starts_with("Valkey "), "{vitals:?}");
            assert!(vitals.memory.is_some_and(|memory| memory > 0) && vitals.answer_us > 0, "{vitals:?}");
            assert_eq!((vitals.memory_limit, vitals.eviction.as_deref()), (Some(0), Some("noeviction")));
            assert_eq!((vitals.file, vitals.role.as_deref(), vitals.clock_ahead_ms), (Some(false), Some("master"), 0));
            assert!(vitals.file_sync.is_some() && vitals.write_failed.is_empty(), "{vitals:?}");
        }
        Vitals::Embedded(vitals) => {
            assert_eq!(vitals.damage, Some(Vec::new()));
            assert!(
                vitals.file_bytes > 0 && vitals.free_bytes > 0 && vitals.disk_bytes > vitals.free_bytes,
                "{vitals:?}"
            );
            assert!(vitals.file_mode & 0o600 == 0o600 && vitals.network.is_none(), "{vitals:?}");
        }
    }
}
