//! A stage for links: all that the engine gives a link, without an engine.
//!
//! The stage keeps the finished parts of the step, so that a second [`LinkStage::run`] is the same step resumed after a
//! crash or a retry. [`Receiver`] is a server on the loopback interface that records what links send.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::ManualClock;
use vconductor_core::document::Edit;
use vconductor_core::http::{HttpClient, Resolver};
use vconductor_core::plugin::{Checkpoint, Link, LinkContext, Outcome, Requested, Services, Step};
use vconductor_core::run::{RunId, StepKey, Usage};
use vconductor_core::store::Resumption;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

/// 2026-01-01T00:00:00Z, the time on a new stage.
pub const NOW: i64 = 1_767_225_600_000;

/// One step of one run.
pub struct LinkStage {
    /// What links share. The client reaches addresses but no names, so that no test leaves the machine.
    pub services: Services,
    /// Stands still at [`NOW`] until a test moves it.
    pub clock: ManualClock,
    /// Given to the link.
    pub cancel: CancellationToken,
    /// The step.
    pub step: Step,
    /// Whether saving parts fails.
    pub store_is_down: AtomicBool,
    parts: Mutex<BTreeMap<String, Value>>,
}

#[derive(Debug)]
struct NoNames;

#[async_trait]
impl Resolver for NoNames {
    async fn resolve(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        Err(std::io::Error::other(format!("`{host}` is not looked up in tests")))
    }
}

/// What one execution of a link gave.
#[derive(Debug)]
pub struct Ran {
    /// Its answer.
    pub result: Result<Outcome>,
    /// What it asked for.
    pub requested: Requested,
}

impl LinkStage {
    /// A new run of the vCon with this uuid.
    pub fn new(uuid: &str) -> Self {
        let key = StepKey { link: "link".to_owned(), occurrence: 0, options: "0".to_owned() };
        LinkStage {
            services: Services::alone(
                HttpClient::builder().resolver(Arc::new(NoNames)).build().expect("an HTTP client"),
            )
            .expect("prices"),
            clock: ManualClock::at(NOW),
            cancel: CancellationToken::new(),
            step: Step { uuid: uuid.to_owned(), run: RunId::new(), chain: "chain".to_owned(), key, attempt: 1 },
            store_is_down: AtomicBool::new(false),
            parts: Mutex::default(),
        }
    }

    /// Executes a link once.
    pub async fn run(&self, link: &dyn Link, vcon: &Vcon) -> Ran {
        self.execute(link, vcon, None).await
    }

    /// Executes a link that was parked.
    pub async fn resumed(&self, link: &dyn Link, vcon: &Vcon, resumption: Resumption) -> Ran {
        self.execute(link, vcon, Some(resumption)).await
    }

    async fn execute(&self, link: &dyn Link, vcon: &Vcon, resumption: Option<Resumption>) -> Ran {
        let context = LinkContext::new(
            self.step.clone(),
            &self.services,
            self.cancel.clone(),
            &self.clock,
            self,
            self.parts(),
            resumption,
        );
        let result = link.run(vcon, &context).await;
        Ran { result, requested: context.into_requested() }
    }

    /// The next execution begins the step anew.
    pub fn forget_parts(&self) {
        locked(&self.parts).clear();
    }

    /// The finished parts that are durable.
    pub fn parts(&self) -> BTreeMap<String, Value> {
        locked(&self.parts).clone()
    }
}

#[async_trait]
impl Checkpoint for LinkStage {
    async fn save(&self, parts: BTreeMap<String, Value>, _used: Option<Usage>) -> Result<()> {
        if self.store_is_down.load(Ordering::SeqCst) {
            return Err(Error::retryable("the store is away"));
        }
        *locked(&self.parts) = parts;
        Ok(())
    }
}

/// Saves no parts: for calls outside of a run.
#[derive(Debug)]
pub struct NoLedger;

#[async_trait]
impl Checkpoint for NoLedger {
    async fn save(&self, _parts: BTreeMap<String, Value>, _used: Option<Usage>) -> Result<()> {
        Ok(())
    }
}

impl Ran {
    /// The vCon as the engine would save it.
    ///
    /// # Errors
    /// When an edit cannot be made.
    pub fn applied(&self, vcon: &Vcon) -> Result<Vcon> {
        applied(vcon, &self.requested.edits)
    }
}

/// A vCon after some edits.
///
/// # Errors
/// When an edit cannot be made.
pub fn applied(vcon: &Vcon, edits: &[Edit]) -> Result<Vcon> {
    let mut vcon = vcon.clone();
    for edit in edits {
        vcon.apply(edit)?;
    }
    Ok(vcon)
}

/// A call that a [`Receiver`] got.
#[derive(Debug, Clone)]
pub struct Received {
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// A header as text, empty when it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON, null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What a [`Receiver`] answers.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    wait: Duration,
}

impl Answer {
    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Answer { status, headers: Vec::new(), body: String::new(), wait: Duration::ZERO }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// Not before this time.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

#[derive(Debug, Default)]
struct Script {
    received: Mutex<Vec<Received>>,
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
}

/// A server that records calls. It answers as it was told, and otherwise 200 with `{"url": "https://media.test/<n>"}`.
#[derive(Debug)]
pub struct Receiver {
    /// Its URL, without a slash at the end.
    pub url: String,
    script: Arc<Script>,
}

impl Receiver {
    /// Starts a server for the rest of the test.
    ///
    /// # Errors
    /// When the loopback interface has no free port.
    pub async fn start() -> std::io::Result<Self> {
        let script = Arc::new(Script::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&script));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Receiver { url, script })
    }

    /// Adds an answer for the next call of `path` that has none yet.
    pub fn will_answer(&self, path: &str, answer: Answer) {
        locked(&self.script.answers).entry(path.to_owned()).or_default().push_back(answer);
    }

    /// The calls so far.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.script.received).clone()
    }

    /// The number of calls of `path` so far.
    pub fn calls(&self, path: &str) -> usize {
        locked(&self.script.received).iter().filter(|call| call.path == path).count()
    }
}

async fn answer(State(script): State<Arc<Script>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let path = uri.to_string();
    let number = {
        let mut received = locked(&script.received);
        received.push(Received { path: path.clone(), headers, body });
        received.len()
    };
    let planned = locked(&script.answers).get_mut(&path).and_then(VecDeque::pop_front);
    let answer = planned.unwrap_or_else(|| {
        Answer::status(200)
            .header("content-type", "application/json")
            .body(&format!("{{\"url\":\"https://media.test/{number}\"}}"))
    });
    tokio::time::sleep(answer.wait).await;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(Body::from(answer.body)).expect("a response that a test planned")
}

/// A test that failed while it held the lock has told so already.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
