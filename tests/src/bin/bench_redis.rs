//! Benchmarks of the engine on Redis, beside the same protocol sent bare in the same run.
//!
//! `cargo run --release -p vconductor-tests --bin bench_redis -- [--seconds N] [--rounds N] [CASE...]`
//! Cases: `a`, `e`, `mb`, `latency`; all of them by default. A private server with AOF `everysec` (rewrite off),
//! documents as strings. `bare` sends our commands without engine and store, `store` without the engine.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value, from_redis_value};
use vconductor::engine::assemble::assemble_text;
use vconductor::engine::report::{Report, RunOutcome};
use vconductor::engine::{Engine, Settings};
use vconductor_core::http::HttpClient;
use vconductor_core::run::RunId;
use vconductor_core::store::redis::{RedisStore, Settings as StoreSettings};
use vconductor_core::store::{ClaimRequest, Commit, End, ProcessId, Push, Queue, Quota, Save, Store};
use vconductor_tests::servers::redis::RedisServer;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const CLAIM: &str = include_str!("../../../core/src/store/redis/lua/claim.lua");
const USUAL: usize = 4_700;
const MEGABYTE: usize = 1 << 20;
const BATCH: usize = 64;

struct Options {
    seconds: f64,
    rounds: usize,
    cases: Vec<String>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let options = options()?;
    for case in &options.cases {
        match case.as_str() {
            "a" => throughput("A [tag], 4.7 KB", 1, USUAL, &options).await?,
            "e" => throughput("E six [tag], 4.7 KB", 6, USUAL, &options).await?,
            "mb" => throughput("A [tag], 1 MB", 1, MEGABYTE, &options).await?,
            "latency" => latency().await?,
            other => return Err(format!("unknown case {other}").into()),
        }
    }
    Ok(())
}

fn options() -> Outcome<Options> {
    let mut options = Options { seconds: 10.0, rounds: 3, cases: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => options.seconds = arguments.next().ok_or("--seconds needs a number")?.parse()?,
            "--rounds" => options.rounds = arguments.next().ok_or("--rounds needs a number")?.parse()?,
            case => options.cases.push(case.to_owned()),
        }
    }
    if options.cases.is_empty() {
        options.cases = ["a", "e", "mb", "latency"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

fn server() -> RedisServer {
    RedisServer::with(&[
        "--save",
        "",
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
        "--auto-aof-rewrite-percentage",
        "0",
    ])
}

fn document(uuid: &str, size: usize) -> Bytes {
    let head = format!(
        "{{\"uuid\":\"{uuid}\",\"vcon\":\"0.4.0\",\"created_at\":\"2026-01-02T03:04:05Z\",\"parties\":[{{\"tel\":\"+12025550123\",\"name\":\"Alice\"}},\
         {{\"tel\":\"+12025550124\",\"name\":\"Bob\"}}],\"dialog\":[{{\"type\":\"recording\",\"start\":\"2026-01-02T03:04:05Z\",\"duration\":61.5,\
         \"parties\":[0,1],\"mediatype\":\"audio/x-wav\",\"encoding\":\"base64url\",\"body\":\""
    );
    let tail = "\"}],\"analysis\":[],\"attachments\":[]}";
    let body = "QUJD".repeat((size.saturating_sub(head.len() + tail.len())) / 4);
    Bytes::from(head + &body + tail)
}

fn uuid(number: usize) -> String {
    format!("{number:08x}-0000-8000-8000-000000000000")
}

/// What a producer does: the document, then the uuid.
async fn fill(server: &RedisServer, count: usize, size: usize) -> Outcome {
    let mut connection = connect(server).await?;
    let chunk = ((4 << 20) / size).max(1);
    for start in (0..count).step_by(chunk) {
        let mut pipe = Pipeline::new();
        for number in start..count.min(start + chunk) {
            pipe.cmd("SET").arg(format!("vcon:{}", uuid(number))).arg(&document(&uuid(number), size)[..]);
            pipe.cmd("RPUSH").arg("in").arg(uuid(number));
        }
        connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
    }
    Ok(())
}

async fn connect(server: &RedisServer) -> Outcome<MultiplexedConnection> {
    let client = redis::Client::open(server.url())?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(60)));
    Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
}

/// Engine, store and bare protocol in turn; fresh server and documents each round, the first round is thrown away.
async fn throughput(name: &str, links: usize, size: usize, options: &Options) -> Outcome {
    let mut count = if size > USUAL { 400 } else { 40_000 };
    let limit = if size > USUAL { 1_500 } else { 300_000 };
    let (mut rates, mut costs): ([Vec<f64>; 3], [Vec<Cost>; 3]) = Default::default();
    for round in 0..=options.rounds {
        let measured =
            [engine_round(links, size, count).await?, store_round(size, count).await?, bare_round(size, count).await?];
        let rate = measured[0].0;
        if round > 0 {
            for (index, (rate, cost)) in measured.into_iter().enumerate() {
                rates[index].push(rate);
                costs[index].push(cost);
            }
        }
        count = ((rate * options.seconds) as usize).clamp(200, limit);
    }
    let ratio = |of: &[f64]| median(of.iter().zip(&rates[2]).map(|(rate, bare)| rate / bare).collect());
    println!(
        "{name}: engine {:.0} vCons/s ({:.2} of bare), store {:.0} ({:.2}), bare {:.0} (medians of {} rounds of {count})",
        median(rates[0].clone()),
        ratio(&rates[0]),
        median(rates[1].clone()),
        ratio(&rates[1]),
        median(rates[2].clone()),
        options.rounds,
    );
    for (kind, costs) in ["engine", "store", "bare"].into_iter().zip(costs) {
        let of = |part: fn(&Cost) -> f64| median(costs.iter().map(part).collect());
        println!(
            "  {kind}: {:.1} us of this process and {:.1} us of Redis per vCon",
            of(|cost| cost.own),
            of(|cost| cost.redis)
        );
    }
    Ok(())
}

/// CPU time per vCon in microseconds; unlike the rate it says the same on a busy machine.
struct Cost {
    own: f64,
    redis: f64,
}

/// CPU time of this process and of the server so far, in seconds.
fn spent(server: &RedisServer) -> Outcome<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // User and system time, in ticks of 10 ms.
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    let info = server.cli(&["INFO", "cpu"]);
    let part = |name: &str| -> f64 {
        info.lines().find_map(|line| line.trim().strip_prefix(name)?.parse().ok()).unwrap_or_default()
    };
    Ok((ticks / 100.0, part("used_cpu_sys:") + part("used_cpu_user:")))
}

/// Rate and cost of `count` vCons since `started`, when `before` was spent.
fn measured(server: &RedisServer, count: usize, started: Instant, before: (f64, f64)) -> Outcome<(f64, Cost)> {
    let rate = count as f64 / started.elapsed().as_secs_f64();
    let after = spent(server)?;
    let per = |from: f64, to: f64| (to - from) * 1e6 / count as f64;
    Ok((rate, Cost { own: per(before.0, after.0), redis: per(before.1, after.1) }))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn configuration(links: usize) -> String {
    let names: Vec<String> = (0..links).map(|index| format!("t{index}")).collect();
    let defined: String =
        names.iter().map(|name| format!("  {name}: {{module: links.tag, options: {{tags: [{name}]}}}}\n")).collect();
    format!(
        "links:\n{defined}chains:\n  bench: {{ingress_lists: [in], egress_lists: [out], concurrency: 256, links: [{}]}}\n",
        names.join(", ")
    )
}

type Running = (Arc<Engine>, Arc<Report>, tokio::task::JoinHandle<()>);

async fn start(server: &RedisServer, links: usize) -> Outcome<Running> {
    let report = Arc::new(Report::default());
    let http = HttpClient::builder().build()?;
    let chains = assemble_text(&configuration(links), &report)?;
    let store: Arc<dyn Store> = RedisStore::connect(&server.url(), StoreSettings::default()).await?;
    let engine = Arc::new(Engine::new(store, http, chains, Arc::clone(&report), Settings::default()));
    let running = Arc::clone(&engine);
    let task = tokio::spawn(async move {
        if let Err(error) = running.run().await {
            eprintln!("{}", error.chain_text());
        }
    });
    Ok((engine, report, task))
}

async fn engine_round(links: usize, size: usize, count: usize) -> Outcome<(f64, Cost)> {
    let server = server();
    fill(&server, count, size).await?;
    let before = spent(&server)?;
    let started = Instant::now();
    let (engine, report, task) = start(&server, links).await?;
    while report.figures().total(RunOutcome::Done) < count as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let answer = measured(&server, count, started, before);
    engine.stopper().stop();
    task.await?;
    answer
}

/// Two lanes that claim and commit the same saves and pushes through the store, without an engine.
async fn store_round(size: usize, count: usize) -> Outcome<(f64, Cost)> {
    let server = server();
    fill(&server, count, size).await?;
    let before = spent(&server)?;
    let store = RedisStore::connect(&server.url(), StoreSettings::default()).await?;
    let started = Instant::now();
    let lanes = [store_lane(Arc::clone(&store)), store_lane(store)];
    for lane in lanes.map(tokio::spawn) {
        lane.await?.map_err(|error| error.chain_text())?;
    }
    measured(&server, count, started, before)
}

async fn store_lane(store: Arc<RedisStore>) -> vconductor_core::Result<()> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let mut commits = Vec::new();
    loop {
        let quota = Quota { list: "in".to_owned(), limit: BATCH, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit: BATCH, bytes: 256 << 20 };
        let ended = commits.len();
        let (_, claimed) = store.exchange(&process, std::mem::take(&mut commits), Some(request)).await?;
        if claimed.is_empty() && ended == 0 {
            return store.deregister(&process).await;
        }
        for claimed in claimed {
            let Some(stored) = claimed.stored else { continue };
            let uuid = claimed.claim.uuid.clone();
            let save = Save { uuid: uuid.clone(), document: stored.document, revision: stored.revision + 1 };
            let pushes = vec![Push { list: "out".to_owned(), uuid }];
            commits.push(Commit {
                claim: claimed.claim,
                save: Some(save),
                ledger: None,
                keep: None,
                pushes,
                made: Vec::new(),
                end: End::Done,
            });
        }
    }
}

/// The same commands, written down by hand.
async fn bare_round(size: usize, count: usize) -> Outcome<(f64, Cost)> {
    let server = server();
    fill(&server, count, size).await?;
    let before = spent(&server)?;
    let started = Instant::now();
    let lanes = [bare_lane(connect(&server).await?, 0), bare_lane(connect(&server).await?, 1)];
    for lane in lanes.map(tokio::spawn) {
        lane.await?.map_err(|error| error.to_string())?;
    }
    measured(&server, count, started, before)
}

async fn bare_lane(mut connection: MultiplexedConnection, lane: u8) -> redis::RedisResult<()> {
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(CLAIM).query_async(&mut connection).await?;
    let process = format!("bare-{lane}");
    redis::cmd("ZADD").arg("vconductor:processes").arg(4e15).arg(&process).exec_async(&mut connection).await?;
    let mut batch: Vec<(String, Vec<u8>)> = Vec::new();
    let (mut wip, mut name) = (String::new(), String::new());
    let mut transactions = 0_u64;
    loop {
        let mut pipe = Pipeline::new();
        let ended = batch.len();
        if ended > 0 {
            transactions += 1;
            commit(&mut pipe, &batch, (&wip, &name), (&process, transactions));
        }
        let id = RunId::new().0.simple().to_string();
        name = format!("{process}:{id}");
        wip = format!("{{in}}:wip:{name}");
        pipe.cmd("EVALSHA").arg(&hash).arg(3).arg("vconductor:processes").arg("vconductor:paused").arg("in");
        pipe.arg(&process).arg(&id).arg(&id[..28]).arg(0).arg(BATCH).arg(256 << 20).arg(0).arg(0).arg(2);
        pipe.arg(1).arg(0).arg(250).arg(30_000).arg(0).arg(BATCH).arg(1).arg("{in}");
        let mut values = connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
        let answer: Vec<Value> = from_redis_value(values.pop().unwrap_or(Value::Nil))?;
        let taken: Vec<(u8, i64, String, String, u8, u8)> =
            from_redis_value(answer.get(4).cloned().unwrap_or(Value::Nil))?;
        if taken.is_empty() && ended == 0 {
            return Ok(());
        }
        batch.clear();
        if taken.is_empty() {
            continue;
        }
        let mut pipe = Pipeline::new();
        pipe.cmd("WATCH").arg(&wip);
        pipe.cmd("EXISTS").arg(&wip);
        let (mut sides, mut documents) = (redis::cmd("MGET"), redis::cmd("MGET"));
        for (.., uuid, _, _) in &taken {
            sides.arg(format!("{{vcon:{uuid}}}:rev")).arg(format!("{{vcon:{uuid}}}:keep"));
            documents.arg(format!("vcon:{uuid}"));
        }
        pipe.add_command(sides);
        pipe.add_command(documents);
        let mut values = connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
        let Some(Value::Array(documents)) = values.pop() else { continue };
        for ((.., uuid, _, _), document) in taken.into_iter().zip(documents) {
            if let Value::BulkString(document) = document {
                batch.push((uuid, document));
            }
        }
    }
}

fn commit(pipe: &mut Pipeline, batch: &[(String, Vec<u8>)], wip: (&str, &str), mark: (&str, u64)) {
    pipe.cmd("MULTI");
    let (mut revisions, mut push, mut gone) = (redis::cmd("MSET"), redis::cmd("RPUSH"), redis::cmd("DEL"));
    push.arg("out");
    for (uuid, document) in batch {
        pipe.cmd("SET").arg(format!("vcon:{uuid}")).arg(document).arg("KEEPTTL");
        revisions.arg(format!("{{vcon:{uuid}}}:rev")).arg(1_800_000_000_000_u64);
        push.arg(uuid);
        gone.arg(format!("{{vcon:{uuid}}}:writer"));
    }
    gone.arg(wip.0);
    pipe.add_command(revisions);
    pipe.add_command(push);
    pipe.cmd("SREM").arg("{in}:wips").arg(wip.1);
    pipe.add_command(gone);
    pipe.cmd("HSET").arg(format!("vconductor:commits:{}", mark.0)).arg(0).arg(mark.1);
    pipe.cmd("EXEC");
}

/// From a producer's `RPUSH` to the uuid on the egress list, on an idle system.
async fn latency() -> Outcome {
    let server = server();
    let (engine, _, task) = start(&server, 1).await?;
    let mut connection = connect(&server).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut times = Vec::new();
    for number in 0..1000 {
        let id = uuid(number);
        redis::cmd("SET").arg(format!("vcon:{id}")).arg(&document(&id, USUAL)[..]).exec_async(&mut connection).await?;
        let started = Instant::now();
        let mut pipe = Pipeline::new();
        pipe.cmd("RPUSH").arg("in").arg(&id);
        pipe.cmd("BLPOP").arg("out").arg(5);
        connection.send_packed_commands(&pipe, 0, 2).await?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    engine.stopper().stop();
    task.await?;
    times.sort_by(f64::total_cmp);
    println!("latency, idle, RPUSH to egress: p50 {:.2} ms, p99 {:.2} ms", times[500], times[990]);
    Ok(())
}
