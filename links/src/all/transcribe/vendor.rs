//! What all vendors have in common: they get sound, and answer with JSON.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use vconductor_core::http::{HttpClient, Request, Response, Url};
use vconductor_core::plugin::{LinkContext, Probe};
use vconductor_core::price::unit::{AUDIO_SECONDS, INPUT_TOKENS, OUTPUT_TOKENS};
use vconductor_core::provider::{Asked, Call, Estimate, Provider, UsageReport};
use vconductor_core::recording::Part;
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

use super::options::{Service, VendorName};
use super::{deepgram, hugging_face, openai, vfun};

/// The limit for a call when the options say none: Deepgram gives up after ten minutes.
const TIMEOUT: Duration = Duration::from_secs(600);

/// A vendor with its options.
#[async_trait]
pub(super) trait Vendor: Send + Sync {
    /// What does not differ between vendors.
    fn account(&self) -> &Account;

    /// What it takes in one call.
    fn accepts(&self) -> Accepts;

    /// Transcribes one recording or a part of one.
    ///
    /// # Errors
    /// Those of [`Provider::call`]; retryable when the answer is no transcript.
    async fn hear(&self, sound: &Sound, plan: Plan, context: &LinkContext<'_>) -> Result<Heard>;

    /// Asks for a transcript that is sent to `callback`; answers with what tells it from others.
    ///
    /// # Errors
    /// As [`hear`](Self::hear); a configuration error for vendors that cannot.
    async fn order(&self, _: &Sound, _: Plan, _: &str, _: &LinkContext<'_>) -> Result<String> {
        Err(Error::configuration("this vendor sends no callbacks").help("leave `callback` out"))
    }

    /// What a callback brought, for the order of this name.
    ///
    /// # Errors
    /// Permanent for what is no transcript.
    fn delivered(&self, _: &Value, _: &str, _: Plan, _: &LinkContext<'_>) -> Result<Option<Heard>> {
        Ok(None)
    }

    /// Puts the answers to the parts of one recording together; `None` stands for silence, which nobody was asked about.
    fn join(&self, pieces: Vec<Piece>) -> Value;

    /// The body of the analysis out of the (joined) answer.
    fn body(&self, answer: Value) -> Value {
        answer
    }

    /// Whether there is anything in a body to be written.
    fn is_result(&self, _body: &Value) -> bool {
        true
    }

    /// Tries the keys by a call that costs nothing.
    async fn probe(&self, http: &HttpClient) -> Vec<Probe>;

    /// The options as vcon-server writes them to `vendor_schema`, without secrets; `None`: it writes none.
    fn opts(&self) -> Option<Value>;
}

/// The name, key, limits and figures of a vendor.
pub(super) struct Account {
    /// The member `vendor` of the analysis.
    pub(super) label: &'static str,
    pub(super) provider: Provider,
    /// The model, for prices.
    pub(super) model: String,
    /// The model that the usage report names.
    pub(super) reported_model: String,
    /// The usage report and its type; `None`: nobody asked for one, or vcon-server's link sends none.
    pub(super) report: Option<(UsageReport, &'static str)>,
    pub(super) timeout: Duration,
    pub(super) minimum_duration: f64,
    pub(super) minimum_confidence: f64,
    pub(super) url_timeout: Option<Duration>,
    /// Everything of the options that changes the result, for the result's key.
    pub(super) fingerprint: String,
}

/// What a vendor takes in one call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Accepts {
    pub(super) max_bytes: u64,
    pub(super) max_duration: Duration,
    /// In decibels relative to full scale.
    pub(super) silence_dbfs: f32,
    pub(super) silence: Duration,
    /// It fetches URLs.
    pub(super) urls: bool,
    /// It transcribes channels by themselves when it is asked to.
    pub(super) channels: bool,
    /// It tells speakers apart when it is asked to.
    pub(super) speakers: bool,
    /// A recording goes to it whole, and not by channels: answers cannot be joined.
    pub(super) whole: bool,
}

/// What a vendor is asked for beside the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Plan {
    /// Each channel by itself.
    pub(super) separate: bool,
    /// Speakers told apart.
    pub(super) diarize: bool,
}

/// What is sent.
#[derive(Debug)]
pub(super) enum Sound {
    /// The vendor fetches it.
    Url {
        url: String,
        seconds: Option<f64>,
        /// Of the recording, as far as that is known.
        channels: u16,
    },
    /// The file.
    File {
        part: Part,
        channels: u16,
        /// The name and media type that the dialog gives it, for vfun.
        named: Named,
    },
}

/// How a dialog names its recording.
#[derive(Debug, Clone, Default)]
pub(super) struct Named {
    pub(super) filename: Option<String>,
    pub(super) dialog: usize,
}

impl Sound {
    pub(super) fn seconds(&self) -> f64 {
        match self {
            Sound::Url { seconds, .. } => seconds.unwrap_or_default(),
            Sound::File { part, .. } => part.duration.as_secs_f64(),
        }
    }

    pub(super) fn channels(&self) -> u16 {
        match self {
            Sound::Url { channels, .. } | Sound::File { channels, .. } => *channels,
        }
    }

    /// The file; a defect of the link when a vendor that cannot fetch gets a URL.
    pub(super) fn file(&self) -> Result<(&Part, &Named)> {
        match self {
            Sound::File { part, named, .. } => Ok((part, named)),
            Sound::Url { .. } => Err(Error::permanent("this vendor fetches no URLs").help("leave `send` out")),
        }
    }
}

/// An answer, with what it cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) answer: Value,
    pub(super) used: Used,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Used {
    /// Seconds of sound.
    #[serde(default)]
    pub(super) seconds: f64,
    #[serde(default)]
    pub(super) input_tokens: f64,
    #[serde(default)]
    pub(super) output_tokens: f64,
}

impl Used {
    pub(super) fn plus(self, other: Used) -> Used {
        Used {
            seconds: self.seconds + other.seconds,
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
        }
    }
}

/// The answer to one part, with its place in the recording.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) index: usize,
    pub(super) channel: Option<u16>,
    pub(super) offset: f64,
    pub(super) seconds: f64,
    pub(super) answer: Option<Value>,
}

/// What a vendor says to a call that asks for nothing but who we are.
pub(super) fn accepted(_: &Response) -> Result<String> {
    Ok("accepts the key".to_owned())
}

impl Account {
    /// One call that is paid for: `build` makes the request of a key, `used` reads out of the answer what it used.
    pub(super) async fn call(
        &self,
        sound: &Sound,
        context: &LinkContext<'_>,
        tokens: f64,
        build: impl Fn(&Secret) -> Result<Request> + Sync,
    ) -> Result<Response> {
        let estimate = Estimate { tokens, audio_seconds: sound.seconds() * f64::from(sound.channels().max(1)) };
        let total =
            |answer: &Response| serde_json::from_slice::<Value>(&answer.body).ok()?["usage"]["total_tokens"].as_f64();
        let asked = Asked {
            audio_seconds: Some(estimate.audio_seconds),
            ..Asked::of("transcription", self.provider.name(), &self.model)
        };
        let call = Call { estimate, tokens: Some(&total), asked: Some(asked) };
        let build = |key: &Secret| Ok(build(key)?.timeout(self.timeout));
        Box::pin(self.provider.call_judged(context, call, build, judged)).await
    }

    /// Books what a call used.
    pub(super) fn spend(&self, used: Used, context: &LinkContext<'_>) {
        let amounts =
            [(INPUT_TOKENS, used.input_tokens), (OUTPUT_TOKENS, used.output_tokens), (AUDIO_SECONDS, used.seconds)];
        context.spend(self.provider.name(), &self.model, &amounts);
    }
}

/// OpenAI says 429 also when the account is empty, which no waiting mends
/// (<https://platform.openai.com/docs/guides/error-codes>).
fn judged(answer: &Response, error: Error) -> Error {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !["code", "type"].iter().any(|name| body["error"][*name] == "insufficient_quota") {
        return error;
    }
    Error::configuration(error.message())
        .help("the account has no credit left: check its balance and limits at the vendor")
}

/// What differs between the forms of the options, and between vendors, when an [`Account`] is made.
pub(super) struct Terms {
    pub(super) label: &'static str,
    pub(super) provider: &'static str,
    pub(super) model: String,
    pub(super) report: Option<&'static str>,
    pub(super) needs_key: bool,
    /// vcon-server's defaults.
    pub(super) minimum_duration: f64,
    pub(super) minimum_confidence: f64,
}

impl Account {
    pub(super) fn new(service: &Service, contract: bool, terms: Terms) -> Result<Self> {
        let at_least_zero = |name: &str, value: Option<f64>, most: f64, default: f64| match value {
            Some(value) if (0.0..=most).contains(&value) => Ok(value),
            Some(value) => Err(Error::configuration(format!("`{name}` is {value}"))
                .help(format!("write a number from 0{}", if most < 2.0 { " to 1" } else { "" }))),
            None => Ok(if contract { default } else { 0.0 }),
        };
        let timeout = service.timeout.map_or(TIMEOUT, |timeout| timeout.0);
        if timeout.is_zero() {
            return Err(Error::configuration("`timeout` is 0").help("write a time such as 10m"));
        }
        let keys = service.api_key.clone().unwrap_or_default();
        let provider = Provider::new(terms.provider, keys, service.limits.clone().unwrap_or_default())?;
        if terms.needs_key && !provider.has_key() {
            let message = format!("`api_key` is missing: {} lets nobody in without one", terms.provider);
            return Err(Error::configuration(message).help("write `api_key: ${env:NAME}`, with the variable's name"));
        }
        let shown = serde_json::to_value(service).unwrap_or_default();
        let fingerprint = json!([terms.provider, terms.model, shown, service.base_url, contract]).to_string();
        Ok(Account {
            label: terms.label,
            provider,
            reported_model: terms.model.clone(),
            model: terms.model,
            report: report(service).zip(terms.report),
            timeout,
            minimum_duration: at_least_zero(
                "minimum_duration",
                service.minimum_duration,
                f64::MAX,
                terms.minimum_duration,
            )?,
            minimum_confidence: at_least_zero(
                "minimum_confidence",
                service.minimum_confidence,
                1.0,
                terms.minimum_confidence,
            )?,
            url_timeout: service.url_timeout.map(|timeout| timeout.0),
            fingerprint,
        })
    }
}

fn report(service: &Service) -> Option<UsageReport> {
    let url = service.send_ai_usage_data_to_url.clone().filter(|url| !url.is_empty())?;
    Some(UsageReport { url, token: service.ai_usage_api_token.clone() })
}

/// Makes the vendor that the options name. `contract`: they are in vcon-server's form.
///
/// # Errors
/// A configuration error with the option's name.
pub(super) fn vendor(service: &Service, contract: bool) -> Result<Box<dyn Vendor>> {
    let name = service.vendor.ok_or_else(|| {
        Error::configuration("an entry of `fallback` names no `vendor`").help("write {vendor: groq, api_key: ...}")
    })?;
    Ok(match name {
        VendorName::Deepgram if service.litellm_proxy_url.is_some() => {
            Box::new(openai::OpenAi::for_deepgram_options(service, contract)?)
        }
        VendorName::Deepgram => Box::new(deepgram::Deepgram::new(service, contract)?),
        VendorName::OpenAi | VendorName::Azure | VendorName::LiteLlm | VendorName::Groq => {
            Box::new(openai::OpenAi::new(name, service, contract)?)
        }
        VendorName::HuggingFace => Box::new(hugging_face::HuggingFace::new(service, contract)?),
        VendorName::Vfun => Box::new(vfun::Vfun::new(service, contract)?),
        VendorName::WhisperBuiltin => {
            return Err(Error::configuration("`vendor`: there is no `whisper_builtin` here").help(
                "run a server for Whisper and write `vendor: openai` with its `base_url`, or name another vendor",
            ));
        }
    })
}

/// The URL `path` under `base`.
///
/// # Errors
/// A configuration error when `base` is no http or https URL.
pub(super) fn endpoint(option: &str, base: &str, path: &str) -> Result<Url> {
    let wrong = || {
        Error::configuration(format!("`{option}` is not an http or https URL")).help("write it like https://host/path")
    };
    let url = Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
}

/// What `vendor_schema` holds: the defaults of vcon-server's link with the operator's options over them.
pub(super) fn opts(defaults: Value, service: &Service) -> Option<Value> {
    let (Value::Object(mut opts), Ok(Value::Object(own))) = (defaults, serde_json::to_value(service)) else {
        return None;
    };
    opts.extend(own);
    Some(Value::Object(opts))
}

/// Parameters under the vendor's names as texts: a list is several of one name, a map is JSON.
///
/// # Errors
/// A configuration error for one of `taken`, which have options of their own.
pub(super) fn parameters(api: Option<&Map<String, Value>>, taken: &[&str]) -> Result<Vec<(String, String, bool)>> {
    let mut all = Vec::new();
    for (name, value) in api.into_iter().flatten() {
        if taken.contains(&name.as_str()) {
            return Err(Error::configuration(format!("`api` holds `{name}`, which the link itself says"))
                .help(format!("use the option `{name}`, or leave it out")));
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match value {
            Value::Null => {}
            Value::Array(values) => all.extend(values.iter().map(|value| (name.clone(), text(value), true))),
            value => all.push((name.clone(), text(value), false)),
        }
    }
    Ok(all)
}
