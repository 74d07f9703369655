//! How soon an idle conductor takes what somebody else puts on its lists, or beside them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use vconductor_core::Class;
use vconductor_core::store::redis::{RedisStore, Settings};
use vconductor_core::store::{Claimed, Documents, End, Operations, ProcessId, Queue, WaitReason};
use vconductor_tests::servers::redis::RedisServer;

use crate::world::{ending, failure, new_vcon, request, trials};

trials![
    "redis::bell",
    what_a_stranger_pushes_is_taken_at_once,
    what_another_conductor_gives_back_is_taken_at_once,
    what_falls_due_is_taken_in_time,
    what_is_resumed_or_no_longer_paused_is_taken_at_once,
    what_a_dead_conductor_held_is_taken_as_soon_as_it_is_reaped,
    without_the_right_to_publish_it_is_found_by_looking,
];

/// How long an idle conductor listens; nothing below may take that long.
const LISTEN: Duration = Duration::from_secs(2);
/// What "at once" means here, with room for a busy machine.
const AT_ONCE: Duration = Duration::from_millis(100);

/// An idle conductor: it listens, claims, acknowledges, and tells what it took and when.
struct Idle {
    taken: mpsc::UnboundedReceiver<(Claimed, Instant)>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Idle {
    async fn on(url: &str) -> Self {
        let store = open(url).await;
        let process = ProcessId::random();
        store.register(&process).await.expect("a process");
        let (sender, taken) = mpsc::unbounded_channel();
        let working = Arc::clone(&store);
        let work = tokio::spawn(async move {
            let mut ended = Vec::new();
            loop {
                let ask = Some(request(&[("in", 9, 1), ("other", 9, 1)], 9));
                let (_, claimed) =
                    working.exchange(&process, std::mem::take(&mut ended), ask).await.expect("an exchange");
                if claimed.is_empty() {
                    working.doorbell(&["in".to_owned(), "other".to_owned()], LISTEN).await;
                }
                for run in claimed {
                    ended.push(ending(&run, End::Done));
                    drop(sender.send((run, Instant::now())));
                }
            }
        });
        // What its janitor does.
        let pump = tokio::spawn(async move {
            loop {
                store.pump().await.expect("a pump");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let mut idle = Idle { taken, tasks: [work, pump] };
        assert!(idle.within(Duration::from_millis(300)).await.is_none(), "there is nothing yet");
        idle
    }

    async fn within(&mut self, limit: Duration) -> Option<(Claimed, Instant)> {
        tokio::time::timeout(limit, self.taken.recv()).await.ok().flatten()
    }

    /// How long after `since` the next run is taken.
    async fn took(&mut self, since: Instant) -> Duration {
        let (_, at) = self.within(LISTEN * 3).await.expect("it is taken");
        at.saturating_duration_since(since)
    }
}

async fn open(url: &str) -> Arc<RedisStore> {
    RedisStore::connect(url, Settings::default()).await.expect("a store")
}

/// The other one: claims what is on `in` while nobody else listens.
async fn hold(store: &RedisStore, uuids: &[&str]) -> (ProcessId, Vec<Claimed>) {
    let process = ProcessId::random();
    store.register(&process).await.expect("a process");
    store.ingest(uuids.iter().map(|uuid| new_vcon(uuid, &["in"])).collect()).await.expect("an ingest");
    let ask = Some(request(&[("in", 9, 1)], 9));
    let (_, claimed) = store.exchange(&process, Vec::new(), ask).await.expect("an exchange");
    assert_eq!(claimed.len(), uuids.len());
    (process, claimed)
}

fn judge(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let median = took[took.len() / 2];
    println!("{what}: median {median:?}, longest {:?} of {}", took[took.len() - 1], took.len());
    assert!(median < AT_ONCE, "{what}: {took:?}");
}

async fn what_a_stranger_pushes_is_taken_at_once() {
    let server = RedisServer::start();
    let mut idle = Idle::on(&server.url()).await;
    let mut connection = server.connect();
    let mut took = Vec::new();
    for round in 0..20 {
        // Long enough to be idle again, at another place of what it does each time.
        tokio::time::sleep(Duration::from_millis(40 + 13 * round)).await;
        let pushed = Instant::now();
        redis::cmd("RPUSH").arg("in").arg(format!("v{round}")).exec(&mut connection).expect("a push");
        took.push(idle.took(pushed).await);
    }
    judge("pushed", took);
}

async fn what_another_conductor_gives_back_is_taken_at_once() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (process, claimed) = hold(&store, &["a", "b", "c", "d", "e"]).await;
    let mut idle = Idle::on(&server.url()).await;
    let mut took = Vec::new();
    for run in &claimed {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let given = Instant::now();
        store.exchange(&process, vec![ending(run, End::Release)], None).await.expect("an exchange");
        took.push(idle.took(given).await);
    }
    judge("given back", took);
}

async fn what_falls_due_is_taken_in_time() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (process, claimed) = hold(&store, &["a", "b", "c", "d", "e"]).await;
    let mut idle = Idle::on(&server.url()).await;
    let mut took = Vec::new();
    for (index, run) in claimed.iter().enumerate() {
        let wait = Duration::from_millis(370 + 31 * index as u64);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
        let due = i64::try_from((now + wait).as_millis()).expect("a time");
        let expected = Instant::now() + wait;
        let end = match index {
            0 => End::Wait { due, reason: WaitReason::Storage },
            1 => End::Park { token: "t".to_owned(), until: due },
            _ => End::Retry { due, failure: failure(Class::Retryable) },
        };
        store.exchange(&process, vec![ending(run, end)], None).await.expect("an exchange");
        let (_, at) = idle.within(LISTEN * 3).await.expect("it is taken");
        assert!(at + Duration::from_millis(3) > expected, "not before it is due");
        took.push(at.saturating_duration_since(expected));
    }
    judge("due", took);
}

async fn what_is_resumed_or_no_longer_paused_is_taken_at_once() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (process, claimed) = hold(&store, &["a", "b", "c"]).await;
    for (run, token) in claimed.iter().zip(["t0", "t1", "t2"]) {
        let park = End::Park { token: token.to_owned(), until: i64::MAX / 4 };
        store.exchange(&process, vec![ending(run, park)], None).await.expect("an exchange");
    }
    let mut idle = Idle::on(&server.url()).await;
    let mut took = Vec::new();
    for token in ["t0", "t1", "t2"] {
        tokio::time::sleep(Duration::from_millis(120)).await;
        let called = Instant::now();
        assert!(store.resume(token, serde_json::Value::Null).await.expect("it is parked"));
        took.push(idle.took(called).await);
    }
    judge("resumed", took);
    let mut took = Vec::new();
    for round in 0..3 {
        store.pause("in", true).await.expect("a pause");
        store.ingest(vec![new_vcon(&format!("p{round}"), &["in"])]).await.expect("an ingest");
        assert!(idle.within(Duration::from_millis(400)).await.is_none(), "it is paused");
        let resumed = Instant::now();
        store.pause("in", false).await.expect("an end of the pause");
        took.push(idle.took(resumed).await);
    }
    judge("no longer paused", took);
}

async fn what_a_dead_conductor_held_is_taken_as_soon_as_it_is_reaped() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (process, _) = hold(&store, &["a"]).await;
    let mut idle = Idle::on(&server.url()).await;
    server.cli(&["ZADD", "vconductor:processes", "-1", &process.0]);
    tokio::time::sleep(Duration::from_millis(150)).await;
    let reaped = Instant::now();
    assert_eq!(store.reap().await.expect("a reap").len(), 1);
    judge("reaped", vec![idle.took(reaped).await]);
}

async fn without_the_right_to_publish_it_is_found_by_looking() {
    let server = RedisServer::start();
    server.cli(&["ACL", "SETUSER", "few", "on", ">few", "~*", "+@all", "-publish", "-subscribe", "resetchannels"]);
    let url = format!("redis://few:few@127.0.0.1:{}", server.port());
    let store = open(&url).await;
    let (process, claimed) = hold(&store, &["a"]).await;
    let mut idle = Idle::on(&url).await;
    let given = Instant::now();
    let (committed, _) =
        store.exchange(&process, vec![ending(&claimed[0], End::Release)], None).await.expect("a commit");
    assert_eq!(committed, [vconductor_core::store::Committed::Done]);
    let took = idle.took(given).await;
    assert!(took < LISTEN + Duration::from_secs(1), "{took:?}");
    // What lies on the list itself rings all the same.
    let pushed = Instant::now();
    server.cli(&["RPUSH", "other", "b"]);
    assert!(idle.took(pushed).await < AT_ONCE * 3);
}
