//! OpenAI's audio transcriptions, and what has the same interface: Azure OpenAI, LiteLLM, Groq, servers of one's own.
//!
//! * <https://platform.openai.com/docs/api-reference/audio/createTranscription>
//! * <https://console.groq.com/docs/speech-to-text>

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::http::{Form, HttpClient, Request, Url};
use vconductor_core::plugin::{LinkContext, Probe};
use vconductor_core::provider::OneOrMore;
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

use super::options::{Service, Timestamps, VendorName};
use super::timeline;
use super::vendor::{self, Accepts, Account, Heard, Piece, Plan, Sound, Terms, Used, Vendor, endpoint, parameters};

/// Both take 25 MiB; a form has some bytes around the file.
const MOST_BYTES: u64 = 25_000_000;

/// Tokens of a second of sound and of what is said in it, for the estimate of a call.
const TOKENS_PER_SECOND: f64 = 14.0;

/// Where the interface differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    OpenAi,
    Azure,
    LiteLlm,
    Groq,
}

pub(super) struct OpenAi {
    account: Account,
    face: Face,
    url: Url,
    /// Fields of the form besides the file.
    fields: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    accepts: Accepts,
    opts: Option<Value>,
    /// The options are Deepgram's, and so is the form of the result.
    as_deepgram: bool,
}

impl OpenAi {
    pub(super) fn new(name: VendorName, service: &Service, contract: bool) -> Result<Self> {
        // The contract's order: a proxy, Azure, the public interface (contract, 2.0).
        let face = match name {
            VendorName::Groq => Face::Groq,
            VendorName::LiteLlm => Face::LiteLlm,
            VendorName::Azure => Face::Azure,
            _ if service.litellm_proxy_url.is_some() => Face::LiteLlm,
            _ if service.azure_openai_endpoint.is_some() => Face::Azure,
            _ => Face::OpenAi,
        };
        let is_groq = face == Face::Groq;
        let model = service.model.clone();
        let model =
            model.unwrap_or_else(|| if is_groq { "whisper-large-v3-turbo" } else { "gpt-4o-transcribe" }.to_owned());
        let label = match name {
            VendorName::Groq => "groq_whisper",
            VendorName::Azure => "azure",
            VendorName::LiteLlm => "litellm",
            _ => "openai",
        };
        let terms = Terms {
            label,
            provider: face.provider(),
            model,
            report: (!is_groq).then_some("OPENAI_TRANSCRIBE"),
            needs_key: service.base_url.is_none() || matches!(face, Face::Azure),
            minimum_duration: if is_groq { 30.0 } else { 3.0 },
            minimum_confidence: 0.0,
        };
        let defaults = match (contract, face) {
            (false, _) => json!({}),
            (true, Face::Groq) => json!({"minimum_duration": 30, "Content-Type": "audio/flac"}),
            (true, _) => json!({
                "model": "gpt-4o-transcribe", "language": "en", "minimum_duration": 3, "max_chunk_duration": 480,
                "use_silence_chunking": true, "silence_thresh": -40, "silence_len": 2000, "AZURE_OPENAI_ENDPOINT": null,
                "AZURE_OPENAI_API_VERSION": "2024-10-21",
            }),
        };
        Self::with(face, service, contract, terms, defaults)
    }

    /// Deepgram's models through a LiteLLM proxy (contract, 2.7).
    pub(super) fn for_deepgram_options(service: &Service, contract: bool) -> Result<Self> {
        let api = service.api.clone().unwrap_or_default();
        let of_api = api.get("model").and_then(Value::as_str).map(str::to_owned);
        let terms = Terms {
            label: "deepgram",
            provider: Face::LiteLlm.provider(),
            model: service.model.clone().or(of_api).unwrap_or_else(|| "nova-3".to_owned()),
            report: None,
            needs_key: true,
            minimum_duration: 60.0,
            minimum_confidence: 0.0,
        };
        let defaults = if contract { json!({"minimum_duration": 60, "minimum_confidence": 0.5}) } else { json!({}) };
        let opts = vendor::opts(defaults, service);
        // Deepgram's parameters are none of the proxy's.
        let service = Service { api: None, timestamps: Some(Timestamps::None), ..service.clone() };
        Ok(OpenAi { as_deepgram: true, opts, ..Self::with(Face::LiteLlm, &service, contract, terms, json!({}))? })
    }

    fn with(face: Face, service: &Service, contract: bool, terms: Terms, defaults: Value) -> Result<Self> {
        let keyed = Service { api_key: keys(face, service), ..service.clone() };
        let account = Account::new(&keyed, contract, terms)?;
        let url = face.url(service, &account.model)?;
        let mut headers = Vec::new();
        if face == Face::OpenAi || face == Face::LiteLlm {
            headers.extend(service.organization.clone().map(|value| ("OpenAI-Organization", value)));
            headers.extend(service.project.clone().map(|value| ("OpenAI-Project", value)));
        }
        let seconds = service.max_chunk_duration.unwrap_or(if face == Face::Groq { 86_400.0 } else { 480.0 });
        let max_duration = Duration::try_from_secs_f64(seconds).ok().filter(|longest| longest.as_secs() >= 10);
        let max_duration = max_duration.ok_or_else(|| {
            Error::configuration(format!("`max_chunk_duration` is {seconds}")).help("write 10 or more seconds")
        })?;
        let by_silence = service.use_silence_chunking.unwrap_or(true);
        let silence = Duration::try_from_secs_f64(service.silence_len.unwrap_or(2000.0) / 1000.0)
            .map_err(|_| Error::configuration("`silence_len` is no time").help("write milliseconds"))?;
        Ok(OpenAi {
            fields: fields(face, service, &account.model, contract)?,
            accepts: Accepts {
                max_bytes: MOST_BYTES,
                max_duration,
                silence_dbfs: service.silence_thresh.unwrap_or(-40.0) as f32,
                // Longer than anything: cuts are where they are wanted.
                silence: if by_silence { silence } else { Duration::from_secs(365 * 86_400) },
                urls: false,
                channels: false,
                speakers: account.model.ends_with("-diarize"),
                whole: false,
            },
            opts: vendor::opts(defaults, service).map(|opts| with_endpoint(opts, service)),
            account,
            face,
            url,
            headers,
            as_deepgram: false,
        })
    }

    fn request(&self, form: &(String, bytes::Bytes), key: &Secret) -> Result<Request> {
        self.sealed(Request::post(self.url.as_str())?.body(&form.0, form.1.clone())?, key)
    }

    /// A request with the key, in the way that the vendor wants it.
    fn sealed(&self, mut request: Request, key: &Secret) -> Result<Request> {
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        match self.face {
            Face::Azure => request.secret_header("api-key", key),
            _ if key.is_empty() => Ok(request),
            _ => request.bearer(key),
        }
    }
}

impl Face {
    fn provider(self) -> &'static str {
        match self {
            Face::OpenAi => "openai",
            Face::Azure => "azure",
            Face::LiteLlm => "litellm",
            Face::Groq => "groq",
        }
    }

    fn url(self, service: &Service, model: &str) -> Result<Url> {
        let base = service.base_url.as_deref();
        match self {
            Face::OpenAi => endpoint("base_url", base.unwrap_or("https://api.openai.com/v1"), "/audio/transcriptions"),
            Face::Groq => {
                endpoint("base_url", base.unwrap_or("https://api.groq.com/openai/v1"), "/audio/transcriptions")
            }
            Face::LiteLlm => {
                let base = service.litellm_proxy_url.as_deref().or(base);
                let base = base.ok_or_else(|| {
                    Error::configuration("`base_url` is missing")
                        .help("write the proxy's URL, for example https://litellm.example.com")
                })?;
                endpoint("base_url", base, "/audio/transcriptions")
            }
            Face::Azure => {
                let base = service.azure_openai_endpoint.as_deref().or(base);
                let base = base.ok_or_else(|| {
                    Error::configuration("`base_url` is missing")
                        .help("write the resource's URL, like https://NAME.openai.azure.com")
                })?;
                let mut url = endpoint("base_url", base, "")?;
                if let Ok(mut path) = url.path_segments_mut() {
                    path.pop_if_empty().extend(["openai", "deployments", model, "audio", "transcriptions"]);
                }
                let version = service.azure_openai_api_version.as_deref().unwrap_or("2024-10-21");
                url.query_pairs_mut().append_pair("api-version", version);
                Ok(url)
            }
        }
    }
}

/// The keys of a face, under the names that the options have for them.
fn keys(face: Face, service: &Service) -> Option<OneOrMore> {
    let one = |key: &Option<Secret>| key.clone().filter(|key| !key.is_empty()).map(OneOrMore::One);
    let own = service.api_key.clone().filter(|keys| !keys.clone().into_keys().is_empty());
    match face {
        Face::LiteLlm => one(&service.litellm_master_key).or(own),
        Face::Azure => one(&service.azure_openai_api_key).or(own),
        Face::Groq => own.or_else(|| std::env::var("GROQ_API_KEY").ok().map(|key| OneOrMore::One(Secret::new(key)))),
        Face::OpenAi => own,
    }
}

/// The fields of the form besides the file.
fn fields(face: Face, service: &Service, model: &str, contract: bool) -> Result<Vec<(String, String)>> {
    let given = parameters(service.api.as_ref(), &["file", "model", "stream"])?;
    let mut fields = vec![("model".to_owned(), model.to_owned())];
    let has = |name: &str| given.iter().any(|(known, ..)| known == name);
    let mut add = |name: &str, value: &str| {
        if !has(name) {
            fields.push((name.to_owned(), value.to_owned()));
        }
    };
    let base = model.rsplit('/').next().unwrap_or(model);
    let times = service.timestamps.unwrap_or(if contract { Timestamps::None } else { Timestamps::Word });
    if base.ends_with("-diarize") {
        add("response_format", "diarized_json");
        add("chunking_strategy", "auto");
    } else if base.contains("whisper") && times != Timestamps::None {
        add("response_format", "verbose_json");
        if !has("timestamp_granularities") {
            fields.push(("timestamp_granularities[]".to_owned(), "segment".to_owned()));
            if times == Timestamps::Word {
                fields.push(("timestamp_granularities[]".to_owned(), "word".to_owned()));
            }
        }
    } else if face == Face::Groq {
        add("response_format", "json");
    }
    for (name, value) in [("language", &service.language), ("prompt", &service.prompt)] {
        if let Some(value) = value.as_ref().filter(|_| !has(name)) {
            fields.push((name.to_owned(), value.clone()));
        }
    }
    fields.extend(given.into_iter().map(|(name, value, is_listed)| {
        let is_marked = !is_listed || name.ends_with("[]");
        (if is_marked { name } else { format!("{name}[]") }, value)
    }));
    Ok(fields)
}

/// vcon-server writes Azure's endpoint, which is no secret as long as it holds none.
fn with_endpoint(mut opts: Value, service: &Service) -> Value {
    if let Some(url) = service.azure_openai_endpoint.as_deref().and_then(|url| Url::parse(url).ok()) {
        let is_plain = url.password().is_none() && url.username().is_empty() && url.query().is_none();
        opts["AZURE_OPENAI_ENDPOINT"] = if is_plain { url.as_str().trim_end_matches('/').into() } else { Value::Null };
    }
    opts
}

#[async_trait]
impl Vendor for OpenAi {
    fn account(&self) -> &Account {
        &self.account
    }

    fn accepts(&self) -> Accepts {
        self.accepts.clone()
    }

    async fn hear(&self, sound: &Sound, _: Plan, context: &LinkContext<'_>) -> Result<Heard> {
        let (part, _) = sound.file()?;
        let mut form = Form::new();
        for (name, value) in &self.fields {
            form = form.text(name, value);
        }
        let form = form.file("file", &part.file_name, &part.mediatype, &part.bytes).finish();
        let tokens = if self.account.model.contains("gpt-") { sound.seconds() * TOKENS_PER_SECOND } else { 0.0 };
        let answer = self.account.call(sound, context, tokens, |key| self.request(&form, key)).await?;
        let answer: Value = answer.json()?;
        if !answer["text"].is_string() {
            return Err(Error::retryable(format!("the answer of {} holds no `text`", self.account.provider.name()))
                .help("check that `base_url` is the interface itself, mostly with /v1 at its end"));
        }
        let used = used(&answer["usage"], sound.seconds());
        self.account.spend(used, context);
        Ok(Heard { answer, used })
    }

    fn join(&self, pieces: Vec<Piece>) -> Value {
        timeline::join(pieces)
    }

    fn body(&self, answer: Value) -> Value {
        if self.as_deepgram { json!({"transcript": answer["text"]}) } else { answer }
    }

    /// vcon-server takes no text from the proxy for no result.
    fn is_result(&self, body: &Value) -> bool {
        !self.as_deepgram || !timeline::text(body, "transcript").is_empty()
    }

    /// Lists the models that a key may use.
    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let mut url = self.url.clone();
        let base = match self.face {
            Face::Azure => url.path().split("/deployments/").next().unwrap_or_default(),
            _ => url.path().trim_end_matches("/audio/transcriptions"),
        };
        let models = format!("{base}/models");
        url.set_path(&models);
        let ask = |key: &Secret| self.sealed(Request::get(url.as_str())?, key);
        self.account.provider.probe(http, ask, vendor::accepted).await
    }

    fn opts(&self) -> Option<Value> {
        self.opts.clone()
    }
}

/// What the answer says that it used; without, the sound that was sent.
fn used(usage: &Value, seconds: f64) -> Used {
    let count = |name: &str| usage[name].as_f64().filter(|count| *count >= 0.0);
    match (count("input_tokens"), count("seconds")) {
        (Some(input_tokens), _) => {
            Used { input_tokens, output_tokens: count("output_tokens").unwrap_or(0.0), ..Used::default() }
        }
        (None, said) => Used { seconds: said.unwrap_or(seconds), ..Used::default() },
    }
}
