//! The private server, the documents, and what they cost.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value};
use vconductor_tests::servers::redis::RedisServer;

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Size of the usual document, as in the comparison with vcon-server.
pub(crate) const USUAL: usize = 4_700;
pub(crate) const MEGABYTE: usize = 1 << 20;

/// A server with AOF `everysec`. Rewriting is off: it would fall into some rounds and not into others.
pub(crate) fn server() -> RedisServer {
    let aof = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"];
    RedisServer::with(&[&["--save", ""], &aof[..]].concat())
}

pub(crate) async fn connect(server: &RedisServer) -> Outcome<MultiplexedConnection> {
    let client = redis::Client::open(server.url())?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

pub(crate) fn uuid(number: usize) -> String {
    format!("{number:08x}-0000-8000-8000-000000000000")
}

/// A vCon of about `size` bytes: sizes differ by up to a fifth around it, as those of real ones differ.
pub(crate) fn document(number: usize, size: usize) -> Vec<u8> {
    let uuid = uuid(number);
    let size = size - size / 5 + number.wrapping_mul(2_654_435_761) % (size / 5 * 2);
    let head = format!(
        "{{\"uuid\":\"{uuid}\",\"vcon\":\"0.4.0\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[{{\"tel\":\"+12025550123\",\"name\":\"Alice\"}},\
         {{\"tel\":\"+12025550124\",\"name\":\"Bob\"}}],\"dialog\":[{{\"type\":\"recording\",\"start\":\"2026-01-02T03:04:05Z\",\"duration\":61.5,\
         \"parties\":[0,1],\"mediatype\":\"audio/x-wav\",\"encoding\":\"base64url\",\"body\":\""
    );
    let tail = "\"}],\"analysis\":[],\"attachments\":[]}";
    let body = "QUJD".repeat(size.saturating_sub(head.len() + tail.len()) / 4);
    (head + &body + tail).into_bytes()
}

/// What a producer does: the document, then the uuid.
pub(crate) async fn fill(server: &RedisServer, count: usize, size: usize) -> Outcome {
    let mut connection = connect(server).await?;
    let chunk = ((4 << 20) / size).max(1);
    for start in (0..count).step_by(chunk) {
        let mut pipe = Pipeline::new();
        for number in start..count.min(start + chunk) {
            pipe.cmd("SET").arg(format!("vcon:{}", uuid(number))).arg(document(number, size));
            pipe.cmd("RPUSH").arg("in").arg(uuid(number));
        }
        connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
    }
    Ok(())
}

/// Uuids on a list.
pub(crate) async fn length(connection: &mut MultiplexedConnection, list: &str) -> Outcome<usize> {
    Ok(redis::cmd("LLEN").arg(list).query_async(connection).await?)
}

/// CPU time per vCon in microseconds; unlike the rate it says nearly the same on a busy machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// Of whoever works on the vCons.
    pub(crate) own: f64,
    /// Of the server.
    pub(crate) redis: f64,
}

/// A round: vCons per second and what one of them cost.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Measured {
    pub(crate) rate: f64,
    pub(crate) cost: Cost,
}

/// A round that is under way.
pub(crate) struct Round {
    started: Instant,
    before: (f64, f64),
    process: u32,
}

impl Round {
    /// Begins; `process` is who works on the vCons.
    pub(crate) async fn begin(connection: &mut MultiplexedConnection, process: u32) -> Outcome<Round> {
        let before = (own_cpu(process)?, redis_cpu(connection).await?);
        Ok(Round { started: Instant::now(), before, process })
    }

    pub(crate) async fn end(self, connection: &mut MultiplexedConnection, count: usize) -> Outcome<Measured> {
        let took = self.started.elapsed().as_secs_f64();
        let after = (own_cpu(self.process)?, redis_cpu(connection).await?);
        let per = |from: f64, to: f64| (to - from) * 1e6 / count as f64;
        let cost = Cost { own: per(self.before.0, after.0), redis: per(self.before.1, after.1) };
        Ok(Measured { rate: count as f64 / took, cost })
    }
}

/// CPU seconds of a process so far.
fn own_cpu(process: u32) -> Outcome<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // User and system time, in ticks of 10 ms.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

async fn redis_cpu(connection: &mut MultiplexedConnection) -> Outcome<f64> {
    let info: String = redis::cmd("INFO").arg("cpu").query_async(connection).await?;
    let part = |name: &str| -> f64 {
        info.lines().find_map(|line| line.trim().strip_prefix(name)?.parse().ok()).unwrap_or_default()
    };
    Ok(part("used_cpu_sys:") + part("used_cpu_user:"))
}

/// Name and version of the server.
pub(crate) async fn version() -> Outcome<String> {
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connect(&server()).await?).await?;
    let version = info.lines().find_map(|line| line.trim().strip_prefix("redis_version:"));
    Ok(format!("Redis {}", version.unwrap_or("of an unknown version")))
}

/// The bulk string of an answer.
pub(crate) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Median time of a durable 4 KB write beside the temporary servers, in milliseconds.
pub(crate) fn fsync_time() -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}
