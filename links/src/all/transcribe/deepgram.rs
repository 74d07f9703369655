//! Deepgram: <https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded>.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use vconductor_core::http::{HttpClient, Request, Url};
use vconductor_core::plugin::{LinkContext, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

use super::options::Service;
use super::timeline::{self, text};
use super::vendor::{self, Accepts, Account, Heard, Piece, Plan, Sound, Terms, Used, Vendor, endpoint, parameters};

/// Of what is sent along; a URL may lead to 2 GB.
const MOST_BYTES: u64 = 100 * 1024 * 1024;

pub(super) struct Deepgram {
    account: Account,
    url: Url,
    opts: Option<Value>,
    /// The operator said what becomes of speakers and channels, in `api`.
    asks_itself: bool,
}

impl Deepgram {
    pub(super) fn new(service: &Service, contract: bool) -> Result<Self> {
        let api = service.api.as_ref();
        let of_api = |name: &str| api.and_then(|api| api.get(name)).and_then(Value::as_str).map(str::to_owned);
        let model = service.model.clone().or_else(|| of_api("model"));
        let fallback = if contract { "base-general" } else { "nova-3" };
        let mut account = Account::new(
            service,
            contract,
            Terms {
                label: "deepgram",
                provider: "deepgram",
                model: model.unwrap_or_else(|| fallback.to_owned()),
                report: Some("DEEPGRAM_TRANSCRIBE"),
                needs_key: true,
                minimum_duration: 60.0,
                minimum_confidence: 0.5,
            },
        )?;
        // vcon-server's report says so whatever the model is.
        account.reported_model = "nova-3".to_owned();
        let base = service.base_url.as_deref().unwrap_or("https://api.deepgram.com");
        let mut url = endpoint("base_url", base, "/v1/listen")?;
        let given = parameters(api, &["callback", "callback_method"])?;
        {
            let mut query = url.query_pairs_mut();
            for (name, value, _) in &given {
                query.append_pair(name, value);
            }
            let mut default = |name: &str, value: Option<&str>| {
                if let Some(value) = value.filter(|_| !given.iter().any(|(known, ..)| known == name)) {
                    query.append_pair(name, value);
                }
            };
            default("model", if contract { service.model.as_deref() } else { Some(&account.model) });
            default("language", service.language.as_deref());
            default("smart_format", (!contract).then_some("true"));
        }
        if given.is_empty() && url.query() == Some("") {
            url.set_query(None);
        }
        let asks = ["multichannel", "diarize", "diarize_model"];
        let asks_itself = given.iter().any(|(name, ..)| asks.contains(&name.as_str()));
        let defaults = if contract { json!({"minimum_duration": 60, "minimum_confidence": 0.5}) } else { json!({}) };
        Ok(Deepgram { account, url, opts: vendor::opts(defaults, service), asks_itself })
    }

    fn request(&self, sound: &Sound, plan: Plan, callback: Option<&str>, key: &Secret) -> Result<Request> {
        let mut url = self.url.clone();
        if !self.asks_itself && plan.separate {
            url.query_pairs_mut().append_pair("multichannel", "true");
        } else if !self.asks_itself && plan.diarize {
            url.query_pairs_mut().append_pair("diarize_model", "latest");
        }
        if let Some(callback) = callback {
            url.query_pairs_mut().append_pair("callback", callback);
        }
        let token = Secret::new(format!("Token {}", key.expose()));
        let request = Request::post(url.as_str())?.secret_header("authorization", &token)?;
        match sound {
            Sound::Url { url, .. } => {
                let request = request.json(&json!({"url": url}))?;
                Ok(Url::parse(url).map_or(request.clone(), |url| request.hiding(&url)))
            }
            Sound::File { part, .. } => {
                let is_media = part.mediatype.starts_with("audio/") || part.mediatype.starts_with("video/");
                request.body(if is_media { &part.mediatype } else { "audio/*" }, part.bytes.clone())
            }
        }
    }

    /// What an answer used. Channels that are transcribed by themselves are billed by themselves.
    fn heard(&self, answer: Value, seconds: f64, context: &LinkContext<'_>) -> Result<Heard> {
        let channels = answer["results"]["channels"].as_array().map(Vec::len);
        let Some(channels) = channels.filter(|_| answer["results"]["channels"][0]["alternatives"][0].is_object())
        else {
            return Err(Error::retryable("Deepgram's answer holds no transcript")
                .help("check that `base_url` is Deepgram's interface"));
        };
        let seconds = answer["metadata"]["duration"].as_f64().unwrap_or(seconds);
        let used = Used { seconds: seconds * channels.max(1) as f64, ..Used::default() };
        self.account.spend(used, context);
        Ok(Heard { answer, used })
    }
}

#[async_trait]
impl Vendor for Deepgram {
    fn account(&self) -> &Account {
        &self.account
    }

    fn accepts(&self) -> Accepts {
        Accepts {
            max_bytes: MOST_BYTES,
            // What takes it longer than ten minutes is given up.
            max_duration: Duration::from_secs(4 * 3600),
            silence_dbfs: -40.0,
            silence: Duration::from_secs(2),
            urls: true,
            channels: true,
            speakers: true,
            whole: false,
        }
    }

    async fn hear(&self, sound: &Sound, plan: Plan, context: &LinkContext<'_>) -> Result<Heard> {
        let answer = self.account.call(sound, context, 0.0, |key| self.request(sound, plan, None, key)).await?;
        self.heard(answer.json()?, sound.seconds(), context)
    }

    async fn order(&self, sound: &Sound, plan: Plan, callback: &str, context: &LinkContext<'_>) -> Result<String> {
        let answer =
            self.account.call(sound, context, 0.0, |key| self.request(sound, plan, Some(callback), key)).await?;
        let answer: Value = answer.json()?;
        answer["request_id"].as_str().map(str::to_owned).ok_or_else(|| {
            Error::retryable("Deepgram's answer names no request").help("check that `base_url` is Deepgram's interface")
        })
    }

    fn delivered(&self, payload: &Value, order: &str, _: Plan, context: &LinkContext<'_>) -> Result<Option<Heard>> {
        let named = payload["metadata"]["request_id"].as_str().or_else(|| payload["request_id"].as_str());
        if named != Some(order) {
            return Ok(None);
        }
        if payload.get("results").is_none() {
            let why =
                ["err_msg", "message"].iter().find_map(|name| payload[*name].as_str()).unwrap_or("it says not why");
            return Err(Error::permanent(format!("Deepgram could not transcribe it: {}", timeline::excerpt(why))));
        }
        self.heard(payload.clone(), 0.0, context).map(Some)
    }

    /// Answers to channels become channels of one answer; answers to parts follow each other.
    fn join(&self, pieces: Vec<Piece>) -> Value {
        let duration = pieces.iter().map(|piece| piece.offset + piece.seconds).fold(0.0, f64::max);
        let first = pieces.iter().find_map(|piece| piece.answer.clone());
        let mut channels: Vec<u16> = pieces.iter().map(|piece| piece.channel.unwrap_or(0)).collect();
        channels.sort_unstable();
        channels.dedup();
        let of = |channel: u16| {
            let own = pieces.iter().filter(|piece| piece.channel.unwrap_or(0) == channel);
            let heard: Vec<(&Piece, &Value)> = own.filter_map(|piece| Some((piece, piece.answer.as_ref()?))).collect();
            let several = heard.len() > 1;
            let mut texts = Vec::new();
            let (mut words, mut paragraphs) = (Vec::new(), Vec::new());
            let (mut sure, mut seconds) = (0.0, 0.0);
            let mut joined = Map::new();
            for (piece, answer) in heard {
                let spoken = &answer["results"]["channels"][0];
                let alternative = &spoken["alternatives"][0];
                if let Some(language) = spoken.get("detected_language") {
                    joined.entry("detected_language").or_insert_with(|| language.clone());
                }
                let said = text(alternative, "transcript");
                if !said.is_empty() {
                    texts.push(said);
                    sure += alternative["confidence"].as_f64().unwrap_or(0.0) * piece.seconds;
                    seconds += piece.seconds;
                }
                words.extend(timeline::shifted(&alternative["words"], piece, several));
                paragraphs.extend(timeline::shifted(&alternative["paragraphs"]["paragraphs"], piece, several));
            }
            let mut alternative = json!({
                "transcript": texts.join(" "),
                "confidence": if seconds > 0.0 { sure / seconds } else { 0.0 },
                "words": words,
            });
            if !paragraphs.is_empty() {
                alternative["paragraphs"] = json!({"transcript": texts.join("\n\n"), "paragraphs": paragraphs});
            }
            joined.insert("alternatives".into(), json!([alternative]));
            Value::Object(joined)
        };
        let heard: Vec<Value> = channels.iter().map(|channel| of(*channel)).collect();
        let mut metadata = first.as_ref().map_or_else(|| json!({}), |answer| answer["metadata"].clone());
        metadata["duration"] = json!(duration);
        metadata["channels"] = json!(heard.len());
        json!({"metadata": metadata, "results": {"channels": heard}})
    }

    /// vcon-server keeps the first alternative of the first channel; of several channels that would be half a conversation.
    fn body(&self, mut answer: Value) -> Value {
        let channels = answer["results"]["channels"].as_array_mut();
        match channels.map(Vec::as_mut_slice) {
            Some([channel]) => {
                let language = channel.get("detected_language").cloned().unwrap_or_else(|| json!("en"));
                let mut alternative = channel["alternatives"][0].take();
                alternative["detected_language"] = language;
                alternative
            }
            _ => answer,
        }
    }

    /// Lists the projects of a key.
    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let mut url = self.url.clone();
        url.set_query(None);
        let projects = url.path().trim_end_matches("/listen").to_owned() + "/projects";
        url.set_path(&projects);
        let ask = |key: &Secret| {
            let token = Secret::new(format!("Token {}", key.expose()));
            Request::get(url.as_str())?.secret_header("authorization", &token)
        };
        self.account.provider.probe(http, ask, vendor::accepted).await
    }

    fn opts(&self) -> Option<Value> {
        self.opts.clone()
    }
}
