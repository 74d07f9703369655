//! Producers: a batch through the store, or a stream of plain `SET` and `RPUSH` that only trusts replies.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use redis::Client;
use vconductor_core::store::NewVcon;

use super::check::Expected;

/// Seconds that half of the plain producer's documents live.
const KEEP: u64 = 3600;

/// Makes vCons of which one in five is enqueued several times.
pub(super) struct Maker {
    rng: fastrand::Rng,
    serial: u32,
}

impl Maker {
    pub(super) fn new(seed: u64) -> Self {
        Maker { rng: fastrand::Rng::with_seed(seed), serial: 0 }
    }

    /// A uuid, its document, and how often it is to be enqueued.
    fn next(&mut self) -> (String, String, usize) {
        self.serial += 1;
        let uuid = format!("{:08x}-0000-8000-8000-{:012x}", self.serial, self.rng.u64(0..1 << 48));
        let times = if self.rng.u8(0..5) == 0 { self.rng.usize(2..4) } else { 1 };
        let text = format!(
            "{{\"uuid\":\"{uuid}\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[{{\"tel\":\"+12025550123\"}}],\
             \"dialog\":[{{\"type\":\"text\",\"parties\":[0],\"mediatype\":\"text/plain\",\"encoding\":\"none\",\"body\":\"{}\"}}],\
             \"unknown\":1e3}}",
            "x".repeat(self.rng.usize(0..4000))
        );
        (uuid, text, times)
    }

    /// A batch for `ingest`.
    pub(super) fn batch(&mut self, expected: &mut Expected) -> Vec<NewVcon> {
        let count = self.rng.usize(8..40);
        let vcon = |_| {
            let (uuid, text, times) = self.next();
            expected.insert(uuid.clone(), (times, times));
            let document = Some(Bytes::from(text));
            NewVcon { uuid, document, lists: vec!["in".to_owned(); times], keep: None, context: None, tenant: None }
        };
        (0..count).map(vcon).collect()
    }
}

/// A producer that only knows Redis, in a thread of its own.
pub(super) struct Stream {
    ended: Arc<AtomicBool>,
    expected: Arc<Mutex<Expected>>,
    thread: JoinHandle<()>,
}

impl Stream {
    /// Pushes a vCon every `pause` or so. What the server acknowledged is expected; what it did not may or may not be there.
    pub(super) fn start(url: &str, seed: u64, pause: Duration) -> Self {
        let client = Client::open(url).expect("a URL");
        let (ended, expected) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Expected::new())));
        let (flag, known) = (Arc::clone(&ended), Arc::clone(&expected));
        let thread = thread::spawn(move || {
            let mut maker = Maker::new(seed);
            let mut connection = None;
            while !flag.load(Ordering::SeqCst) {
                thread::sleep(pause);
                let (uuid, text, times) = maker.next();
                for attempt in 0.. {
                    if connection.is_none() {
                        connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok();
                    }
                    let Some(open) = &mut connection else {
                        thread::sleep(Duration::from_millis(20));
                        continue;
                    };
                    open.set_read_timeout(Some(Duration::from_secs(5))).expect("an option");
                    let mut set = redis::cmd("SET");
                    set.arg(format!("vcon:{uuid}")).arg(&text);
                    if times == 1 {
                        set.arg("EX").arg(KEEP);
                    }
                    // A document that exists twice is no harm; a uuid on the list is a run.
                    if set.exec(open).is_err() && attempt < 1000 {
                        connection = None;
                        continue;
                    }
                    let pushed: redis::RedisResult<()> =
                        redis::cmd("RPUSH").arg("in").arg(vec![&uuid; times]).query(open);
                    let least = if pushed.is_ok() { times } else { 0 };
                    if pushed.is_err() {
                        connection = None;
                    }
                    known.lock().unwrap_or_else(PoisonError::into_inner).insert(uuid, (least, times));
                    break;
                }
            }
        });
        Stream { ended, expected, thread }
    }

    /// Ends it; what it put on the list.
    pub(super) fn end(self) -> Expected {
        self.ended.store(true, Ordering::SeqCst);
        self.thread.join().expect("the producer ends");
        std::mem::take(&mut *self.expected.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
