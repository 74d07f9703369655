//! vfun, a transcription server that answers in the World Transcription Format.
//!
//! It has no public documentation; the wire format is what vcon-server's `wtf_transcribe` sends and reads, and what the format's
//! draft says: <https://datatracker.ietf.org/doc/draft-howe-vcon-wtf-extension/>.

use serde_json::{Value, json};
use vconductor_core::audio;

use super::{Answer, Api, Call, Refusal};

/// The server.
pub struct Vfun {
    keys: Vec<String>,
    is_encoded_twice: bool,
}

impl Vfun {
    /// It lets these keys in, or everybody where there are none.
    pub fn new(keys: &[&str]) -> Self {
        Vfun { keys: keys.iter().map(|key| (*key).to_owned()).collect(), is_encoded_twice: false }
    }

    /// It answers with a JSON string that holds the JSON.
    #[must_use]
    pub fn encodes_twice(mut self) -> Self {
        self.is_encoded_twice = true;
        self
    }

    /// What it answers for a recording of `seconds`.
    pub fn body(seconds: f64) -> Value {
        json!({
            "transcript": {"text": "Hello. My bill is wrong.", "language": "en-US", "duration": seconds, "confidence": 0.93},
            "segments": [{
                "id": 0, "start": 0.0, "end": seconds, "text": "Hello. My bill is wrong.", "confidence": 0.93, "speaker": 0,
            }],
            "metadata": {
                "created_at": "2026-01-01T00:00:00Z", "processed_at": "2026-01-01T00:00:01Z", "provider": "vfun",
                "model": "parakeet", "audio": {"duration": seconds},
            },
        })
    }
}

impl Api for Vfun {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to("/wtf")?;
        call.has_only_parameters(&[])?;
        if !self.keys.is_empty() {
            call.is_authorised("Bearer", &self.keys)?;
        }
        let form = call.form()?;
        form.has_only(&["file-binary", "diarize", "language"])?;
        let file = form.file("file-binary")?;
        if !file.mediatype.as_deref().is_some_and(|mediatype| mediatype.starts_with("audio/")) {
            return Err(Refusal::bad_request("file-binary has no audio media type"));
        }
        if !matches!(form.text("diarize").as_deref(), Some("true" | "false")) {
            return Err(Refusal::bad_request("diarize is true or false"));
        }
        let info = audio::probe(&file.bytes).map_err(|_| Refusal::bad_request("the audio cannot be read"))?;
        let body = Self::body(info.duration.as_secs_f64());
        let body = if self.is_encoded_twice { Value::String(body.to_string()) } else { body };
        Ok(Answer::json(200, &body))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        Answer::json(refusal.status, &json!({"detail": refusal.message}))
    }
}
