//! A recorder of calls: a local HTTP server outside the process under test that writes down when each call began and
//! ended, so that a checker can tell executions, repetitions and overlaps.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

/// One call as the recorder saw it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The path it was sent to.
    pub path: String,
    /// The `webhook-id`: the effect id.
    pub effect_id: String,
    /// The vCon's uuid.
    pub uuid: String,
    /// The conductor that called, as its header `x-conductor` says.
    pub caller: u32,
    /// When the request was complete.
    pub began: Instant,
    /// When the answer was sent, or the caller went away.
    pub ended: Option<Instant>,
    /// Whether it was answered with 200.
    pub answered: bool,
}

#[derive(Default)]
struct Log {
    calls: Vec<Call>,
    /// Status to answer by path; 200 otherwise.
    statuses: BTreeMap<String, u16>,
    delay: Duration,
}

/// A running recorder.
#[derive(Clone)]
pub struct Recorder {
    log: Arc<Mutex<Log>>,
    address: SocketAddr,
}

impl Recorder {
    /// Starts a recorder on a free port; each answer takes `delay`.
    pub async fn start(delay: Duration) -> std::io::Result<Recorder> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let log = Arc::new(Mutex::new(Log { delay, ..Log::default() }));
        let recorder = Recorder { log, address: listener.local_addr()? };
        let router =
            Router::new().fallback(record).layer(DefaultBodyLimit::max(256 << 20)).with_state(recorder.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(recorder)
    }

    /// The URL of a path of this recorder.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers a path with this status from now on; `*` is every path that has none of its own.
    pub fn answer(&self, path: &str, status: u16) {
        self.lock().statuses.insert(path.to_owned(), status);
    }

    /// Everything so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the end of a call also when the caller is killed and the request is dropped.
struct Running {
    recorder: Recorder,
    index: usize,
    answered: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut log = self.recorder.lock();
        log.calls[self.index].ended = Some(Instant::now());
        log.calls[self.index].answered = self.answered;
    }
}

async fn record(State(recorder): State<Recorder>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let vcon: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (mut running, delay, status) = {
        let mut log = recorder.lock();
        log.calls.push(Call {
            path: uri.path().to_owned(),
            effect_id: header("webhook-id"),
            uuid: vcon["uuid"].as_str().unwrap_or_default().to_owned(),
            caller: header("x-conductor").parse().unwrap_or_default(),
            began: Instant::now(),
            ended: None,
            answered: false,
        });
        let status = log.statuses.get(uri.path()).or_else(|| log.statuses.get("*")).copied().unwrap_or(200);
        let running = Running { recorder: recorder.clone(), index: log.calls.len() - 1, answered: false };
        (running, log.delay, status)
    };
    tokio::time::sleep(delay).await;
    running.answered = status == 200;
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Pairs of calls of one uuid and path that overlap in time: two runs worked on it at once.
pub fn overlaps(calls: &[Call]) -> Vec<(Call, Call)> {
    let mut by_key: BTreeMap<(&str, &str), Vec<&Call>> = BTreeMap::new();
    for call in calls {
        by_key.entry((&call.path, &call.uuid)).or_default().push(call);
    }
    let mut found = Vec::new();
    for calls in by_key.values_mut() {
        calls.sort_by_key(|call| call.began);
        for pair in calls.windows(2) {
            if pair[0].ended.is_none_or(|ended| ended > pair[1].began) {
                found.push((pair[0].clone(), pair[1].clone()));
            }
        }
    }
    found
}

/// Calls that were answered although the same effect was executed again later, in the order of their beginning.
pub fn repeated(calls: &[Call]) -> Vec<Call> {
    let mut by_id: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.answered) {
        by_id.entry(&call.effect_id).or_default().push(call);
    }
    let mut found = Vec::new();
    for calls in by_id.values_mut() {
        calls.sort_by_key(|call| call.began);
        calls.pop();
        found.extend(calls.iter().map(|call| (*call).clone()));
    }
    found
}
