//! Benchmarks of the engine on the embedded store, beside the same protocol sent bare in the same run.
//!
//! `cargo run --release -p vconductor-tests --bin bench_embedded -- [--seconds N] [--binary PATH] [CASE...]`
//! Cases: `a`, `e`, `mb`, `latency`, `startup`, `memory`; all of them by default. `startup` and `memory` need the
//! binary (`cargo build --release -p vconductor`). Every figure is acknowledged after fsync.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use vconductor::engine::assemble::assemble_text;
use vconductor::engine::report::{Report, RunOutcome};
use vconductor::engine::{Engine, Settings};
use vconductor_core::http::HttpClient;
use vconductor_core::plugin::Services;
use vconductor_core::store::embedded::{EmbeddedStore, Settings as StoreSettings};
use vconductor_core::store::{
    ClaimRequest, Commit, Documents, End, NewVcon, Operations, ProcessId, Push, Queue, Quota, Save, Store,
};

use vconductor_links as _;
use vconductor_storages as _;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Size of the usual document, as in the comparison with vcon-server.
const USUAL: usize = 4_700;
const MEGABYTE: usize = 1 << 20;
const ROUNDS: usize = 3;

struct Options {
    seconds: f64,
    binary: PathBuf,
    cases: Vec<String>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome {
    let options = options()?;
    println!("fsync of 4 KB: {:.2} ms (median of 200)", fsync_time()?.as_secs_f64() * 1e3);
    for case in &options.cases {
        match case.as_str() {
            "a" => throughput("A [tag], 4.7 KB", 1, USUAL, options.seconds).await?,
            "e" => throughput("E six [tag], 4.7 KB", 6, USUAL, options.seconds).await?,
            "mb" => throughput("A [tag], 1 MB", 1, MEGABYTE, options.seconds).await?,
            "latency" => latency().await?,
            "startup" => startup(&options.binary).await?,
            "memory" => memory(&options.binary).await?,
            other => return Err(format!("unknown case {other}").into()),
        }
    }
    Ok(())
}

fn options() -> Outcome<Options> {
    let mut options = Options { seconds: 10.0, binary: "target/release/vconductor".into(), cases: Vec::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => options.seconds = arguments.next().ok_or("--seconds needs a number")?.parse()?,
            "--binary" => options.binary = arguments.next().ok_or("--binary needs a path")?.into(),
            case => options.cases.push(case.to_owned()),
        }
    }
    if options.cases.is_empty() {
        options.cases = ["a", "e", "mb", "latency", "startup", "memory"].map(str::to_owned).to_vec();
    }
    Ok(options)
}

/// Median time of a durable 4 KB write beside the temporary stores.
fn fsync_time() -> Outcome<Duration> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[0; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok(times[times.len() / 2])
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

async fn fill(store: &EmbeddedStore, count: usize, size: usize) -> Outcome {
    let chunk = (8 << 20) / size.max(1);
    for start in (0..count).step_by(chunk.max(1)) {
        let vcons = (start..count.min(start + chunk.max(1))).map(|number| NewVcon {
            uuid: uuid(number),
            document: Some(document(&uuid(number), size)),
            lists: vec!["in".to_owned()],
            keep: None,
            context: None,
            tenant: None,
        });
        store.ingest(vcons.collect()).await?;
    }
    Ok(())
}

fn configuration(links: usize) -> String {
    let names: Vec<String> = (0..links).map(|index| format!("t{index}")).collect();
    let defined: String =
        names.iter().map(|name| format!("  {name}: {{module: links.tag, options: {{tags: [{name}]}}}}\n")).collect();
    format!(
        "links:\n{defined}chains:\n  bench: {{ingress_lists: [in], egress_lists: [out], concurrency: 128, links: [{}]}}\n",
        names.join(", ")
    )
}

/// Engine and bare protocol in turn; fresh documents each round, the first round is thrown away.
async fn throughput(name: &str, links: usize, size: usize, seconds: f64) -> Outcome {
    let mut count = if size > USUAL { 300 } else { 20_000 };
    let (mut engine, mut bare) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let engine_rate = engine_round(links, size, count).await?;
        let bare_rate = bare_round(size, count).await?;
        if round > 0 {
            engine.push(engine_rate);
            bare.push(bare_rate);
        }
        count = ((engine_rate * seconds) as usize).clamp(200, if size > USUAL { 4_000 } else { 400_000 });
    }
    let ratios: Vec<f64> = engine.iter().zip(&bare).map(|(engine, bare)| engine / bare).collect();
    println!(
        "{name}: {:.0} vCons/s, bare {:.0}, ratio {:.2} (medians of {ROUNDS} rounds of {count})",
        median(engine),
        median(bare),
        median(ratios)
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn open(folder: &Path) -> Outcome<Arc<EmbeddedStore>> {
    Ok(EmbeddedStore::open(folder, StoreSettings::default())?)
}

fn start(store: &Arc<EmbeddedStore>, links: usize) -> Outcome<(Arc<Engine>, Arc<Report>, tokio::task::JoinHandle<()>)> {
    let report = Arc::new(Report::default());
    let services = Services::alone(HttpClient::builder().build()?)?;
    let chains = assemble_text(&configuration(links), &report)?;
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    let engine = Arc::new(Engine::new(store, services, chains, Arc::clone(&report), Settings::default()));
    let running = Arc::clone(&engine);
    let task = tokio::spawn(async move {
        if let Err(error) = running.run().await {
            eprintln!("{}", error.chain_text());
        }
    });
    Ok((engine, report, task))
}

async fn engine_round(links: usize, size: usize, count: usize) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path())?;
    fill(&store, count, size).await?;
    let started = Instant::now();
    let (engine, report, task) = start(&store, links)?;
    while report.total(RunOutcome::Done) < count as u64 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    engine.stopper().stop();
    task.await?;
    Ok(rate)
}

/// Two lanes that claim 64, and commit the same saves and pushes, without an engine.
async fn bare_round(size: usize, count: usize) -> Outcome<f64> {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path())?;
    fill(&store, count, size).await?;
    let started = Instant::now();
    let lanes = [bare_lane(Arc::clone(&store)), bare_lane(store)];
    for lane in lanes.map(tokio::spawn) {
        lane.await?.map_err(|error| error.chain_text())?;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

async fn bare_lane(store: Arc<EmbeddedStore>) -> vconductor_core::Result<()> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let mut commits = Vec::new();
    loop {
        let quota = Quota { list: "in".to_owned(), limit: 64, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit: 64, bytes: 64 << 20 };
        let ended = commits.len();
        let (_, claimed) = store.exchange(&process, std::mem::take(&mut commits), Some(request)).await?;
        if claimed.is_empty() && ended == 0 {
            return store.deregister(&process).await;
        }
        for claimed in claimed {
            let Some(stored) = claimed.stored else { continue };
            let uuid = claimed.claim.uuid.clone();
            let save = Save { uuid: uuid.clone(), document: tagged(&stored.document), revision: stored.revision + 1 };
            let pushes = vec![Push { list: "out".to_owned(), uuid }];
            commits.push(Commit { save: Some(save), pushes, ..Commit::ending(claimed.claim, End::Done) });
        }
    }
}

/// The document as the tag link leaves it; SQLite would not write one that did not change.
fn tagged(document: &Bytes) -> Bytes {
    const TAGS: &[u8] = b"{\"purpose\":\"tags\",\"start\":\"2026-01-02T03:04:05.678Z\",\"party\":0,\"dialog\":0,\
        \"mediatype\":\"application/json\",\"encoding\":\"json\",\"body\":\"[\\\"t0:t0\\\"]\"}]}";
    let kept = document.strip_suffix(b"]}").unwrap_or(document);
    let mut edited = Vec::with_capacity(kept.len() + TAGS.len());
    edited.extend_from_slice(kept);
    edited.extend_from_slice(TAGS);
    Bytes::from(edited)
}

async fn latency() -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = open(folder.path())?;
    let (engine, report, task) = start(&store, 1)?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut times = Vec::new();
    for number in 0..400 {
        fill_one(&store, number).await?;
        let started = Instant::now();
        // This thread is none of the runtime's workers; its timer would round up to a millisecond.
        while report.total(RunOutcome::Done) <= number as u64 {
            std::thread::sleep(Duration::from_micros(20));
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    engine.stopper().stop();
    task.await?;
    times.sort_by(f64::total_cmp);
    println!("latency, idle, enqueued to egress durable: p50 {:.2} ms, p99 {:.2} ms", times[200], times[396]);
    Ok(())
}

async fn fill_one(store: &EmbeddedStore, number: usize) -> Outcome {
    let vcon = NewVcon {
        uuid: uuid(number),
        document: Some(document(&uuid(number), USUAL)),
        lists: vec!["in".to_owned()],
        keep: None,
        context: None,
        tenant: None,
    };
    Ok(store.ingest(vec![vcon]).await?)
}

fn spawn(binary: &Path, folder: &Path) -> Outcome<Child> {
    std::fs::write(folder.join("chain.yml"), configuration(1))?;
    let store = format!("embedded:{}", folder.join("store").display());
    let mut command = Command::new(binary);
    command.arg("run").arg(folder.join("chain.yml")).args(["--store", &store]);
    Ok(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

async fn startup(binary: &Path) -> Outcome {
    let mut times = Vec::new();
    for _ in 0..11 {
        let folder = tempfile::tempdir()?;
        let store = open(&folder.path().join("store"))?;
        fill_one(&store, 1).await?;
        let started = Instant::now();
        let mut child = spawn(binary, folder.path())?;
        while store.pending(&["out".to_owned()], Duration::ZERO).await?.waiting == 0 {
            if started.elapsed() > Duration::from_secs(20) {
                return Err("the conductor did nothing within 20 s".into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        child.kill()?;
        child.wait()?;
    }
    println!("process start to first vCon done: {:.0} ms (median of 11)", median(times));
    Ok(())
}

async fn memory(binary: &Path) -> Outcome {
    let folder = tempfile::tempdir()?;
    let store = open(&folder.path().join("store"))?;
    let mut child = spawn(binary, folder.path())?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let idle = resident(child.id())?;
    fill(&store, 40_000, USUAL).await?;
    let load = peak_until_done(&store, child.id()).await?;
    fill(&store, 1, 50 << 20).await?;
    let large = peak_until_done(&store, child.id()).await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let after = resident(child.id())?;
    child.kill()?;
    child.wait()?;
    println!(
        "resident memory: idle {idle} MiB, under load A {load} MiB, one 50 MB vCon {large} MiB, 10 s later {after} MiB"
    );
    Ok(())
}

async fn peak_until_done(store: &EmbeddedStore, process: u32) -> Outcome<u64> {
    let mut peak = 0;
    loop {
        peak = peak.max(resident(process)?);
        if store.pending(&["in".to_owned()], Duration::from_secs(60)).await?.is_idle() {
            return Ok(peak);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Resident memory in MiB.
fn resident(process: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kilobytes: u64 = line.split_whitespace().nth(1).ok_or("no figure")?.parse()?;
    Ok(kilobytes / 1024)
}
