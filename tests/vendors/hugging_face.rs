//! Hugging Face, automatic speech recognition: inference providers and dedicated endpoints.
//!
//! * request and answers: <https://huggingface.co/docs/inference-providers/tasks/automatic-speech-recognition>
//! * endpoints that start: <https://huggingface.co/docs/inference-endpoints/faq>

use serde_json::{Value, json};
use vconductor_core::audio;

use super::{Answer, Api, Call, Refusal};

/// The server, with one model.
pub struct HuggingFace {
    keys: Vec<String>,
    path: String,
    body: Value,
}

impl HuggingFace {
    /// It lets these keys in, offers a model under `path`, and hears the same few words in every recording.
    pub fn new(keys: &[&str], path: &str) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        HuggingFace { keys, path: path.to_owned(), body: json!({"text": "Hello. My bill is wrong."}) }
    }

    /// It answers everything with this body.
    #[must_use]
    pub fn answers(mut self, body: Value) -> Self {
        self.body = body;
        self
    }
}

impl Api for HuggingFace {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to(&self.path)?;
        call.has_only_parameters(&[])?;
        call.is_authorised("Bearer", &self.keys)?;
        if call.header("accept") != "application/json" {
            return Err(Refusal::new(406, "only application/json is answered"));
        }
        if !call.header("content-type").starts_with("audio/") {
            let message = format!("Content type \"{}\" not supported", call.header("content-type"));
            return Err(Refusal::bad_request(message));
        }
        audio::probe(&call.body).map_err(|_| Refusal::bad_request("Malformed soundfile"))?;
        Ok(Answer::json(200, &self.body))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let body = match refusal.status {
            503 => json!({"error": "Model openai/whisper-large-v3 is currently loading", "estimated_time": 20.0}),
            _ => json!({"error": refusal.message}),
        };
        Answer::json(refusal.status, &body)
    }
}
