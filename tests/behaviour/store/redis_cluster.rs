//! The layout for Redis Cluster on a real node that has all slots: it refuses whatever touches two of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{Cmd, Connection, FromRedisValue, Value};
use vconductor_core::Class;
use vconductor_core::store::redis::cluster::keys::{List, Vcon};
use vconductor_core::store::redis::cluster::{Entry, Work, calls};
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::trials;

trials![
    "redis::cluster",
    a_node_refuses_what_touches_two_slots,
    the_store_says_what_to_use_instead,
    a_run_goes_from_list_to_list_by_way_of_the_outbox,
    wherever_it_is_cut_nothing_is_lost_or_handed_on_twice,
    a_zombie_ends_nothing_and_saves_nothing,
    one_writer_per_vcon,
    what_comes_back_goes_first_and_in_its_order,
    what_is_paused_or_without_a_lease_is_not_claimed,
    crashes_at_random_places_hand_on_each_run_once,
];

const LEASE: Duration = Duration::from_secs(30);

/// A node that is a whole cluster.
struct Node {
    server: RedisServer,
    connection: Connection,
}

/// A claimed run.
#[derive(Debug, Clone)]
struct Run {
    claim: String,
    element: String,
    id: String,
    uuid: String,
}

impl Node {
    fn start() -> Self {
        let server = RedisServer::with(&["--save", "", "--appendonly", "no", "--cluster-enabled", "yes"]);
        let mut connection = server.connect();
        let slots: Vec<u16> = (0..16_384).collect();
        redis::cmd("CLUSTER").arg("ADDSLOTS").arg(slots).exec(&mut connection).expect("the slots");
        let started = Instant::now();
        while !server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            assert!(started.elapsed() < Duration::from_secs(20), "the cluster does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Node { server, connection }
    }

    fn ask<T: FromRedisValue>(&mut self, call: &Cmd) -> T {
        call.query(&mut self.connection).expect("one slot, so it is allowed")
    }

    fn push(&mut self, list: &str, uuids: &[String]) {
        for uuid in uuids {
            let vcon = Vcon::of(uuid);
            self.ask::<()>(redis::cmd("SET").arg(vcon.document()).arg("new").arg("EX").arg(1000));
        }
        self.ask::<()>(redis::cmd("RPUSH").arg(list).arg(uuids));
    }

    fn lives(&mut self, process: &str) {
        self.ask::<()>(&calls::renew(&List::of("in"), process, LEASE));
    }

    fn dies(&mut self, process: &str) {
        self.ask::<()>(redis::cmd("DEL").arg(List::of("in").alive(process)));
    }

    fn claim(&mut self, claim: &str, limit: usize) -> Vec<Run> {
        let prefix = format!("{:028x}", fastrand::u128(..) >> 16);
        let answer: Vec<Value> = self.ask(&calls::claim(&List::of("in"), claim, limit, &prefix));
        let elements = answer
            .get(1)
            .cloned()
            .map_or(Vec::new(), |taken| redis::from_redis_value::<Vec<String>>(taken).expect("runs"));
        let run = |element: String| {
            let mut parts = element.splitn(3, ' ').skip(1).map(str::to_owned);
            let (id, uuid) = (parts.next().expect("a run"), parts.next().expect("a uuid"));
            Run { claim: claim.to_owned(), element, id, uuid }
        };
        elements.into_iter().map(run).collect()
    }

    fn lease(&mut self, run: &Run) -> bool {
        self.ask::<i64>(&calls::lease(&Vcon::of(&run.uuid), &run.id, &run.claim)) == 1
    }

    /// Saves as a commit does: under a watch of the lease.
    fn save(&mut self, run: &Run, text: &str) -> bool {
        let vcon = Vcon::of(&run.uuid);
        self.ask::<()>(redis::cmd("WATCH").arg(vcon.writer()));
        let holder: Option<String> = self.ask(redis::cmd("GET").arg(vcon.writer()));
        if holder != Some(calls::held(&run.id, &run.claim)) {
            self.ask::<()>(&redis::cmd("UNWATCH"));
            return false;
        }
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("SET").arg(vcon.document()).arg(text).arg("KEEPTTL");
        pipe.cmd("SET").arg(vcon.ledger(&run.id)).arg("done");
        pipe.query::<Option<Value>>(&mut self.connection).expect("one slot").is_some()
    }

    fn works(run: &Run) -> Vec<Entry> {
        Entry::of_run(
            &run.id,
            [
                Work::Append { list: format!("context:out:{}", run.uuid), value: "trace".to_owned() },
                Work::Append { list: "out".to_owned(), value: run.uuid.clone() },
                Work::Free { uuid: run.uuid.clone(), run: run.id.clone(), token: run.claim.clone() },
            ],
        )
    }

    fn finish(&mut self, run: &Run) -> bool {
        self.ask::<i64>(&calls::finish(&List::of("in"), &run.claim, &run.element, &Self::works(run))) == 1
    }

    fn outbox(&mut self) -> Vec<Entry> {
        let texts: Vec<String> = self.ask(redis::cmd("LRANGE").arg(List::of("in").outbox()).arg(0).arg(-1));
        texts.iter().map(|text| Entry::read(text).expect("an entry")).collect()
    }

    /// Carries out what is in the outbox; stops after so many steps as if it were killed there.
    fn carry_out(&mut self, mut steps: usize) {
        for entry in self.outbox() {
            for call in [calls::carry_out(&entry), calls::carried_out(&List::of("in"), &entry)] {
                if steps == 0 {
                    return;
                }
                steps -= 1;
                self.ask::<i64>(&call);
            }
        }
    }

    fn reap(&mut self) -> i64 {
        let claims: Vec<String> = self.ask(redis::cmd("SMEMBERS").arg(List::of("in").wips()));
        claims.iter().map(|claim| self.ask::<i64>(&calls::reap(&List::of("in"), claim)).max(0)).sum()
    }

    fn list(&mut self, list: &str) -> Vec<String> {
        self.ask(redis::cmd("LRANGE").arg(list).arg(0).arg(-1))
    }

    /// Nothing is claimed, waits, or holds a lease.
    fn is_clean(&mut self) {
        let list = List::of("in");
        for key in [list.list(), list.returned(), list.due(), list.wips(), list.outbox()] {
            assert_eq!(self.ask::<i64>(redis::cmd("EXISTS").arg(&key)), 0, "{key} is left");
        }
        for pattern in ["*:wip:*", "*:writer"] {
            assert_eq!(self.ask::<Vec<String>>(redis::cmd("KEYS").arg(pattern)), Vec::<String>::new());
        }
    }
}

fn uuids(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("v{index}")).collect()
}

async fn a_node_refuses_what_touches_two_slots() {
    let mut node = Node::start();
    for call in [
        redis::cmd("MSET").arg("a").arg(1).arg("b").arg(2),
        redis::cmd("EVAL").arg("return 1").arg(2).arg("a").arg("b"),
    ] {
        let error = call.exec(&mut node.connection).expect_err("two slots");
        assert_eq!(error.code(), Some("CROSSSLOT"));
    }
}

async fn the_store_says_what_to_use_instead() {
    let node = Node::start();
    for url in [node.server.url(), node.server.url().replace("redis://", "redis+cluster://")] {
        let error = RedisStore::connect(&url, Settings::default()).await.expect_err("it is not opened");
        assert_eq!(error.class(), Class::Configuration);
        assert!(error.message().contains("Cluster"), "{}", error.chain_text());
        assert!(error.help_text().is_some_and(|help| help.contains("redis+sentinel://")), "{:?}", error.help_text());
    }
    assert_eq!(node.server.cli(&["DBSIZE"]), "0");
}

async fn a_run_goes_from_list_to_list_by_way_of_the_outbox() {
    let mut node = Node::start();
    node.push("in", &uuids(2));
    node.lives("p");
    let runs = node.claim("p:1", 9);
    assert_eq!(runs.iter().map(|run| run.uuid.as_str()).collect::<Vec<_>>(), ["v0", "v1"]);
    for run in &runs {
        assert!(node.lease(run) && node.save(run, "done") && node.finish(run));
    }
    assert_eq!((node.list("out").len(), node.outbox().len()), (0, 6), "it is said, not done");
    node.carry_out(usize::MAX);
    assert_eq!((node.list("out"), node.list("context:out:v1")), (uuids(2), vec!["trace".to_owned()]));
    assert_eq!(node.server.cli(&["GET", "vcon:v0"]), "done");
    let left: i64 = node.server.cli(&["TTL", "vcon:v0"]).parse().expect("a number");
    assert!((990..=1000).contains(&left), "its time to live is back: {left}");
    node.is_clean();
}

async fn wherever_it_is_cut_nothing_is_lost_or_handed_on_twice() {
    let mut node = Node::start();
    // Four steps of the run, and two for each of the three entries.
    for cut in 0..11 {
        node.ask::<()>(&redis::cmd("FLUSHALL"));
        node.push("in", &uuids(1));
        node.lives("first");
        let mut steps = cut;
        let mut next = || {
            steps = usize::saturating_sub(steps, 1);
            steps > 0
        };
        let runs = node.claim("first:1", 1);
        let _finished: bool = (next() && node.lease(&runs[0]))
            && (next() && node.save(&runs[0], "half"))
            && (next() && node.finish(&runs[0]));
        node.carry_out(cut.saturating_sub(4));
        node.dies("first");
        // The other one.
        node.lives("second");
        node.reap();
        for run in node.claim("second:1", 9) {
            assert_eq!(run.id, runs[0].id, "cut after {cut}: the run goes on, with its ledger");
            assert!(node.lease(&run), "cut after {cut}: it takes the lease of its own run over");
            assert!(node.save(&run, "done") && node.finish(&run), "cut after {cut}");
        }
        node.carry_out(usize::MAX);
        node.carry_out(usize::MAX);
        assert_eq!(node.list("out"), uuids(1), "cut after {cut}");
        node.is_clean();
    }
}

async fn a_zombie_ends_nothing_and_saves_nothing() {
    let mut node = Node::start();
    node.push("in", &uuids(1));
    node.lives("zombie");
    let old = node.claim("zombie:1", 1).pop().expect("a run");
    assert!(node.lease(&old));
    node.dies("zombie");
    assert_eq!(node.reap(), 1);
    assert!(!node.finish(&old), "its claim is gone");
    node.lives("other");
    let new = node.claim("other:1", 1).pop().expect("the run");
    assert_eq!(node.ask::<i64>(redis::cmd("HGET").arg(List::of("in").crashes()).arg(&new.id)), 1);
    assert!(node.lease(&new) && node.save(&new, "by the other"));
    assert!(!node.save(&old, "by the zombie") && !node.finish(&old));
    for gone in [
        calls::release(&List::of("in"), &old.claim, &old.element),
        calls::delay(&List::of("in"), &old.claim, &old.element, 1),
    ] {
        assert_eq!(node.ask::<i64>(&gone), 0);
    }
    assert!(node.finish(&new));
    node.carry_out(usize::MAX);
    assert_eq!((node.list("out"), node.server.cli(&["GET", "vcon:v0"])), (uuids(1), "by the other".to_owned()));
    // What a late entry frees is not the lease of a later run.
    node.push("in", &uuids(1));
    let later = node.claim("other:2", 1).pop().expect("a run");
    assert!(node.lease(&later));
    assert_eq!(node.ask::<i64>(&calls::carry_out(&Node::works(&new)[2])), 0);
    assert!(node.save(&later, "later") && node.finish(&later));
    node.carry_out(usize::MAX);
    node.is_clean();
}

async fn one_writer_per_vcon() {
    let mut node = Node::start();
    node.push("in", &["a".to_owned(), "a".to_owned()]);
    node.lives("p");
    let runs = node.claim("p:1", 9);
    assert!(node.lease(&runs[0]) && !node.lease(&runs[1]), "two runs of one vCon");
    assert_eq!(node.ask::<i64>(&calls::delay(&List::of("in"), "p:1", &runs[1].element, 1)), 1);
    assert!(node.finish(&runs[0]));
    node.carry_out(usize::MAX);
    assert_eq!(node.ask::<i64>(&calls::wake(&List::of("in"), 10)), 1);
    let again = node.claim("p:2", 9);
    assert_eq!(again[0].id, runs[1].id);
    assert!(node.lease(&again[0]) && node.finish(&again[0]));
    node.carry_out(usize::MAX);
    assert_eq!(node.list("out"), ["a", "a"], "two runs are two runs");
    node.is_clean();
}

async fn what_comes_back_goes_first_and_in_its_order() {
    let mut node = Node::start();
    node.push("in", &uuids(12));
    node.lives("p");
    let runs = node.claim("p:1", 11);
    for run in runs.iter().rev() {
        assert_eq!(node.ask::<i64>(&calls::release(&List::of("in"), "p:1", &run.element)), 1);
    }
    let again = node.claim("p:2", 20);
    assert_eq!(again.iter().map(|run| run.uuid.clone()).collect::<Vec<_>>(), uuids(12));
    node.dies("p");
    assert_eq!(node.reap(), 12);
    node.lives("q");
    let again = node.claim("q:1", 20);
    assert_eq!(again.iter().map(|run| run.uuid.clone()).collect::<Vec<_>>(), uuids(12));
}

async fn what_is_paused_or_without_a_lease_is_not_claimed() {
    let mut node = Node::start();
    node.push("in", &uuids(1));
    assert!(node.claim("p:1", 1).is_empty(), "who is not alive claims nothing");
    node.lives("p");
    node.ask::<()>(redis::cmd("SET").arg(List::of("in").paused()).arg(1));
    assert!(node.claim("p:1", 1).is_empty());
    node.ask::<()>(redis::cmd("DEL").arg(List::of("in").paused()));
    assert_eq!(node.claim("p:1", 1).len(), 1);
    assert_eq!(node.reap(), 0, "it lives");
}

async fn crashes_at_random_places_hand_on_each_run_once() {
    const COUNT: usize = 300;
    let mut node = Node::start();
    let seed = 20_261_125;
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    node.push("in", &uuids(COUNT));
    let (mut number, mut crashes) = (0, 0);
    while node.list("out").len() < COUNT || !node.outbox().is_empty() {
        number += 1;
        assert!(number < 5000, "it does not come to an end");
        let process = format!("p{number}");
        node.lives(&process);
        let mut crash = || random.usize(0..12) == 0;
        let mut crashed = false;
        for run in node.claim(&format!("{process}:1"), 8) {
            for step in [Node::lease, |node: &mut Node, run: &Run| node.save(run, "done"), Node::finish] {
                crashed = crashed || crash();
                if !crashed {
                    assert!(step(&mut node, &run));
                }
            }
        }
        let steps = if crashed { random.usize(0..40) } else { usize::MAX };
        node.carry_out(steps);
        crashes += usize::from(crashed);
        node.dies(&process);
        node.reap();
    }
    assert!(crashes > 20, "only {crashes} crashes");
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for uuid in node.list("out") {
        *counts.entry(uuid).or_default() += 1;
    }
    assert!(counts.len() == COUNT && counts.values().all(|count| *count == 1), "{counts:?}");
    node.is_clean();
}
