//! Throughput of the embedded store: full cycles of claim, save, push and ack through two lanes.
//!
//! `cargo run --release -p vconductor-core --example store_bench -- [seconds] [bytes] [batch] [directory]`
//!
//! A producer keeps the ingress list filled by `ingest`, which is part of the load. Beside the result it
//! prints what one `fsync` costs on this disk, since that decides the figure.

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use uuid::Uuid;
use vconductor_core::store::embedded::{EmbeddedStore, Settings};
use vconductor_core::store::{
    ClaimRequest, Claimed, Commit, Committed, Documents, End, NewVcon, ProcessId, Push, Queue, Quota, Save,
};

const LANES: usize = 2;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let bytes: usize = arguments.next().map_or(Ok(4700), |text| text.parse())?;
    let batch: usize = arguments.next().map_or(Ok(32), |text| text.parse())?;
    let parent = arguments.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = parent.join(format!("store-bench-{}", std::process::id()));

    std::fs::create_dir_all(&directory)?;
    println!("fsync of 64 KiB: {:.2} ms (median of 50)", fsync(&directory)?);
    for fsync in [true, false] {
        let directory = directory.join(format!("fsync-{fsync}"));
        let store = EmbeddedStore::open(&directory, Settings { fsync, ..Settings::default() })?;
        let (p50, p99) = latency(&store, bytes).await?;
        println!("fsync {fsync}: idle, ingest sent to push visible: p50 {p50:.2} ms, p99 {p99:.2} ms");
        let (rate, groups) = measure(store, Duration::from_secs(seconds), bytes, batch).await?;
        println!(
            "fsync {fsync}: {rate:.0} vCons/s (ingest, claim, save, push, ack; {bytes} bytes, batches of {batch}, \
             {LANES} lanes), {groups:.0} exchanges/s"
        );
    }
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}

async fn measure(
    store: Arc<EmbeddedStore>,
    length: Duration,
    bytes: usize,
    batch: usize,
) -> Result<(f64, f64), Box<dyn Error>> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let document = Bytes::from(vec![b'x'; bytes]);
    // As a link that tags leaves it: somewhat longer, and different in every page.
    let edited = Bytes::from(vec![b'y'; bytes + 120]);
    let (fed, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let feeder =
        tokio::spawn(feed(Arc::clone(&store), document.clone(), Arc::clone(&fed), Arc::clone(&done), start, length));
    let lanes: Vec<_> = (0..LANES)
        .map(|_| {
            let (store, process, done, document) =
                (Arc::clone(&store), process.clone(), Arc::clone(&done), edited.clone());
            tokio::spawn(async move { lane(&store, &process, &document, batch, &done, start + length).await })
        })
        .collect();
    let mut exchanges = 0;
    for lane in lanes {
        exchanges += lane.await??;
    }
    let elapsed = start.elapsed().as_secs_f64();
    feeder.await??;
    Ok((done.load(Ordering::Relaxed) as f64 / elapsed, exchanges as f64 / elapsed))
}

/// Milliseconds from an ingest to the ack with its push, one vCon at a time: median and 99th percentile of 500.
async fn latency(store: &Arc<EmbeddedStore>, bytes: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let lists = vec!["idle".to_owned()];
    let request =
        ClaimRequest { quotas: vec![Quota { list: lists[0].clone(), limit: 1, weight: 1 }], limit: 1, bytes: 1 << 30 };
    let document = Bytes::from(vec![b'x'; bytes]);
    let mut times = Vec::new();
    for _ in 0..500 {
        let conductor = {
            let (store, process, lists, request, document) =
                (Arc::clone(store), process.clone(), lists.clone(), request.clone(), document.clone());
            tokio::spawn(async move {
                loop {
                    let (_, claimed) = store.exchange(&process, Vec::new(), Some(request.clone())).await?;
                    if claimed.is_empty() {
                        store.doorbell(&lists, Duration::from_secs(1)).await;
                        continue;
                    }
                    let commits = claimed.into_iter().map(|claimed| finish(claimed, &document)).collect();
                    return store.exchange(&process, commits, None).await;
                }
            })
        };
        tokio::time::sleep(Duration::from_millis(3)).await;
        let start = Instant::now();
        let vcon = NewVcon {
            uuid: Uuid::new_v4().to_string(),
            document: Some(document.clone()),
            lists: lists.clone(),
            keep: None,
            context: None,
            tenant: None,
        };
        store.ingest(vec![vcon]).await?;
        conductor.await??;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    store.deregister(&process).await?;
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[times.len() * 99 / 100]))
}

/// Keeps some thousand runs waiting.
async fn feed(
    store: Arc<EmbeddedStore>,
    document: Bytes,
    fed: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
    start: Instant,
    length: Duration,
) -> vconductor_core::Result<()> {
    while start.elapsed() < length {
        if fed.load(Ordering::Relaxed) > done.load(Ordering::Relaxed) + 2000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let vcons = (0..64).map(|_| NewVcon {
            uuid: Uuid::new_v4().to_string(),
            document: Some(document.clone()),
            lists: vec!["calls".to_owned()],
            keep: None,
            context: None,
            tenant: None,
        });
        store.ingest(vcons.collect()).await?;
        fed.fetch_add(64, Ordering::Relaxed);
    }
    Ok(())
}

async fn lane(
    store: &EmbeddedStore,
    process: &ProcessId,
    document: &Bytes,
    batch: usize,
    done: &AtomicU64,
    end: Instant,
) -> vconductor_core::Result<u64> {
    let request = ClaimRequest {
        quotas: vec![Quota { list: "calls".to_owned(), limit: batch, weight: 1 }],
        limit: batch,
        bytes: 64 << 20,
    };
    let mut finished: Vec<Commit> = Vec::new();
    let mut exchanges = 0;
    while Instant::now() < end {
        let commits = std::mem::take(&mut finished);
        let (committed, claimed) = store.exchange(process, commits, Some(request.clone())).await?;
        assert!(committed.iter().all(|committed| *committed == Committed::Done), "a claim was lost");
        done.fetch_add(committed.len() as u64, Ordering::Relaxed);
        exchanges += 1;
        if claimed.is_empty() {
            store.doorbell(&["calls".to_owned()], Duration::from_millis(100)).await;
        }
        finished.extend(claimed.into_iter().map(|claimed| finish(claimed, document)));
    }
    store.exchange(process, finished, None).await?;
    Ok(exchanges)
}

fn finish(claimed: Claimed, document: &Bytes) -> Commit {
    let uuid = claimed.claim.uuid.clone();
    Commit {
        save: Some(Save {
            uuid: uuid.clone(),
            document: document.clone(),
            revision: claimed.stored.map_or(0, |stored| stored.revision + 1),
        }),
        ledger: None,
        keep: None,
        pushes: vec![Push { list: "done".to_owned(), uuid }],
        made: Vec::new(),
        context: None,
        end: End::Done,
        claim: claimed.claim,
    }
}

fn fsync(directory: &Path) -> std::io::Result<f64> {
    let mut file = File::create(directory.join("probe"))?;
    let mut times = Vec::new();
    for _ in 0..50 {
        file.write_all(&[0; 65536])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
