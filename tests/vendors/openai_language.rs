//! Language models as OpenAI offers them, and as Azure, LiteLLM, Groq, Ollama and vLLM do after it.
//!
//! * chat completions: <https://platform.openai.com/docs/api-reference/chat/create>
//! * Responses: <https://platform.openai.com/docs/api-reference/responses/create>
//! * structured outputs: <https://platform.openai.com/docs/guides/structured-outputs>
//! * errors: <https://platform.openai.com/docs/guides/error-codes>
//! * Azure: <https://learn.microsoft.com/azure/ai-services/openai/reference>, "Chat completions"
//! * LiteLLM: <https://docs.litellm.ai/docs/proxy/user_keys>; Groq: <https://console.groq.com/docs/api-reference#chat-create>
//! * Ollama: <https://github.com/ollama/ollama/blob/main/docs/openai.md>

use serde_json::{Value, json};

use super::said::{Said, Speech};
use super::{Answer, Api, Call, Refusal, only_members};

/// Models of OpenAI, with whether they take a JSON Schema and whether they take a temperature.
const MODELS: [(&str, bool, bool); 7] = [
    ("gpt-3.5-turbo-16k", false, true),
    ("gpt-4-turbo", false, true),
    ("gpt-4o-mini", true, true),
    ("gpt-4.1", true, true),
    ("gpt-4.1-mini", true, true),
    ("gpt-5", true, false),
    ("gpt-5-mini", true, false),
];

/// In which of its forms the interface is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Face {
    OpenAi,
    /// With the version of the interface.
    Azure(&'static str),
    LiteLlm,
    /// No key is looked at.
    Ollama,
    Groq,
}

/// The server.
pub struct OpenAiLanguage {
    keys: Vec<String>,
    face: Face,
    speech: Speech,
}

impl OpenAiLanguage {
    fn with_face(face: Face, keys: &[&str], speech: &Speech) -> Self {
        OpenAiLanguage { keys: keys.iter().map(|key| (*key).to_owned()).collect(), face, speech: speech.clone() }
    }

    /// OpenAI, under `/v1`. It lets these keys in.
    pub fn new(keys: &[&str], speech: &Speech) -> Self {
        Self::with_face(Face::OpenAi, keys, speech)
    }

    /// Azure, with this version of the interface.
    pub fn azure(keys: &[&str], version: &'static str, speech: &Speech) -> Self {
        Self::with_face(Face::Azure(version), keys, speech)
    }

    /// A LiteLLM proxy, whose paths begin at the root.
    pub fn litellm(keys: &[&str], speech: &Speech) -> Self {
        Self::with_face(Face::LiteLlm, keys, speech)
    }

    /// Groq, under `/openai/v1`.
    pub fn groq(keys: &[&str], speech: &Speech) -> Self {
        Self::with_face(Face::Groq, keys, speech)
    }

    /// Ollama, under `/v1`, for everybody.
    pub fn ollama(speech: &Speech) -> Self {
        Self::with_face(Face::Ollama, &[], speech)
    }

    /// What stands in the path before `/chat/completions` and `/responses`.
    fn prefix(&self) -> &'static str {
        match self.face {
            Face::OpenAi | Face::Ollama => "/v1",
            Face::LiteLlm => "",
            Face::Groq => "/openai/v1",
            Face::Azure(_) => "/openai",
        }
    }

    fn is_let_in(&self, call: &Call) -> Result<(), Refusal> {
        match self.face {
            Face::Azure(version) => {
                call.has_only_parameters(&["api-version"])?;
                if call.parameter("api-version") != Some(version) {
                    return Err(Refusal::new(404, "Resource not found"));
                }
                let key = call.header("api-key");
                self.keys
                    .iter()
                    .any(|known| known == key)
                    .then_some(())
                    .ok_or_else(|| Refusal::new(401, "Access denied"))
            }
            Face::Ollama => call.has_only_parameters(&[]),
            _ => {
                call.has_only_parameters(&[])?;
                call.is_authorised("Bearer", &self.keys)
            }
        }
    }

    /// Whether the model takes a schema and a temperature.
    fn model(&self, name: &str) -> Result<(bool, bool), Refusal> {
        let unknown =
            || Refusal::new(404, format!("The model `{name}` does not exist or you do not have access to it."));
        match self.face {
            Face::OpenAi => {
                MODELS.iter().find(|(known, ..)| *known == name).map(|(_, schema, temperature)| (*schema, *temperature))
            }
            Face::LiteLlm => name.contains('/').then_some((true, true)),
            Face::Groq => Some((name.starts_with("openai/gpt-oss"), true)),
            Face::Azure(_) | Face::Ollama => Some((true, true)),
        }
        .ok_or_else(unknown)
    }

    fn chat(&self, call: &Call, deployment: Option<&str>) -> Result<Answer, Refusal> {
        let body = call.json()?;
        let most =
            if matches!(self.face, Face::Ollama | Face::LiteLlm) { "max_tokens" } else { "max_completion_tokens" };
        only_members(&body, &["model", "messages", "temperature", "response_format", most])?;
        let name = body["model"].as_str().ok_or_else(|| Refusal::bad_request("you must provide a model parameter"))?;
        if deployment.is_some_and(|deployment| deployment != name) {
            return Err(Refusal::new(404, "The API deployment for this resource does not exist."));
        }
        let (takes_schema, takes_temperature) = self.model(name)?;
        let messages = body["messages"].as_array().filter(|messages| !messages.is_empty());
        let messages = messages.ok_or_else(|| Refusal::bad_request("'messages' must be a list that is not empty"))?;
        for message in messages {
            only_members(message, &["role", "content"])?;
            let is_known = matches!(message["role"].as_str(), Some("system" | "user" | "assistant"));
            if !is_known || message["content"].as_str().is_none_or(str::is_empty) {
                return Err(Refusal::bad_request("a message needs a role and content"));
            }
        }
        temperature(&body, takes_temperature)?;
        let text: String = messages.iter().filter_map(|message| message["content"].as_str()).collect();
        if let Some(format) = body.get("response_format") {
            let schema = format.get("json_schema");
            is_format(format, schema, &["type", "json_schema"], takes_schema, &text)?;
        }
        let (content, refusal, reason) = match self.speech.next(&body) {
            Said::Text(said) => (json!(said), Value::Null, "stop"),
            Said::CutOff(said) => (json!(said), Value::Null, "length"),
            Said::Refusal(why) => (Value::Null, json!(why), "stop"),
            Said::Filtered => (json!(""), Value::Null, "content_filter"),
        };
        let output = content.as_str().map_or(0, str::len) / 4 + 1;
        let input = text.len() / 4 + 1;
        let message = json!({"role": "assistant", "content": content, "refusal": refusal, "annotations": []});
        Ok(Answer::json(
            200,
            &json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1_767_225_600, "model": name,
                "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": reason}],
                "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
                    "prompt_tokens_details": {"cached_tokens": input / 2, "audio_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 0}},
                "system_fingerprint": "fp_1",
            }),
        ))
    }

    fn responses(&self, call: &Call) -> Result<Answer, Refusal> {
        let body = call.json()?;
        only_members(&body, &["model", "input", "instructions", "temperature", "max_output_tokens", "store", "text"])?;
        let name =
            body["model"].as_str().ok_or_else(|| Refusal::bad_request("Missing required parameter: 'model'."))?;
        let (takes_schema, takes_temperature) = self.model(name)?;
        let text = match &body["input"] {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                items.iter().try_for_each(|item| only_members(item, &["role", "content"]))?;
                items.iter().filter_map(|item| item["content"].as_str()).collect()
            }
            _ => return Err(Refusal::bad_request("Missing required parameter: 'input'.")),
        };
        if !body["instructions"].is_string() || body.get("store") != Some(&json!(false)) {
            return Err(Refusal::bad_request("conversations of people are not to be stored here"));
        }
        temperature(&body, takes_temperature)?;
        if let Some(format) = body["text"].get("format") {
            only_members(&body["text"], &["format"])?;
            let members = ["type", "name", "schema", "strict"];
            let schema = (format["type"] == "json_schema").then_some(format);
            is_format(format, schema, &members, takes_schema, &text)?;
        }
        let (content, status, details) = match self.speech.next(&body) {
            Said::Text(said) => (output_text(&said), "completed", Value::Null),
            Said::CutOff(said) => (output_text(&said), "incomplete", json!({"reason": "max_output_tokens"})),
            Said::Refusal(why) => (json!({"type": "refusal", "refusal": why}), "completed", Value::Null),
            Said::Filtered => (output_text(""), "incomplete", json!({"reason": "content_filter"})),
        };
        let (input, output) = (text.len() / 4 + 1, content.to_string().len() / 4);
        Ok(Answer::json(
            200,
            &json!({
                "id": "resp_1", "object": "response", "created_at": 1_767_225_600, "status": status, "error": null,
                "incomplete_details": details, "model": name,
                "output": [
                    {"type": "reasoning", "id": "rs_1", "summary": []},
                    {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": [content]},
                ],
                "usage": {"input_tokens": input, "input_tokens_details": {"cached_tokens": input / 2}, "output_tokens": output,
                    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": input + output},
            }),
        ))
    }
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": []})
}

fn temperature(body: &Value, is_taken: bool) -> Result<(), Refusal> {
    match body.get("temperature") {
        Some(_) if !is_taken => Err(Refusal::bad_request(
            "Unsupported value: 'temperature' does not support this value with this model. Only the default (1) value is supported.",
        )),
        Some(value) if !value.as_f64().is_some_and(|value| (0.0..=2.0).contains(&value)) => {
            Err(Refusal::bad_request("Invalid 'temperature'"))
        }
        _ => Ok(()),
    }
}

/// The rules of structured outputs.
fn is_format(
    format: &Value,
    schema: Option<&Value>,
    members: &[&str],
    takes_schema: bool,
    text: &str,
) -> Result<(), Refusal> {
    only_members(format, members)?;
    match format["type"].as_str() {
        Some("text") => Ok(()),
        Some("json_object") if text.to_lowercase().contains("json") => Ok(()),
        Some("json_object") => Err(Refusal::bad_request("'messages' must contain the word 'json' in some form")),
        Some("json_schema") if !takes_schema => Err(Refusal::bad_request(
            "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        )),
        Some("json_schema") => {
            let schema = schema.ok_or_else(|| Refusal::bad_request("Missing required parameter: 'json_schema'."))?;
            let name = schema["name"].as_str().unwrap_or_default();
            let is_name = !name.is_empty() && name.len() <= 64;
            let is_name =
                is_name && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
            if !is_name || !schema["schema"].is_object() {
                return Err(Refusal::bad_request("Invalid 'json_schema'"));
            }
            if schema["strict"] == true { is_strict(&schema["schema"]) } else { Ok(()) }
        }
        _ => Err(Refusal::bad_request("Invalid value for 'response_format.type'")),
    }
}

/// "All fields must be required", "additionalProperties: false must always be set in objects".
fn is_strict(schema: &Value) -> Result<(), Refusal> {
    if schema["type"] == "object" {
        let properties = schema["properties"].as_object().ok_or_else(|| Refusal::bad_request("no properties"))?;
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let all = properties.keys().all(|name| required.iter().any(|one| one == name));
        if !all || schema["additionalProperties"] != false {
            return Err(Refusal::bad_request(
                "Invalid schema for response_format: 'additionalProperties' and 'required'",
            ));
        }
        properties.values().try_for_each(is_strict)?;
    }
    schema.get("items").map_or(Ok(()), is_strict)
}

impl Api for OpenAiLanguage {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        let path = call.path.strip_prefix(self.prefix()).unwrap_or_default().to_owned();
        if let Face::Azure(_) = self.face {
            let deployment = path.strip_prefix("/deployments/").and_then(|rest| rest.strip_suffix("/chat/completions"));
            call.is_post_to(&call.path)?;
            self.is_let_in(call)?;
            return match deployment {
                Some(deployment) => self.chat(call, Some(deployment)),
                None if path == "/responses" => self.responses(call),
                None => Err(Refusal::new(404, "Resource not found")),
            };
        }
        match path.as_str() {
            "/chat/completions" => {
                call.is_post_to(&call.path)?;
                self.is_let_in(call)?;
                self.chat(call, None)
            }
            "/responses" if matches!(self.face, Face::OpenAi | Face::LiteLlm) => {
                call.is_post_to(&call.path)?;
                self.is_let_in(call)?;
                self.responses(call)
            }
            _ => Err(Refusal::new(404, format!("Invalid URL ({} {})", call.method, call.path))),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let (kind, code) = match refusal.status {
            401 => ("invalid_request_error", json!("invalid_api_key")),
            402 => ("insufficient_quota", json!("insufficient_quota")),
            404 => ("invalid_request_error", json!("model_not_found")),
            429 => ("requests", json!("rate_limit_exceeded")),
            400..500 => ("invalid_request_error", Value::Null),
            _ => ("server_error", Value::Null),
        };
        let error = json!({"message": refusal.message, "type": kind, "param": null, "code": code});
        Answer::json(refusal.status, &json!({"error": error}))
    }
}
