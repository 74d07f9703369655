//! What a language model says, as a test wants it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// How a model answers one good call.
#[derive(Debug, Clone)]
pub enum Said {
    /// With this text.
    Text(String),
    /// With this beginning of a text.
    CutOff(String),
    /// Not, for this reason.
    Refusal(String),
    /// Not, because a filter came between.
    Filtered,
}

/// Says something about what it is asked: the whole request, as JSON.
type Answer = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What the model says next. Clones say the same.
#[derive(Clone, Default)]
pub struct Speech {
    planned: Arc<Mutex<VecDeque<Said>>>,
    answer: Option<Answer>,
}

impl Speech {
    /// Nothing planned: it says a sentence.
    pub fn new() -> Self {
        Speech::default()
    }

    /// When nothing is planned, it says what `answer` makes of the request.
    pub fn answering(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Speech { answer: Some(Arc::new(answer)), ..Speech::default() }
    }

    /// Adds a text. A call that meets a fault of the server uses one up as well.
    pub fn says(&self, text: impl Into<String>) {
        self.will(Said::Text(text.into()));
    }

    /// Adds any answer.
    pub fn will(&self, said: Said) {
        self.lock().push_back(said);
    }

    /// What it says to this request.
    pub(super) fn next(&self, request: &Value) -> Said {
        self.lock().pop_front().unwrap_or_else(|| {
            let said = self.answer.as_ref().map(|answer| answer(&request.to_string()));
            Said::Text(said.unwrap_or_else(|| "The customer wants a refund.".to_owned()))
        })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Said>> {
        // A test that failed while it held the lock has told so already.
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
