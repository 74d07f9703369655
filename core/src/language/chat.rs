//! Chat completions: `POST /chat/completions` of OpenAI (API reference, "Create chat completion") and of those that follow
//! it: Azure, LiteLLM, Groq, Ollama, vLLM.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{Call, End, Reply, Tokens};
use super::capability::max_tokens_name;
use super::{Form, Vendor};
use crate::error::Result;
use crate::http::Response;

pub(super) fn body(call: &Call<'_>, vendor: Vendor, response_format: Option<&Value>) -> Value {
    let mut body = Map::new();
    // Azure has the deployment in its URL, and takes the member as well.
    body.insert("model".into(), call.model.into());
    let mut messages = vec![json!({"role": "system", "content": call.system})];
    messages.extend(call.messages.iter().map(|(role, text)| json!({"role": role.as_str(), "content": text})));
    body.insert("messages".into(), messages.into());
    if let Some(temperature) = call.temperature {
        body.insert("temperature".into(), number(temperature));
    }
    if let Some(most) = call.max_output_tokens {
        body.insert(max_tokens_name(vendor).into(), most.into());
    }
    let format = match call.form {
        _ if response_format.is_some() => response_format.cloned(),
        Form::Text | Form::Word(_) => None,
        Form::Schema(form) if call.by_schema => Some(json!({
            "type": "json_schema",
            "json_schema": {"name": form.name(), "schema": form.schema(), "strict": form.is_strict()},
        })),
        Form::Object | Form::Schema(_) => Some(json!({"type": "json_object"})),
    };
    if let Some(format) = format {
        body.insert("response_format".into(), format);
    }
    body.into()
}

/// Python writes a temperature of 0 without a point, and some servers are strict about kinds of numbers.
pub(super) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e6 { json!(value as i64) } else { json!(value) }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// `prompt_tokens` counts those read from a cache as well.
#[derive(Deserialize, Default)]
struct Usage {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    #[serde(default)]
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize, Default)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

pub(super) fn read(response: &Response) -> Result<Reply> {
    let completion: Completion = response.json()?;
    let usage = completion.usage.unwrap_or_default();
    let cached = usage.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
    let tokens = Tokens {
        input: usage.prompt_tokens.saturating_sub(cached),
        cache_read: cached.min(usage.prompt_tokens),
        cache_write: 0,
        output: usage.completion_tokens,
    };
    let Some(choice) = completion.choices.into_iter().next() else {
        return Ok(Reply { text: String::new(), end: End::Complete, tokens });
    };
    let refusal = choice.message.refusal.filter(|refusal| !refusal.is_empty());
    let end = match (refusal, choice.finish_reason.as_deref()) {
        (Some(refusal), _) => End::Refused(refusal),
        (None, Some("content_filter")) => End::Refused("stopped by the content filter".to_owned()),
        (None, Some("length")) => End::CutOff,
        _ => End::Complete,
    };
    Ok(Reply { text: choice.message.content.unwrap_or_default(), end, tokens })
}
