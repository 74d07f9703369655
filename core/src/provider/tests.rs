use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Call, Limits, OneOrMore, Provider, ResultKey, cached};
use crate::Result;
use crate::clock::SystemClock;
use crate::error::{Class, Error};
use crate::http::{HttpClient, Request};
use crate::plugin::{Checkpoint, LinkContext, Services, Step};
use crate::run::{RunId, StepKey, Usage};
use crate::secret::Secret;
use crate::store::{Coordination, Hold, LocalCoordination, Permit, Taken, Want};

/// A provider that lets each key make `most` calls in a sliding window, and refuses some keys.
#[derive(Default)]
struct Vendor {
    most: usize,
    window: Duration,
    refused: Vec<&'static str>,
    calls: Mutex<BTreeMap<String, Vec<Instant>>>,
    turned_away: Mutex<usize>,
    refusals: Mutex<usize>,
}

async fn answer(State(vendor): State<Arc<Vendor>>, headers: HeaderMap) -> (StatusCode, &'static str) {
    let key = headers["authorization"].to_str().unwrap().trim_start_matches("Bearer ").to_owned();
    if vendor.refused.iter().any(|refused| *refused == key) {
        *vendor.refusals.lock().unwrap() += 1;
        return (StatusCode::UNAUTHORIZED, "no");
    }
    let now = Instant::now();
    let mut calls = vendor.calls.lock().unwrap();
    let calls = calls.entry(key).or_default();
    calls.retain(|then| now - *then < vendor.window);
    if calls.len() >= vendor.most {
        *vendor.turned_away.lock().unwrap() += 1;
        return (StatusCode::TOO_MANY_REQUESTS, "slow down");
    }
    calls.push(now);
    (StatusCode::OK, "{}")
}

async fn serve(vendor: Vendor) -> (SocketAddr, Arc<Vendor>) {
    let vendor = Arc::new(vendor);
    let app = Router::new().fallback(answer).with_state(Arc::clone(&vendor));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, vendor)
}

struct NoLedger;

#[async_trait]
impl Checkpoint for NoLedger {
    async fn save(&self, _parts: BTreeMap<String, Value>, _used: Option<Usage>) -> Result<()> {
        Ok(())
    }
}

/// Every window is as long as a test can wait.
struct Hurried {
    window: Duration,
    real: LocalCoordination,
}

#[async_trait]
impl Coordination for Hurried {
    async fn take(&self, alternatives: &[Vec<Want>]) -> Result<Taken> {
        let hurried = |want: &Want| Want { window: self.window, ..want.clone() };
        let alternatives: Vec<Vec<_>> = alternatives.iter().map(|wants| wants.iter().map(hurried).collect()).collect();
        self.real.take(&alternatives).await
    }

    async fn settle(&self, permit: &Permit, used: &[(String, f64)]) -> Result<()> {
        self.real.settle(permit, used).await
    }

    async fn add(&self, counter: &str, amount: f64, keep: Duration) -> Result<f64> {
        self.real.add(counter, amount, keep).await
    }

    async fn hold(&self, hold: &Hold) -> Result<()> {
        self.real.hold(hold).await
    }

    async fn holds(&self) -> Result<Vec<Hold>> {
        self.real.holds().await
    }

    async fn release(&self, what: &str) -> Result<bool> {
        self.real.release(what).await
    }

    async fn result(&self, key: &str) -> Result<Option<Bytes>> {
        self.real.result(key).await
    }

    async fn keep_result(&self, key: &str, uuid: &str, value: Bytes, keep: Duration) -> Result<()> {
        self.real.keep_result(key, uuid, value, keep).await
    }
}

fn services() -> Services {
    Services::alone(HttpClient::builder().build().unwrap()).unwrap()
}

fn context(services: &Services) -> LinkContext<'_> {
    let key = StepKey { link: "transcribe".into(), occurrence: 0, options: "0".into() };
    let step = Step { uuid: "uuid".into(), run: RunId::new(), chain: "calls".into(), key, attempt: 1 };
    LinkContext::new(step, services, CancellationToken::new(), &SystemClock, &NoLedger, BTreeMap::new(), None)
}

fn keys(names: &[&str]) -> OneOrMore {
    OneOrMore::More(names.iter().map(|name| Secret::new(*name)).collect())
}

async fn call(provider: &Provider, services: &Services, address: SocketAddr) -> Result<()> {
    let build = |key: &Secret| Request::post(&format!("http://{address}/v1"))?.bearer(key);
    provider.call(&context(services), Call::default(), build).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_share_the_load_and_none_is_ever_turned_away() {
    let window = Duration::from_secs(2);
    let (address, vendor) = serve(Vendor { most: 10, window, ..Vendor::default() }).await;
    let names = ["key-one", "key-two", "key-three", "key-four", "key-five"];
    let limits = Limits { requests_per_minute: Some(10), ..Limits::default() };
    let provider = Arc::new(Provider::new("vendor", keys(&names), limits).unwrap());
    let services =
        Services { coordination: Arc::new(Hurried { window, real: LocalCoordination::default() }), ..services() };
    let started = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (provider, services) = (Arc::clone(&provider), services.clone());
        calls.spawn(async move { call(&provider, &services, address).await });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap().unwrap();
    }
    let took = started.elapsed();
    assert!(took >= window && took < window + Duration::from_secs(3), "two windows of 50 calls took {took:?}");
    assert_eq!(*vendor.turned_away.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_refused_key_is_taken_out_and_shown_and_the_last_one_is_a_fault_of_the_configuration() {
    let refused = vec!["key-one", "key-two"];
    let (address, vendor) =
        serve(Vendor { most: 100, window: Duration::from_secs(60), refused, ..Vendor::default() }).await;
    let services = services();
    let provider = Provider::new("vendor", keys(&["key-one", "key-three"]), Limits::default()).unwrap();
    for _ in 0..3 {
        call(&provider, &services, address).await.unwrap();
    }
    assert_eq!(vendor.calls.lock().unwrap()["key-three"].len(), 3);
    let holds = services.coordination.holds().await.unwrap();
    assert_eq!(holds.len(), 1);
    assert!(holds[0].what.starts_with("key:vendor:") && !format!("{holds:?}").contains("key-one"), "{holds:?}");
    let refused = Provider::new("vendor", keys(&["key-one", "key-two"]), Limits::default()).unwrap();
    for _ in 0..3 {
        let error = call(&refused, &services, address).await.unwrap_err();
        assert_eq!(error.class(), Class::Configuration, "{error}");
    }
    assert_eq!(
        *vendor.refusals.lock().unwrap(),
        5,
        "one of the first provider, two that find out, one for each attempt then"
    );
}

#[tokio::test]
async fn a_key_that_is_over_its_limit_rests_while_another_works() {
    let (address, vendor) = serve(Vendor { most: 1, window: Duration::from_secs(60), ..Vendor::default() }).await;
    let services = services();
    let provider = Provider::new("vendor", keys(&["key-one", "key-two"]), Limits::default()).unwrap();
    call(&provider, &services, address).await.unwrap();
    call(&provider, &services, address).await.unwrap();
    assert_eq!(*vendor.turned_away.lock().unwrap(), 1);
    assert!(call(&provider, &services, address).await.unwrap_err().is_retryable());
}

#[tokio::test]
async fn a_call_that_is_given_up_does_not_hold_its_place_for_an_hour() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // Accepts nothing and answers nothing: the call hangs.
    let silent = listener.local_addr().unwrap();
    let (address, _) = serve(Vendor { most: 100, window: Duration::from_secs(60), ..Vendor::default() }).await;
    let services = services();
    let limits = Limits { concurrency: Some(1), ..Limits::default() };
    let provider = Provider::new("vendor", keys(&["key-one"]), limits).unwrap();
    let given_up = tokio::time::timeout(Duration::from_millis(100), call(&provider, &services, silent)).await;
    assert!(given_up.is_err(), "the call hangs");
    let context = context(&services);
    let unbuilt = provider.call(&context, Call::default(), |_| Err(Error::permanent("no request"))).await;
    assert_eq!(unbuilt.unwrap_err().message(), "no request");
    tokio::time::timeout(Duration::from_secs(5), call(&provider, &services, address)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_result_is_paid_for_once() {
    let services = services();
    let key = ResultKey::new("transcript").with("deepgram").with("nova-3");
    let keep = Some(Duration::from_secs(60));
    let first = cached(&context(&services), &key, keep, async { Ok("hello".to_owned()) }).await.unwrap();
    let again = cached(&context(&services), &key, keep, async { Ok("not asked".to_owned()) }).await.unwrap();
    let other = ResultKey::new("transcript").with("deepgramnova-3");
    let other = cached(&context(&services), &other, keep, async { Ok("other".to_owned()) }).await.unwrap();
    assert_eq!((first, again, other), (("hello".into(), false), ("hello".into(), true), ("other".into(), false)));
}
