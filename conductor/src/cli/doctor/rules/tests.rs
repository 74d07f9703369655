//! Each rule on facts that are made up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vconductor_core::clock::Millis;
use vconductor_core::config::{Budget, OnExceed};
use vconductor_core::error::{Class, Error};
use vconductor_core::run::RunId;
use vconductor_core::store::{
    Card, CardChain, Conductor, EmbeddedVitals, Failure, Hold, ListStatus, ProcessId, RedisVitals, RunRecord, RunState,
    Vitals,
};

use super::*;
use crate::cli::age;
use crate::cli::doctor::facts::{Facts, Letters};
use crate::cli::doctor::outside::{Outside, Tried};
use crate::cli::doctor::report::Severity;
use crate::cli::exit::{Exit, Failure as Gone};
use crate::cli::look::Look;
use crate::cli::runs::judge::judge;

fn redis() -> RedisVitals {
    RedisVitals {
        server: "Redis 7.4.0".to_owned(),
        answer_us: 300,
        role: Some("master".to_owned()),
        memory: Some(10 << 20),
        memory_limit: Some(100 << 20),
        eviction: Some("noeviction".to_owned()),
        evicted: Some(0),
        file: Some(true),
        file_sync: Some("always".to_owned()),
        ..RedisVitals::default()
    }
}

fn chain(name: &str, list: &str, egress: &[&str], links: &[&str]) -> CardChain {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    CardChain {
        name: name.to_owned(),
        ingress_lists: vec![list.to_owned()],
        egress_lists: texts(egress),
        external_links: texts(links),
        concurrency: 64,
    }
}

fn conductor(process: &str, hash: &str) -> Conductor {
    let card = Card {
        role: "conductor".to_owned(),
        version: "1".to_owned(),
        host: "web1".to_owned(),
        pid: 42,
        started_at: age::now() - 60_000,
        told_at: age::now(),
        every_ms: 10_000,
        hash: hash.to_owned(),
        chains: vec![chain("support", "calls", &["done"], &["transcribe"])],
        ..Card::default()
    };
    Conductor {
        process: ProcessId(process.to_owned()),
        alive: true,
        lease_until: Some(age::now() + 30_000),
        holds: 0,
        clock_behind_ms: 0,
        card: Some(card),
    }
}

fn facts() -> Facts {
    let look = Look { at: age::now(), lists: Vec::new(), conductors: vec![conductor("p", "h")], holds: Vec::new() };
    Facts {
        store: "redis://host:6379/0".to_owned(),
        vitals: Ok(Vitals::Redis(Box::new(redis()))),
        look,
        later: None,
        runs: Vec::new(),
        letters: Vec::new(),
        outside: None,
        spent: BTreeMap::new(),
        taken: BTreeSet::new(),
        handed_on: BTreeSet::new(),
    }
}

fn list(name: &str, waiting: u64) -> ListStatus {
    ListStatus { list: name.to_owned(), waiting, ..ListStatus::default() }
}

/// What one subject finds.
fn found(facts: &Facts, rule: fn(&Facts, &mut Findings, &mut Rights)) -> Findings {
    let (mut findings, mut rights) = (Vec::new(), Vec::new());
    rule(facts, &mut findings, &mut rights);
    findings
}

/// What kind each finding is, and how bad.
fn kinds(findings: &[Finding]) -> Vec<(&'static str, Severity)> {
    findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn fixes(finding: &Finding, part: &str) -> bool {
    finding.fix.iter().any(|fix| fix.contains(part))
}

use Severity::{Critical, Note, Warning};

#[test]
fn a_sound_system_has_nothing_to_complain_about() {
    let mut facts = facts();
    facts.look.lists = vec![list("calls", 0)];
    let (mut findings, mut rights) = (Vec::new(), Vec::new());
    for rule in [store::vitals, conductors::all, lists::all, work::all, letters::all] {
        rule(&facts, &mut findings, &mut rights);
    }
    assert_eq!(findings, []);
    let about: Vec<&str> = rights.iter().map(|right| right.about).collect();
    assert_eq!(about, ["store", "memory", "file", "clock", "conductors", "lists", "held", "runs", "failed"]);
}

#[test]
fn a_redis_that_may_lose_something_is_told() {
    let judged = |vitals: RedisVitals| {
        let mut facts = facts();
        facts.vitals = Ok(Vitals::Redis(Box::new(vitals)));
        found(&facts, store::vitals)
    };
    let evicts = judged(RedisVitals { eviction: Some("allkeys-lru".to_owned()), ..redis() });
    assert_eq!(kinds(&evicts), [("store-evicts", Warning)]);
    assert!(fixes(&evicts[0], "redis-cli -u redis://host:6379/0 CONFIG SET maxmemory-policy noeviction"));
    let evicted = RedisVitals { eviction: Some("allkeys-lru".to_owned()), evicted: Some(3), ..redis() };
    assert_eq!(kinds(&judged(evicted)), [("store-evicts", Critical)]);
    assert_eq!(kinds(&judged(RedisVitals { file: Some(false), ..redis() })), [("store-no-file", Warning)]);
    let second = RedisVitals { file_sync: Some("everysec".to_owned()), ..redis() };
    assert_eq!(kinds(&judged(second)), [("store-file-sync", Note)]);
    assert_eq!(kinds(&judged(RedisVitals { file: None, ..redis() })), [("store-file-unknown", Note)]);
    for (used, expected) in [(84, None), (86, Some(Warning)), (96, Some(Critical))] {
        let found = judged(RedisVitals { memory: Some(used << 20), ..redis() });
        assert_eq!(found.first().map(|finding| finding.severity), expected, "{used}");
        assert_eq!(found.first().is_some_and(|finding| finding.stops.is_some()), expected == Some(Critical));
    }
    let failed = judged(RedisVitals { write_failed: vec!["aof".to_owned()], ..redis() });
    assert_eq!(kinds(&failed), [("store-disk", Critical)]);
    let snapshot =
        RedisVitals { write_failed: vec!["rdb".to_owned()], stops_on_failed_snapshot: Some(false), ..redis() };
    assert_eq!(kinds(&judged(snapshot)), [("store-disk", Warning)], "it goes on without");
    for (ahead, expected) in [(900, None), (-1500, Some(Note)), (6000, Some(Warning))] {
        let found = judged(RedisVitals { clock_ahead_ms: ahead, ..redis() });
        assert_eq!(found.first().map(|finding| finding.severity), expected, "{ahead}");
    }
    assert_eq!(
        kinds(&judged(RedisVitals { role: Some("slave".to_owned()), ..redis() })),
        [("store-replica", Critical)]
    );
    assert_eq!(kinds(&judged(RedisVitals { loading: true, ..redis() })), [("store-loading", Critical)]);
    assert_eq!(kinds(&judged(RedisVitals { answer_us: 90_000, ..redis() })), [("store-slow", Warning)]);
    let many = RedisVitals { clients: Some(950), clients_limit: Some(1000), ..redis() };
    assert_eq!(kinds(&judged(many)), [("store-clients", Warning)]);
}

#[test]
fn an_embedded_store_that_is_not_well_is_told() {
    let sound = || EmbeddedVitals {
        directory: "/data".into(),
        file_bytes: 1 << 20,
        free_bytes: 50 << 30,
        disk_bytes: 100 << 30,
        directory_mode: 0o700,
        file_mode: 0o644,
        damage: Some(Vec::new()),
        ..EmbeddedVitals::default()
    };
    let judged = |vitals: EmbeddedVitals| {
        let mut facts = facts();
        facts.vitals = Ok(Vitals::Embedded(vitals));
        found(&facts, store::vitals)
    };
    assert_eq!(judged(sound()), []);
    let open = judged(EmbeddedVitals { directory_mode: 0o755, ..sound() });
    assert_eq!(kinds(&open), [("store-readable", Warning)]);
    assert!(fixes(&open[0], "chmod -R o-rwx /data"));
    let damage = Some(vec!["row 3 missing".to_owned()]);
    assert_eq!(kinds(&judged(EmbeddedVitals { damage, ..sound() })), [("store-damaged", Critical)]);
    assert_eq!(kinds(&judged(EmbeddedVitals { damage: None, ..sound() })), [("store-unchecked", Note)]);
    assert_eq!(kinds(&judged(EmbeddedVitals { free_bytes: 1 << 20, ..sound() })), [("store-disk", Critical)]);
    assert_eq!(kinds(&judged(EmbeddedVitals { free_bytes: 500 << 20, ..sound() })), [("store-disk", Warning)]);
    assert_eq!(kinds(&judged(EmbeddedVitals { network: Some("NFS"), ..sound() })), [("store-on-network", Critical)]);
    assert_eq!(kinds(&judged(EmbeddedVitals { log_bytes: 2 << 30, ..sound() })), [("store-log", Warning)]);
}

#[test]
fn a_store_that_cannot_be_opened_says_what_to_do() {
    let away = Gone::new(Exit::Unavailable, "redis://host:6379/0 cannot be reached: refused").help("start it");
    let finding = store::unusable("redis://host:6379/0", &away);
    assert_eq!(
        (finding.code, finding.stops.as_deref()),
        ("store-unreachable", Some("Nothing moves: the store redis://host:6379/0 does not answer."))
    );
    assert!(fixes(&finding, "redis-cli -u redis://host:6379/0 PING") && fixes(&finding, "start it"), "{finding:?}");
    assert!(fixes(&store::unusable("valkeys://host:1/0", &away), "valkey-cli -u rediss://host:1/0 PING"));
    let refused = store::unusable("redis://host:6379/0", &Gone::new(Exit::Configuration, "refuses the password"));
    assert_eq!(refused.code, "store-unusable");
    assert_eq!(store::unusable("embedded:./x", &Gone::new(Exit::Findings, "no store")).code, "store-missing");
}

#[test]
fn nobody_works_and_the_dead_are_told() {
    let mut facts = facts();
    facts.look.conductors.clear();
    assert_eq!(kinds(&found(&facts, conductors::all)), [("no-conductor", Note)], "nothing waits, either");
    facts.look.lists = vec![list("done", 7)];
    facts.handed_on.insert("done".to_owned());
    assert_eq!(kinds(&found(&facts, conductors::all)), [("no-conductor", Note)], "that is for another program");
    facts.look.lists = vec![list("calls", 3)];
    let nobody = found(&facts, conductors::all);
    assert_eq!(kinds(&nobody), [("no-conductor", Critical)]);
    assert!(nobody[0].stops.is_some() && fixes(&nobody[0], "vconductor run CONFIG --store redis://host:6379/0"));
    let mut dead = conductor("d", "h");
    (dead.alive, dead.holds) = (false, 2);
    facts.look.conductors = vec![dead.clone()];
    assert_eq!(kinds(&found(&facts, conductors::all)), [("no-conductor", Critical), ("conductor-dead", Warning)]);
    let mut other = conductor("p", "h");
    facts.look.conductors = vec![dead.clone(), other.clone()];
    let told = found(&facts, conductors::all);
    assert!(told[0].why.contains("what it holds (2 runs) is taken over within seconds"), "{told:?}");
    (dead.lease_until, dead.holds) = (None, 0);
    other.card.as_mut().unwrap().started_at = age::now() + 5;
    facts.look.conductors = vec![dead, other];
    assert_eq!(kinds(&found(&facts, conductors::all)), [("conductor-dead", Note)], "somebody has started it again");
}

#[test]
fn conductors_that_differ_or_are_silent_are_told() {
    let mut facts = facts();
    facts.look.conductors = vec![conductor("a", "h1"), conductor("b", "h2")];
    let told = found(&facts, conductors::all);
    assert_eq!(kinds(&told), [("configurations-differ", Warning)]);
    assert!(fixes(&told[0], "kill -HUP 42"), "{told:?}");
    facts.look.conductors = vec![conductor("a", "h")];
    facts.look.conductors[0].clock_behind_ms = -2500;
    facts.look.conductors[0].card.as_mut().unwrap().refused = Some("chains.yml:3:1: unknown link".to_owned());
    assert_eq!(kinds(&found(&facts, conductors::all)), [("reload-refused", Warning), ("clock-differs", Warning)]);
    facts.look.conductors = vec![conductor("a", "h")];
    facts.look.at += 60_000;
    assert_eq!(kinds(&found(&facts, conductors::all)), [("conductor-silent", Critical)]);
    let mut beside = conductor("f", "");
    beside.card.as_mut().unwrap().role = "followers".to_owned();
    let mut facts = self::facts();
    facts.look.conductors.push(beside);
    assert_eq!(found(&facts, conductors::all), [], "what works beside a conductor has no configuration of its own");
}

#[test]
fn lists_that_do_not_move_are_told_with_their_reason() {
    let judged = |status: ListStatus, later: Option<ListStatus>| {
        let mut facts = facts();
        facts.look.lists = vec![status];
        facts.later = later.map(|later| vec![later]);
        found(&facts, lists::all)
    };
    let paused = judged(ListStatus { paused: true, ..list("calls", 3) }, None);
    assert_eq!(kinds(&paused), [("list-paused", Critical)]);
    assert_eq!(paused[0].fix, ["vconductor queue resume calls"]);
    assert_eq!(paused[0].stops.as_deref(), Some("List calls does not move: it is paused, and 3 runs wait."));
    assert_eq!(kinds(&judged(ListStatus { paused: true, ..list("calls", 0) }, None)), [("list-paused", Note)]);
    let mistyped = judged(list("cals", 3), None);
    assert_eq!(kinds(&mistyped), [("list-unserved", Critical)]);
    assert!(fixes(&mistyped[0], "vconductor queue move cals calls"), "{mistyped:?}");
    assert_eq!(kinds(&judged(list("done", 3), None)), [("list-handed-on", Note)]);
    assert_eq!(kinds(&judged(list("calls", 3), Some(list("calls", 3)))), [("list-still", Critical)]);
    assert_eq!(judged(list("calls", 3), Some(list("calls", 2))), [], "it moves");
    let busy = ListStatus { claimed: 1, ..list("calls", 3) };
    assert_eq!(judged(busy.clone(), Some(busy)), [], "somebody works on it");
}

fn hold(what: &str) -> Hold {
    Hold {
        what: what.to_owned(),
        reason: "answered 401 Unauthorized".to_owned(),
        help: Some("check the API key".to_owned()),
        since: age::now() - 65_000,
        until: age::now() + 90_000,
        times: 3,
    }
}

#[test]
fn what_is_held_is_told_with_the_chains_that_it_stops() {
    let mut facts = facts();
    facts.look.holds = vec![hold("link:transcribe"), hold("key:openai:4f1c"), hold("chain:chat")];
    facts.look.lists = vec![list("calls", 3)];
    facts.later = Some(vec![list("calls", 3)]);
    let told = found(&facts, work::all);
    assert_eq!(kinds(&told), [("link-held", Critical), ("key-rejected", Warning), ("chain-held", Critical)]);
    let sentence = "Chain support does not move: link:transcribe is held (answered 401 Unauthorized).";
    assert_eq!(told[0].stops.as_deref(), Some(sentence));
    assert!(fixes(&told[0], "check the API key") && fixes(&told[0], "vconductor queue release link:transcribe"));
    assert_eq!(found(&facts, lists::all), [], "that is why the list stands still");
}

fn run(state: RunState) -> RunRecord {
    RunRecord {
        run: Some(RunId::new()),
        uuid: "u".to_owned(),
        list: "calls".to_owned(),
        state,
        enqueued_at: None,
        attempts: 1,
        crashes: 0,
        process: None,
        due: Some(age::now() + 10_000),
        waits: None,
        queue: None,
        failure: Some(failure()),
        ledger: None,
    }
}

fn failure() -> Failure {
    Failure {
        class: Class::Retryable,
        step: "tell".to_owned(),
        message: "answered 503".to_owned(),
        help: None,
        attempts: 1,
        at: age::now(),
    }
}

#[test]
fn what_is_stuck_or_tried_again_is_told_once_for_all() {
    let mut facts = facts();
    let late = RunRecord { due: Some(age::now() - 60_000), ..run(RunState::Scheduled) };
    let records = [run(RunState::Scheduled), run(RunState::Scheduled), late.clone(), late];
    facts.runs = records.into_iter().map(|run| (judge(&run, &facts.look), run)).map(|(a, b)| (b, a)).collect();
    let told = found(&facts, work::all);
    assert_eq!(kinds(&told), [("run-stuck", Critical), ("step-failing", Warning)]);
    assert_eq!(told[0].what, "2 runs are stuck in tell");
    assert_eq!(told[0].stops.as_deref(), Some("2 runs are stuck in tell."));
    assert!(told[1].what.starts_with("2 runs failed in tell and are tried again, the next in "), "{}", told[1].what);
}

#[test]
fn dead_letters_are_told_by_what_they_mean() {
    let letters = |queue: &str, count: u64, oldest: Millis| Letters {
        queue: queue.to_owned(),
        count,
        seen: count,
        oldest: Some(age::now() - oldest),
        newest: Some(age::now()),
        poison: 0,
        cause: Some(("files".to_owned(), "no space".to_owned(), count)),
    };
    let mut facts = facts();
    facts.letters = vec![letters("DLQ:storage:files", 2, 1000), letters("DLQ:calls", 4, 1000)];
    facts.letters[1].poison = 1;
    let told = found(&facts, letters::all);
    let expected = [("storage-missing", Critical), ("dead-letters", Warning), ("poison", Warning)];
    assert_eq!(kinds(&told), expected);
    assert_eq!(told[0].stops.as_deref(), Some("Storage files does not take vCons, and 2 runs wait."));
    assert!(fixes(&told[1], "vconductor dlq list calls --group"), "{told:?}");
    facts.letters = vec![letters("DLQ:calls", 1, 6 * 86_400_000 + 43_200_000)];
    let told = found(&facts, letters::all);
    assert_eq!(kinds(&told), [("dead-letters", Warning), ("dead-letters-old", Warning)]);
    assert!(told[1].what.starts_with("the oldest dead letters of calls are forgotten in 1"), "{}", told[1].what);
}

#[test]
fn storages_and_budgets_of_the_configuration_are_told() {
    let tried = |name: &str, required: &[&str], result| Tried {
        name: name.to_owned(),
        required_by: required.iter().map(|chain| (*chain).to_owned()).collect(),
        optional_for: Vec::new(),
        took: Duration::from_millis(3),
        result,
    };
    let refused = || Err(Error::retryable("connection refused").help("start the server"));
    let budget = |usd_per_day| Budget { usd_per_day, on_exceed: OnExceed::Skip };
    let outside = Outside {
        files: vec!["chains.yml".to_owned()],
        hash: "h".to_owned(),
        errors: 2,
        storages: vec![
            tried("pg", &["support"], refused()),
            tried("s3", &[], refused()),
            tried("files", &["chat"], Ok(())),
        ],
        ingress_lists: Vec::new(),
        egress_lists: Vec::new(),
        budgets: vec![("a".to_owned(), budget(10.0)), ("b".to_owned(), budget(10.0)), ("c".to_owned(), budget(10.0))],
    };
    let spent = [("a".to_owned(), 10.5), ("b".to_owned(), 9.5)].into();
    let (mut findings, mut rights) = (Vec::new(), Vec::new());
    outside::storages(&outside, &mut findings, &mut rights);
    outside::files(&outside, &mut findings, &mut rights);
    outside::budgets(&outside, &spent, &mut findings, &mut rights);
    let expected = [
        ("storage-away", Critical),
        ("storage-away", Warning),
        ("configuration-wrong", Warning),
        ("budget", Warning),
        ("budget", Note),
    ];
    assert_eq!(kinds(&findings), expected);
    let sentence = "Chain support cannot finish: storage pg does not answer as it should.";
    assert_eq!((findings[0].stops.as_deref(), fixes(&findings[0], "start the server")), (Some(sentence), true));
    assert_eq!(rights.iter().map(|right| right.about).collect::<Vec<_>>(), ["storages", "budgets"]);
}

#[test]
fn sizes_are_written_as_people_read_them() {
    assert_eq!([bytes(0), bytes(1023), bytes(1536), bytes(300 << 20)], ["0 B", "1023 B", "1.5 KiB", "300 MiB"]);
    assert_eq!([quoted("storage:a-b"), quoted("a b'c")], ["storage:a-b".to_owned(), r"'a b'\''c'".to_owned()]);
    assert_eq!(named(&["a", "b", "c", "d"].map(str::to_owned)), "a, b and 2 more");
}
