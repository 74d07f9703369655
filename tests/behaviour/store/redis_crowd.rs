//! Commits of many runs at once on Redis: they share transactions, but no failure.

use std::sync::Arc;
use std::time::Duration;

use vconductor_core::Error;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Claimed, Commit, Committed, End, ProcessId, Queue};
use vconductor_tests::servers::proxy::{Harm, Proxy};
use vconductor_tests::servers::redis::RedisServer;

use crate::redis_faults::fill;
use crate::world::{ending, ledger, push, request, save, trials};

trials![
    "redis::crowd",
    commits_over_a_busy_lane_go_together,
    one_that_the_server_refuses_fails_alone,
    what_went_along_in_a_lost_answer_is_not_done_twice,
    an_answer_that_nobody_asks_for_again_answers_nothing_else,
];

const RUNS: usize = 60;

async fn claim(url: &str) -> (Arc<RedisStore>, ProcessId, Vec<Claimed>) {
    let settings = Settings { response_timeout: Duration::from_millis(500), ..Settings::default() };
    let store = RedisStore::connect(url, settings).await.expect("a store");
    fill(&store, "in", RUNS).await;
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    let ask = Some(request(&[("in", RUNS, 1)], RUNS));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("a claim");
    assert_eq!(claimed.len(), RUNS);
    (store, process, claimed)
}

/// Commits each by itself, all at once.
async fn all(store: &Arc<RedisStore>, commits: Vec<Commit>) -> Vec<Result<Committed, Error>> {
    let tasks: Vec<_> = commits
        .into_iter()
        .map(|commit| {
            let store = Arc::clone(store);
            let process = commit.claim.process.clone();
            tokio::spawn(async move { Ok(store.exchange(&process, vec![commit], None).await?.0[0]) })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("no panic"));
    }
    results
}

fn saving(claimed: &Claimed) -> Commit {
    let mut commit = ending(claimed, End::Continue);
    commit.ledger = Some(ledger(&claimed.claim.uuid));
    commit
}

fn done(claimed: &Claimed) -> Commit {
    let mut commit = ending(claimed, End::Done);
    commit.pushes = vec![push("out", &claimed.claim.uuid)];
    commit
}

fn transactions(server: &RedisServer) -> usize {
    let stats = server.cli(&["INFO", "commandstats"]);
    let exec = stats.lines().find_map(|line| line.strip_prefix("cmdstat_exec:calls="));
    exec.and_then(|rest| rest.split(',').next()?.parse().ok()).expect("a number")
}

async fn commits_over_a_busy_lane_go_together() {
    let server = RedisServer::start();
    let (store, _, claimed) = claim(&server.url()).await;
    let before = transactions(&server);
    let saved = all(&store, claimed.iter().map(saving).collect()).await;
    assert!(saved.iter().all(|saved| matches!(saved, Ok(Committed::Done))), "{saved:?}");
    let took = transactions(&server) - before;
    assert!(took < RUNS / 2, "{took} transactions for {RUNS} commits");
    assert_eq!(server.cli(&["KEYS", "*:ledger:*"]).lines().count(), RUNS);
    let ended = all(&store, claimed.iter().map(done).collect()).await;
    assert!(ended.iter().all(|ended| matches!(ended, Ok(Committed::Done))), "{ended:?}");
    assert_eq!(server.cli(&["LLEN", "out"]), RUNS.to_string());
    assert_eq!(server.cli(&["KEYS", "*ledger*"]), "");
    assert_eq!(server.cli(&["KEYS", "*:wip:*"]), "");
}

async fn one_that_the_server_refuses_fails_alone() {
    let server = RedisServer::start();
    server.cli(&["ACL", "SETUSER", "few", "on", ">few", "~*", "+@all"]);
    let url = format!("redis://few:few@127.0.0.1:{}", server.port());
    let (store, process, claimed) = claim(&url).await;
    let mut rights = vec!["ACL", "SETUSER", "few", "resetkeys", "~vconductor:*", "~{in}*", "~in", "~out", "~{vcon:*"];
    let own: Vec<String> = claimed.iter().map(|claimed| format!("~vcon:{}", claimed.claim.uuid)).collect();
    rights.extend(own.iter().map(String::as_str));
    server.cli(&rights);
    let mut commits: Vec<_> = claimed.iter().map(saving).collect();
    for index in (0..RUNS).step_by(20) {
        commits[index].save = save("forbidden", "{}", 0);
    }
    // Also the one who leads the others and claims is none of them.
    let leads = commits.pop().expect("one");
    let ask = Some(request(&[("in", 1, 1)], 1));
    let led = store.exchange(&process, vec![leads], ask);
    let (results, led) = tokio::join!(all(&store, commits), led);
    assert_eq!(led.expect("not its fault").0, [Committed::Done]);
    for (index, result) in results.iter().enumerate() {
        match result {
            Ok(committed) => assert!(index % 20 != 0 && *committed == Committed::Done, "{index}"),
            Err(error) => assert!(index % 20 == 0 && !error.is_retryable(), "{index}: {}", error.chain_text()),
        }
    }
}

async fn what_went_along_in_a_lost_answer_is_not_done_twice() {
    // How many go along with the second transaction is a matter of timing; now and then it is one.
    for _ in 0..10 {
        if lost_answer().await > 1 {
            return;
        }
    }
    panic!("no answer to several was ever lost");
}

/// Commits whose second answer is lost, until all are done; how many had to be asked again.
async fn lost_answer() -> usize {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let (store, _, claimed) = claim(&proxy.url()).await;
    // Lost after the server has done it. The first transaction carries one commit, the second those that waited.
    proxy.harm(Harm::Drop, "EXEC", 1);
    let mut open: Vec<Commit> = claimed.iter().map(done).collect();
    let mut failed = 0;
    while !open.is_empty() {
        let results = all(&store, open.clone()).await;
        let again = open.into_iter().zip(results).filter_map(|(commit, result)| match result {
            Ok(committed) => {
                assert_eq!(committed, Committed::Done);
                None
            }
            Err(error) => {
                assert!(error.is_retryable(), "{}", error.chain_text());
                Some(commit)
            }
        });
        open = again.collect();
        failed += open.len();
        assert!(failed < 10 * RUNS, "it never ends");
    }
    assert_eq!(server.cli(&["LLEN", "out"]), RUNS.to_string());
    failed
}

async fn an_answer_that_nobody_asks_for_again_answers_nothing_else() {
    let server = RedisServer::start();
    let proxy = Proxy::start(server.port());
    let (store, process, claimed) = claim(&proxy.url()).await;
    let step = |name: &str| {
        let mut commit = ending(&claimed[0], End::Continue);
        commit.ledger = Some(ledger(name));
        commit
    };
    // Saved, but the answer is lost; the step that wanted it has run out of time and does not ask again.
    proxy.harm(Harm::Drop, "EXEC", 0);
    store.exchange(&process, vec![step("first")], None).await.expect_err("no answer");
    let (committed, _) = store.exchange(&process, vec![step("second")], None).await.expect("an exchange");
    assert_eq!(committed, [Committed::Done]);
    let key = server.cli(&["KEYS", "*:ledger:*"]);
    let saved = server.cli(&["GET", key.trim()]);
    assert!(saved.contains("second"), "the next step is answered as saved, and is not: {saved}");
}
