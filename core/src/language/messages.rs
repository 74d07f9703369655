//! Messages: `POST /v1/messages` of Anthropic (API reference, "Create a Message").

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Form;
use super::answer::{Call, End, Reply, Tokens};
use super::capability::answers_by_tool;
use super::chat::number;
use crate::error::Result;
use crate::http::Response;

/// The interface demands a greatest length; this is one that all models have.
const MAX_TOKENS: u32 = 4096;

pub(super) fn body(call: &Call<'_>) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), call.model.into());
    body.insert("max_tokens".into(), call.max_output_tokens.unwrap_or(MAX_TOKENS).into());
    body.insert("system".into(), call.system.into());
    let messages = call.messages.iter().map(|(role, text)| json!({"role": role.as_str(), "content": text}));
    body.insert("messages".into(), messages.collect());
    if let Some(temperature) = call.temperature {
        // From 0 to 1 here, from 0 to 2 at OpenAI.
        body.insert("temperature".into(), number(temperature.min(1.0)));
    }
    if let Form::Schema(form) = call.form {
        if answers_by_tool(call.model) {
            body.insert(
                "tools".into(),
                json!([{"name": form.name(), "description": "Gives the answer.", "input_schema": form.schema()}]),
            );
            body.insert("tool_choice".into(), json!({"type": "tool", "name": form.name()}));
        } else {
            body.insert("output_config".into(), json!({"format": {"type": "json_schema", "schema": form.schema()}}));
        }
    }
    body.into()
}

#[derive(Deserialize)]
struct Message {
    content: Vec<Block>,
    #[serde(default)]
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Block {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    input: Option<Value>,
}

/// `input_tokens` counts neither what was read from a cache nor what was written to one.
#[derive(Deserialize, Default)]
struct Usage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
}

pub(super) fn read(response: &Response) -> Result<Reply> {
    let message: Message = response.json()?;
    let tokens = Tokens {
        input: message.usage.input_tokens,
        cache_read: message.usage.cache_read_input_tokens.unwrap_or(0),
        cache_write: message.usage.cache_creation_input_tokens.unwrap_or(0),
        output: message.usage.output_tokens,
    };
    let mut text = String::new();
    for block in message.content {
        match (block.kind.as_str(), block.text, block.input) {
            ("text", Some(more), _) => text.push_str(&more),
            // What is said before the tool is called is no part of the answer.
            ("tool_use", _, Some(input)) => {
                text = input.to_string();
                break;
            }
            _ => {}
        }
    }
    let end = match message.stop_reason.as_deref() {
        Some("refusal") => End::Refused(String::new()),
        Some("max_tokens" | "model_context_window_exceeded") => End::CutOff,
        _ => End::Complete,
    };
    Ok(Reply { text, end, tokens })
}
