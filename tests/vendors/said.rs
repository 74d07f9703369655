//! What a language model says, as a test wants it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// What the model says next. Clones say the same.
#[derive(Debug, Clone, Default)]
pub struct Speech {
    planned: Arc<Mutex<VecDeque<Said>>>,
}

impl Speech {
    /// Nothing planned: it says a sentence.
    pub fn new() -> Self {
        Speech::default()
    }

    /// Adds a text. A call that meets a fault of the server uses one up as well.
    pub fn says(&self, text: impl Into<String>) {
        self.will(Said::Text(text.into()));
    }

    /// Adds any answer.
    pub fn will(&self, said: Said) {
        self.lock().push_back(said);
    }

    pub(super) fn next(&self) -> Said {
        self.lock().pop_front().unwrap_or_else(|| Said::Text("The customer wants a refund.".to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Said>> {
        // A test that failed while it held the lock has told so already.
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
