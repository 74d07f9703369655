//! `links.detect_engagement`: whether both sides spoke (contract 2.5).

use async_trait::async_trait;
use serde_json::json;
use vconductor_core::config::Mode;
use vconductor_core::document::Edit;
use vconductor_core::http::HttpClient;
use vconductor_core::language::{Answer, Form, Interface, LanguageModel, Settings, Task};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Result, register_link};

use crate::analysis::{Gate, Source, SourceOptions, analysis_of, model_options};

const TEXT: &str = "body.paragraphs.transcript";

/// The variable out of which vcon-server takes the key of this link alone.
const VARIABLE: &str = "OPENAI_API_KEY";

fn prompt() -> String {
    "Did both the customer and the agent speak in this conversation? Answer `true` if both did, `false` if not."
        .to_owned()
}

fn analysis_type() -> String {
    "engagement_analysis".to_owned()
}

fn model() -> String {
    "gpt-4.1".to_owned()
}

fn temperature() -> f64 {
    0.2
}

model_options! {
    /// Asks a language model whether both sides spoke in each dialog, and writes the answer as an analysis and as the tag
    /// `engagement:true` or `engagement:false`.
    ///
    /// OpenAI, Azure and LiteLLM are called by the Responses API, others by chat completions. Without any key the variable
    /// `OPENAI_API_KEY` is used; when that is not set either, nothing is done and a warning is logged, as in vcon-server.
    struct Options {
        /// The question; the answer to it is `true` or `false`.
        #[serde(default = "prompt")]
        prompt: String,
        /// The `type` of the analysis that is written.
        #[serde(default = "analysis_type")]
        analysis_type: String,
        /// The model.
        #[serde(default = "model")]
        model: String,
        /// How freely the model words its answer, from 0. Models that reason take none, and are sent none.
        #[serde(default = "temperature")]
        temperature: f64,
        /// Where the text of a dialog is found. Default: `{analysis_type: transcript, text_location:
        /// body.paragraphs.transcript}`, or the transcript in any other known shape.
        #[serde(default)]
        source: Option<SourceOptions>,
    }
}

struct DetectEngagement {
    gate: Gate,
    source: Source,
    analysis_type: String,
    /// `None` without credentials.
    model: Option<LanguageModel>,
    task: Task,
    prompt: String,
}

register_link!(DetectEngagement);

impl LinkPlugin for DetectEngagement {
    const MODULE: &'static str = "links.detect_engagement";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
engaged:
  module: links.detect_engagement
  options:
    model: gpt-4.1-mini
    api_key: ${env:OPENAI_API_KEY}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let task = Task {
            system: String::new(),
            prompt: options.prompt.clone(),
            form: Form::Word(&["true", "false"]),
            temperature: Some(options.temperature),
            material: "transcript",
            keep_unreadable: false,
        };
        let mut access = options.access();
        if !access.is_given() {
            access.openai_api_key = Secret::new(std::env::var(VARIABLE).unwrap_or_default());
        }
        let settings = Settings { interface: Interface::Responses, ..options.settings() };
        let model = access.is_given().then(|| LanguageModel::new(&options.model, &access, settings)).transpose()?;
        Ok(DetectEngagement {
            gate: options.gate()?,
            source: Source::new(options.source, TEXT)?,
            analysis_type: options.analysis_type,
            model,
            task,
            prompt: options.prompt,
        })
    }

    fn for_mode(self, mode: &Mode) -> Self {
        DetectEngagement { gate: self.gate.for_mode(mode), ..self }
    }
}

#[async_trait]
impl Link for DetectEngagement {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let Some(model) = &self.model else {
            tracing::warn!(uuid = context.step.uuid, link = context.step.key.link, "no key for a language model");
            context.note("no key for a language model: nothing was done; write `api_key`");
            return Ok(Outcome::Continue);
        };
        if !self.gate.is_open(vcon, context) {
            return Ok(Outcome::Continue);
        }
        for target in self.source.targets(vcon, &self.analysis_type) {
            let part = target.part();
            let work = model.answer(context, &part, &self.task, &target.text);
            let answer: Answer = context.once(&part, Box::pin(work)).await?;
            let is_engaged = answer.text == "true";
            let vendor_schema = json!({"model": model.name(), "prompt": self.prompt, "is_engaged": is_engaged});
            let body = serde_json::Value::String(is_engaged.to_string());
            let analysis = analysis_of(&target.dialogs, &self.analysis_type, model.vendor_or_openai()).body(body);
            context.edit(Edit::AddAnalysis(analysis.member("vendor_schema", vendor_schema)));
            context.add_tag("engagement", is_engaged.to_string());
        }
        Ok(Outcome::Continue)
    }

    fn facts(&self) -> Facts {
        Facts { partial: self.gate.is_partial(), ..Facts::analysis(self.source.reads(), &self.analysis_type) }
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        match &self.model {
            Some(model) => model.probe(http).await,
            None => Vec::new(),
        }
    }
}
