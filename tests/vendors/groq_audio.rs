//! Groq, speech to text.
//!
//! * request and answers: <https://console.groq.com/docs/speech-to-text>, <https://console.groq.com/docs/api-reference#audio>
//! * errors: <https://console.groq.com/docs/errors>
//! * limits and their headers: <https://console.groq.com/docs/rate-limits>

use serde_json::{Value, json};

use super::openai_audio::{seconds, spoken};
use super::{Answer, Api, Call, Refusal};

const MODELS: [&str; 2] = ["whisper-large-v3-turbo", "whisper-large-v3"];
const FIELDS: [&str; 8] =
    ["file", "url", "model", "language", "prompt", "response_format", "temperature", "timestamp_granularities[]"];
const EXTENSIONS: [&str; 9] = ["flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"];

/// The largest file that is sent along.
const MOST_BYTES: usize = 25 * 1024 * 1024;

/// The server.
pub struct GroqAudio {
    keys: Vec<String>,
    text: String,
}

impl GroqAudio {
    /// It lets these keys in and hears the same few words in every recording.
    pub fn new(keys: &[&str]) -> Self {
        GroqAudio {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            text: "Hello. My bill is wrong.".to_owned(),
        }
    }
}

impl Api for GroqAudio {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to("/openai/v1/audio/transcriptions")?;
        call.has_only_parameters(&[])?;
        call.is_authorised("Bearer", &self.keys)?;
        let form = call.form()?;
        form.has_only(&FIELDS)?;
        let model = form.text("model").ok_or_else(|| Refusal::bad_request("model is required"))?;
        if !MODELS.contains(&model.as_str()) {
            return Err(Refusal::new(
                404,
                format!("The model `{model}` does not exist or you do not have access to it."),
            ));
        }
        let seconds = seconds(&form, MOST_BYTES, &EXTENSIONS)?;
        let format = form.text("response_format").unwrap_or_else(|| "json".to_owned());
        if !matches!(format.as_str(), "json" | "verbose_json") {
            return Err(Refusal::bad_request(format!(
                "response_format `{format}` is not one of json, text, verbose_json"
            )));
        }
        if !form.texts("timestamp_granularities[]").is_empty() && format != "verbose_json" {
            return Err(Refusal::bad_request("timestamp_granularities[] needs response_format verbose_json"));
        }
        let mut body = spoken(&self.text, &form, &model, &format, seconds);
        if let Some(members) = body.as_object_mut() {
            members.remove("usage");
            members.insert("x_groq".into(), json!({"id": "req_01jxyz"}));
        }
        Ok(Answer::json(200, &body).header("x-ratelimit-remaining-requests", "1999"))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let (kind, code) = match refusal.status {
            401 => ("invalid_request_error", json!("invalid_api_key")),
            413 => ("invalid_request_error", json!("request_too_large")),
            429 => ("requests", json!("rate_limit_exceeded")),
            400..500 => ("invalid_request_error", Value::Null),
            _ => ("internal_server_error", Value::Null),
        };
        let error = json!({"message": refusal.message, "type": kind, "code": code});
        Answer::json(refusal.status, &json!({"error": error}))
    }
}
