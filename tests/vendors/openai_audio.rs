//! OpenAI, audio transcriptions; also as Azure, LiteLLM and servers with the same interface offer them.
//!
//! * request and answers: <https://platform.openai.com/docs/api-reference/audio/createTranscription>
//! * models, formats, limits: <https://platform.openai.com/docs/guides/speech-to-text>
//! * errors: <https://platform.openai.com/docs/guides/error-codes>
//! * Azure: <https://learn.microsoft.com/azure/ai-services/openai/reference>, "Transcriptions - Create"
//! * LiteLLM: <https://docs.litellm.ai/docs/audio_transcription>

use serde_json::{Value, json};
use vconductor_core::audio;

use super::{Answer, Api, Call, Form, Refusal};

const MODELS: [&str; 6] = [
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "whisper-1",
    "gpt-4o-transcribe-diarize",
];
const FIELDS: [&str; 14] = [
    "file",
    "model",
    "chunking_strategy",
    "include[]",
    "keywords[]",
    "known_speaker_names[]",
    "known_speaker_references[]",
    "language",
    "languages[]",
    "prompt",
    "response_format",
    "stream",
    "temperature",
    "timestamp_granularities[]",
];
const EXTENSIONS: [&str; 9] = ["flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"];

/// The largest file.
const MOST_BYTES: usize = 26_214_400;
/// The longest recording of the models after Whisper, in seconds.
const LONGEST: f64 = 1400.0;

/// In which of its forms the interface is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Face {
    OpenAi,
    Azure(String),
    LiteLlm,
}

/// The server.
pub struct OpenAiAudio {
    keys: Vec<String>,
    face: Face,
    text: String,
    fixed: Option<Value>,
}

impl OpenAiAudio {
    /// It lets these keys in and hears the same few words in every recording.
    pub fn new(keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        OpenAiAudio { keys, face: Face::OpenAi, text: "Hello. My bill is wrong.".to_owned(), fixed: None }
    }

    /// As Azure, with one deployment.
    #[must_use]
    pub fn azure(mut self, deployment: &str) -> Self {
        self.face = Face::Azure(deployment.to_owned());
        self
    }

    /// As a LiteLLM proxy: without `/v1`, with models of its own.
    #[must_use]
    pub fn litellm(mut self) -> Self {
        self.face = Face::LiteLlm;
        self
    }

    /// It hears this text in every recording.
    #[must_use]
    pub fn hears(mut self, text: &str) -> Self {
        text.clone_into(&mut self.text);
        self
    }

    /// It answers everything with this body.
    #[must_use]
    pub fn answers(mut self, body: Value) -> Self {
        self.fixed = Some(body);
        self
    }

    fn enter(&self, call: &Call) -> Result<(), Refusal> {
        match &self.face {
            Face::OpenAi => {
                call.is_post_to("/v1/audio/transcriptions")?;
                call.has_only_parameters(&[])?;
                call.is_authorised("Bearer", &self.keys)
            }
            Face::LiteLlm => {
                call.is_post_to("/audio/transcriptions")?;
                call.has_only_parameters(&[])?;
                call.is_authorised("Bearer", &self.keys)
            }
            Face::Azure(deployment) => {
                call.is_post_to(&format!("/openai/deployments/{deployment}/audio/transcriptions"))?;
                call.has_only_parameters(&["api-version"])?;
                if call.parameter("api-version").is_none() {
                    return Err(Refusal::new(404, "Resource not found"));
                }
                let is_known = self.keys.iter().any(|key| key == call.header("api-key"));
                is_known.then_some(()).ok_or_else(|| Refusal::new(401, "Access denied due to invalid subscription key"))
            }
        }
    }
}

impl Api for OpenAiAudio {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        self.enter(call)?;
        let form = call.form()?;
        form.has_only(&FIELDS)?;
        let model = form.text("model").ok_or_else(|| Refusal::bad_request("you must provide a model parameter"))?;
        if self.face == Face::OpenAi && !MODELS.contains(&model.as_str()) {
            return Err(Refusal::new(404, format!("The model `{model}` does not exist")));
        }
        let model = model.rsplit('/').next().unwrap_or_default().to_owned();
        let seconds = seconds(&form, MOST_BYTES, &EXTENSIONS)?;
        let format = checked_format(&form, &model, seconds)?;
        let body = self.fixed.clone().unwrap_or_else(|| spoken(&self.text, &form, &model, &format, seconds));
        Ok(Answer::json(200, &body))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let (kind, code) = match refusal.status {
            401 => ("invalid_request_error", json!("invalid_api_key")),
            404 => ("invalid_request_error", json!("model_not_found")),
            402 => ("insufficient_quota", json!("insufficient_quota")),
            429 => ("requests", json!("rate_limit_exceeded")),
            400..500 => ("invalid_request_error", Value::Null),
            _ => ("server_error", Value::Null),
        };
        let error = json!({"message": refusal.message, "type": kind, "param": null, "code": code});
        Answer::json(refusal.status, &json!({"error": error}))
    }
}

/// Checks the file and says how long it is.
pub(super) fn seconds(form: &Form, most: usize, extensions: &[&str]) -> Result<f64, Refusal> {
    let file = form.file("file")?;
    if file.bytes.len() > most {
        let message = format!("Maximum content size limit ({most}) exceeded ({} bytes read)", file.bytes.len());
        return Err(Refusal::new(413, message));
    }
    let extension = file.filename.as_deref().and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
    if !extension.is_some_and(|extension| extensions.contains(&extension)) {
        return Err(Refusal::bad_request(format!("Unrecognized file format. Supported formats: {extensions:?}")));
    }
    let info = audio::probe(&file.bytes);
    let info =
        info.map_err(|_| Refusal::bad_request("The audio file could not be decoded or its format is not supported."))?;
    if info.duration.as_secs_f64() < 0.1 {
        return Err(Refusal::bad_request("Audio file is too short. Minimum audio length is 0.1 seconds."));
    }
    Ok(info.duration.as_secs_f64())
}

/// Which formats and options go with which model.
fn checked_format(form: &Form, model: &str, seconds: f64) -> Result<String, Refusal> {
    let bad = |message: &str| Err(Refusal::bad_request(message.to_owned()));
    let format = form.text("response_format").unwrap_or_else(|| "json".to_owned());
    let is_whisper = !model.starts_with("gpt-");
    let is_diarising = model.ends_with("-diarize");
    let fits = match format.as_str() {
        "json" => true,
        "verbose_json" => is_whisper,
        "diarized_json" => is_diarising,
        _ => false,
    };
    if !fits {
        return bad("response_format is not compatible with this model");
    }
    let granularities = form.texts("timestamp_granularities[]");
    if !granularities.is_empty() && format != "verbose_json" {
        return bad("timestamp_granularities needs response_format verbose_json");
    }
    if granularities.iter().any(|one| !matches!(one.as_str(), "word" | "segment")) {
        return bad("timestamp_granularities is word or segment");
    }
    if form.text("chunking_strategy").is_some_and(|strategy| strategy != "auto") {
        return bad("chunking_strategy is not auto");
    }
    if is_diarising && seconds > 30.0 && form.text("chunking_strategy").is_none() {
        return bad("chunking_strategy is required for diarization models");
    }
    if is_diarising && form.text("prompt").is_some() {
        return bad("prompt is not supported by diarization models");
    }
    if !is_whisper && seconds > LONGEST {
        return bad("audio duration is longer than 1400 seconds which is the maximum for this model");
    }
    if form.text("language").is_some_and(|language| language.len() != 2) {
        return bad("language is an ISO-639-1 code");
    }
    if model != "gpt-transcribe"
        && form.fields.iter().any(|field| matches!(field.name.as_str(), "languages[]" | "keywords[]"))
    {
        return bad("languages and keywords are for gpt-transcribe");
    }
    Ok(format)
}

/// What is heard, in the form that was asked for.
pub(super) fn spoken(text: &str, form: &Form, model: &str, format: &str, seconds: f64) -> Value {
    let half = seconds / 2.0;
    let sentences: Vec<&str> = text.split_inclusive(". ").map(str::trim).filter(|text| !text.is_empty()).collect();
    let each = seconds / sentences.len().max(1) as f64;
    let times = |index: usize| (index as f64 * each, (index + 1) as f64 * each);
    match format {
        "verbose_json" => {
            let segments: Vec<Value> = sentences
                .iter()
                .enumerate()
                .map(|(index, text)| {
                    let (start, end) = times(index);
                    json!({
                        "id": index, "seek": 0, "start": start, "end": end, "text": format!(" {text}"), "tokens": [1, 2],
                        "temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.1, "no_speech_prob": 0.01,
                    })
                })
                .collect();
            let mut body = json!({
                "task": "transcribe", "language": "english", "duration": seconds, "text": text, "segments": segments,
                "usage": {"type": "duration", "seconds": seconds.ceil() as u64},
            });
            if form.texts("timestamp_granularities[]").iter().any(|one| one == "word") {
                let words: Vec<&str> = text.split_whitespace().collect();
                let each = seconds / words.len().max(1) as f64;
                let word = |(index, word): (usize, &&str)| {
                    let start = index as f64 * each;
                    json!({"word": word.trim_matches('.'), "start": start, "end": start + each})
                };
                body["words"] = words.iter().enumerate().map(word).collect();
            }
            body
        }
        "diarized_json" => {
            let segment = |(index, text): (usize, &&str)| {
                let (start, end) = times(index);
                let speaker = if start < half { "A" } else { "B" };
                json!({
                    "type": "transcript.text.segment", "id": format!("seg_{index}"), "start": start, "end": end,
                    "text": text, "speaker": speaker,
                })
            };
            let segments: Vec<Value> = sentences.iter().enumerate().map(segment).collect();
            json!({
                "task": "transcribe", "duration": seconds, "text": text, "segments": segments,
                "usage": {"type": "duration", "seconds": seconds.ceil() as u64},
            })
        }
        _ if model == "whisper-1" => json!({
            "text": text, "usage": {"type": "duration", "seconds": seconds.ceil() as u64},
        }),
        _ => json!({
            "text": text,
            "usage": {
                "type": "tokens", "input_tokens": (seconds * 10.0) as u64, "output_tokens": 12,
                "total_tokens": (seconds * 10.0) as u64 + 12,
                "input_token_details": {"text_tokens": 0, "audio_tokens": (seconds * 10.0) as u64},
            },
        }),
    }
}
