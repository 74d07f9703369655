//! `links.analyze_and_label`: labels for each dialog, as an analysis and as tags (contract 2.2).

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::config::Mode;
use vconductor_core::document::Edit;
use vconductor_core::http::HttpClient;
use vconductor_core::language::{Answer, Form, LanguageModel, Settings, Task};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use crate::analysis::{Gate, Source, SourceOptions, analysis_of, model_options};

const TEXT: &str = "body.paragraphs.transcript";

const SYSTEM: &str = "You analyse texts and give labels that fit them.";

/// The most labels, and the longest one: an answer beyond is no list of labels.
const MOST_LABELS: usize = 50;
const LONGEST_LABEL: usize = 100;

fn prompt() -> String {
    "Which labels put this conversation into its categories? Answer with a JSON object whose member `labels` is a list \
     of strings."
        .to_owned()
}

fn analysis_type() -> String {
    "labeled_analysis".to_owned()
}

fn model() -> String {
    "gpt-4-turbo".to_owned()
}

fn temperature() -> f64 {
    0.2
}

model_options! {
    /// Asks a language model for labels of each dialog, writes its answer as an analysis and each label as a tag.
    ///
    /// With `labels`, the model chooses among them and an answer with another one is refused, so that nobody can talk a label
    /// into the vCon. An answer that is no JSON even when it was sent back is written as text with the reason in
    /// `vendor_schema.parse_error`, and gives no tags.
    struct Options {
        /// What the model shall do with the text.
        #[serde(default = "prompt")]
        prompt: String,
        /// The labels to choose from. Default: any.
        #[serde(default)]
        labels: Vec<String>,
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
        /// Sent as `response_format` as it is, in place of what the model is known to take.
        #[serde(default)]
        response_format: Option<Value>,
    }
}

struct AnalyzeAndLabel {
    gate: Gate,
    source: Source,
    analysis_type: String,
    model: LanguageModel,
    task: Task,
    prompt: String,
}

register_link!(AnalyzeAndLabel);

impl LinkPlugin for AnalyzeAndLabel {
    const MODULE: &'static str = "links.analyze_and_label";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
label:
  module: links.analyze_and_label
  options:
    model: gpt-4.1-mini
    api_key: ${env:OPENAI_API_KEY}
    labels: [billing, delivery, complaint, cancellation, other]
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if options.labels.iter().any(|label| label.trim().is_empty()) {
            return Err(Error::configuration("option `labels` holds an empty label").help("remove it or name it"));
        }
        let choice = match options.labels.as_slice() {
            [] => json!({"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}),
            labels => json!({"type": "string", "enum": labels}),
        };
        let schema = json!({
            "type": "object",
            "properties": {"labels": {"type": "array", "items": choice, "maxItems": MOST_LABELS}},
            "required": ["labels"],
            "additionalProperties": options.labels.is_empty(),
        });
        let task = Task {
            system: SYSTEM.to_owned(),
            prompt: match options.labels.as_slice() {
                [] => options.prompt.clone(),
                labels => format!("{}\n\nThe labels to choose from: {}.", options.prompt, labels.join(", ")),
            },
            form: Form::schema("labels", schema)?,
            temperature: Some(options.temperature),
            material: "transcript",
            keep_unreadable: true,
        };
        let settings = Settings { response_format: options.response_format.clone(), ..options.settings() };
        Ok(AnalyzeAndLabel {
            gate: options.gate()?,
            model: LanguageModel::new(&options.model, &options.access(), settings)?,
            source: Source::new(options.source, TEXT)?,
            analysis_type: options.analysis_type,
            task,
            prompt: options.prompt,
        })
    }

    fn for_mode(self, mode: &Mode) -> Self {
        AnalyzeAndLabel { gate: self.gate.for_mode(mode), ..self }
    }
}

#[async_trait]
impl Link for AnalyzeAndLabel {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if !self.gate.is_open(vcon, context) {
            return Ok(Outcome::Continue);
        }
        for target in self.source.targets(vcon, &self.analysis_type) {
            let part = target.part();
            let work = self.model.answer(context, &part, &self.task, &target.text);
            let answer: Answer = context.once(&part, Box::pin(work)).await?;
            let mut vendor_schema = json!({"model": self.model.name(), "prompt": self.prompt});
            if let Some(fault) = &answer.fault {
                vendor_schema["parse_error"] = fault.as_str().into();
            }
            let encoding = if answer.fault.is_some() { "none" } else { "json" };
            let analysis = analysis_of(&target.dialogs, &self.analysis_type, self.model.vendor_or_openai());
            let analysis = analysis.body(Value::String(answer.text)).encoding(encoding);
            context.edit(Edit::AddAnalysis(analysis.member("vendor_schema", vendor_schema)));
            let labels = answer.value.as_ref().and_then(|value| value["labels"].as_array());
            for label in labels.into_iter().flatten().filter_map(Value::as_str) {
                context.add_tag(label, label);
            }
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
