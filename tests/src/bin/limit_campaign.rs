//! Calls a provider as fast as its limits allow, from two conductors on one store, and checks that none is ever turned away.
//!
//! `limit_campaign [--keys N] [--per-minute N] [--calls N] [--embedded]`
//!
//! The provider stands on this machine and counts each key in a sliding window of 60 s, by its own clock. Twice the
//! number of calls that fits into a window is made; the second half has to wait for the first to leave it.

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::SystemClock;
use vconductor_core::http::{HttpClient, Request};
use vconductor_core::plugin::{LinkContext, Services, Step};
use vconductor_core::provider::{Call, Limits, OneOrMore, Provider};
use vconductor_core::run::{RunId, StepKey};
use vconductor_core::secret::Secret;
use vconductor_core::store::embedded::{EmbeddedStore, Settings as EmbeddedSettings};
use vconductor_core::store::redis::{RedisStore, Settings as RedisSettings};
use vconductor_core::store::{Coordination, Store};
use vconductor_tests::link_stage::NoLedger;
use vconductor_tests::servers::redis::RedisServer;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// What the provider counts in.
const WINDOW: Duration = Duration::from_secs(60);

struct Vendor {
    per_minute: usize,
    state: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    calls: HashMap<String, Vec<Instant>>,
    turned_away: usize,
}

async fn answer(State(vendor): State<Arc<Vendor>>, headers: HeaderMap) -> StatusCode {
    let key = headers.get("authorization").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let status = if vendor.counts(key) { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
    tokio::time::sleep(Duration::from_millis(fastrand::u64(1..200))).await;
    status
}

impl Vendor {
    /// Counts a call of a key; false: it is over its limit.
    fn counts(&self, key: String) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let calls = state.calls.entry(key).or_default();
        calls.retain(|then| now - *then < WINDOW);
        let room = calls.len() < self.per_minute;
        if room {
            calls.push(now);
        } else {
            state.turned_away += 1;
        }
        room
    }
}

#[tokio::main]
async fn main() -> Outcome<ExitCode> {
    let (mut keys, mut per_minute, mut calls, mut embedded) = (5_usize, 60_u32, 600_usize, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--embedded" {
            embedded = true;
            continue;
        }
        let value = arguments.next().ok_or("an option without its value")?;
        match name.as_str() {
            "--keys" => keys = value.parse()?,
            "--per-minute" => per_minute = value.parse()?,
            "--calls" => calls = value.parse()?,
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let state = Mutex::default();
    let vendor = Arc::new(Vendor { per_minute: usize::try_from(per_minute)?, state });
    let app = Router::new().fallback(answer).with_state(Arc::clone(&vendor));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let (folder, server) = (tempfile::tempdir()?, (!embedded).then(RedisServer::start));
    let mut conductors = Vec::new();
    for _ in 0..2 {
        let store: Arc<dyn Store> = match &server {
            Some(server) => RedisStore::connect(&server.url(), RedisSettings::default()).await?,
            None => EmbeddedStore::open(folder.path(), EmbeddedSettings::default())?,
        };
        let secrets = (0..keys).map(|key| Secret::new(format!("secret-key-{key}"))).collect();
        let limits = Limits { requests_per_minute: Some(per_minute), ..Limits::default() };
        let provider = Provider::new("vendor", OneOrMore::More(secrets), limits)?;
        let services = Services {
            coordination: store as Arc<dyn Coordination>,
            ..Services::alone(HttpClient::builder().build()?)?
        };
        conductors.push(Arc::new((provider, services)));
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..calls {
        let (conductor, url) = (Arc::clone(&conductors[number % 2]), url.clone());
        tasks.spawn(async move { call(&conductor.0, &conductor.1, &url).await.map(|()| started.elapsed()) });
    }
    let mut times = Vec::new();
    let mut failed = 0;
    while let Some(done) = tasks.join_next().await {
        match done? {
            Ok(time) => times.push(time),
            Err(error) => {
                eprintln!("{error}");
                failed += 1;
            }
        }
    }
    times.sort();
    let window = keys * usize::try_from(per_minute)?;
    for (number, end) in times.chunks(window).filter_map(<[_]>::last).enumerate() {
        println!("window {}: {window} calls done after {:.1} s", number + 1, end.as_secs_f64());
    }
    let turned_away = vendor.state.lock().unwrap_or_else(PoisonError::into_inner).turned_away;
    println!("{} calls answered, {failed} failed, {turned_away} turned away with 429", times.len());
    let windows = u32::try_from(calls.div_ceil(window))?;
    let allowed = WINDOW * (windows - 1) + Duration::from_secs(10);
    let in_time = times.last().is_some_and(|last| *last <= allowed);
    if !in_time {
        println!("too slow: more than {allowed:?}");
    }
    Ok(if failed == 0 && turned_away == 0 && in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn call(provider: &Provider, services: &Services, url: &str) -> vconductor_core::Result<()> {
    let key = StepKey { link: "transcribe".into(), occurrence: 0, options: "0".into() };
    let step = Step { uuid: "uuid".into(), run: RunId::new(), chain: "calls".into(), key, attempt: 1 };
    let cancel = CancellationToken::new();
    let context = LinkContext::new(step, services, cancel, &SystemClock, &NoLedger, Default::default(), None);
    let build = |key: &Secret| Request::post(url)?.bearer(key);
    provider.call(&context, Call::default(), build).await.map(drop)
}
