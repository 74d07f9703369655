//! External content against its hash, over a server of our own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Redirect;
use axum::routing::get;
use serde_json::{Value, json};

use super::{Level, Mode, Report, Validator};
use crate::audio::content_hash;
use crate::format::Limits;
use crate::http::{Guard, HttpClient};

/// What lies at `/content`.
const CONTENT: &str = "hello";

/// A server on the loopback interface, and how many requests it got.
async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let endless = || async {
        let drip = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        });
        Body::from_stream(drip)
    };
    let router = Router::new()
        .route("/content", get(|| async { CONTENT }))
        .route("/large", get(|| async { "x".repeat(100_000) }))
        .route("/endless", get(endless))
        .route("/away", get(|| async { Redirect::temporary("http://169.254.169.254/latest") }))
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            count.fetch_add(1, Ordering::SeqCst);
            async { request }
        }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, asked)
}

/// A client that reaches the server; the drafts' https is another test's matter.
fn client(allowed: bool) -> HttpClient {
    let guard = Guard::default().allow_http(true);
    let guard = if allowed { guard.allow("127.0.0.1").unwrap() } else { guard };
    HttpClient::builder().guard(guard).build().unwrap()
}

async fn fetched(vcon: &Value, allowed: bool, limits: Limits) -> Report {
    let validator = Validator { mode: Mode::Tolerant, limits, ..Validator::default() };
    let mut report = validator.check(vcon.to_string()).swap_remove(0).1;
    validator.fetch(&mut report, &client(allowed)).await;
    report
}

/// A vCon that refers to `url` from everywhere, saying that it has this hash.
fn referring(url: &str, hash: &Value) -> Value {
    json!({
        "uuid": "019e7045-10b8-8023-9add-0bb4caa5cfa9", "created_at": "2026-09-10T14:00:00Z", "parties": [{}],
        "redacted": {"type": "PII", "url": url, "content_hash": hash},
        "dialog": [{"type": "text", "parties": 0, "url": url, "content_hash": hash}],
        "analysis": [{"type": "summary", "vendor": "v", "url": url, "content_hash": hash}],
        "attachments": [{"start": "2026-09-10T14:00:00Z", "party": 0, "dialog": 0, "url": url, "content_hash": hash}],
    })
}

fn wrong(report: &Report) -> Vec<&str> {
    let errors = report.of_level(Level::Error).filter(|finding| finding.check == 74);
    errors.map(|finding| finding.pointer.as_str()).collect()
}

#[tokio::test]
async fn content_is_compared_with_its_hash_wherever_it_is_referred_to() {
    let (address, asked) = server().await;
    let url = format!("http://{address}/content");
    let right = content_hash(CONTENT.as_bytes());
    let report = fetched(&referring(&url, &json!(right)), true, Limits::default()).await;
    assert_eq!((wrong(&report), &report.notes[..]), (vec![], &[][..]), "{:?}", report.found);
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one content, one request");
    let altered = content_hash(b"hellO");
    let report = fetched(&referring(&url, &json!(altered)), true, Limits::default()).await;
    let places =
        ["/redacted", "/dialog/0", "/analysis/0", "/attachments/0"].map(|place| format!("{place}/content_hash"));
    assert_eq!(wrong(&report), places, "an error in the tolerant mode, too");
    // Every token must fit; one of an algorithm that is not known here says nothing.
    for (tokens, fits) in [(json!([right, altered]), false), (json!([right, "md9-AAAA"]), true)] {
        let report = fetched(&referring(&url, &tokens), true, Limits::default()).await;
        assert_eq!(wrong(&report).is_empty(), fits, "{tokens}");
    }
}

#[tokio::test]
async fn what_may_not_be_asked_is_not_asked() {
    let (address, asked) = server().await;
    let hash = json!(content_hash(CONTENT.as_bytes()));
    let report = fetched(&referring(&format!("http://{address}/content"), &hash), false, Limits::default()).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert!(report.notes[0].contains("not a public address (loopback)"), "{:?}", report.notes);
    // The server of somebody else cannot send us on to a third.
    let report = fetched(&referring(&format!("http://{address}/away"), &hash), true, Limits::default()).await;
    assert!(wrong(&report).is_empty() && report.notes[0].contains("was not fetched"), "{:?}", report.notes);
}

#[tokio::test]
async fn what_never_ends_or_is_too_large_is_cut() {
    let (address, _) = server().await;
    let hash = json!(content_hash(CONTENT.as_bytes()));
    let limits = Limits { fetching: Duration::from_millis(400), bytes: 50_000, ..Limits::default() };
    let started = Instant::now();
    let report = fetched(&referring(&format!("http://{address}/endless"), &hash), true, limits).await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(report.notes[0].contains("was not fetched"), "{:?}", report.notes);
    let report = fetched(&referring(&format!("http://{address}/large"), &hash), true, limits).await;
    assert!(report.notes[0].contains("was not fetched"), "{:?}", report.notes);
    assert!(wrong(&report).is_empty());
}
