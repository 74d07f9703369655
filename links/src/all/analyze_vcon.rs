//! `links.analyze_vcon`: what a language model makes of a whole vCon (contract 2.3).

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::config::Mode;
use vconductor_core::document::Edit;
use vconductor_core::http::HttpClient;
use vconductor_core::language::{Answer, Form, LanguageModel, Settings, Task};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Result, register_link};

use crate::analysis::{Gate, analysis_of, model_options};

/// The ledger's name of the one answer.
const PART: &str = "vcon";

fn prompt() -> String {
    "Analyse this vCon and give the result as a JSON object.".to_owned()
}

fn analysis_type() -> String {
    "json_analysis".to_owned()
}

fn model() -> String {
    "gpt-3.5-turbo-16k".to_owned()
}

fn system_prompt() -> String {
    "You analyse conversations and answer in structured JSON.".to_owned()
}

fn yes() -> bool {
    true
}

model_options! {
    /// Asks a language model about the vCon as a whole and writes its JSON as an analysis.
    ///
    /// A vCon that has an analysis of this type already is passed over. The model sees the vCon's JSON, by default without
    /// the contents of its dialogs.
    struct Options {
        /// What the model shall do with the vCon.
        #[serde(default = "prompt")]
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
        /// Leaves out the `body` of dialogs, which is mostly sound.
        #[serde(default = "yes")]
        remove_body_properties: bool,
        /// A JSON Schema that the answer must fit. Default: any object.
        #[serde(default)]
        schema: Option<Value>,
        /// Sent as `response_format` as it is, in place of what the model is known to take.
        #[serde(default)]
        response_format: Option<Value>,
    }
}

struct AnalyzeVcon {
    gate: Gate,
    analysis_type: String,
    remove_body_properties: bool,
    model: LanguageModel,
    task: Task,
    vendor_schema: Value,
}

register_link!(AnalyzeVcon);

impl LinkPlugin for AnalyzeVcon {
    const MODULE: &'static str = "links.analyze_vcon";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
quality:
  module: links.analyze_vcon
  options:
    model: gpt-4.1
    api_key: ${env:OPENAI_API_KEY}
    prompt: How well did the agent handle this conversation?
    schema:
      type: object
      properties:
        score: {type: integer, minimum: 1, maximum: 5}
        reason: {type: string}
      required: [score, reason]
      additionalProperties: false
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let task = Task {
            system: options.system_prompt.clone(),
            prompt: options.prompt.clone(),
            form: match &options.schema {
                Some(schema) => Form::schema("analysis", schema.clone())?,
                None => Form::Object,
            },
            temperature: Some(options.temperature),
            material: "vcon",
            keep_unreadable: false,
        };
        let settings = Settings { response_format: options.response_format.clone(), ..options.settings() };
        let (model, prompt, system_prompt) = (&options.model, &options.prompt, &options.system_prompt);
        Ok(AnalyzeVcon {
            gate: options.gate()?,
            model: LanguageModel::new(model, &options.access(), settings)?,
            vendor_schema: json!({"model": model, "prompt": prompt, "system_prompt": system_prompt}),
            analysis_type: options.analysis_type,
            remove_body_properties: options.remove_body_properties,
            task,
        })
    }

    fn for_mode(self, mode: &Mode) -> Self {
        AnalyzeVcon { gate: self.gate.for_mode(mode), ..self }
    }
}

#[async_trait]
impl Link for AnalyzeVcon {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let is_done = vcon.analyses().any(|analysis| analysis.kind().is_some_and(|kind| kind == self.analysis_type));
        if is_done || !self.gate.is_open(vcon, context) {
            return Ok(Outcome::Continue);
        }
        let text = self.text(vcon);
        let work = self.model.answer(context, PART, &self.task, &text);
        let answer: Answer = context.once(PART, Box::pin(work)).await?;
        let body = answer.value.unwrap_or_default();
        // What is said of the whole vCon stands under its first dialog, as vcon-server writes it.
        let dialogs: &[usize] = if vcon.dialogs().next().is_some() { &[0] } else { &[] };
        let analysis = analysis_of(dialogs, &self.analysis_type, self.model.vendor_or_openai()).body(body);
        context.edit(Edit::AddAnalysis(analysis.member("vendor_schema", &self.vendor_schema)));
        Ok(Outcome::Continue)
    }

    fn facts(&self) -> Facts {
        Facts { partial: self.gate.is_partial(), ..Facts::analysis([], &self.analysis_type) }
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        self.model.probe(http).await
    }
}

impl AnalyzeVcon {
    /// The vCon as the model sees it.
    fn text(&self, vcon: &Vcon) -> String {
        let mut value = vcon.normalised();
        if self.remove_body_properties {
            for dialog in value["dialog"].as_array_mut().into_iter().flatten() {
                dialog.as_object_mut().map(|members| members.shift_remove("body"));
            }
        }
        value.to_string()
    }
}
