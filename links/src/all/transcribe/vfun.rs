//! vfun: a transcription server that answers in the World Transcription Format (contract, 2.11).

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::http::{Form, HttpClient, Request, Url};
use vconductor_core::plugin::{LinkContext, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

use super::options::Service;
use super::vendor::{Accepts, Account, Heard, Piece, Plan, Sound, Terms, Used, Vendor, endpoint};

/// The whole recording goes at once.
const MOST_BYTES: u64 = 512 * 1024 * 1024;

pub(super) struct Vfun {
    account: Account,
    url: Url,
    language: Option<String>,
    /// As the operator wrote it.
    diarize: Option<bool>,
    contract: bool,
}

impl Vfun {
    pub(super) fn new(service: &Service, contract: bool) -> Result<Self> {
        let url = service.base_url.as_deref().ok_or_else(|| {
            Error::configuration("`base_url` is missing: where is the vfun server?")
                .help("write its whole URL; in vcon-server it is called `vfun-server-url`")
        })?;
        let terms = Terms {
            label: "vfun",
            provider: "vfun",
            model: service.model.clone().unwrap_or_else(|| "vfun".to_owned()),
            report: None,
            needs_key: false,
            minimum_duration: 0.0,
            minimum_confidence: 0.0,
        };
        Ok(Vfun {
            account: Account::new(service, contract, terms)?,
            url: endpoint("base_url", url, "")?,
            language: service.language.clone(),
            diarize: service.diarize,
            contract,
        })
    }
}

#[async_trait]
impl Vendor for Vfun {
    fn account(&self) -> &Account {
        &self.account
    }

    fn accepts(&self) -> Accepts {
        Accepts {
            max_bytes: MOST_BYTES,
            max_duration: Duration::from_secs(7 * 86_400),
            silence_dbfs: -40.0,
            silence: Duration::from_secs(2),
            urls: false,
            channels: false,
            speakers: true,
            whole: true,
        }
    }

    async fn hear(&self, sound: &Sound, plan: Plan, context: &LinkContext<'_>) -> Result<Heard> {
        let (part, named) = sound.file()?;
        let extension = part.file_name.rsplit_once('.').map_or("wav", |(_, extension)| extension);
        let filename = named.filename.clone().unwrap_or_else(|| format!("audio_{}.{extension}", named.dialog));
        let diarize = self.diarize.unwrap_or(plan.diarize && !self.contract);
        let mut form = Form::new().text("diarize", if diarize { "true" } else { "false" });
        if let Some(language) = &self.language {
            form = form.text("language", language);
        }
        let form = form.file("file-binary", &filename, &part.mediatype, &part.bytes).finish();
        let request = |key: &Secret| {
            let request = Request::post(self.url.as_str())?.body(&form.0, form.1.clone())?;
            if key.is_empty() { Ok(request) } else { request.bearer(key) }
        };
        let mut answer: Value = self.account.call(sound, context, 0.0, request).await?.json()?;
        if let Value::String(inner) = &answer {
            answer = serde_json::from_str(inner).unwrap_or_default();
        }
        if !answer["transcript"].is_object() {
            return Err(Error::retryable("the answer of vfun is not in the World Transcription Format")
                .help("check that `base_url` is the URL that transcribes"));
        }
        if let Some(language) = &self.language {
            answer["transcript"]["language"] = json!(language);
        }
        let used = Used { seconds: sound.seconds(), ..Used::default() };
        self.account.spend(used, context);
        Ok(Heard { answer, used })
    }

    /// It gets recordings whole; there is one piece.
    fn join(&self, pieces: Vec<Piece>) -> Value {
        pieces.into_iter().find_map(|piece| piece.answer).unwrap_or_default()
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        vec![Probe::address(http, &self.url).await]
    }

    fn opts(&self) -> Option<Value> {
        None
    }
}
