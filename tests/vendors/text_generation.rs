//! Hugging Face, text generation.
//!
//! * request and answers: <https://huggingface.co/docs/api-inference/tasks/text-generation>
//! * models that are being loaded: <https://huggingface.co/docs/api-inference/parameters>

use serde_json::json;

use super::said::{Said, Speech};
use super::{Answer, Api, Call, Refusal, only_members};

/// The server, with one model.
pub struct TextGeneration {
    keys: Vec<String>,
    model: String,
    speech: Speech,
}

impl TextGeneration {
    /// It lets these keys in and has this model.
    pub fn new(keys: &[&str], model: &str, speech: &Speech) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        TextGeneration { keys, model: model.to_owned(), speech: speech.clone() }
    }
}

impl Api for TextGeneration {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to(&format!("/models/{}", self.model))?;
        call.has_only_parameters(&[])?;
        call.is_authorised("Bearer", &self.keys)?;
        let body = call.json()?;
        only_members(&body, &["inputs", "parameters"])?;
        only_members(&body["parameters"], &["max_length", "temperature"])?;
        if body["inputs"].as_str().is_none_or(str::is_empty) {
            return Err(Refusal::bad_request("inputs is required"));
        }
        match self.speech.next(&body) {
            Said::Text(text) | Said::CutOff(text) => Ok(Answer::json(200, &json!([{"generated_text": text}]))),
            Said::Refusal(why) => Ok(Answer::json(200, &json!({"warnings": [why]}))),
            Said::Filtered => Ok(Answer::json(200, &json!([]))),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let body = match refusal.status {
            503 => json!({"error": format!("Model {} is currently loading", self.model), "estimated_time": 20.0}),
            _ => json!({"error": refusal.message}),
        };
        Answer::json(refusal.status, &body)
    }
}
