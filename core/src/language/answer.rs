//! What one call gives, whoever answered.

use super::Form;
use crate::error::{Error, Result};
use crate::layers::instruments::Usage;
use crate::price::unit;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// We.
    User,
    /// The model.
    Assistant,
}

impl Role {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

/// One call, before it is written as the provider wants it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) model: &'a str,
    pub(super) system: &'a str,
    pub(super) messages: &'a [(Role, String)],
    pub(super) form: &'a Form,
    /// Whether the provider is told the schema; otherwise the system message holds it.
    pub(super) by_schema: bool,
    pub(super) temperature: Option<f64>,
    pub(super) max_output_tokens: Option<u32>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The model was done.
    Complete,
    /// The greatest number of tokens was reached.
    CutOff,
    /// The model, or a filter before it, refuses. With its reason, where it gives one.
    Refused(String),
}

/// Tokens of one call, as they are billed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Read, not from a cache.
    pub(super) input: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
    pub(super) output: u64,
}

impl Tokens {
    pub(super) fn amounts(self) -> [(&'static str, f64); 4] {
        [
            (unit::INPUT_TOKENS, self.input as f64),
            (unit::CACHE_READ_TOKENS, self.cache_read as f64),
            (unit::CACHE_WRITE_TOKENS, self.cache_write as f64),
            (unit::OUTPUT_TOKENS, self.output as f64),
        ]
    }

    pub(super) fn usage(self) -> Usage {
        Usage {
            input_tokens: self.input,
            output_tokens: self.output,
            cache_read_tokens: self.cache_read,
            cache_write_tokens: self.cache_write,
            ..Usage::default()
        }
    }

    pub(super) fn all_input(self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }
}

/// What one call gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) text: String,
    pub(super) end: End,
    pub(super) tokens: Tokens,
}

impl Reply {
    /// The text of an answer that is complete.
    ///
    /// # Errors
    /// Permanent for refusals and answers that were cut off: the same call gives the same again. Retryable for an answer
    /// without any text, which healthy models give now and then.
    pub(super) fn complete(self, who: &str) -> Result<String> {
        match self.end {
            End::Refused(reason) if reason.is_empty() => Err(Error::permanent(format!("{who} refuses to answer"))
                .help("look at the conversation and the prompt; another model may answer")),
            End::Refused(reason) => {
                let reason: String = reason.chars().take(200).collect();
                Err(Error::permanent(format!("{who} refuses to answer: {reason}"))
                    .help("look at the conversation and the prompt; another model may answer"))
            }
            End::CutOff => Err(Error::permanent(format!("the answer of {who} was cut off at its greatest length"))
                .help("raise `max_output_tokens`, or ask for less")),
            End::Complete if self.text.trim().is_empty() => {
                Err(Error::retryable(format!("{who} gave an empty answer")).help("it is asked again"))
            }
            End::Complete => Ok(self.text),
        }
    }
}
