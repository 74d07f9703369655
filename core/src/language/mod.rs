//! Language models: one client for chat completions and Responses of OpenAI, Messages of Anthropic, and all that speak
//! like them.
//!
//! A link makes one [`LanguageModel`] out of its options and asks it [`Task`]s about a text:
//!
//! * The text is data. It is fenced by a mark that it cannot contain, and the system message says that nothing inside the
//!   fence is an instruction. What the answer may be is checked, so that a text cannot talk its way into other fields.
//! * An answer in the wrong form is sent back once, with what is wrong about it; after that it is an error.
//! * A text that is too long for one call is cut between turns; each piece is worked on alone and the answers are merged.
//! * Answers are kept by content: the same task on the same text is paid for once.

mod access;
mod answer;
mod capability;
mod chat;
mod fence;
mod form;
mod messages;
mod model;
mod pieces;
mod probe;
mod responses;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use access::{Access, Vendor};
pub use capability::default_max_input_tokens;
pub use form::{Form, JsonSchemaForm};
pub use model::{LanguageModel, Settings};

/// Which interface of a provider is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// `POST /chat/completions`, the one that nearly all providers have.
    Chat,
    /// `POST /responses` of OpenAI, where the provider has it; chat completions elsewhere.
    Responses,
}

/// What a model is asked to do with a text.
#[derive(Debug, Clone)]
pub struct Task {
    /// Who the model is.
    pub system: String,
    /// What it does with the text.
    pub prompt: String,
    /// What the answer looks like.
    pub form: Form,
    /// How freely it words the answer, from 0; `None`, and models that take no temperature: the provider's default.
    pub temperature: Option<f64>,
    /// What the text is, in one word for the fence: `transcript`, `vcon`.
    pub material: &'static str,
    /// Gives out an answer that is no JSON after it was sent back, as [`Answer::fault`], in place of an error.
    pub keep_unreadable: bool,
}

/// A model's answer to a task, in the form that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// As the model wrote it, without the fences that models put around JSON.
    pub text: String,
    /// The JSON, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why it is not the JSON that was asked for; only with [`Task::keep_unreadable`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}
