//! A server that has lost the last writes, as after a failover to a replica that was behind: what was acknowledged by the
//! old one may have to be done again, but nothing may be lost with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Claimed, Commit, Committed, End, Operations, ProcessId, Queue};
use vconductor_tests::servers::proxy::Proxy;
use vconductor_tests::servers::redis::RedisServer;

use crate::redis_faults::fill;
use crate::world::{self, ending, push, request, save, trials};

trials![
    "redis::rollback",
    a_commit_that_the_new_master_does_not_know_is_not_lost_with_its_batch,
    a_commit_that_the_new_master_does_not_know_outlives_the_end_of_its_batch,
    a_batch_that_the_new_master_still_holds_is_begun_again,
    a_claim_that_the_new_master_does_not_know_changes_nothing,
];

/// A master and its replica, a conductor that reaches them through a proxy, and its process.
struct Pair {
    old: RedisServer,
    new: RedisServer,
    proxy: Proxy,
    store: Arc<RedisStore>,
    process: ProcessId,
}

impl Pair {
    async fn with(count: usize) -> Self {
        let old = RedisServer::start();
        let port = old.port().to_string();
        let new = RedisServer::with(&["--save", "", "--appendonly", "no", "--replicaof", "127.0.0.1", &port]);
        let proxy = Proxy::start(old.port());
        let settings = Settings { response_timeout: Duration::from_millis(800), ..Settings::default() };
        let store = RedisStore::connect(&proxy.url(), settings).await.expect("a store");
        fill(&store, "in", count).await;
        let process = ProcessId::random();
        store.register(&process).await.expect("a process");
        Pair { old, new, proxy, store, process }
    }

    /// From here on the replica hears of nothing any more.
    fn part(&self) {
        self.old.reaches(&self.new);
        assert_eq!(self.new.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    }

    fn fail_over(&self) {
        self.proxy.point(self.new.port());
    }

    async fn exchange(&self, commits: Vec<Commit>, claim: usize) -> (Vec<Committed>, Vec<Claimed>) {
        let asked = (claim > 0).then(|| request(&[("in", claim, 1)], claim));
        for _ in 0..50 {
            match self.store.exchange(&self.process, commits.clone(), asked.clone()).await {
                Ok(answer) => return answer,
                Err(error) => assert!(error.is_retryable(), "{}", error.chain_text()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not come to an end");
    }

    /// Claims and acknowledges until nothing is left; the uuids in order.
    async fn finish(&self) -> Vec<String> {
        let mut done = Vec::new();
        let started = Instant::now();
        loop {
            let (_, claimed) = self.exchange(Vec::new(), 16).await;
            if claimed.is_empty() {
                let lists = self.store.lists().await.expect("the lists");
                if lists.iter().all(|status| status.list != "in") {
                    return done;
                }
                assert!(started.elapsed() < Duration::from_secs(5), "something is left: {lists:?}");
                self.store.reap().await.expect("a sweep");
                continue;
            }
            assert!(claimed.iter().all(|run| run.crashes == 0), "nobody died");
            done.extend(world::uuids(&claimed).into_iter().map(str::to_owned));
            let (committed, _) = self.exchange(claimed.iter().map(ack).collect(), 0).await;
            assert!(committed.iter().all(|result| *result == Committed::Done), "{committed:?}");
        }
    }

    fn check(&self, count: usize) {
        let mut out: Vec<String> =
            redis::cmd("LRANGE").arg("out").arg(0).arg(-1).query(&mut self.new.connect()).expect("the list");
        out.sort();
        assert_eq!(out, (0..count).map(|index| format!("in-{index}")).collect::<Vec<_>>(), "each of them once");
        for left in ["in", "{in}:wips", "{in}:returned"] {
            assert_eq!(self.new.cli(&["TYPE", left]), "none", "{left} is left");
        }
        assert_eq!(self.new.cli(&["KEYS", "*:wip:*"]), "");
        assert_eq!(self.new.cli(&["KEYS", "*:writer"]), "");
    }
}

fn ack(claimed: &Claimed) -> Commit {
    let uuid = &claimed.claim.uuid;
    let mut commit = ending(claimed, End::Done);
    commit.save = save(uuid, &format!("done {uuid}"), 0);
    commit.pushes = vec![push("out", uuid)];
    commit
}

async fn a_commit_that_the_new_master_does_not_know_is_not_lost_with_its_batch() {
    let pair = Pair::with(4).await;
    let (_, claimed) = pair.exchange(Vec::new(), 4).await;
    assert_eq!(claimed.len(), 4);
    pair.part();
    let (committed, _) = pair.exchange(vec![ack(&claimed[0])], 0).await;
    assert_eq!(committed, [Committed::Done], "the old master acknowledges it");
    pair.fail_over();
    // One that goes on, and then all that is known of the batch, the last one included.
    let mut step = ending(&claimed[1], End::Continue);
    step.save = save("in-1", "step", 0);
    assert_eq!(pair.exchange(vec![step], 0).await.0, [Committed::Done]);
    for rest in [&claimed[1..3], &claimed[3..]] {
        let (committed, _) = pair.exchange(rest.iter().map(ack).collect(), 0).await;
        assert!(committed.iter().all(|result| *result == Committed::Done), "{committed:?}");
    }
    assert_eq!(pair.finish().await, ["in-0"], "what was lost is done again");
    pair.check(4);
}

/// The first thing that the new master hears is the end of all that is known of the batch.
async fn a_commit_that_the_new_master_does_not_know_outlives_the_end_of_its_batch() {
    let pair = Pair::with(4).await;
    let (_, claimed) = pair.exchange(Vec::new(), 4).await;
    pair.part();
    pair.exchange(vec![ack(&claimed[0])], 0).await;
    pair.fail_over();
    let (committed, _) = pair.exchange(claimed[1..].iter().map(ack).collect(), 0).await;
    assert!(committed.iter().all(|result| *result == Committed::Done), "{committed:?}");
    assert_eq!(pair.finish().await, ["in-0"], "what was lost is done again");
    pair.check(4);
}

async fn a_batch_that_the_new_master_still_holds_is_begun_again() {
    let pair = Pair::with(3).await;
    let (_, claimed) = pair.exchange(Vec::new(), 3).await;
    pair.part();
    pair.exchange(claimed.iter().map(ack).collect(), 0).await;
    pair.fail_over();
    // Nobody has to wait for a sweep: the connection was lost, so what is held is compared.
    let started = Instant::now();
    let mut again = Vec::new();
    while again.is_empty() {
        assert!(started.elapsed() < Duration::from_secs(1), "it is not begun again");
        again = pair.exchange(Vec::new(), 3).await.1;
    }
    assert_eq!(world::uuids(&again), ["in-0", "in-1", "in-2"]);
    pair.exchange(again.iter().map(ack).collect(), 0).await;
    assert_eq!(pair.finish().await, Vec::<String>::new());
    pair.check(3);
}

async fn a_claim_that_the_new_master_does_not_know_changes_nothing() {
    let pair = Pair::with(2).await;
    pair.exchange(Vec::new(), 0).await;
    pair.part();
    let (_, claimed) = pair.exchange(Vec::new(), 2).await;
    assert_eq!(claimed.len(), 2);
    pair.fail_over();
    let (committed, _) = pair.exchange(claimed.iter().map(ack).collect(), 0).await;
    assert_eq!(committed, [Committed::Lost, Committed::Lost], "they are on the list again");
    assert_eq!(pair.new.cli(&["LLEN", "out"]), "0");
    assert_eq!(pair.finish().await, ["in-0", "in-1"]);
    pair.check(2);
}
