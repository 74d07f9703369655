//! Deepgram, pre-recorded audio.
//!
//! * request: <https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded>
//! * errors: <https://developers.deepgram.com/reference/errors>
//! * callbacks: <https://developers.deepgram.com/docs/callback>

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Mutex;

use serde_json::{Map, Value, json};
use vconductor_core::audio;

use super::{Answer, Api, Call, Refusal, only_members};

/// The parameters of the query that the page names.
const PARAMETERS: [&str; 42] = [
    "callback",
    "callback_method",
    "custom_intent",
    "custom_intent_mode",
    "custom_topic",
    "custom_topic_mode",
    "detect_entities",
    "detect_language",
    "diarize",
    "diarize_model",
    "dictation",
    "encoding",
    "extra",
    "filler_words",
    "intents",
    "keyterm",
    "keywords",
    "language",
    "measurements",
    "mip_opt_out",
    "model",
    "multichannel",
    "numerals",
    "paragraphs",
    "profanity_filter",
    "punctuate",
    "redact",
    "replace",
    "sample_rate",
    "search",
    "sentiment",
    "smart_format",
    "summarize",
    "tag",
    "topics",
    "utt_split",
    "utterances",
    "version",
    "channels",
    "alternatives",
    "ner",
    "tier",
];

/// Parameters that are `true` or `false`.
const FLAGS: [&str; 13] = [
    "detect_entities",
    "diarize",
    "dictation",
    "filler_words",
    "intents",
    "measurements",
    "multichannel",
    "numerals",
    "paragraphs",
    "punctuate",
    "sentiment",
    "smart_format",
    "utterances",
];

/// The server.
pub struct Deepgram {
    keys: Vec<String>,
    text: String,
    confidence: f64,
    fixed: Option<Value>,
    by_content: bool,
    callbacks: Mutex<Vec<Value>>,
}

impl Deepgram {
    /// It lets these keys in and hears the same few words in every recording.
    pub fn new(keys: &[&str]) -> Self {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let text = "hello I have a question about my bill".to_owned();
        Deepgram { keys, text, confidence: 0.98, fixed: None, by_content: false, callbacks: Mutex::default() }
    }

    /// It hears this text in every recording.
    #[must_use]
    pub fn hears(mut self, text: &str, confidence: f64) -> Self {
        text.clone_into(&mut self.text);
        self.confidence = confidence;
        self
    }

    /// It hears another number in every other recording, after the text.
    #[must_use]
    pub fn hears_numbers(mut self) -> Self {
        self.by_content = true;
        self
    }

    /// It answers everything with this body.
    #[must_use]
    pub fn answers(mut self, body: Value) -> Self {
        self.fixed = Some(body);
        self
    }

    /// The whole answer for a recording of `seconds` with `channels`, as [`Api::answer`] gives it and as a callback
    /// receives it.
    pub fn body(&self, call: &Call, seconds: f64, channels: usize) -> Value {
        let is = |name: &str| call.parameter(name) == Some("true");
        let is_diarised = is("diarize") || call.parameter("diarize_model").is_some();
        let mut text = self.text.clone();
        if self.by_content {
            let mut hasher = DefaultHasher::new();
            call.body.hash(&mut hasher);
            text.push_str(&format!(" number {}", hasher.finish() % 1_000_000));
        }
        let heard = if is("multichannel") { channels } else { 1 };
        let alternatives: Vec<Value> = (0..heard)
            .map(|channel| self.alternative(&text, channel, seconds, is_diarised, is("paragraphs")))
            .collect();
        let model = call.parameter("model").unwrap_or("base-general");
        let mut results = json!({
            "channels": alternatives
                .iter()
                .map(|alternative| {
                    let mut channel = json!({"alternatives": [alternative]});
                    if is("detect_language") {
                        channel["detected_language"] = json!("en");
                        channel["language_confidence"] = json!(0.99);
                    }
                    channel
                })
                .collect::<Vec<_>>(),
        });
        if is("utterances") {
            results["utterances"] = alternatives
                .iter()
                .enumerate()
                .map(|(channel, alternative)| {
                    let words = &alternative["words"];
                    json!({
                        "start": words[0]["start"], "end": seconds, "confidence": self.confidence, "channel": channel,
                        "transcript": alternative["transcript"], "words": words, "id": "u-1",
                    })
                })
                .collect();
        }
        json!({
            "metadata": {
                "transaction_key": "deprecated", "request_id": "2479c8c8-8185-40ac-9ac6-f0874419f793",
                "sha256": "154e291ecfa8be6ab8343560bcc109008fa7853eb5372533e8efdefc9b504c33",
                "created": "2026-01-01T00:00:00.000Z", "duration": seconds, "channels": channels, "models": ["m-1"],
                "model_info": {"m-1": {"name": model, "version": "2026-01-01.0", "arch": "nova"}},
            },
            "results": results,
        })
    }

    fn alternative(&self, text: &str, channel: usize, seconds: f64, is_diarised: bool, paragraphs: bool) -> Value {
        let spoken: Vec<&str> = text.split_whitespace().collect();
        let each = seconds / spoken.len().max(1) as f64;
        let words: Vec<Value> = spoken
            .iter()
            .enumerate()
            .map(|(index, word)| {
                let start = index as f64 * each;
                let mut word = json!({
                    "word": word.to_lowercase(), "start": start, "end": start + each * 0.5,
                    "confidence": self.confidence, "punctuated_word": word,
                });
                if is_diarised {
                    word["speaker"] = json!(index * 2 / spoken.len().max(1));
                    word["speaker_confidence"] = json!(0.7);
                }
                word
            })
            .collect();
        let text = if channel == 0 { text.to_owned() } else { format!("{text} too") };
        let mut alternative = json!({"transcript": text, "confidence": self.confidence, "words": words});
        if paragraphs {
            let sentence = json!({"text": text, "start": 0.0, "end": seconds});
            let paragraph = json!({"sentences": [sentence], "num_words": spoken.len(), "start": 0.0, "end": seconds});
            alternative["paragraphs"] = json!({"transcript": text, "paragraphs": [paragraph]});
        }
        alternative
    }

    /// The bodies that the callbacks of accepted calls will carry, in the order of the calls.
    pub fn take_callbacks(&self) -> Vec<Value> {
        std::mem::take(&mut self.callbacks.lock().expect("no test holds it"))
    }
}

impl Api for Deepgram {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        call.is_post_to("/v1/listen")?;
        call.is_authorised("Token", &self.keys)?;
        call.has_only_parameters(&PARAMETERS)?;
        for flag in FLAGS {
            if call.parameter(flag).is_some_and(|value| !matches!(value, "true" | "false")) {
                return Err(Refusal::bad_request(format!("`{flag}` is not true or false")));
            }
        }
        if call.parameter("diarize_model").is_some_and(|value| !matches!(value, "latest" | "v1" | "v2")) {
            return Err(Refusal::bad_request("`diarize_model` is not latest, v1 or v2"));
        }
        let (seconds, channels) = if call.header("content-type") == "application/json" {
            let body = call.json()?;
            only_members(&body, &["url"])?;
            let url = body["url"].as_str().ok_or_else(|| Refusal::bad_request("missing field `url`"))?;
            if !url.starts_with("http") {
                return Err(Refusal::bad_request("REMOTE_CONTENT_ERROR: the URL cannot be fetched"));
            }
            (61.5, if url.contains("stereo") { 2 } else { 1 })
        } else {
            if !call.header("content-type").starts_with("audio/") {
                return Err(Refusal::bad_request("Bad Request: failed to process audio: corrupt or unsupported data"));
            }
            let info = audio::probe(&call.body);
            let info =
                info.map_err(|_| Refusal::bad_request("failed to process audio: corrupt or unsupported data"))?;
            (info.duration.as_secs_f64(), usize::from(info.channels))
        };
        let body = self.fixed.clone().unwrap_or_else(|| self.body(call, seconds, channels));
        match call.parameter("callback") {
            Some(callback) => {
                if !callback.starts_with("http") {
                    return Err(Refusal::bad_request("the callback is no URL"));
                }
                self.callbacks.lock().expect("no test holds it").push(body);
                Ok(Answer::json(200, &json!({"request_id": "2479c8c8-8185-40ac-9ac6-f0874419f793"})))
            }
            None => Ok(Answer::json(200, &body)),
        }
    }

    /// Most errors have `err_code`; the newer endpoints' `category` comes in its place.
    fn refuse(&self, refusal: &Refusal) -> Answer {
        let code = match refusal.status {
            400 => "Bad Request",
            401 => "INVALID_AUTH",
            402 => "ASR_PAYMENT_REQUIRED",
            403 => "INSUFFICIENT_PERMISSIONS",
            413 => "PAYLOAD_TOO_LARGE",
            429 => "TOO_MANY_REQUESTS",
            _ => "INTERNAL_SERVER_ERROR",
        };
        let mut body = Map::new();
        if refusal.status == 402 {
            body.insert("category".into(), code.into());
            body.insert("message".into(), refusal.message.clone().into());
            body.insert("details".into(), "Project does not have enough credits".into());
        } else {
            body.insert("err_code".into(), code.into());
            body.insert("err_msg".into(), refusal.message.clone().into());
        }
        body.insert("request_id".into(), "2479c8c8-8185-40ac-9ac6-f0874419f793".into());
        Answer::json(refusal.status, &Value::Object(body))
    }
}
