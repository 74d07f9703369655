//! One error type for everything that can fail while a vCon is worked on.
//!
//! An error says three independent things: what happened (`message`, with sources), what kind of
//! failure it is for the engine (`class`), and what the reader should do (`help`). The retry layer
//! looks only at the class.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure this is; it alone decides what the engine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// May go away by itself (time-outs, refused connections, HTTP 408, 425, 429, 5xx): tried again with back-off.
    Retryable,
    /// Will not go away by trying again (bad input, HTTP 400, 404, 422): dead letter at once.
    Permanent,
    /// The operator must change something (wrong key, missing bucket, HTTP 401, 402, 403 of a provider).
    Configuration,
    /// The vCon repeatedly killed the process that worked on it.
    Poison,
}

impl Class {
    /// The class's name as it is written in dead letters, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Retryable => "retryable",
            Class::Permanent => "permanent",
            Class::Configuration => "configuration",
            Class::Poison => "poison",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A classified failure with its cause and what to do about it.
#[derive(Debug)]
pub struct Error {
    details: Box<Details>,
}

#[derive(Debug)]
struct Details {
    class: Class,
    message: String,
    help: Option<String>,
    retry_after: Option<Duration>,
    offset: Option<usize>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of the given class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Error {
            details: Box::new(Details {
                class,
                message: message.into(),
                help: None,
                retry_after: None,
                offset: None,
                source: None,
            }),
        }
    }

    /// A failure that may go away by itself.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::new(Class::Retryable, message)
    }

    /// A failure that trying again does not mend.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, message)
    }

    /// A failure that the operator must mend.
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Class::Configuration, message)
    }

    /// Adds what the reader should do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.details.help = Some(help.into());
        self
    }

    /// Adds the wait that the other side asked for (for example by `Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.details.retry_after = Some(wait);
        self
    }

    /// Adds where in the text of an option it lies, in bytes, so that `check` shows the place.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.details.offset = Some(offset);
        self
    }

    /// Adds the cause; it is shown behind the message.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.details.source = Some(source.into());
        self
    }

    /// Puts where it happened in front of the message.
    #[must_use]
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.details.message = format!("{place}: {}", self.details.message);
        self
    }

    /// The kind of failure.
    pub fn class(&self) -> Class {
        self.details.class
    }

    /// The message alone, without causes and help.
    pub fn message(&self) -> &str {
        &self.details.message
    }

    /// What the reader should do next, where that is known.
    pub fn help_text(&self) -> Option<&str> {
        self.details.help.as_deref()
    }

    /// The wait that the other side asked for.
    pub fn wait(&self) -> Option<Duration> {
        self.details.retry_after
    }

    /// Where in the text of an option it lies, in bytes.
    pub fn offset(&self) -> Option<usize> {
        self.details.offset
    }

    /// Whether the engine tries again.
    pub fn is_retryable(&self) -> bool {
        self.details.class == Class::Retryable
    }

    /// Message and causes in one line, as dead letters and logs keep it.
    pub fn chain_text(&self) -> String {
        let mut text = self.details.message.clone();
        let mut cause = StdError::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            // Some libraries say their cause and give it as well.
            if !text.ends_with(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.details.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.details.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = Error::retryable("no answer: disk on fire").caused_by(std::io::Error::other("disk on fire"));
        assert_eq!(error.chain_text(), "no answer: disk on fire");
    }

    #[test]
    fn the_chain_text_names_place_message_and_cause() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::retryable("cannot write").caused_by(cause).within("storage `files`");
        assert_eq!(error.chain_text(), "storage `files`: cannot write: disk on fire");
        assert!(error.is_retryable());
    }
}
