//! The client against real servers on the loopback interface.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::Class;
use crate::layers::RetryPolicy;
use crate::secret::Secret;

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that sends `answer` to each connection after the first bytes came, and closes.
async fn serve_raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            // A client that has hung up is part of these tests.
            if stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                stream.write_all(answer).await.ok();
            }
        }
    });
    address
}

/// Names for the servers of a test, so that redirects can cross hosts.
#[derive(Debug)]
struct Names(HashMap<&'static str, &'static str>);

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        let address = self.0.get(host).ok_or_else(|| std::io::Error::other("unknown name"))?;
        Ok(vec![address.parse().unwrap()])
    }
}

fn client() -> HttpClient {
    client_with(Guard::default())
}

fn client_with(guard: Guard) -> HttpClient {
    let names = HashMap::from([("one.test", "127.0.0.1"), ("two.test", "127.0.0.1"), ("rebound.test", "127.0.0.1")]);
    HttpClient::builder().guard(guard).resolver(Arc::new(Names(names))).build().unwrap()
}

async fn answering(status: u16, headers: &'static [(&'static str, &'static str)], body: &'static str) -> SocketAddr {
    let answer = move || async move {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        response
    };
    serve(Router::new().fallback(any(answer))).await
}

fn get_trusted(address: SocketAddr, path: &str) -> Request {
    Request::get(&format!("http://{address}{path}")).unwrap().trusted()
}

#[tokio::test]
async fn a_call_carries_what_was_set_and_returns_the_answer() {
    let echo = |headers: HeaderMap, uri: Uri, body: String| async move {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        axum::response::Response::builder()
            .header("x-seen", "yes")
            .body(
                serde_json::json!({
                    "uri": uri.to_string(), "body": body, "agent": header("user-agent"), "type": header("content-type"),
                    "authorization": header("authorization"), "custom": header("x-custom"),
                })
                .to_string(),
            )
            .unwrap()
    };
    let address = serve(Router::new().route("/echo", any(echo))).await;
    let request = Request::post(&format!("http://{address}/echo?a=1"))
        .unwrap()
        .trusted()
        .bearer(&Secret::new("token"))
        .unwrap()
        .header("X-Custom", "c")
        .unwrap()
        .json(&serde_json::json!({"n": 1}))
        .unwrap();
    let response = client().send(&request).await.unwrap();
    assert_eq!(response.header("x-seen"), Some("yes"));
    let seen: serde_json::Value = response.json().unwrap();
    let expected = serde_json::json!({
        "uri": "/echo?a=1", "body": "{\"n\":1}", "agent": concat!("vconductor/", env!("CARGO_PKG_VERSION")),
        "type": "application/json", "authorization": "Bearer token", "custom": "c",
    });
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn statuses_are_classified() {
    for (status, class, provider_class) in [
        (400, Class::Permanent, Class::Permanent),
        (401, Class::Permanent, Class::Configuration),
        (402, Class::Permanent, Class::Configuration),
        (403, Class::Permanent, Class::Configuration),
        (404, Class::Permanent, Class::Permanent),
        (408, Class::Retryable, Class::Retryable),
        (409, Class::Retryable, Class::Retryable),
        (410, Class::Permanent, Class::Permanent),
        (413, Class::Permanent, Class::Permanent),
        (422, Class::Permanent, Class::Permanent),
        (425, Class::Retryable, Class::Retryable),
        (429, Class::Retryable, Class::Retryable),
        (500, Class::Retryable, Class::Retryable),
        (503, Class::Retryable, Class::Retryable),
        (529, Class::Retryable, Class::Retryable),
    ] {
        let address = answering(status, &[], "why").await;
        let request = get_trusted(address, "/x");
        assert_eq!(client().send(&request).await.unwrap_err().class(), class, "{status}");
        let error = client().send(&request.clone().provider()).await.unwrap_err();
        assert_eq!(error.class(), provider_class, "{status} of a provider");
        assert!(error.message().starts_with(&format!("GET http://{address}/x: answered {status} ")), "{error}");
        assert!(error.message().ends_with(": why"), "{error}");
        let any = client().exchange(&request).await.unwrap();
        assert_eq!(any.status.as_u16(), status, "exchange returns every status");
    }
}

#[tokio::test]
async fn the_providers_word_on_retrying_wins() {
    for (status, word, class) in [
        (500, "false", Class::Permanent),
        (400, "true", Class::Retryable),
        (401, "false", Class::Configuration),
        (500, "maybe", Class::Retryable),
    ] {
        let headers: &'static [(&str, &str)] = match word {
            "true" => &[("x-should-retry", "true")],
            "false" => &[("x-should-retry", "false")],
            _ => &[("x-should-retry", "maybe")],
        };
        let request = get_trusted(answering(status, headers, "").await, "/").provider();
        assert_eq!(client().send(&request).await.unwrap_err().class(), class, "{status} {word}");
    }
}

#[tokio::test]
async fn the_wished_wait_is_handed_on() {
    let address = answering(429, &[("retry-after", "7")], "").await;
    let error = client().send(&get_trusted(address, "/")).await.unwrap_err();
    assert_eq!(error.wait(), Some(Duration::from_secs(7)));
    let address = answering(400, &[("retry-after", "7")], "").await;
    assert_eq!(client().send(&get_trusted(address, "/")).await.unwrap_err().wait(), None, "not retried, so no wait");
}

#[tokio::test]
async fn messages_hold_no_secret_even_when_the_answer_repeats_it() {
    let repeat = |headers: HeaderMap, uri: Uri| async move {
        let key = headers["authorization"].to_str().unwrap().to_owned();
        (StatusCode::BAD_REQUEST, format!("bad key {key} at {uri}\u{1b}[31m {}", "z".repeat(1000)))
    };
    let address = serve(Router::new().fallback(any(repeat))).await;
    let request =
        get_trusted(address, "/path?X-Amz-Signature=0123456789abcdef&a=1").bearer(&Secret::new("sk-12345678"));
    let request = request.unwrap();
    let error = client().send(&request).await.unwrap_err();
    let shown = format!("{} {error:?} {request:?}", error.chain_text());
    for secret in ["sk-12345678", "0123456789abcdef", "\u{1b}"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(error.message().contains("bad key [secret] at /path?[secret] [31m zzz"), "{error}");
    assert!(error.message().len() < 320, "{error}");

    let slack = get_trusted(address, "/services/T0000000/B000000/XXXXXXXX").secret_path();
    let slack = slack.header("authorization", "/services/T0000000/B000000/XXXXXXXX").unwrap();
    let error = client().send(&slack).await.unwrap_err();
    assert!(!error.message().contains("XXXX") && error.message().contains("/[secret]: answered 400"), "{error}");
}

#[tokio::test]
async fn a_refused_or_broken_connection_is_retryable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let error = client().send(&get_trusted(closed, "/?sig=topsecret")).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.chain_text().contains("cannot connect") && error.chain_text().contains("refused"), "{error:?}");
    assert!(!error.chain_text().contains("topsecret"), "{error:?}");

    for cut in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", b"not http at all\r\n\r\n"] {
        let error = client().send(&get_trusted(serve_raw(cut).await, "/")).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
    }
    let unknown = Request::get("https://unknown.test/").unwrap();
    let error = client().send(&unknown).await.unwrap_err();
    assert!(error.is_retryable() && error.chain_text().contains("unknown name"), "{}", error.chain_text());
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_limit_of_the_request() {
    let slow = || async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        "late"
    };
    let address = serve(Router::new().route("/", get(slow))).await;
    let started = Instant::now();
    let error = client().send(&get_trusted(address, "/").timeout(Duration::from_millis(100))).await.unwrap_err();
    assert!(error.is_retryable() && error.message().ends_with("no result within 100ms"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));

    // The limit holds for the body too, not only for the first byte.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.unwrap();
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if stream.write_all(b"x").await.is_err() {
                break;
            }
        }
    });
    let error = client().send(&get_trusted(address, "/").timeout(Duration::from_millis(200))).await.unwrap_err();
    assert!(error.message().ends_with("no result within 200ms"), "{error}");
}

#[tokio::test]
async fn answers_over_the_size_limit_are_refused_with_and_without_a_length() {
    let known = answering(200, &[], "0123456789").await;
    let chunked = serve_raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n").await;
    for address in [known, chunked] {
        let error = client().send(&get_trusted(address, "/").max_body(9)).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.message().ends_with("the answer has more than 9 bytes"), "{error}");
        assert_eq!(client().send(&get_trusted(address, "/").max_body(10)).await.unwrap().body, "0123456789");
    }
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_quoted() {
    let address = answering(200, &[], "<html>login</html>").await;
    let response = client().send(&get_trusted(address, "/")).await.unwrap();
    let error = response.json::<serde_json::Value>().unwrap_err();
    assert!(error.is_retryable() && error.message().contains("<html>login</html>"), "{error}");
}

type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// `/hop/<url>` redirects to that URL (302), anything else is noted and answered with 200.
async fn redirecting() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let noted = |State(seen): State<Seen>, uri: Uri, headers: HeaderMap| async move {
        if let Some(target) = uri.path_and_query().unwrap().as_str().strip_prefix("/hop/") {
            return Redirect::permanent(target).into_response();
        }
        if uri.path() == "/loop" {
            return Redirect::to("/loop").into_response();
        }
        seen.lock().unwrap().push((uri.to_string(), headers));
        "here".into_response()
    };
    (serve(Router::new().fallback(any(noted)).with_state(Arc::clone(&seen))).await, seen)
}

#[tokio::test]
async fn a_get_follows_a_few_redirects_and_a_post_none() {
    let (address, seen) = redirecting().await;
    let response = client().send(&get_trusted(address, "/hop//hop//there")).await.unwrap();
    assert_eq!((response.url.path(), &response.body[..]), ("/there", &b"here"[..]));
    let error = client().send(&get_trusted(address, "/loop")).await.unwrap_err();
    assert!(error.class() == Class::Permanent && error.message().ends_with("more than 5 redirects"), "{error}");

    seen.lock().unwrap().clear();
    let post = Request::post(&format!("http://{address}/hop//there")).unwrap().trusted();
    let error = client().send(&post).await.unwrap_err();
    assert!(error.class() == Class::Permanent && error.message().contains("answered 308"), "{error}");
    assert!(seen.lock().unwrap().is_empty(), "the POST was sent on");
}

#[tokio::test]
async fn credentials_stay_with_their_host() {
    let (address, seen) = redirecting().await;
    let port = address.port();
    let guard = Guard::default().allow("*.test").unwrap().allow_http(true);
    let get = |target: &str| {
        Request::get(&format!("http://one.test:{port}/hop/{target}"))
            .unwrap()
            .bearer(&Secret::new("token"))
            .unwrap()
            .header("x-api-key", "not even marked as secret")
            .unwrap()
            .header("accept", "audio/*")
            .unwrap()
    };
    let client = client_with(guard);
    client.send(&get("/same")).await.unwrap();
    client.send(&get(&format!("http://two.test:{port}/other"))).await.unwrap();
    let seen = seen.lock().unwrap();
    let names = |index: usize| ["authorization", "x-api-key", "accept"].map(|name| seen[index].1.contains_key(name));
    assert_eq!((seen[0].0.as_str(), names(0)), ("/same", [true, true, true]));
    assert_eq!((seen[1].0.as_str(), names(1)), ("/other", [false, false, true]));
}

#[tokio::test]
async fn urls_from_outside_do_not_reach_private_addresses() {
    let (address, seen) = redirecting().await;
    let port = address.port();
    let http = || Guard::default().allow_http(true);
    let loopback = format!("http://127.0.0.1:{port}/secret");

    // The address itself, and a name that leads to it (also when an earlier look-up said something else).
    for url in [loopback.clone(), format!("http://rebound.test:{port}/secret")] {
        let error = client_with(http()).send(&Request::get(&url).unwrap()).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(error.message().contains("address guard") && error.message().contains("loopback"), "{error}");
    }
    // Redirects from an allowed host, and from one that the operator configured.
    for first in [
        Request::get(&format!("http://one.test:{port}/hop/{loopback}")).unwrap(),
        Request::get(&format!("http://two.test:{port}/hop/{loopback}")).unwrap().trusted(),
        Request::get(&format!("http://one.test:{port}/hop/http://rebound.test:{port}/secret")).unwrap(),
    ] {
        let error = client_with(http().allow("one.test").unwrap()).send(&first).await.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(error.message().contains("loopback"), "{error}");
    }
    // The same name over a trusted connection must not open the way for an untrusted one.
    let client = client_with(http());
    let rebound = Request::get(&format!("http://rebound.test:{port}/open")).unwrap();
    client.send(&rebound.clone().trusted()).await.unwrap();
    client.send(&rebound).await.unwrap_err();
    let seen: Vec<_> = seen.lock().unwrap().iter().map(|(uri, _)| uri.clone()).collect();
    assert_eq!(seen, ["/open"], "only the trusted call arrived");
}

#[tokio::test]
async fn retrying_sends_again_until_it_works() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = |State(calls): State<Arc<AtomicUsize>>| async move {
        match calls.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::SERVICE_UNAVAILABLE, "warming up"),
            1 => (StatusCode::TOO_MANY_REQUESTS, "slow down"),
            _ => (StatusCode::OK, "done"),
        }
    };
    let address = serve(Router::new().route("/", get(counted)).with_state(Arc::clone(&calls))).await;
    let policy = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    let done = client().send_with_retry(&policy, &CancellationToken::new(), &get_trusted(address, "/")).await;
    assert_eq!((done.attempts, done.result.unwrap().body), (3, bytes::Bytes::from("done")));
}

#[tokio::test]
async fn a_host_that_is_down_gets_no_more_retries_than_its_budget() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = |State(calls): State<Arc<AtomicUsize>>| async move {
        calls.fetch_add(1, Ordering::SeqCst);
        StatusCode::SERVICE_UNAVAILABLE
    };
    let address = serve(Router::new().route("/", get(counted)).with_state(Arc::clone(&calls))).await;
    let policy = RetryPolicy { base: Duration::from_micros(10), ..RetryPolicy::default() };
    let client = client();
    for _ in 0..100 {
        let done = client.send_with_retry(&policy, &CancellationToken::new(), &get_trusted(address, "/")).await;
        done.result.unwrap_err();
    }
    let retries = calls.load(Ordering::SeqCst) - 100;
    assert!((50..=90).contains(&retries), "{retries} retries for 100 calls; without a budget they would be 700");
}

#[test]
fn requests_refuse_what_http_forbids_without_repeating_it() {
    let error = Request::get("http://x").unwrap().header("x-key", "secret\nvalue").unwrap_err();
    assert!(error.class() == Class::Configuration && !error.chain_text().contains("secret"), "{error}");
    assert!(Request::get("http://x").unwrap().header("bad name", "v").is_err());
    let error = Request::get("//user:pw@nowhere").unwrap_err();
    assert!(error.class() == Class::Permanent && !error.chain_text().contains("pw"), "{error:?}");
}

#[tokio::test]
async fn other_schemes_are_refused_for_everybody() {
    for url in ["file:///etc/passwd", "ftp://one.test/", "user:pw@one.test/x", "data:text/plain,x"] {
        for request in [Request::get(url).unwrap(), Request::get(url).unwrap().trusted()] {
            let error = client().send(&request).await.unwrap_err();
            assert!(error.class() == Class::Permanent && !error.chain_text().contains("pw"), "{}", error.chain_text());
        }
    }
}
