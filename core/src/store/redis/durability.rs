//! What [`Durability`] asks of a server: looked at when the store is opened, and waited for whenever vCons are taken in.
//!
//! With `appendfsync always` a server answers after its file is on the disk, so nothing has to be waited for; that it
//! still works so is looked at now and then. Replicas are waited for by `WAIT`, which speaks of what its own connection
//! has written: a connection for this alone writes a mark behind what others have written, and one `WAIT` is for all that
//! were there before it. A server that takes the place of another in between may lack what was written: whoever began
//! before the change is told to come again.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use tokio::sync::Mutex as AsyncMutex;

use super::inner::lock;
use super::wire::{Home, Wire, list, number, refused, send, text};
use super::{Inner, fault, keys};
use crate::error::{Error, Result};
use crate::store::Durability;

/// How long it is believed that the server still writes its file as it did.
const BELIEVED: Duration = Duration::from_secs(1);

/// What was found out about the server.
#[derive(Debug, Default)]
pub(super) struct Safety {
    looked: Mutex<Option<Instant>>,
    /// How many have asked for a replica so far.
    asked: AtomicU64,
    /// How often another server was met in the place of the last one.
    changes: AtomicU64,
    barrier: AsyncMutex<Barrier>,
}

#[derive(Debug, Default)]
struct Barrier {
    connection: Option<(MultiplexedConnection, Home)>,
    /// Which server it was: one start of it, and one history of its data.
    server: (String, String),
    /// Up to whom of those who asked the last one was for, and why it failed if it did.
    last: u64,
    failed: Option<String>,
}

/// Looks whether a server can give what is asked for.
pub(super) async fn check(wire: &Wire, durability: Durability) -> Result<Safety> {
    match durability {
        Durability::Memory => Ok(Safety::default()),
        Durability::Aof => check_file(wire).await.map(|()| Safety::default()),
        Durability::Replica => {
            let mut pipe = Pipeline::new();
            identity(&mut pipe);
            let answers = wire.ask(&pipe).await?;
            let about = answers.last().cloned().and_then(text).unwrap_or_default();
            if about.lines().any(|line| line.starts_with("slave") && line.contains("state=online")) {
                let barrier = Barrier { server: server(&answers), ..Barrier::default() };
                return Ok(Safety { barrier: AsyncMutex::new(barrier), ..Safety::default() });
            }
            Err(Error::configuration(format!("{} has no replica, but `durability` is replica", wire.place))
                .help("give it one (`replicaof` on another server), or set `durability` to aof or memory"))
        }
    }
}

async fn check_file(wire: &Wire) -> Result<()> {
    let mut pipe = Pipeline::new();
    for name in ["appendonly", "appendfsync"] {
        pipe.cmd("CONFIG").arg("GET").arg(name);
    }
    let answers = wire.try_ask(&pipe).await?;
    if let Some(error) = answers.iter().find_map(refused) {
        return Err(Error::configuration(format!("{} does not say how it writes its file", wire.place))
            .caused_by(wire.explain(error))
            .help("`durability: aof` needs it: ACL SETUSER <user> +config|get"));
    }
    let value = |answer: &Value| match answer {
        Value::Map(pairs) => pairs.first().and_then(|(_, value)| text(value.clone())),
        other => list(other.clone()).into_iter().nth(1).and_then(text),
    };
    let said: Vec<String> = answers.iter().map(|answer| value(answer).unwrap_or_default()).collect();
    match said.as_slice() {
        [file, when] if file == "yes" && when == "always" => Ok(()),
        [file, when] => Err(Error::configuration(format!(
            "`durability` is aof, but {} has `appendonly {file}` and `appendfsync {when}`",
            wire.place
        ))
        .help("set `appendonly yes` and `appendfsync always`, or `durability` to memory")),
        _ => Err(fault::odd("CONFIG GET")),
    }
}

/// Asks a server which one it is; the last two answers.
fn identity(pipe: &mut Pipeline) {
    pipe.cmd("INFO").arg("server");
    pipe.cmd("INFO").arg("replication");
}

/// What it answered.
fn server(answers: &[Value]) -> (String, String) {
    let field = |answer: Option<&Value>, name: &str| {
        let about = answer.cloned().and_then(text).unwrap_or_default();
        let line = about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim_end().to_owned()
    };
    let mut last = answers.iter().rev();
    let (replication, info) = (last.next(), last.next());
    (field(info, "run_id"), field(replication, "master_replid"))
}

/// Before something is taken in; what [`settle`] wants back.
pub(super) fn begin(inner: &Inner) -> u64 {
    inner.safety.changes.load(Ordering::SeqCst)
}

/// After it was taken in: waits until it is as safe as asked for.
pub(super) async fn settle(inner: &Inner, begun: u64) -> Result<()> {
    match inner.settings.durability {
        Durability::Memory => Ok(()),
        Durability::Aof => {
            if lock(&inner.safety.looked).is_some_and(|looked| looked.elapsed() < BELIEVED) {
                return Ok(());
            }
            let now = Instant::now();
            check_file(&inner.wire).await?;
            *lock(&inner.safety.looked) = Some(now);
            Ok(())
        }
        Durability::Replica => replicated(inner, begun).await,
    }
}

async fn replicated(inner: &Inner, begun: u64) -> Result<()> {
    let safety = &inner.safety;
    let own = safety.asked.fetch_add(1, Ordering::SeqCst) + 1;
    let mut barrier = safety.barrier.lock().await;
    if barrier.last < own {
        // All that have asked by now have written before.
        let last = safety.asked.load(Ordering::SeqCst);
        let passed = barrier.pass(inner).await;
        (barrier.last, barrier.failed) = (last, passed.err().map(|error| error.chain_text()));
    }
    if safety.changes.load(Ordering::SeqCst) != begun {
        return Err(Error::retryable(format!(
            "{}: another server has taken the place of the one that it was written to",
            inner.wire.place
        ))
        .help("it may be lost or not; give it again"));
    }
    match &barrier.failed {
        None => Ok(()),
        Some(why) => Err(Error::retryable(format!("it is on {}, but on no replica yet: {why}", inner.wire.place))
            .help("look whether the replica runs and follows (`INFO replication`); give the vCon again with its Idempotency-Key")),
    }
}

impl Barrier {
    /// Waits until a replica has what was written to the server before.
    async fn pass(&mut self, inner: &Inner) -> Result<()> {
        let patience = inner.settings.response_timeout;
        let mut connection = match self.connection.take().filter(|(_, home)| !home.is_gone()) {
            Some(connection) => connection,
            None => (inner.wire.open(patience * 2).await?, Home::here()),
        };
        let mut pipe = Pipeline::new();
        pipe.cmd("SET").arg(keys::SETTLED).arg(inner.now());
        pipe.cmd("WAIT").arg(1).arg(patience.as_millis().to_string());
        identity(&mut pipe);
        let answers = send(&mut connection.0, &pipe).await.map_err(|error| inner.wire.explain(error))?;
        if let Some(error) = answers.iter().find_map(refused) {
            return Err(inner.wire.explain(error));
        }
        self.connection = Some(connection);
        let server = server(&answers);
        if self.server != server {
            inner.safety.changes.fetch_add(1, Ordering::SeqCst);
            self.server = server;
        }
        if answers.get(1).map_or(0, number) < 1 {
            return Err(Error::retryable(format!("no replica has it after {} s", patience.as_secs_f64())));
        }
        Ok(())
    }
}
