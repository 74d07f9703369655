//! Where recordings come from, and where they must not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::audio::content_hash;
use crate::clock::SystemClock;
use crate::http::{Guard, HttpClient};
use crate::plugin::{Checkpoint, Media, MediaStore, Services, Step};
use crate::run::{RunId, StepKey, Usage};
use crate::vcon::Vcon;
use crate::{Class, Error, Result};

/// What a signed URL hides.
const SECRET: &str = "X-Signature=c2VjcmV0LXNpZ25hdHVyZQ";

struct NoLedger;

#[async_trait]
impl Checkpoint for NoLedger {
    async fn save(&self, _: BTreeMap<String, Value>, _: Option<Usage>) -> Result<()> {
        Ok(())
    }
}

/// What links get from the engine.
struct Stage {
    services: Services,
    cancel: CancellationToken,
}

impl Stage {
    fn new(policy: MediaPolicy) -> Self {
        let guard = Guard::default().allow_http(true).allow("127.0.0.1").unwrap();
        let alone = Services::alone(HttpClient::builder().guard(guard).build().unwrap()).unwrap();
        let services = Services { recordings: Recordings::new(policy), ..alone };
        Stage { services, cancel: CancellationToken::new() }
    }

    async fn fetch(&self, run: RunId, dialog: &Value) -> Result<Recording> {
        self.fetch_beside(None, run, dialog).await
    }

    async fn fetch_beside(&self, media: Option<&Bucket>, run: RunId, dialog: &Value) -> Result<Recording> {
        let text = json!({"uuid": "018f0000-0000-8000-8000-000000000001", "dialog": [dialog]}).to_string();
        let vcon = Vcon::read(text).unwrap();
        let key = StepKey { link: "link".into(), occurrence: 0, options: "0".into() };
        let step = Step { uuid: String::new(), run, chain: "chain".into(), key, attempt: 1 };
        let mut context =
            LinkContext::new(step, &self.services, self.cancel.clone(), &SystemClock, &NoLedger, BTreeMap::new(), None);
        context.media = media.map(|media| media as &dyn MediaStore);
        let fetched = Recording::fetch(&vcon.dialogs().next().unwrap(), &context).await;
        fetched.inspect_err(|error| {
            let told = format!("{} {:?} {error:?}", error.chain_text(), error.help_text());
            assert!(!told.contains("Signature") && !told.contains("c2VjcmV0"), "a signed URL is told: {told}");
            assert!(error.message().starts_with("dialog 0: "), "{error}");
        })
    }

    async fn refused(&self, dialog: &Value) -> Error {
        self.fetch(RunId::new(), dialog).await.unwrap_err()
    }
}

/// A server that counts how often each path is asked for.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), asked: Arc::default() };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}?{SECRET}", self.address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(State(server): State<Server>, uri: Uri) -> Response {
    server.asked.fetch_add(1, Ordering::SeqCst);
    match uri.path() {
        "/call.flac" => fixture("ab_call.flac").into_response(),
        "/slow.flac" => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            fixture("ab_call.flac").into_response()
        }
        "/long.wav" => long().into_response(),
        "/piecewise.wav" => {
            let pieces: Vec<_> = long().chunks(50_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
        "/broken-off.wav" => {
            let pieces = vec![Ok(long()[..100_000].to_vec()), Err(std::io::Error::other("gone"))];
            Body::from_stream(futures_util::stream::iter(pieces)).into_response()
        }
        "/never" => std::future::pending().await,
        "/login" => "<html><body>Please log in</body></html>".into_response(),
        "/moved" => Redirect::temporary("/call.flac").into_response(),
        "/inside" => Redirect::temporary("http://169.254.169.254/latest/meta-data").into_response(),
        "/ended" => StatusCode::FORBIDDEN.into_response(),
        "/busy" => (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], "busy").into_response(),
        // The first time it is away.
        "/recovering.flac" if server.asked() == 1 => StatusCode::BAD_GATEWAY.into_response(),
        "/recovering.flac" => fixture("ab_call.flac").into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// 2 minutes: 1.9 MB, more than is kept in memory.
fn long() -> Bytes {
    static LONG: LazyLock<Bytes> =
        LazyLock::new(|| wav(8000, &(0..960_000).map(|n: i32| vec![(n % 2000) as i16]).collect::<Vec<_>>()).into());
    LONG.clone()
}

fn at(url: &str) -> Value {
    json!({"type": "recording", "url": url})
}

#[tokio::test]
async fn bodies_are_read_in_both_alphabets() {
    let stage = Stage::new(MediaPolicy::default());
    for (text, encoding) in [
        (URL_SAFE_NO_PAD.encode(fixture("ab_call.mp3")), json!("base64url")),
        (STANDARD.encode(fixture("ab_call.mp3")), json!("base64")),
        (STANDARD.encode(fixture("ab_call.mp3")), Value::Null),
    ] {
        let dialog = json!({"type": "recording", "mediatype": "audio/mpeg", "body": text, "encoding": encoding});
        let recording = stage.fetch(RunId::new(), &dialog).await.unwrap();
        assert_eq!(recording.bytes().await.unwrap(), fixture("ab_call.mp3"));
        assert_eq!((recording.mediatype(), recording.file_name()), ("audio/x-mp3", "recording.mp3".into()));
        assert_eq!(recording.info().unwrap().duration.as_secs(), 33);
    }
    let error = stage.refused(&json!({"type": "recording", "body": "Hello", "encoding": "none"})).await;
    assert!(error.class() == Class::Permanent && error.message().contains("text"), "{error}");
    let error = stage.refused(&json!({"type": "recording"})).await;
    assert!(error.message().contains("neither a body nor a URL"), "{error}");
    let long = json!({"body": URL_SAFE_NO_PAD.encode(long()), "encoding": "base64url"});
    let recording = stage.fetch(RunId::new(), &long).await.unwrap();
    assert!(matches!(recording.shared.stored, Stored::File { .. }));
    let error = Stage::new(MediaPolicy { max_bytes: 1_000_000, ..Default::default() }).refused(&long).await;
    assert!(error.message().contains("1000000 are allowed"), "{error}");
}

#[tokio::test]
async fn what_is_fetched_is_what_the_server_has() {
    let (server, stage) = (Server::start().await, Stage::new(MediaPolicy::default()));
    for (path, expected, on_disk) in [
        ("call.flac", fixture("ab_call.flac"), false),
        ("moved", fixture("ab_call.flac"), false),
        ("long.wav", long(), true),
        ("piecewise.wav", long(), true),
    ] {
        let recording = stage.fetch(RunId::new(), &at(&server.url(path))).await.unwrap();
        assert_eq!(matches!(recording.shared.stored, Stored::File { .. }), on_disk, "{path}");
        assert_eq!((recording.len(), recording.bytes().await.unwrap()), (expected.len() as u64, expected.clone()));
        assert_eq!(recording.hash(), crate::audio::sha256_of(&expected[..]).unwrap());
        assert!(!format!("{recording:?}").contains("Signature"));
    }
}

/// Keeps one recording, as a bucket that nobody else may read.
struct Bucket {
    content: Option<Bytes>,
    hash: String,
}

const OFFLOADED: &str = "https://media.example.com/";

#[async_trait]
impl MediaStore for Bucket {
    async fn keep(&self, media: &Media) -> Result<String> {
        Ok(format!("{OFFLOADED}{}", media.hash))
    }

    fn is_at(&self, url: &str, hash: &str) -> bool {
        url == format!("{OFFLOADED}{hash}")
    }

    async fn fetch(&self, hash: &str) -> Result<Option<Bytes>> {
        Ok(self.content.clone().filter(|_| hash == self.hash))
    }
}

#[tokio::test]
async fn what_was_taken_out_of_a_document_is_read_where_it_was_put() {
    let server = Server::start().await;
    let hash = content_hash(&long());
    let bucket = Bucket { content: Some(long()), hash: hash.clone() };
    let stage = Stage::new(MediaPolicy::default());
    let dialog = |url: &str| json!({"type": "recording", "url": url, "content_hash": hash});
    let ours = dialog(&format!("{OFFLOADED}{hash}"));
    let recording = stage.fetch_beside(Some(&bucket), RunId::new(), &ours).await.unwrap();
    assert_eq!(recording.bytes().await.unwrap(), long());
    // The same content elsewhere is fetched from there.
    stage.fetch_beside(Some(&bucket), RunId::new(), &dialog(&server.url("long.wav"))).await.unwrap();
    assert_eq!(server.asked(), 1);
    let gone = Bucket { content: None, hash: hash.clone() };
    let fetched = Stage::new(MediaPolicy::default()).fetch_beside(Some(&gone), RunId::new(), &ours).await;
    let error = fetched.unwrap_err();
    assert!(error.class() == Class::Permanent && error.message().contains("not there any more"), "{error}");
    let small = Stage::new(MediaPolicy { max_bytes: 1_000_000, ..Default::default() });
    let error = small.fetch_beside(Some(&bucket), RunId::new(), &ours).await.unwrap_err();
    assert!(error.message().contains("1000000 are allowed"), "{error}");
}

#[tokio::test]
async fn failures_have_their_class() {
    let server = Server::start().await;
    assert!(long().len() > 1_000_000, "made before the clock runs");
    let policy = MediaPolicy { timeout: Duration::from_secs(2), max_bytes: 1_000_000, ..Default::default() };
    let stage = Stage::new(policy);
    for (path, class, part) in [
        ("missing", Class::Permanent, "404"),
        ("ended", Class::Permanent, "403"),
        ("busy", Class::Retryable, "503"),
        ("never", Class::Retryable, "within 2s"),
        ("broken-off.wav", Class::Retryable, "connection broke"),
        ("long.wav", Class::Permanent, "more than 1000000 bytes"),
        ("piecewise.wav", Class::Permanent, "more than 1000000 bytes"),
        ("login", Class::Permanent, "HTML"),
        ("inside", Class::Permanent, "not a public address"),
    ] {
        let error = stage.refused(&at(&server.url(path))).await;
        assert!(error.class() == class && error.chain_text().contains(part), "{path}: {error}");
    }
    assert_eq!(stage.refused(&at(&server.url("busy"))).await.wait(), Some(Duration::from_secs(7)));
    let help = stage.refused(&at(&server.url("ended"))).await;
    assert!(help.help_text().unwrap().contains("signed"), "{help}");
    for url in ["ftp://example.com/a.wav", "not a url", "http://10.0.0.1/a.wav", "data:audio/wav;base64,AAAA"] {
        assert_eq!(stage.refused(&at(url)).await.class(), Class::Permanent, "{url}");
    }
    let short = MediaPolicy { max_duration: Duration::from_secs(3), ..Default::default() };
    let error = Stage::new(short).refused(&at(&server.url("call.flac"))).await;
    assert!(error.message().contains("are allowed"), "{error}");
    stage.cancel.cancel();
    let error = stage.refused(&at(&server.url("never"))).await;
    assert!(error.is_retryable() && error.message().contains("stopped"), "{error}");
}

#[tokio::test]
async fn a_recording_that_is_not_the_one_that_was_meant_is_refused() {
    let (server, stage) = (Server::start().await, Stage::new(MediaPolicy::default()));
    let (right, wrong) = (content_hash(&fixture("ab_call.flac")), content_hash(b"something else"));
    let url = server.url("call.flac");
    let (algorithm, digest) = right.split_once('-').unwrap();
    for right in [
        json!({"url": url, "content_hash": right}),
        json!({"url": url, "content_hash": [right, "blake3-unknown"]}),
        json!({"url": url, "content_hash": format!("SHA-512:{digest}")}),
        json!({"url": url, "alg": algorithm, "signature": digest}),
    ] {
        stage.fetch(RunId::new(), &right).await.unwrap();
    }
    for wrong in [
        json!({"url": url, "content_hash": wrong}),
        json!({"url": url, "content_hash": [right, wrong]}),
        json!({"url": url, "alg": "SHA-512", "signature": wrong.split_once('-').unwrap().1}),
    ] {
        let error = stage.refused(&wrong).await;
        assert!(error.class() == Class::Permanent && error.message().contains("hash"), "{error}");
    }
}

#[tokio::test]
async fn links_and_runs_that_need_the_same_recording_fetch_it_once() {
    let (server, stage) = (Server::start().await, Stage::new(MediaPolicy::default()));
    let run = RunId::new();
    let slow = at(&server.url("slow.flac"));
    let all = futures_util::future::join_all((0..8).map(|_| stage.fetch(run, &slow))).await;
    assert!(all.into_iter().all(|fetched| fetched.is_ok()));
    assert_eq!(server.asked(), 1, "at the same time");
    stage.fetch(run, &slow).await.unwrap();
    assert_eq!(server.asked(), 1, "one after the other");
    stage.fetch(RunId::new(), &slow).await.unwrap();
    assert_eq!(server.asked(), 2, "without a hash another run asks again");
    let mut hashed = at(&server.url("call.flac"));
    hashed["content_hash"] = content_hash(&fixture("ab_call.flac")).into();
    for _ in 0..3 {
        stage.fetch(RunId::new(), &hashed).await.unwrap();
    }
    assert_eq!(server.asked(), 3, "with a hash it is the same for all runs");
    hashed["url"] = server.url("missing").into();
    stage.refused(&hashed).await;
    assert_eq!(server.asked(), 4, "who knows the hash may not know the way");
}

#[tokio::test]
async fn a_failure_is_not_kept_and_no_more_is_kept_than_is_allowed() {
    let server = Server::start().await;
    let stage = Stage::new(MediaPolicy::default());
    let run = RunId::new();
    let recovering = at(&server.url("recovering.flac"));
    assert!(stage.fetch(run, &recovering).await.unwrap_err().is_retryable());
    stage.fetch(run, &recovering).await.unwrap();
    assert_eq!(server.asked(), 2);

    let size = fixture("ab_call.flac").len() as u64;
    let small = Stage::new(MediaPolicy { cache_bytes: size, ..Default::default() });
    for path in ["call.flac", "call.flac", "moved", "moved"] {
        small.fetch(run, &at(&server.url(path))).await.unwrap();
    }
    // Two, and the redirect's second half.
    assert_eq!(server.asked(), 5);
    let held = small.fetch(run, &at(&server.url("call.flac"))).await.unwrap();
    assert_eq!(server.asked(), 6, "it had to make room");
    small.fetch(run, &at(&server.url("moved"))).await.unwrap();
    assert_eq!(held.bytes().await.unwrap(), fixture("ab_call.flac"), "who holds it keeps it");
    let none = Stage::new(MediaPolicy { cache_bytes: 0, ..Default::default() });
    none.fetch(run, &at(&server.url("call.flac"))).await.unwrap();
    none.fetch(run, &at(&server.url("call.flac"))).await.unwrap();
    assert_eq!(server.asked(), 10);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.flac");
    std::fs::write(&path, fixture("ab_call.flac")).unwrap();
    let stage = Stage::new(MediaPolicy { roots: vec![folder.path().to_owned()], ..Default::default() });
    let run = RunId::new();
    let dialog = at(&format!("file://{}", path.display()));
    stage.fetch(run, &dialog).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    tokio::time::sleep(Duration::from_secs(400)).await;
    stage.fetch(run, &dialog).await.unwrap();
    tokio::time::sleep(Duration::from_secs(400)).await;
    stage.fetch(run, &dialog).await.unwrap();
    tokio::time::sleep(Duration::from_secs(601)).await;
    stage.fetch(run, &dialog).await.unwrap_err();
}

#[tokio::test]
async fn files_are_read_under_the_roots_and_nowhere_else() {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("recordings");
    std::fs::create_dir_all(root.join("2026/a b")).unwrap();
    let good = root.join("2026/a b/call.flac");
    for path in [&good, &outside.path().join("secret.flac")] {
        std::fs::write(path, fixture("ab_call.flac")).unwrap();
    }
    let link = |to: &std::path::Path, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
    link(&outside.path().join("secret.flac"), "escape.flac");
    link(outside.path(), "up");
    link(&good, "fine.flac");
    let beside = outside.path().join("recordings-of-others");
    std::fs::create_dir(&beside).unwrap();
    std::fs::write(beside.join("call.flac"), fixture("ab_call.flac")).unwrap();
    let shown = root.display().to_string();
    let stage = Stage::new(MediaPolicy { roots: vec![root.clone()], max_bytes: 100_000, ..Default::default() });
    for url in [format!("file://{shown}/2026/a%20b/call.flac"), format!("file://localhost{shown}/fine.flac")] {
        let recording = stage.fetch(RunId::new(), &at(&url)).await.unwrap();
        assert_eq!(recording.bytes().await.unwrap(), fixture("ab_call.flac"));
    }
    for url in [
        format!("file://{shown}/escape.flac"),
        format!("file://{shown}/up/secret.flac"),
        format!("file://{shown}/../secret.flac"),
        format!("file://{shown}/%2e%2e/secret.flac"),
        format!("file://{shown}/2026/..%2f..%2f..%2fsecret.flac"),
        format!("file://{}/call.flac", beside.display()),
        format!("file://{}/nothing.flac", outside.path().display()),
        "file:///etc/passwd".into(),
        format!("file://elsewhere{shown}/fine.flac"),
    ] {
        let error = stage.refused(&at(&url)).await;
        assert_eq!(error.class(), Class::Permanent, "{url}");
        assert!(error.message().contains("outside of the folders"), "{url}: {error}");
    }
    for (url, part) in [("2026", "no file"), ("nothing.flac", "not there")] {
        let error = stage.refused(&at(&format!("file://{shown}/{url}"))).await;
        assert!(error.class() == Class::Permanent && error.message().contains(part), "{error}");
        assert!(!error.chain_text().contains(&shown), "the path is not for the sender: {error}");
    }
    std::fs::write(root.join("large.wav"), long()).unwrap();
    let error = stage.refused(&at(&format!("file://{shown}/large.wav"))).await;
    assert!(error.message().contains("100000 are allowed"), "{error}");
    let error = Stage::new(MediaPolicy::default()).refused(&at(&format!("file://{shown}/fine.flac"))).await;
    assert!(error.message().contains("outside") && error.help_text().unwrap().contains("media: roots:"), "{error}");
}

#[test]
fn channels_have_their_parties() {
    let parties = |dialog: Value, channels: u16| {
        let text = json!({"uuid": "018f0000-0000-8000-8000-000000000001", "dialog": [dialog]}).to_string();
        let vcon = Vcon::read(text).unwrap();
        channel_parties(&vcon.dialogs().next().unwrap(), channels)
    };
    assert_eq!(parties(json!({"parties": [1, 0]}), 2), [[1], [0]]);
    assert_eq!(parties(json!({"parties": [1, 0]}), 1), [[1, 0]]);
    assert_eq!(parties(json!({"parties": [0, [1, 2]]}), 2), [vec![0], vec![1, 2]]);
    assert_eq!(parties(json!({"parties": [0, null]}), 2), [vec![0], vec![]]);
    assert_eq!(parties(json!({"parties": 0, "originator": 1}), 2), [[1], [0]]);
    assert_eq!(parties(json!({"parties": [0, 1, 2], "originator": 1}), 2), [vec![1], vec![]]);
    assert_eq!(parties(json!({"parties": [0, 1, 2]}), 2), [[0_usize; 0]; 2]);
    assert_eq!(parties(json!({}), 3), [[0_usize; 0]; 3]);
}
