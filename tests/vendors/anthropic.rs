//! Anthropic, Messages.
//!
//! * request and answers: <https://docs.anthropic.com/en/api/messages>
//! * structured outputs: <https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs>
//! * tools: <https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use>
//! * errors: <https://docs.anthropic.com/en/api/errors>; limits: <https://docs.anthropic.com/en/api/rate-limits>

use serde_json::{Value, json};

use super::said::{Said, Speech};
use super::{Answer, Api, Call, Refusal, only_members};

const MEMBERS: [&str; 8] =
    ["model", "max_tokens", "system", "messages", "temperature", "tools", "tool_choice", "output_config"];

/// Models with whether they take `output_config`.
const MODELS: [(&str, bool); 3] =
    [("claude-haiku-4-5", true), ("claude-sonnet-4-5", true), ("claude-3-5-haiku-latest", false)];

/// The server, under `/v1`.
pub struct Anthropic {
    keys: Vec<String>,
    speech: Speech,
}

impl Anthropic {
    /// It lets these keys in.
    pub fn new(keys: &[&str], speech: &Speech) -> Self {
        Anthropic { keys: keys.iter().map(|key| (*key).to_owned()).collect(), speech: speech.clone() }
    }
}

impl Api for Anthropic {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to("/v1/messages")?;
        call.has_only_parameters(&[])?;
        if !self.keys.iter().any(|key| key == call.header("x-api-key")) {
            return Err(Refusal::new(401, "invalid x-api-key"));
        }
        if call.header("anthropic-version") != "2023-06-01" {
            return Err(Refusal::bad_request("anthropic-version: header is required"));
        }
        let body = call.json()?;
        only_members(&body, &MEMBERS)?;
        let name = body["model"].as_str().unwrap_or_default();
        let Some((_, takes_config)) = MODELS.iter().find(|(known, _)| *known == name) else {
            return Err(Refusal::new(404, format!("model: {name}")));
        };
        if body["max_tokens"].as_u64().unwrap_or(0) == 0 {
            return Err(Refusal::bad_request("max_tokens: Field required"));
        }
        if body
            .get("temperature")
            .is_some_and(|value| !value.as_f64().is_some_and(|value| (0.0..=1.0).contains(&value)))
        {
            return Err(Refusal::bad_request("temperature: range: 0..1"));
        }
        let messages = body["messages"].as_array().ok_or_else(|| Refusal::bad_request("messages: Field required"))?;
        for (index, message) in messages.iter().enumerate() {
            only_members(message, &["role", "content"])?;
            let wanted = if index % 2 == 0 { "user" } else { "assistant" };
            if message["role"] != wanted || message["content"].as_str().is_none_or(|text| text.trim().is_empty()) {
                return Err(Refusal::bad_request("messages: roles must alternate, content must not be empty"));
            }
        }
        let tool = tool(&body)?;
        if let Some(config) = body.get("output_config") {
            only_members(config, &["format", "effort"])?;
            only_members(&config["format"], &["type", "schema"])?;
            if !takes_config {
                return Err(Refusal::bad_request("output_config: this model does not support structured outputs"));
            }
            if config["format"]["type"] != "json_schema" || !config["format"]["schema"].is_object() {
                return Err(Refusal::bad_request("output_config.format: Input should be a json_schema"));
            }
        }
        let text = body.to_string();
        let (content, reason) = match (self.speech.next(&body), tool) {
            (Said::Text(said), Some(tool)) => {
                let input: Value = serde_json::from_str(&said).unwrap_or_else(|_| json!({}));
                (
                    json!([{"type": "text", "text": "I use the tool."}, {"type": "tool_use", "id": "toolu_1", "name": tool, "input": input}]),
                    "tool_use",
                )
            }
            (Said::Text(said), None) => (json!([{"type": "text", "text": said}]), "end_turn"),
            (Said::CutOff(said), _) => (json!([{"type": "text", "text": said}]), "max_tokens"),
            (Said::Refusal(_) | Said::Filtered, _) => (json!([]), "refusal"),
        };
        Ok(Answer::json(
            200,
            &json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": name, "content": content, "stop_reason": reason,
                "stop_sequence": null,
                "usage": {"input_tokens": text.len() / 4, "cache_creation_input_tokens": 7, "cache_read_input_tokens": 11,
                    "output_tokens": content.to_string().len() / 4, "service_tier": "standard"},
            }),
        ))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let kind = match refusal.status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        };
        let body = json!({"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": "req_1"});
        Answer::json(refusal.status, &body)
    }
}

/// The tool that must be used.
fn tool(body: &Value) -> Result<Option<&str>, Refusal> {
    let Some(choice) = body.get("tool_choice") else { return Ok(None) };
    only_members(choice, &["type", "name"])?;
    let name = choice["name"].as_str().unwrap_or_default();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    for tool in &tools {
        only_members(tool, &["name", "description", "input_schema"])?;
    }
    let is_there = tools.iter().any(|tool| tool["name"] == name && tool["input_schema"]["type"] == "object");
    if choice["type"] != "tool" || !is_there {
        return Err(Refusal::bad_request("tool_choice: tool not found"));
    }
    Ok(Some(name))
}
