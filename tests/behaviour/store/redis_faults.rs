//! The store on Redis when the network, the server or other programs misbehave: every uuid is pushed exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Commit, Committed, Documents, End, Operations, ProcessId, Queue, Store};
use vconductor_core::{Class, store::dead_letter_queue};
use vconductor_tests::servers::proxy::{Harm, Proxy};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{self, ending, failure, ledger, new_vcon, push, request, save, trials};

trials![
    "redis::faults",
    a_lost_reply_is_not_a_lost_or_doubled_run,
    a_lost_reply_to_a_claim_gives_the_runs_back,
    a_transaction_that_arrives_late_changes_nothing,
    a_claim_that_arrives_late_is_given_back,
    a_slow_network_changes_nothing,
    forgotten_scripts_are_loaded_again,
    killed_connections_lose_nothing,
    a_killed_durable_server_loses_nothing,
    a_stopped_server_is_waited_for,
    two_conductors_share_three_lists_fairly,
    a_producer_needs_only_redis_cli,
    what_is_put_back_at_the_head_goes_first,
    a_uuid_moved_out_of_the_dead_letters_continues_its_run,
    a_save_keeps_the_time_to_live_and_the_ack_restores_it,
    nothing_expires_on_a_list_that_is_swept,
    no_reaping_right_after_a_restart_of_the_server,
    what_is_missing_is_named,
    a_full_server_is_explained_and_recovers,
    the_index_is_what_vcon_server_searches,
];

fn quick() -> Settings {
    Settings {
        response_timeout: Duration::from_millis(800),
        connect_timeout: Duration::from_millis(500),
        ..Settings::default()
    }
}

async fn open(url: &str) -> Arc<RedisStore> {
    RedisStore::connect(url, quick()).await.expect("a store")
}

pub(crate) async fn fill(store: &RedisStore, list: &str, count: usize) {
    let vcons: Vec<_> = (0..count).map(|index| new_vcon(&format!("{list}-{index}"), &[list])).collect();
    for vcons in vcons.chunks(500) {
        store.ingest(vcons.to_vec()).await.expect("an ingest");
    }
}

/// Works as a conductor does until `total` uuids are on `out`: what fails is tried again as it is.
pub(crate) async fn conduct(store: Arc<RedisStore>, lists: &[(&str, u32)], total: usize, ended: &AtomicBool) -> usize {
    let process = ProcessId::random();
    while store.register(&process).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let quotas: Vec<_> = lists.iter().map(|(list, weight)| (*list, 16, *weight)).collect();
    let names: Vec<String> = lists.iter().map(|(list, _)| (*list).to_owned()).collect();
    let started = Instant::now();
    let (mut commits, mut done) = (Vec::<Commit>::new(), 0);
    let mut checked = Instant::now();
    while !ended.load(Ordering::SeqCst) {
        assert!(started.elapsed() < Duration::from_secs(60), "it does not come to an end");
        let answer = store.exchange(&process, commits.clone(), Some(request(&quotas, 16))).await;
        let (committed, claimed) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                assert!(error.is_retryable(), "{}", error.chain_text());
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        assert!(committed.iter().all(|result| *result == Committed::Done), "{committed:?}");
        done += committed.len();
        commits = claimed
            .iter()
            .map(|claimed| {
                let uuid = &claimed.claim.uuid;
                let mut commit = ending(claimed, End::Done);
                commit.save = save(uuid, &format!("done {uuid}"), 0);
                commit.pushes = vec![push("out", uuid)];
                commit
            })
            .collect();
        if claimed.is_empty() || checked.elapsed() > Duration::from_millis(200) {
            checked = Instant::now();
            // What the janitor of a conductor does; while the server is away it fails like everything else.
            drop((store.reap().await, store.pump().await));
            let out = store.lists().await.unwrap_or_default().into_iter().find(|status| status.list == "out");
            if out.is_some_and(|out| out.waiting as usize >= total) && commits.is_empty() {
                ended.store(true, Ordering::SeqCst);
            }
            if claimed.is_empty() {
                store.doorbell(&names, Duration::from_millis(50)).await;
            }
        }
    }
    while store.deregister(&process).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done
}

/// Every uuid is on `out` so often, the lists are empty and nothing is held.
fn check(server: &RedisServer, lists: &[&str], expected: &BTreeMap<String, usize>) {
    let mut connection = server.connect();
    let out: Vec<String> = redis::cmd("LRANGE").arg("out").arg(0).arg(-1).query(&mut connection).expect("the list");
    let mut counts = BTreeMap::new();
    for uuid in out {
        *counts.entry(uuid).or_insert(0) += 1;
    }
    assert_eq!(&counts, expected);
    for uuid in expected.keys() {
        let text: String = redis::cmd("GET").arg(format!("vcon:{uuid}")).query(&mut connection).expect("a document");
        assert_eq!(text, format!("done {uuid}"));
    }
    for list in lists {
        for rest in [format!("{{{list}}}:wips"), (*list).to_owned(), format!("{{{list}}}:returned")] {
            let kind: String = redis::cmd("TYPE").arg(&rest).query(&mut connection).expect("a type");
            assert_eq!(kind, "none", "{rest} is left");
        }
    }
    let leases: Vec<String> = redis::cmd("KEYS").arg("*:writer").query(&mut connection).expect("the keys");
    assert_eq!(leases, Vec::<String>::new(), "writer leases are left");
}

fn once(list: &str, count: usize) -> BTreeMap<String, usize> {
    (0..count).map(|index| (format!("{list}-{index}"), 1)).collect()
}

/// Runs a conductor over 600 vCons while `nemesis` does its work every few milliseconds.
async fn against(server: &RedisServer, url: &str, mut nemesis: impl FnMut()) {
    const COUNT: usize = 600;
    fill(&*open(&server.url()).await, "in", COUNT).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (store, flag) = (open(url).await, Arc::clone(&ended));
    let conductor = tokio::spawn(async move { conduct(store, &[("in", 1)], COUNT, &flag).await });
    while !conductor.is_finished() {
        nemesis();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    conductor.await.expect("a conductor");
    check(server, &["in"], &once("in", COUNT));
}

async fn a_lost_reply_is_not_a_lost_or_doubled_run() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let seed = 20_260_317;
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut last = Instant::now();
    let url = proxy.url();
    against(&server, &url, || {
        if last.elapsed() > Duration::from_millis(8) {
            last = Instant::now();
            let harm = if random.bool() { Harm::Drop } else { Harm::Cut };
            let word = if random.bool() { "EXEC" } else { "EVALSHA" };
            proxy.harm(harm, word, random.usize(0..3));
        }
    })
    .await;
    assert!(proxy.harmed() >= 5, "only {} replies were harmed", proxy.harmed());
}

async fn a_lost_reply_to_a_claim_gives_the_runs_back() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let store = open(&proxy.url()).await;
    fill(&store, "in", 5).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    proxy.harm(Harm::Drop, "EVALSHA", 0);
    store.exchange(&process, Vec::new(), Some(request(&[("in", 5, 1)], 5))).await.expect_err("the reply is lost");
    assert_eq!(server.cli(&["LLEN", "in"]), "0", "the claim was made");
    let (_, claimed) = store.exchange(&process, Vec::new(), Some(request(&[("in", 5, 1)], 5))).await.expect("a claim");
    assert_eq!(world::uuids(&claimed), ["in-0", "in-1", "in-2", "in-3", "in-4"]);
    assert!(claimed.iter().all(|run| run.crashes == 0));
}

async fn a_transaction_that_arrives_late_changes_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let store = open(&proxy.url()).await;
    fill(&store, "in", 1).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let (_, claimed) =
        store.exchange(&process, Vec::new(), Some(request(&[("in", 1, 1)], 1))).await.expect("an exchange");
    // A step that goes on: doing it twice would push twice.
    let mut commit = ending(&claimed[0], End::Continue);
    commit.save = save("in-0", "step", 0);
    commit.pushes = vec![push("out", "in-0")];
    proxy.harm(Harm::Late(Duration::from_millis(1600)), "EXEC", 0);
    store.exchange(&process, vec![commit.clone()], None).await.expect_err("no answer in time");
    let (committed, _) = store.exchange(&process, vec![commit], None).await.expect("it is done again");
    assert_eq!(committed, [Committed::Done]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(proxy.harmed(), 1, "the first one has arrived");
    assert_eq!(server.cli(&["LLEN", "out"]), "1");
}

async fn a_claim_that_arrives_late_is_given_back() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let store = open(&proxy.url()).await;
    fill(&store, "in", 3).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let ask = || Some(request(&[("in", 1, 1)], 1));
    proxy.harm(Harm::Late(Duration::from_millis(1600)), "EVALSHA", 0);
    store.exchange(&process, Vec::new(), ask()).await.expect_err("no answer in time");
    let (_, first) = store.exchange(&process, Vec::new(), ask()).await.expect("an exchange");
    assert_eq!(world::uuids(&first), ["in-0"]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(server.cli(&["LLEN", "in"]), "1", "the late claim took another one");
    assert!(store.reap().await.expect("a sweep").is_empty(), "nobody died");
    let (_, rest) = store.exchange(&process, Vec::new(), Some(request(&[("in", 9, 1)], 9))).await.expect("an exchange");
    assert_eq!(world::uuids(&rest), ["in-1", "in-2"]);
}

async fn a_slow_network_changes_nothing() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    proxy.delay(Duration::from_millis(4));
    let url = proxy.url();
    against(&server, &url, || {}).await;
}

async fn forgotten_scripts_are_loaded_again() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let url = server.url();
    against(&server, &url, || redis::cmd("SCRIPT").arg("FLUSH").exec(&mut connection).expect("a flush")).await;
}

async fn killed_connections_lose_nothing() {
    let server = RedisServer::start();
    let mut connection = server.connect();
    let (url, mut rounds) = (server.url(), 0);
    against(&server, &url, || {
        rounds += 1;
        if rounds % 6 == 0 {
            redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").exec(&mut connection).expect("a kill");
        }
    })
    .await;
}

async fn a_killed_durable_server_loses_nothing() {
    const COUNT: usize = 2000;
    let mut server = RedisServer::durable();
    fill(&*open(&server.url()).await, "in", COUNT).await;
    let ended = Arc::new(AtomicBool::new(false));
    let (store, flag) = (open(&server.url()).await, Arc::clone(&ended));
    let conductor = tokio::spawn(async move { conduct(store, &[("in", 1)], COUNT, &flag).await });
    let mut kills = 0;
    while !conductor.is_finished() {
        tokio::time::sleep(Duration::from_millis(2)).await;
        // By what is done, so that a fast machine is killed as often as a slow one.
        let done: usize = redis::cmd("LLEN").arg("out").query(&mut server.connect()).expect("a length");
        if kills < 4 && done > (kills + 1) * COUNT / 8 {
            server.kill();
            server.up();
            kills += 1;
        }
    }
    conductor.await.expect("a conductor");
    assert!(kills >= 2, "it was over too soon: {kills} kills");
    check(&server, &["in"], &once("in", COUNT));
}

async fn a_stopped_server_is_waited_for() {
    let server = RedisServer::start();
    let (url, mut rounds) = (server.url(), 0);
    against(&server, &url, || {
        rounds += 1;
        if rounds == 5 || rounds == 60 {
            server.signal("STOP");
            // Longer than an answer may take: the transaction's fate is not known, and it is still in a buffer.
            std::thread::sleep(Duration::from_millis(1200));
            server.signal("CONT");
        }
    })
    .await;
}

async fn two_conductors_share_three_lists_fairly() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let sizes = [("busy", 7000), ("middle", 900), ("short", 100)];
    let mut expected = BTreeMap::new();
    for (list, count) in sizes {
        fill(&store, list, count).await;
        expected.extend(once(list, count));
    }
    // A fifth of all entries are second copies.
    let again: Vec<_> = (0..2000).map(|index| new_vcon(&format!("busy-{}", index * 3), &["busy"])).collect();
    for vcons in again.chunks(500) {
        store.ingest(vcons.to_vec()).await.expect("an ingest");
    }
    for index in 0..2000 {
        *expected.get_mut(&format!("busy-{}", index * 3)).expect("it is there") += 1;
    }
    let ended = Arc::new(AtomicBool::new(false));
    let lists = [("busy", 1), ("middle", 1), ("short", 1)];
    let mut conductors = Vec::new();
    for _ in 0..2 {
        let (store, flag) = (open(&server.url()).await, Arc::clone(&ended));
        conductors.push(tokio::spawn(async move { conduct(store, &lists, 10_000, &flag).await }));
    }
    let mut done = Vec::new();
    for conductor in conductors {
        done.push(conductor.await.expect("a conductor"));
    }
    assert!(done.iter().all(|count| *count >= 2000), "{done:?}");
    let out: Vec<String> =
        redis::cmd("LRANGE").arg("out").arg(0).arg(999).query(&mut server.connect()).expect("the list");
    let short = out.iter().filter(|uuid| uuid.starts_with("short")).count();
    assert_eq!(short, 100, "the short list is served while the busy one is full");
    check(&server, &["busy", "middle", "short"], &expected);
}

async fn a_producer_needs_only_redis_cli() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let ask = || Some(request(&[("calls", 9, 1)], 9));
    assert!(store.exchange(&process, Vec::new(), ask()).await.expect("an exchange").1.is_empty());
    let bell = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let start = Instant::now();
            store.doorbell(&["calls".to_owned()], Duration::from_secs(10)).await;
            start.elapsed()
        })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.cli(&["SET", "vcon:u1", "{\"uuid\": \"u1\"}"]);
    server.cli(&["RPUSH", "context:calls:u1", "{\"trace_id\":\"abc\"}"]);
    server.cli(&["RPUSH", "calls", "u1", "u2"]);
    assert!(bell.await.expect("a wait") < Duration::from_secs(1), "the doorbell rang");
    let (_, claimed) = store.exchange(&process, Vec::new(), ask()).await.expect("an exchange");
    assert_eq!(world::uuids(&claimed), ["u1", "u2"]);
    assert_eq!(claimed[0].stored.as_ref().expect("a document").document, "{\"uuid\": \"u1\"}");
    assert_eq!(claimed[0].context.as_deref(), Some("{\"trace_id\":\"abc\"}"));
    assert_eq!(claimed[1].stored, None, "the producer was early");
    let mut commit = ending(&claimed[0], End::Done);
    commit.pushes = vec![push("done", "u1")];
    store.exchange(&process, vec![commit], None).await.expect("an exchange");
    assert_eq!(server.cli(&["LPOP", "done"]), "u1", "a bare uuid, as other programs expect it");
    assert_eq!(server.cli(&["LPOP", "context:done:u1"]), "{\"trace_id\":\"abc\"}", "the trace goes on");
}

/// Other programs give back what they could not finish with `LPUSH`; the oldest is at the head.
async fn what_is_put_back_at_the_head_goes_first() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    server.cli(&["RPUSH", "calls", "c", "d"]);
    server.cli(&["LPUSH", "calls", "b"]);
    server.cli(&["LPUSH", "calls", "a"]);
    let (_, claimed) =
        store.exchange(&process, Vec::new(), Some(request(&[("calls", 9, 1)], 9))).await.expect("an exchange");
    assert_eq!(world::uuids(&claimed), ["a", "b", "c", "d"]);
}

async fn a_uuid_moved_out_of_the_dead_letters_continues_its_run() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let one = async || {
        let (_, mut claimed) =
            store.exchange(&process, Vec::new(), Some(request(&[("calls", 1, 1)], 1))).await.expect("an exchange");
        claimed.pop().expect("a run")
    };
    store.ingest(vec![new_vcon("a", &["calls"])]).await.expect("an ingest");
    let first = one().await;
    let queue = dead_letter_queue("calls");
    let mut commit = ending(&first, End::Dead { queue: queue.clone(), failure: failure(Class::Permanent) });
    commit.ledger = Some(ledger("support"));
    store.exchange(&process, vec![commit], None).await.expect("an exchange");
    assert_eq!(server.cli(&["LRANGE", "DLQ:calls", "0", "-1"]), "a");
    // A new enqueue beside the dead letter is a new run.
    server.cli(&["RPUSH", "calls", "a"]);
    let fresh = one().await;
    assert_ne!(fresh.claim.run, first.claim.run);
    store.exchange(&process, vec![ending(&fresh, End::Done)], None).await.expect("an exchange");
    // What vcon-server's API does to reprocess.
    server.cli(&["LPOP", "DLQ:calls"]);
    server.cli(&["RPUSH", "calls", "a"]);
    let again = one().await;
    assert_eq!((again.claim.run, again.attempts, again.ledger), (first.claim.run, 0, Some(ledger("support"))));
    assert!(store.dead_letters(&queue, None, 9).await.expect("the letters").is_empty());
}

async fn a_save_keeps_the_time_to_live_and_the_ack_restores_it() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    server.cli(&["SET", "vcon:a", "{}", "EX", "1000"]);
    server.cli(&["RPUSH", "calls", "a"]);
    let (_, claimed) =
        store.exchange(&process, Vec::new(), Some(request(&[("calls", 1, 1)], 1))).await.expect("an exchange");
    assert_eq!(server.cli(&["TTL", "vcon:a"]), "-1", "nothing expires while it is worked on");
    // Another program gives it a time to live meanwhile.
    server.cli(&["EXPIRE", "vcon:a", "500"]);
    let mut commit = ending(&claimed[0], End::Continue);
    commit.save = save("a", "edited", 0);
    store.exchange(&process, vec![commit], None).await.expect("an exchange");
    let ttl = || server.cli(&["TTL", "vcon:a"]).parse::<i64>().expect("a number");
    assert!((490..=500).contains(&ttl()), "a save keeps the time to live: {}", ttl());
    store.exchange(&process, vec![ending(&claimed[0], End::Done)], None).await.expect("an exchange");
    assert!((990..=1000).contains(&ttl()), "the ack restores it: {}", ttl());
}

async fn nothing_expires_on_a_list_that_is_swept() {
    let server = RedisServer::start();
    let settings = Settings { horizon: Duration::from_millis(1500), document_keep: Duration::from_secs(77), ..quick() };
    let store = RedisStore::connect(&server.url(), settings).await.expect("a store");
    store.pause("held", true).await.expect("a pause");
    let mut fill = redis::cmd("EVAL");
    fill.arg(
        "for i = 0, 1199 do redis.call('SET', 'vcon:v'..i, '{}', 'PX', 1400) redis.call('RPUSH', 'held', 'v'..i) end",
    )
    .arg(0);
    fill.exec(&mut server.connect()).expect("a backlog");
    store.sweep().await.expect("a sweep");
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let left: usize = redis::cmd("EVAL")
        .arg("return #redis.call('KEYS', 'vcon:*')")
        .arg(0)
        .query(&mut server.connect())
        .expect("a count");
    assert_eq!(left, 1200);
    store.pause("held", false).await.expect("an end of the pause");
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let (_, claimed) =
        store.exchange(&process, Vec::new(), Some(request(&[("held", 1, 1)], 1))).await.expect("an exchange");
    assert!(claimed[0].stored.is_some());
    store.exchange(&process, vec![ending(&claimed[0], End::Done)], None).await.expect("an exchange");
    let ttl: i64 = server.cli(&["TTL", "vcon:v0"]).parse().expect("a number");
    assert!((70..=77).contains(&ttl), "it has a time to live again: {ttl}");
}

async fn no_reaping_right_after_a_restart_of_the_server() {
    const LEASE: Duration = Duration::from_millis(1000);
    // Hardly longer than the lease, too: the server tells its age in whole seconds.
    for away in [1050, 3200] {
        let mut server = RedisServer::durable();
        let settings = Settings { lease: LEASE, ..quick() };
        let store = RedisStore::connect(&server.url(), settings.clone()).await.expect("a store");
        fill(&store, "in", 1).await;
        let process = ProcessId::random();
        store.register(&process).await.expect("a process");
        store.exchange(&process, Vec::new(), Some(request(&[("in", 1, 1)], 1))).await.expect("a claim");
        server.kill();
        tokio::time::sleep(Duration::from_millis(away)).await;
        let up = Instant::now();
        server.up();
        let other = RedisStore::connect(&server.url(), settings).await.expect("a store");
        while up.elapsed() < 2 * LEASE - Duration::from_millis(100) {
            let reaped = other.reap().await.expect("a reap");
            assert!(reaped.is_empty(), "it could not renew while the server was away for {away} ms");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert_eq!(other.reap().await.expect("a reap").len(), 1, "two leases and what the server rounds");
    }
}

async fn what_is_missing_is_named() {
    let server = RedisServer::start();
    server.cli(&["CONFIG", "SET", "requirepass", "right"]);
    let port = server.port();
    let failing = async |url: String| RedisStore::connect(&url, quick()).await.expect_err("it cannot be used");
    for url in [format!("redis://127.0.0.1:{port}"), format!("redis://:wrong@127.0.0.1:{port}")] {
        let error = failing(url).await;
        assert_eq!(error.class(), Class::Configuration, "{}", error.chain_text());
        assert!(error.help_text().is_some_and(|help| help.contains("password")));
        assert!(!error.chain_text().contains("wrong@"), "no secrets: {}", error.chain_text());
    }
    server.cli(&["-a", "right", "ACL", "SETUSER", "few", "on", ">few", "~*", "+@all", "-evalsha", "-eval"]);
    let error = failing(format!("redis://few:few@127.0.0.1:{port}")).await;
    assert_eq!(error.class(), Class::Configuration, "{}", error.chain_text());
    assert!(error.help_text().is_some_and(|help| help.to_lowercase().contains("eval")), "{:?}", error.help_text());
    let closed = Proxy::start(port);
    closed.refuse(true);
    assert!(failing(closed.url()).await.is_retryable());
    assert!(failing("redis://127.0.0.1:1".to_owned()).await.is_retryable());
    assert_eq!(failing("http://127.0.0.1".to_owned()).await.class(), Class::Configuration);
    let cluster = RedisServer::with(&["--save", "", "--cluster-enabled", "yes"]);
    let error = failing(cluster.url()).await;
    assert!(error.class() == Class::Configuration && error.message().contains("Cluster"), "{}", error.chain_text());
    let describe = RedisStore::connect(&format!("redis://:right@127.0.0.1:{port}/3"), quick()).await.expect("a store");
    let place = describe.describe();
    // Valkey is called by its own name.
    assert!(place.ends_with(&format!("://127.0.0.1:{port}/3")), "without the password: {place}");
}

async fn a_full_server_is_explained_and_recovers() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    fill(&store, "in", 3).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let (_, claimed) =
        store.exchange(&process, Vec::new(), Some(request(&[("in", 3, 1)], 3))).await.expect("an exchange");
    let commits: Vec<Commit> = claimed
        .iter()
        .map(|claimed| {
            let mut commit = ending(claimed, End::Done);
            commit.save = save(&claimed.claim.uuid, "changed", 0);
            commit.pushes = vec![push("out", &claimed.claim.uuid)];
            commit
        })
        .collect();
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    let error = store.exchange(&process, commits.clone(), None).await.expect_err("it is full");
    assert!(
        error.is_retryable() && error.help_text().is_some_and(|help| help.contains("maxmemory")),
        "{}",
        error.chain_text()
    );
    assert_eq!(server.cli(&["GET", "vcon:in-0"]), world::text_of("in-0"), "nothing was half written");
    server.cli(&["CONFIG", "SET", "maxmemory", "0"]);
    let (committed, _) = store.exchange(&process, commits, None).await.expect("work goes on");
    assert_eq!(committed, [Committed::Done; 3]);
    assert_eq!(server.cli(&["LRANGE", "out", "0", "-1"]), "in-0\nin-1\nin-2");
}

async fn the_index_is_what_vcon_server_searches() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let text = r#"{"uuid":"a","created_at":"2026-01-02T03:04:05Z","parties":[{"tel":"+1 202","mailto":"a@b.c"},{"name":"Bob"}]}"#;
    let vcon = vconductor_core::store::NewVcon {
        document: Some(bytes::Bytes::from(text)),
        keep: Some(Duration::from_secs(3600)),
        ..new_vcon("a", &["calls"])
    };
    store.ingest(vec![vcon]).await.expect("an ingest");
    assert_eq!(server.cli(&["ZSCORE", "vcons", "vcon:a"]), "1767323045");
    for key in ["tel:+1 202", "mailto:a@b.c", "name:Bob"] {
        assert_eq!(server.cli(&["SMEMBERS", key]), "a");
        assert_eq!(server.cli(&["TTL", key]), "86400");
    }
    assert_eq!(server.cli(&["TTL", "vcon:a"]), "3600");
    assert_eq!(server.cli(&["LRANGE", "calls", "0", "-1"]), "a");
}
