//! Responses: `POST /responses` of OpenAI (API reference, "Create a model response").

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Form;
use super::answer::{Call, End, Reply, Tokens};
use super::chat::number;
use crate::error::Result;
use crate::http::Response;

pub(super) fn body(call: &Call<'_>) -> Value {
    let mut body = Map::new();
    body.insert("model".into(), call.model.into());
    body.insert("instructions".into(), call.system.into());
    let input: Value = match call.messages {
        [(_, only)] => only.as_str().into(),
        all => all.iter().map(|(role, text)| json!({"role": role.as_str(), "content": text})).collect(),
    };
    body.insert("input".into(), input);
    if let Some(temperature) = call.temperature {
        body.insert("temperature".into(), number(temperature));
    }
    if let Some(most) = call.max_output_tokens {
        body.insert("max_output_tokens".into(), most.into());
    }
    // Otherwise OpenAI keeps conversations for thirty days.
    body.insert("store".into(), false.into());
    let format = match call.form {
        Form::Text | Form::Word(_) => None,
        Form::Schema(form) if call.by_schema => Some(json!({
            "type": "json_schema", "name": form.name(), "schema": form.schema(), "strict": form.is_strict(),
        })),
        Form::Object | Form::Schema(_) => Some(json!({"type": "json_object"})),
    };
    if let Some(format) = format {
        body.insert("text".into(), json!({"format": format}));
    }
    body.into()
}

#[derive(Deserialize)]
struct ModelResponse {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    output: Vec<Item>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

/// Beside messages there are items of reasoning and of tools.
#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    content: Option<Vec<Content>>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Content {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize, Default)]
struct Usage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<Details>,
}

/// Both are parts of `input_tokens`.
#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
}

pub(super) fn read(response: &Response) -> Result<Reply> {
    let answer: ModelResponse = response.json()?;
    let usage = answer.usage.unwrap_or_default();
    let details = usage.input_tokens_details.unwrap_or_default();
    let cache_read = details.cached_tokens.unwrap_or(0).min(usage.input_tokens);
    let cache_write = details.cache_write_tokens.unwrap_or(0).min(usage.input_tokens - cache_read);
    let tokens = Tokens {
        input: usage.input_tokens - cache_read - cache_write,
        cache_read,
        cache_write,
        output: usage.output_tokens,
    };
    let (mut text, mut refusal) = (String::new(), None);
    let messages = answer.output.into_iter().filter(|item| item.kind == "message");
    for content in messages.flat_map(|item| item.content.unwrap_or_default()) {
        match content.kind.as_str() {
            "output_text" => text.push_str(&content.text.unwrap_or_default()),
            "refusal" => refusal = content.refusal.or(Some(String::new())),
            _ => {}
        }
    }
    let reason = answer.incomplete_details.and_then(|details| details.reason);
    let end = match (refusal, answer.status.as_deref(), reason.as_deref()) {
        (Some(refusal), ..) => End::Refused(refusal),
        (None, Some("incomplete"), Some("content_filter")) => End::Refused("stopped by the content filter".to_owned()),
        (None, Some("incomplete"), _) => End::CutOff,
        _ => End::Complete,
    };
    Ok(Reply { text, end, tokens })
}
