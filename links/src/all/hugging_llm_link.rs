//! `links.hugging_llm_link`: text generation at Hugging Face (contract 2.12).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use vconductor_core::config::Period;
use vconductor_core::document::Edit;
use vconductor_core::http::{HttpClient, Request, Response, Url};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::provider::{Asked, Call, Keep, Limits, OneOrMore, Provider, ResultKey, cached};
use vconductor_core::secret::Secret;
use vconductor_core::transcript;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use crate::analysis::{TRANSCRIPTS, analysis_of, hugging_face_account};

/// The type of the analysis.
const KIND: &str = "llm_analysis";

/// The longest text that is sent; the service refuses far less, and says so.
const LONGEST: usize = 1024 * 1024;

/// Sends all transcripts of a vCon to a text generation model at Hugging Face and writes what it adds as an analysis of type
/// `llm_analysis`.
///
/// A vCon that has one already is passed over, and so is one without transcripts. The model gets the bare text, as
/// vcon-server sends it; for a model that follows instructions use `links.analyze` with a `base_url`.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// The key, or several that share the load.
    #[serde(rename = "HUGGINGFACE_API_KEY", alias = "api_key")]
    #[schemars(extend("x-result" = false, "x-alias" = ["api_key"]))]
    huggingface_api_key: OneOrMore,
    /// The model.
    model: String,
    /// Only `false`: models on this machine are called through a server, by `links.analyze`.
    use_local_model: bool,
    /// The most tokens of input and answer.
    max_length: u32,
    /// How freely the model words its answer.
    temperature: f64,
    /// What stands before the model's name in the URL.
    base_url: String,
    /// How long an answer is kept for the same text: `30d` (default), `off`. It is deleted with the vCon.
    #[schemars(extend("x-result" = false))]
    cache: Keep,
    /// What the provider lets each key do; all conductors on one store share it.
    #[schemars(extend("x-result" = false))]
    limits: Limits,
    /// The limit for one call.
    #[schemars(extend("x-result" = false))]
    timeout: Period,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            huggingface_api_key: OneOrMore::default(),
            model: "meta-llama/Llama-2-70b-chat-hf".to_owned(),
            use_local_model: false,
            max_length: 1000,
            temperature: 0.7,
            base_url: "https://api-inference.huggingface.co/models".to_owned(),
            cache: Keep::default(),
            limits: Limits::default(),
            timeout: Period(Duration::from_secs(120)),
        }
    }
}

struct HuggingLlmLink {
    provider: Provider,
    url: Url,
    model: String,
    parameters: Value,
    keep: Keep,
    timeout: Duration,
}

register_link!(HuggingLlmLink);

impl LinkPlugin for HuggingLlmLink {
    const MODULE: &'static str = "links.hugging_llm_link";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
generate:
  module: links.hugging_llm_link
  options:
    HUGGINGFACE_API_KEY: ${env:HUGGINGFACE_API_KEY}
    model: mistralai/Mistral-7B-Instruct-v0.3
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if options.use_local_model {
            return Err(Error::configuration("option `use_local_model`: models are not loaded into this process")
                .help("run a server such as vLLM or Ollama and use `links.analyze` with its `base_url`"));
        }
        let mut url = Url::parse(&options.base_url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if let Some(Ok(mut path)) = url.as_mut().map(Url::path_segments_mut) {
            // A model's name has a slash in it.
            path.pop_if_empty().extend(options.model.split('/'));
        }
        let url = url.ok_or_else(|| {
            Error::configuration("option `base_url` is not an http or https URL")
                .help("write it like https://host/path")
        })?;
        let provider = Provider::new("huggingface", options.huggingface_api_key, options.limits)?;
        if !provider.has_key() {
            return Err(Error::configuration("no `HUGGINGFACE_API_KEY`")
                .help("write `HUGGINGFACE_API_KEY: ${env:HUGGINGFACE_API_KEY}` and set that variable"));
        }
        Ok(HuggingLlmLink {
            provider,
            url,
            parameters: json!({"max_length": options.max_length, "temperature": options.temperature}),
            model: options.model,
            keep: options.cache,
            timeout: options.timeout.0,
        })
    }
}

#[async_trait]
impl Link for HuggingLlmLink {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if vcon.analyses().any(|analysis| analysis.kind().is_some_and(|kind| kind == KIND)) {
            return Ok(Outcome::Continue);
        }
        let found = transcript::find(vcon);
        let text = found.iter().map(|found| found.transcript.text.as_str()).collect::<Vec<_>>().join("\n");
        if text.trim().is_empty() {
            context.note("no transcript: nothing was done");
            return Ok(Outcome::Continue);
        }
        if text.len() > LONGEST {
            return Err(Error::permanent(format!("the transcripts have more than {LONGEST} bytes"))
                .help("use `links.analyze`, which cuts long texts"));
        }
        let generated = context.once("text", Box::pin(self.generated(context, &text))).await?;
        let mut dialogs: Vec<usize> = found.into_iter().flat_map(|found| found.dialogs).collect();
        dialogs.sort_unstable();
        dialogs.dedup();
        let body = json!({"analysis": generated, "model": self.model, "parameters": self.parameters});
        let mut opts = json!({"model": self.model, "use_local_model": false});
        if let (Value::Object(opts), Value::Object(parameters)) = (&mut opts, &self.parameters) {
            opts.extend(parameters.clone());
        }
        let analysis = analysis_of(&dialogs, KIND, "huggingface").body(body);
        context.edit(Edit::AddAnalysis(analysis.member("vendor_schema", json!({"opts": opts}))));
        Ok(Outcome::Continue)
    }

    fn facts(&self) -> Facts {
        Facts::analysis(TRANSCRIPTS, KIND)
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        match hugging_face_account(&self.url) {
            Some(account) => {
                let ask = |key: &Secret| Request::get(account)?.bearer(key);
                self.provider.probe(http, ask, |_| Ok("accepts the key".to_owned())).await
            }
            None => vec![Probe::address(http, &self.url).await],
        }
    }
}

impl HuggingLlmLink {
    /// What the model adds to the text.
    async fn generated(&self, context: &LinkContext<'_>, text: &str) -> Result<String> {
        let body = json!({"inputs": text, "parameters": self.parameters}).to_string();
        let key = ResultKey::new("text generation 1").with(self.url.as_str()).with(&body);
        let body = Bytes::from(body);
        let work = async {
            let build = |key: &Secret| {
                let request = Request::post(self.url.as_str())?.bearer(key)?.timeout(self.timeout);
                request.body("application/json", body.clone())
            };
            let asked = Asked::of("text_completion", "huggingface", &self.model);
            let call = Call { asked: Some(asked), ..Call::default() };
            let call = self.provider.call_judged(context, call, build, wait_for_the_model);
            read(&Box::pin(call).await?)
        };
        cached(context, &key, self.keep.0, work).await.map(|(text, _)| text)
    }
}

/// A model that is being loaded says for how many seconds: `{"error": "...", "estimated_time": 20.0}`.
fn wait_for_the_model(answer: &Response, error: Error) -> Error {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let seconds = body["estimated_time"].as_f64().filter(|seconds| (0.0..=3600.0).contains(seconds));
    match seconds.map(Duration::from_secs_f64) {
        Some(wait) if error.is_retryable() && error.wait().is_none() => error.retry_after(wait),
        _ => error,
    }
}

/// `[{"generated_text": "..."}]`
fn read(answer: &Response) -> Result<String> {
    let body: Value = answer.json()?;
    let first = body.get(0).unwrap_or(&body);
    match first["generated_text"].as_str().map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Error::retryable("Hugging Face answered without a `generated_text`")
            .help("it is asked again; check that the model generates text")),
    }
}
