//! A real storage server is stopped while a conductor works: nothing is lost, the other storage is not held up, what waits
//! is drained by itself, and no link runs twice.
//!
//! `VCONDUCTOR_OUTAGE_VCONS` says how many vCons; by default as many as take some seconds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor_core::audio::content_hash;
use vconductor_core::plugin::{ListQuery, Storage, StorageEntry, inventory};
use vconductor_tests::probes::{count, seen, stored};
use vconductor_tests::servers::Server;
use vconductor_tests::servers::mongo::MongoServer;
use vconductor_tests::servers::opensearch::OpenSearchServer;
use vconductor_tests::servers::postgres::PostgresServer;
use vconductor_tests::servers::s3::{BUCKET, S3Server, content};
use vconductor_tests::stage::{Stage, uuid, vcon};

/// How long is waited for each vCon, and in any case: while a server is away, each of its runs waits for time-outs.
const LIMITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(120));

fn vcons(few: u32) -> u32 {
    let asked = std::env::var("VCONDUCTOR_OUTAGE_VCONS").ok();
    asked.map_or(few, |asked| asked.parse().expect("VCONDUCTOR_OUTAGE_VCONS is a number"))
}

/// A storage of its own, to look with.
fn storage(module: &str, options: &Value) -> std::sync::Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == module);
    (entry.expect("a module").build)("looking", options.clone()).expect("options")
}

async fn all(storage: &dyn Storage) -> BTreeSet<String> {
    let mut query = ListQuery { limit: 5000, ..ListQuery::default() };
    let mut found = BTreeSet::new();
    loop {
        let page = storage.list(&query).await.unwrap_or_else(|error| panic!("{}", error.chain_text()));
        found.extend(page.uuids);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return found;
        }
    }
}

async fn outage(server: &mut dyn Server, module: &str, options: Value, log: &str, number: u32) {
    let stage = Stage::new();
    let given: Vec<_> = (0..number).map(|n| ("in".to_owned(), uuid(n), vcon(&uuid(n)))).collect();
    stage.give_many(given).await;
    let yaml = format!(
        "links:\n  paid: {{module: links.probe_external, options: {{log: {log}}}}}\nstorages:\n  target: {{module: \
         {module}, options: {options}}}\n  other: {{module: storage.probe, options: {{log: {log}-other}}}}\nchains:\n  c: \
         {{ingress_lists: [in], egress_lists: [out], links: [paid], storages: [{{storage: target, retry: {{attempts: 2, \
         base: 100ms, cap: 100ms}}}}, other]}}\n"
    );
    let limit = LIMITS.1 + LIMITS.0 * number;
    let started = Instant::now();
    let conductor = stage.start(&yaml);
    let written = |log: &str| seen(log).iter().filter(|line| line.starts_with("save ")).count();
    let other = format!("{log}-other");
    conductor.until("it is at work", limit, async || written(&other) as u32 >= number / 4).await;
    server.kill();
    conductor.until("the other storage has all", limit, async || written(&other) as u32 >= number).await;
    conductor
        .until("runs wait for the storage", limit, async || !stage.dead("DLQ:storage:target").await.is_empty())
        .await;
    let handed_on = stage.pending("out").await.waiting;
    assert!(handed_on < u64::from(number), "egress of what is not stored is withheld");
    server.up();
    conductor.until("all are drained", limit, async || stage.dead("DLQ:storage:target").await.is_empty()).await;
    conductor.until_idle(limit).await;
    conductor.stop().await;
    println!("{number} vCons with an outage of {module} took {:?}", started.elapsed());
    let out = stage.take("out").await;
    assert!(out.len() as u32 == number && out.values().all(|times| *times == 1), "{} went out", out.len());
    let expected: BTreeSet<String> = (0..number).map(uuid).collect();
    assert_eq!(all(&*storage(module, &options)).await, expected, "what the storage holds");
    let lines = |verb: &str| (0..number).map(|n| format!("{verb} {}", uuid(n))).collect::<Vec<String>>();
    let sorted = |log: &str| {
        let mut lines = seen(log);
        lines.sort();
        lines
    };
    assert!(sorted(log) == lines("paid"), "a link ran twice, or not at all");
    assert!(sorted(&other) == lines("save"), "the other storage was written to twice, or not at all");
    assert!((0..number).all(|n| stored(&other, &uuid(n)).is_some()), "the other storage holds all");
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_is_stopped_and_comes_back() {
    let mut server = S3Server::start();
    let options = server.options();
    outage(&mut server, "storage.s3", options, "outage-s3", vcons(1000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opensearch_is_stopped_and_comes_back() {
    let mut server = OpenSearchServer::start();
    let options = json!({"url": server.url(), "timeout": "10s"});
    outage(&mut server, "storage.elasticsearch", options, "outage-search", vcons(1000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_stopped_and_comes_back() {
    let mut server = PostgresServer::start();
    let options = json!({"url": server.url(), "timeout": "10s"});
    outage(&mut server, "storage.postgres", options, "outage-postgres", vcons(5000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mongo_is_stopped_and_comes_back() {
    let mut server = MongoServer::start();
    let options = json!({"url": server.url(), "timeout": "10s"});
    outage(&mut server, "storage.mongo", options, "outage-mongo", vcons(500)).await;
}

/// A vCon whose dialog has a body of so many bytes; two of the same `seed` are of the same content.
fn recorded(id: &str, seed: u8, length: usize) -> (String, Vec<u8>) {
    let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8 ^ seed).collect();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut body = String::new();
    for chunk in content.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            body.push(char::from(alphabet[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    let mut vcon: Value = serde_json::from_str(&vcon(id)).expect("JSON");
    vcon["dialog"][0] = json!({"type": "recording", "start": "2026-01-02T03:04:05Z", "parties": [0],
        "mediatype": "audio/x-wav", "encoding": "base64url", "body": body});
    (vcon.to_string(), content)
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_go_to_s3_once_and_the_run_waits_for_it() {
    let mut server = S3Server::start();
    let stage = Stage::new();
    let mut contents = Vec::new();
    for number in 0..6 {
        let id = uuid(number);
        let (document, content) = recorded(&id, u8::try_from(number / 2).expect("small"), 60_000);
        contents.push(content);
        stage.give("in", &id, &document).await;
    }
    let yaml = format!(
        "media: {{offload_over: 50KB, storage: media}}\nlinks:\n  paid: {{module: links.probe_external, options: {{log: \
         offload}}}}\nstorages:\n  media: {{module: storage.s3, options: {}}}\n  other: {{module: storage.probe, options: \
         {{log: offload-other}}}}\nchains:\n  c: {{ingress_lists: [in], egress_lists: [out], links: [paid], storages: \
         [other], retry: {{attempts: 2, base: 100ms, cap: 100ms}}}}\n",
        server.options()
    );
    server.kill();
    let conductor = stage.start(&yaml);
    conductor
        .until("runs wait for the media", LIMITS.1, async || stage.dead("DLQ:storage:media").await.len() == 6)
        .await;
    assert!(stored("offload-other", &uuid(0)).is_none(), "no storage gets the body");
    server.up();
    conductor.until("all went out", LIMITS.1, async || stage.pending("out").await.waiting == 6).await;
    conductor.until_idle(LIMITS.1).await;
    conductor.stop().await;
    let other = server.client();
    let keys = server.keys().await;
    assert_eq!(keys.len(), 3, "the same content lies there once: {keys:?}");
    for number in 0..6 {
        let id = uuid(number);
        let hash = content_hash(&contents[number as usize]);
        let dialog = stage.document(&id).await["dialog"][0].clone();
        let expected = json!({"type": "recording", "start": "2026-01-02T03:04:05Z", "parties": [0], "mediatype":
            "audio/x-wav", "url": format!("{}/{BUCKET}/media/{hash}", server.url()), "content_hash": hash});
        assert_eq!(dialog, expected);
        let copy: Value = serde_json::from_slice(&stored("offload-other", &id).expect("it is there")).expect("JSON");
        assert_eq!(copy["dialog"][0], expected, "the storage has what the store has");
        assert_eq!(content(&other, &format!("media/{hash}")).await.expect("it is there"), contents[number as usize]);
        assert_eq!(count("offload", &format!("paid {id}")), 1, "a link ran twice");
    }
}

/// A link that writes down that it ran.
const SCRIPT: &str = r#"while read -r line; do case "$line" in *'"type":"run"'*)
  echo ran >> LOG
  id=$(printf %s "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  printf '{"id":%s,"outcome":"continue"}\n' "$id";;
esac; done"#;

/// Killed when the content is in S3 and the document does not know: the next conductor finds it there, writes it into the
/// document, and the link is not executed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_upload_and_commit_leaves_one_object_and_a_whole_document() {
    let server = S3Server::start();
    let stage = Stage::new();
    let (document, content) = recorded(&uuid(0), 9, 60_000);
    stage.give("in", &uuid(0), &document).await;
    let log = stage.folder().join("ran");
    let config = stage.folder().join("chain.yml");
    let script = stage.folder().join("link.sh");
    std::fs::write(&script, SCRIPT.replace("LOG", &log.display().to_string())).expect("a script");
    let yaml = format!(
        "media: {{offload_over: 50KB, storage: media}}\nlinks:\n  paid: {{module: links.exec, options: {{command: [sh, \
         {}]}}}}\nstorages:\n  media: {{module: storage.s3, options: {}}}\nchains:\n  c: {{ingress_lists: [in], \
         egress_lists: [out], links: [paid]}}\n",
        script.display(),
        server.options()
    );
    std::fs::write(&config, yaml).expect("a configuration");
    let run = |kill: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_conductor_under_test"))
            .arg("run")
            .arg(&config)
            .args(["--store", &format!("embedded:{}", stage.folder().join("store").display()), "--until-idle"])
            .env("VCONDUCTOR_KILL_AT", kill)
            .stdin(std::process::Stdio::null())
            .output()
            .expect("the conductor starts")
    };
    let killed = run("after-offload:1");
    assert_eq!(killed.status.code(), None, "{}", String::from_utf8_lossy(&killed.stderr));
    let hash = content_hash(&content);
    assert_eq!(server.keys().await, [format!("media/{hash}")]);
    assert!(stage.document(&uuid(0)).await["dialog"][0].get("body").is_some(), "the document is as it was");
    let done = run("none:1");
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(server.keys().await, [format!("media/{hash}")]);
    let dialog = stage.document(&uuid(0)).await["dialog"][0].clone();
    assert_eq!((dialog.get("body"), &dialog["content_hash"]), (None, &json!(hash)));
    assert_eq!(std::fs::read_to_string(log).expect("it ran").lines().count(), 1, "the link ran twice");
    assert_eq!(stage.take("out").await.len(), 1);
}
