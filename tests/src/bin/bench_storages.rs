//! Benchmarks of storages on real servers on this machine: a chain with one link and the storage, beside the same requests
//! sent bare by a load generator without an engine, in turn.
//!
//! `bench_storages [--vcons N] [--rounds N] [--concurrency N] [s3|elasticsearch ...]`: so many vCons a round (3000), so many
//! rounds (3), of which medians are shown; so many runs of the chain at once (its default).

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use vconductor_tests::servers::opensearch::OpenSearchServer;
use vconductor_tests::servers::s3::{BUCKET, S3Server};
use vconductor_tests::stage::{Stage, uuid};

/// Requests of the load generator at once: as many as the engine has runs.
const AT_ONCE: usize = 64;
/// vCons in one bulk request, and such requests at once: as the engine's writers send them.
const BATCH: usize = 64;
const WRITERS: usize = 4;

#[tokio::main]
async fn main() {
    let (mut vcons, mut rounds, mut concurrency, mut cases) = (3000, 3, None, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--vcons" => vcons = number(arguments.next()),
            "--concurrency" => concurrency = Some(number(arguments.next())),
            "--rounds" => rounds = number(arguments.next()).max(1),
            "s3" | "elasticsearch" => cases.push(argument),
            other => panic!(
                "unknown argument `{other}`; usage: bench_storages [--vcons N] [--rounds N] [--concurrency N] [s3|elasticsearch ...]"
            ),
        }
    }
    if cases.is_empty() {
        cases = vec!["s3".to_owned(), "elasticsearch".to_owned()];
    }
    println!("{vcons} vCons of {} bytes a round, {rounds} rounds, medians", vcon(&uuid(0)).len());
    for case in cases {
        let (mut bare, mut engine) = (Vec::new(), Vec::new());
        // The first round warms server and client up.
        for round in 0..=rounds {
            let (without, with) = match case.as_str() {
                "s3" => s3(vcons, round, concurrency).await,
                _ => elasticsearch(vcons, round, concurrency).await,
            };
            if round > 0 {
                bare.push(vcons as f64 / without.as_secs_f64());
                engine.push(vcons as f64 / with.as_secs_f64());
            }
        }
        let (bare, engine) = (median(bare), median(engine));
        println!(
            "{case:<14} bare {bare:>7.0}/s   chain with the storage {engine:>7.0}/s   {:>4.0} %",
            100.0 * engine / bare
        );
    }
}

fn number(text: Option<String>) -> usize {
    text.and_then(|text| text.parse().ok()).expect("a number")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A call of some 4.7 KB.
fn vcon(uuid: &str) -> String {
    let turn = |n: usize| {
        json!({"type": "text", "start": "2026-01-02T03:04:05Z", "parties": [n % 2], "mediatype":
        "text/plain", "encoding": "none", "body": "I would like to know where my order is. ".repeat(12)})
    };
    json!({
        "vcon": "0.4.0", "uuid": uuid, "created_at": "2026-01-02T03:04:05Z",
        "parties": [{"tel": "+12025550123", "role": "customer"}, {"mailto": "a@example.com", "role": "agent"}],
        "dialog": (0..6).map(turn).collect::<Vec<_>>(),
        "analysis": [{"type": "summary", "dialog": 0, "vendor": "v", "encoding": "none", "body": "Asked for an order. ".repeat(30)}],
        "attachments": []
    })
    .to_string()
}

/// The time that a conductor takes for so many vCons with this storage.
async fn chain(module: &str, options: &Value, first: u32, vcons: usize, concurrency: Option<usize>) -> Duration {
    let concurrency = concurrency.map(|runs| format!("concurrency: {runs}, ")).unwrap_or_default();
    let stage = Stage::new();
    let ids = (0..vcons).map(|n| uuid(first + u32::try_from(n).expect("a small number")));
    stage.give_many(ids.map(|id| ("in".to_owned(), id.clone(), vcon(&id))).collect()).await;
    let yaml = format!(
        "links:\n  t: {{module: links.tag, options: {{tags: [bench]}}}}\nstorages:\n  s: {{module: {module}, options: \
         {options}}}\nchains:\n  c: {{{concurrency}ingress_lists: [in], links: [t], storages: [s]}}\n"
    );
    let started = Instant::now();
    let conductor = stage.start(&yaml);
    // Until all have gone; what is left after that is the wait of the watcher.
    while !stage.pending("in").await.is_idle() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = started.elapsed();
    let figures = conductor.stop().await;
    let written = &figures.storages["s"];
    assert_eq!((written.succeeded as usize, written.failed), (vcons, 0), "every vCon is written once");
    took
}

async fn s3(vcons: usize, round: usize, concurrency: Option<usize>) -> (Duration, Duration) {
    let server = S3Server::start();
    let first = u32::try_from(round * 1_000_000).expect("a small number");
    let client = server.client();
    let started = Instant::now();
    let mut writes = JoinSet::new();
    for number in 0..vcons {
        while writes.len() >= AT_ONCE {
            writes.join_next().await.expect("one").expect("it is written");
        }
        writes.spawn(put(client.clone(), uuid(first + 500_000 + u32::try_from(number).expect("a small number"))));
    }
    writes.join_all().await;
    let bare = started.elapsed();
    (bare, chain("storage.s3", &server.options(), first, vcons, concurrency).await)
}

/// What the storage sends for a new vCon.
async fn put(client: Client, id: String) {
    let document = client.put_object().bucket(BUCKET).key(format!("2026/01/02/{id}.vcon")).if_none_match("*");
    let document = document.metadata("vcon-revision", "1").metadata("vcon-created", "1767323045000");
    document.content_type("application/vcon+json").body(vcon(&id).into_bytes().into()).send().await.expect("put");
    let pointer = client.put_object().bucket(BUCKET).key(format!("lookup/{id}.txt")).if_none_match("*");
    pointer.content_type("text/plain").body(b"2026/01/02".to_vec().into()).send().await.expect("put");
}

async fn elasticsearch(vcons: usize, round: usize, concurrency: Option<usize>) -> (Duration, Duration) {
    let (url, prefix) = (OpenSearchServer::shared(), format!("bench{round}_"));
    let options = json!({"url": url, "index_prefix": prefix});
    // Indices are made by the first writer; what is measured is the writing.
    chain("storage.elasticsearch", &options, 900_000_000, 64, concurrency).await;
    let first = u32::try_from(round * 1_000_000).expect("a small number");
    let client = reqwest::Client::new();
    let batches: Vec<Vec<String>> = (0..vcons)
        .map(|number| uuid(first + 500_000 + u32::try_from(number).expect("a small number")))
        .collect::<Vec<_>>()
        .chunks(BATCH)
        .map(<[String]>::to_vec)
        .collect();
    let started = Instant::now();
    let mut writes = JoinSet::new();
    let url = Arc::new(format!("{url}/_bulk?filter_path=items.*.status"));
    for batch in batches {
        while writes.len() >= WRITERS {
            writes.join_next().await.expect("one").expect("it is written");
        }
        writes.spawn(bulk(client.clone(), Arc::clone(&url), prefix.clone(), batch));
    }
    writes.join_all().await;
    let bare = started.elapsed();
    (bare, chain("storage.elasticsearch", &options, first, vcons, concurrency).await)
}

/// What the storage sends for new vCons: records, then parts.
async fn bulk(client: reqwest::Client, url: Arc<String>, prefix: String, batch: Vec<String>) {
    let (mut records, mut parts) = (String::new(), String::new());
    for id in &batch {
        let vcon: Value = serde_json::from_str(&vcon(id)).expect("JSON");
        let record = json!({"vcon_id": id, "revision": 1, "created_at": 1_767_323_045_000_u64, "parts": {
            "vcon_dialog": [0, 1, 2, 3, 4, 5], "vcon_analysis_summary": [0], "vcon_parties_agent": [1], "vcon_parties_customer": [0]}});
        let action = json!({"create": {"_index": format!("{prefix}vcon_revisions"), "_id": id}});
        records.push_str(&format!("{action}\n{record}\n"));
        for (section, index) in [("dialog", "vcon_dialog"), ("analysis", "vcon_analysis_summary"), ("parties", "")] {
            for (position, part) in vcon[section].as_array().expect("an array").iter().enumerate() {
                let index = if index.is_empty() {
                    format!("vcon_parties_{}", part["role"].as_str().expect("text"))
                } else {
                    index.to_owned()
                };
                let mut part = part.clone();
                part["vcon_id"] = json!(id);
                part["started_at"] = json!("2026-01-02T03:04:05Z");
                part["tenant_id"] = Value::Null;
                let action = json!({"index": {"_index": format!("{prefix}{index}"), "_id": format!("{id}_{position}"),
                    "version": 1, "version_type": "external_gte"}});
                parts.push_str(&format!("{action}\n{part}\n"));
            }
        }
    }
    for body in [records, parts] {
        let request = client.post(url.as_str()).header("content-type", "application/x-ndjson").body(body);
        let answer = request.send().await.expect("an answer").text().await.expect("text");
        assert!(!answer.contains("\"status\":4") && !answer.contains("\"status\":5"), "{answer}");
    }
}
