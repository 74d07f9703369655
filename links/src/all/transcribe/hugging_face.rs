//! Hugging Face: <https://huggingface.co/docs/inference-providers/tasks/automatic-speech-recognition>.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::http::{HttpClient, Request, Url};
use vconductor_core::plugin::{LinkContext, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

use super::options::Service;
use super::timeline;
use super::vendor::{self, Accepts, Account, Heard, Piece, Plan, Sound, Terms, Used, Vendor, endpoint};
use crate::analysis::hugging_face_account;

/// The model that is asked for where the options name neither one nor a URL.
const MODEL: &str = "openai/whisper-large-v3";

pub(super) struct HuggingFace {
    account: Account,
    url: Url,
    accepts: Accepts,
    opts: Option<Value>,
}

impl HuggingFace {
    pub(super) fn new(service: &Service, contract: bool) -> Result<Self> {
        let model = service.model.clone().unwrap_or_else(|| MODEL.to_owned());
        let url = match &service.base_url {
            Some(url) => endpoint("base_url", url, "")?,
            None => endpoint("model", "https://router.huggingface.co/hf-inference/models/", &format!("/{model}"))?,
        };
        let account = Account::new(
            service,
            contract,
            Terms {
                label: "hugging_face_whisper",
                provider: "hugging_face",
                model,
                report: None,
                needs_key: service.base_url.is_none(),
                minimum_duration: 30.0,
                minimum_confidence: 0.0,
            },
        )?;
        let defaults = if contract {
            // Without what may be a secret in it.
            let mut shown = url.clone();
            shown.set_query(None);
            shown.set_username("").ok();
            shown.set_password(None).ok();
            json!({"minimum_duration": 30, "API_URL": shown.as_str(), "Content-Type": "audio/flac"})
        } else {
            json!({})
        };
        let longest = service.max_chunk_duration.unwrap_or(86_400.0).max(10.0);
        Ok(HuggingFace {
            account,
            url,
            accepts: Accepts {
                max_bytes: 50_000_000,
                max_duration: Duration::try_from_secs_f64(longest).unwrap_or(Duration::from_secs(86_400)),
                silence_dbfs: service.silence_thresh.unwrap_or(-40.0) as f32,
                silence: Duration::from_secs(2),
                urls: false,
                channels: false,
                speakers: false,
                whole: false,
            },
            opts: vendor::opts(defaults, service),
        })
    }
}

#[async_trait]
impl Vendor for HuggingFace {
    fn account(&self) -> &Account {
        &self.account
    }

    fn accepts(&self) -> Accepts {
        self.accepts.clone()
    }

    async fn hear(&self, sound: &Sound, _: Plan, context: &LinkContext<'_>) -> Result<Heard> {
        let (part, _) = sound.file()?;
        let request = |key: &Secret| {
            let request = Request::post(self.url.as_str())?.header("accept", "application/json")?;
            let request = request.body(&part.mediatype, part.bytes.clone())?;
            // vcon-server's own example of a key begins with the word.
            let token = key.expose().trim_start_matches("Bearer ");
            if token.is_empty() { Ok(request) } else { request.bearer(&Secret::new(token)) }
        };
        let answer: Value = self.account.call(sound, context, 0.0, request).await?.json()?;
        if !answer["text"].is_string() {
            return Err(Error::retryable("the answer of Hugging Face holds no `text`")
                .help("check that `base_url` is an endpoint for automatic speech recognition"));
        }
        let used = Used { seconds: sound.seconds(), ..Used::default() };
        self.account.spend(used, context);
        Ok(Heard { answer, used })
    }

    fn join(&self, pieces: Vec<Piece>) -> Value {
        timeline::join(pieces)
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        match hugging_face_account(&self.url) {
            Some(account) => {
                let ask = |key: &Secret| Request::get(account)?.bearer(key);
                self.account.provider.probe(http, ask, vendor::accepted).await
            }
            None => vec![Probe::address(http, &self.url).await],
        }
    }

    fn opts(&self) -> Option<Value> {
        self.opts.clone()
    }
}
