//! The part that all vendors share: a server that answers as it is told, and remembers.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, Method, Response, Uri};
use serde_json::Value;

use super::Call;

/// What a vendor's documentation says about its calls.
pub trait Api: Send + Sync + 'static {
    /// Checks a call, and answers it.
    ///
    /// # Errors
    /// What is wrong with the call.
    fn answer(&self, call: &Call) -> Result<Answer, Refusal>;

    /// An error in the vendor's own form.
    fn refuse(&self, refusal: &Refusal) -> Answer;
}

/// A call that a vendor does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// Why.
    pub message: String,
}

impl Refusal {
    /// A refusal with this status.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Refusal { status, message: message.into() }
    }

    /// The usual one.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Refusal::new(400, message)
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Answer {
    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Answer::text(status, "application/json", body.to_string())
    }

    /// Any text.
    pub fn text(status: u16, mediatype: &str, body: impl Into<Bytes>) -> Self {
        Answer { status, headers: vec![("content-type", mediatype.to_owned())], body: body.into() }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What happens to a good call instead of the answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An error in the vendor's form.
    Status(u16),
    /// An error with this text in `Retry-After`.
    RetryAfter(u16, &'static str),
    /// An error whose message repeats this text, as vendors quote keys and input.
    Echo(u16, String),
    /// The right answer after this time.
    Slow(Duration),
    /// The right answer, but the connection breaks in its middle.
    CutOff,
    /// Success with a web page in place of JSON.
    NoJson,
    /// This answer.
    Answer(Answer),
}

/// Calls that a key may make in a sliding window.
#[derive(Debug, Clone, Copy)]
struct Limit {
    most: usize,
    window: Duration,
}

#[derive(Default)]
struct Memory {
    calls: Vec<Call>,
    faults: VecDeque<Fault>,
    limit: Option<Limit>,
    pause: Duration,
    granted: HashMap<String, Vec<Instant>>,
    at_once: usize,
    most_at_once: usize,
}

struct Shared {
    api: Box<dyn Api>,
    state: Mutex<Memory>,
}

/// A vendor's server, for the rest of the test.
pub struct Vendor {
    /// Its URL, without a slash at the end.
    pub url: String,
    shared: Arc<Shared>,
}

impl Vendor {
    /// Starts a server.
    pub async fn start(api: impl Api) -> Self {
        let shared = Arc::new(Shared { api: Box::new(api), state: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(handle).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Vendor { url, shared }
    }

    /// Lets the next good call that has no fault yet meet this one.
    pub fn will(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// From now on takes this long for every answer.
    pub fn takes(&self, time: Duration) {
        self.state().pause = time;
    }

    /// From now on lets each key make `most` calls in a sliding window; more are answered 429.
    pub fn limit(&self, most: usize, window: Duration) {
        self.state().limit = Some(Limit { most, window });
    }

    /// All calls so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Calls that were answered with this status.
    pub fn answered(&self, status: u16) -> usize {
        self.state().calls.iter().filter(|call| call.status == status).count()
    }

    /// Calls that the vendor's bill holds: those for which it did its work, whether or not the answer arrived.
    pub fn paid(&self) -> usize {
        self.state().calls.iter().filter(|call| (200..300).contains(&call.status)).count()
    }

    /// The most calls that were worked on at the same time.
    pub fn most_at_once(&self) -> usize {
        self.state().most_at_once
    }

    fn state(&self) -> MutexGuard<'_, Memory> {
        self.shared.state()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Memory> {
        // A test that failed while it held the lock has told so already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the call is answered, after which time, and whether it breaks off.
    fn judge(&self, mut call: Call) -> (Answer, Duration, bool) {
        let checked = self.api.answer(&call);
        let mut state = self.state();
        let (mut wait, mut cut) = (state.pause, false);
        let answer = match checked {
            Err(refusal) => self.api.refuse(&refusal),
            Ok(_) if state.is_over_limit(&call) => self.api.refuse(&Refusal::new(429, "rate limit reached")),
            Ok(answer) => match state.faults.pop_front() {
                None => answer,
                Some(Fault::Status(status)) => self.api.refuse(&Refusal::new(status, "as the test asked")),
                Some(Fault::Echo(status, text)) => self.api.refuse(&Refusal::new(status, text)),
                Some(Fault::RetryAfter(status, when)) => {
                    self.api.refuse(&Refusal::new(status, "as the test asked")).header("retry-after", when)
                }
                Some(Fault::Slow(time)) => {
                    wait = time;
                    answer
                }
                Some(Fault::CutOff) => {
                    cut = true;
                    answer
                }
                Some(Fault::NoJson) => Answer::text(200, "text/html", "<html><body>Sign in</body></html>"),
                Some(Fault::Answer(answer)) => answer,
            },
        };
        call.status = answer.status;
        state.calls.push(call);
        (answer, wait, cut)
    }
}

impl Memory {
    fn is_over_limit(&mut self, call: &Call) -> bool {
        let Some(Limit { most, window }) = self.limit else { return false };
        let key = ["authorization", "x-api-key", "api-key"].map(|name| call.header(name)).concat();
        let granted = self.granted.entry(key).or_default();
        granted.retain(|then| then.elapsed() < window);
        let is_over = granted.len() >= most;
        if !is_over {
            granted.push(Instant::now());
        }
        is_over
    }
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let call = Call {
        method: method.to_string(),
        path: uri.path().to_owned(),
        query,
        headers,
        body,
        began: Instant::now(),
        status: 0,
    };
    {
        let mut state = shared.state();
        state.at_once += 1;
        state.most_at_once = state.most_at_once.max(state.at_once);
    }
    let (answer, wait, cut) = shared.judge(call);
    // Not quicker than two calls can meet.
    tokio::time::sleep(wait.max(Duration::from_millis(2))).await;
    shared.state().at_once -= 1;
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    let body = if cut {
        response = response.header("content-length", answer.body.len());
        let half = answer.body.slice(..answer.body.len() / 2);
        let broken = io::Error::other("the test breaks the connection");
        Body::from_stream(futures_util::stream::iter([Ok(half), Err(broken)]))
    } else {
        Body::from(answer.body)
    };
    response.body(body).expect("an answer that a test planned")
}
