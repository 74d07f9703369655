//! Answers to HTTP calls, and the calls that were made.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;
use vconductor_core::clock::{Clock, Millis};
use vconductor_core::error::{Error, Result};
use vconductor_core::http::{HeaderMap, Method, Offline, OfflineAnswer, OfflineCall, StatusCode, Url};
use vconductor_core::wildcard;

use crate::matching;

/// An answer and the calls that get it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The method; `None`: every one.
    pub method: Option<Method>,
    /// The URL without its query, where `*` stands for any characters.
    pub url: String,
    /// What the body must have: a part of it as JSON, or a pattern for its text; `None`: anything.
    pub body: Option<Value>,
    /// So many calls get it, then the next answer that fits; `None`: all of them.
    pub times: Option<usize>,
    /// The answer; `None`: the connection fails.
    pub answer: Option<OfflineAnswer>,
}

/// A call that was made.
#[derive(Debug, Clone)]
pub struct Called {
    /// When.
    pub at: Millis,
    /// Its method.
    pub method: Method,
    /// Where to, without user, password and query.
    pub url: String,
    /// Its headers; they may hold keys.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The status that it got; `None`: nobody said what the answer is, or the connection was to fail.
    pub status: Option<StatusCode>,
}

impl Called {
    /// `POST https://api.example.com/v1/listen`.
    pub fn shown(&self) -> String {
        format!("{} {}", self.method, self.url)
    }
}

/// All answers.
#[derive(Debug)]
pub struct Answers {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    answers: Vec<Answer>,
    calls: Vec<Called>,
    unanswered: usize,
}

impl Answers {
    pub(super) fn new(answers: Vec<Answer>, clock: Arc<dyn Clock>) -> Self {
        Answers { clock, state: Mutex::new(State { answers, calls: Vec::new(), unanswered: 0 }) }
    }

    /// How many calls were made to which nobody said the answer.
    pub(super) fn unanswered(&self) -> usize {
        self.lock().unanswered
    }

    /// The last call.
    pub(super) fn last(&self) -> Option<String> {
        self.lock().calls.last().map(Called::shown)
    }

    pub(super) fn take(&self) -> Vec<Called> {
        std::mem::take(&mut self.lock().calls)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Offline for Answers {
    fn answer(&self, call: OfflineCall<'_>) -> Result<OfflineAnswer> {
        let mut state = self.lock();
        let mut called = Called {
            at: self.clock.now(),
            method: call.method.clone(),
            url: shown(call.url),
            headers: call.headers.clone(),
            body: call.body.clone(),
            status: None,
        };
        let fits = |answer: &&mut Answer| {
            answer.times != Some(0)
                && answer.method.as_ref().is_none_or(|method| method == call.method)
                && wildcard::matches(&answer.url, &called.url)
                && answer.body.as_ref().is_none_or(|wanted| matching::body_differences(wanted, call.body).is_empty())
        };
        let answer = state.answers.iter_mut().find(fits);
        let given = match answer {
            None => {
                let why = format!("{} has no answer here: nothing outside is reached", called.shown());
                state.unanswered += 1;
                Err(Error::permanent(why).help("say the answer under `http:`, or mock the link under `mocks:`"))
            }
            Some(answer) => {
                answer.times = answer.times.map(|times| times - 1);
                answer.answer.clone().ok_or_else(|| Error::retryable(format!("{}: cannot connect", called.shown())))
            }
        };
        called.status = given.as_ref().ok().map(|answer| answer.status);
        state.calls.push(called);
        given
    }
}

/// Where a call goes, without what may be secret.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
