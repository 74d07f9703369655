//! `links.analyze`: what a language model makes of each dialog (contract 2.1).

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::config::Mode;
use vconductor_core::document::Edit;
use vconductor_core::http::HttpClient;
use vconductor_core::language::{Answer, Form, LanguageModel, Settings, Task};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::provider::UsageReport;
use vconductor_core::secret::Secret;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Result, register_link};

use crate::analysis::{Gate, Source, SourceOptions, analysis_of, model_options};

/// Where vcon-server's deepgram link puts its text.
const TEXT: &str = "body.paragraphs.transcript";

/// The task where the options give none.
const SUMMARISE: &str = "Summarise the conversation.";

const SYSTEM_PROMPT: &str = "You are a helpful assistant who works on conversations of a contact centre.";

fn analysis_type() -> String {
    "summary".to_owned()
}

fn model() -> String {
    "gpt-3.5-turbo-16k".to_owned()
}

fn system_prompt() -> String {
    SYSTEM_PROMPT.to_owned()
}

model_options! {
    /// Asks a language model about each dialog and writes what it answers as an analysis.
    ///
    /// A dialog that has an analysis of this type already is passed over, and so is one without text. The text is fenced and
    /// handed over as data, so that what somebody says in a call is no instruction. Each dialog's answer is in the
    /// ledger as soon as it is there: a retry pays for none again.
    struct Options {
        /// What the model shall do with the text. Without it, and without a `system_prompt`: summarise the conversation.
        #[serde(default)]
        prompt: String,
        /// The `type` of the analysis that is written.
        #[serde(default = "analysis_type")]
        analysis_type: String,
        /// The model.
        #[serde(default = "model")]
        model: String,
        /// How freely the model words its answer, from 0. Models that reason take none, and are sent none.
        #[serde(default)]
        temperature: f64,
        /// Who the model is.
        #[serde(default = "system_prompt")]
        system_prompt: String,
        /// Where the text of a dialog is found. Default: `{analysis_type: transcript, text_location:
        /// body.paragraphs.transcript}`, or the transcript in any other known shape.
        #[serde(default)]
        source: Option<SourceOptions>,
        /// A JSON Schema: the answer is JSON that fits it. One that does not fit is sent back once, and is then an error.
        #[serde(default)]
        schema: Option<Value>,
        /// Where the tokens of each call are reported to, as vcon-server does.
        #[serde(default)]
        #[schemars(extend("x-result" = false))]
        send_ai_usage_data_to_url: Option<String>,
        /// The bearer token for that URL.
        #[serde(default)]
        ai_usage_api_token: Secret,
    }
}

struct Analyze {
    gate: Gate,
    source: Source,
    analysis_type: String,
    model: LanguageModel,
    task: Task,
    vendor_schema: Value,
}

register_link!(Analyze);

impl LinkPlugin for Analyze {
    const MODULE: &'static str = "links.analyze";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
summarise:
  module: links.analyze
  options:
    provider: anthropic
    model: claude-haiku-4-5
    api_key: ${env:ANTHROPIC_API_KEY}
    prompt: Summarise the call in three sentences. Name what the customer wants and what was promised.
    limits: {requests_per_minute: 50, tokens_per_minute: 50000}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let url = options.send_ai_usage_data_to_url.clone().filter(|url| !url.is_empty());
        let token = Some(options.ai_usage_api_token.clone()).filter(|token| !token.is_empty());
        let report = url.map(|url| (UsageReport { url, token }, "ANALYZE"));
        let form = match &options.schema {
            Some(schema) => Form::schema("analysis", schema.clone())?,
            None => Form::Text,
        };
        let has_no_task = options.prompt.trim().is_empty() && options.system_prompt == SYSTEM_PROMPT;
        let task = Task {
            system: options.system_prompt.clone(),
            prompt: if has_no_task { SUMMARISE.to_owned() } else { options.prompt.clone() },
            form,
            temperature: Some(options.temperature),
            material: "transcript",
            keep_unreadable: false,
        };
        Ok(Analyze {
            gate: options.gate()?,
            model: LanguageModel::new(&options.model, &options.access(), Settings { report, ..options.settings() })?,
            vendor_schema: json!({"model": options.model, "prompt": options.prompt}),
            source: Source::new(options.source, TEXT)?,
            analysis_type: options.analysis_type,
            task,
        })
    }

    fn for_mode(self, mode: &Mode) -> Self {
        Analyze { gate: self.gate.for_mode(mode), ..self }
    }
}

#[async_trait]
impl Link for Analyze {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if !self.gate.is_open(vcon, context) {
            return Ok(Outcome::Continue);
        }
        for target in self.source.targets(vcon, &self.analysis_type) {
            let part = target.part();
            let work = self.model.answer(context, &part, &self.task, &target.text);
            let answer: Answer = context.once(&part, Box::pin(work)).await?;
            let body = answer.value.unwrap_or(Value::String(answer.text));
            let analysis = analysis_of(&target.dialogs, &self.analysis_type, self.model.vendor()).body(body);
            context.edit(Edit::AddAnalysis(analysis.member("vendor_schema", &self.vendor_schema)));
        }
        Ok(Outcome::Continue)
    }

    fn facts(&self) -> Facts {
        Facts { partial: self.gate.is_partial(), ..Facts::analysis(self.source.reads(), &self.analysis_type) }
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        self.model.probe(http).await
    }
}
