//! `links.check_and_tag`: a tag where a language model answers a question with yes (contract 2.4).

use async_trait::async_trait;
use serde_json::{Value, json};
use vconductor_core::config::Mode;
use vconductor_core::document::Edit;
use vconductor_core::http::HttpClient;
use vconductor_core::language::{Answer, Form, LanguageModel, Settings, Task};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::vcon::{Body, Vcon};
use vconductor_core::{Error, Result, register_link};

use crate::analysis::{Gate, Source, SourceOptions, analysis_of, model_options};
use crate::text::Text;

const TEXT: &str = "body";

const SYSTEM: &str = "You check whether something holds for a conversation, and answer yes or no.";

fn analysis_type() -> String {
    "tag_evaluation".to_owned()
}

fn model() -> String {
    "gpt-5".to_owned()
}

model_options! {
    /// Asks a language model a question about each dialog that has the answer yes or no, and adds a tag where it is yes.
    ///
    /// The answer is written as an analysis. Two of these links in one chain need an `analysis_type` each: a dialog that has
    /// an analysis of the type already is passed over, as in vcon-server; the trace then says which tag it was for.
    struct Options {
        /// The tag's name.
        tag_name: String,
        /// The tag's value.
        tag_value: Text,
        /// The question.
        evaluation_question: String,
        /// The `type` of the analysis that is written.
        #[serde(default = "analysis_type")]
        analysis_type: String,
        /// The model.
        #[serde(default = "model")]
        model: String,
        /// Where the text of a dialog is found. Default: `{analysis_type: transcript, text_location: body}`, or the
        /// transcript in any other known shape.
        #[serde(default)]
        source: Option<SourceOptions>,
        /// Sent as `response_format` as it is, in place of what the model is known to take.
        #[serde(default)]
        response_format: Option<Value>,
        /// Accepted, as vcon-server's files hold it; it is not used there either.
        #[serde(default)]
        #[schemars(extend("x-result" = false))]
        #[expect(dead_code, reason = "known, and without effect")]
        verbosity: Option<Value>,
        /// Accepted, as vcon-server's files hold it; it is not used there either.
        #[serde(default)]
        #[schemars(extend("x-result" = false))]
        #[expect(dead_code, reason = "known, and without effect")]
        minimal_reasoning: Option<Value>,
    }
}

struct CheckAndTag {
    name: String,
    gate: Gate,
    source: Source,
    analysis_type: String,
    tag_name: String,
    tag_value: String,
    model: LanguageModel,
    task: Task,
    vendor_schema: Value,
}

register_link!(CheckAndTag);

impl LinkPlugin for CheckAndTag {
    const MODULE: &'static str = "links.check_and_tag";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const EXAMPLE: &'static str = "\
find_complaints:
  module: links.check_and_tag
  options:
    model: gpt-5-mini
    api_key: ${env:OPENAI_API_KEY}
    tag_name: kind
    tag_value: complaint
    analysis_type: is_complaint
    evaluation_question: Does the customer complain about something?
";
    type Options = Options;

    fn new(name: &str, options: Options) -> Result<Self> {
        let tag_value = options.tag_value.clone().into_string();
        let wanted = [
            ("tag_name", &options.tag_name),
            ("tag_value", &tag_value),
            ("evaluation_question", &options.evaluation_question),
        ];
        if let Some((option, _)) = wanted.into_iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(Error::configuration(format!("option `{option}` is empty")).help("write a text"));
        }
        if options.tag_name.contains(':') {
            return Err(Error::configuration("option `tag_name` holds a `:`")
                .help("a tag is stored as `name:value`, so its name has no `:`"));
        }
        let schema = json!({"type": "object", "properties": {"applies": {"type": "boolean"}}, "required": ["applies"],
            "additionalProperties": false});
        // Mentioned so that also models without schemas, asked for any JSON object, answer it.
        let question = options.evaluation_question.trim();
        let prompt = format!(
            "{question}\n\nAnswer for the conversation below with a JSON object: {{\"applies\": true}} for yes, {{\"applies\": false}} for no."
        );
        let task = Task {
            system: SYSTEM.to_owned(),
            prompt,
            form: Form::schema("verdict", schema)?,
            temperature: None,
            material: "transcript",
            keep_unreadable: false,
        };
        let settings = Settings { response_format: options.response_format.clone(), ..options.settings() };
        Ok(CheckAndTag {
            name: name.to_owned(),
            gate: options.gate()?,
            model: LanguageModel::new(&options.model, &options.access(), settings)?,
            vendor_schema: json!({"model": options.model, "evaluation_question": options.evaluation_question}),
            source: Source::new(options.source, TEXT)?,
            analysis_type: options.analysis_type,
            tag_name: options.tag_name,
            tag_value,
            task,
        })
    }

    fn for_mode(self, mode: &Mode) -> Self {
        CheckAndTag { gate: self.gate.for_mode(mode), ..self }
    }
}

#[async_trait]
impl Link for CheckAndTag {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if !self.gate.is_open(vcon, context) {
            return Ok(Outcome::Continue);
        }
        let tag = format!("{}:{}", self.tag_name, self.tag_value);
        self.tell_of_others(vcon, &tag, context);
        for target in self.source.targets(vcon, &self.analysis_type) {
            let part = target.part();
            let work = self.model.answer(context, &part, &self.task, &target.text);
            let answer: Answer = context.once(&part, Box::pin(work)).await?;
            let applies = answer.value.as_ref().is_some_and(|value| value["applies"] == true);
            let body = json!({"link_name": self.name, "tag": tag, "applies": applies});
            let analysis = analysis_of(&target.dialogs, &self.analysis_type, self.model.vendor_or_openai()).body(body);
            context.edit(Edit::AddAnalysis(analysis.member("vendor_schema", &self.vendor_schema)));
            if applies {
                context.add_tag(&self.tag_name, &self.tag_value);
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

impl CheckAndTag {
    /// Says so when the analysis that makes a dialog be passed over is that of another tag.
    fn tell_of_others(&self, vcon: &Vcon, tag: &str, context: &LinkContext<'_>) {
        let others = vcon.analyses().filter(|analysis| analysis.kind().is_some_and(|kind| kind == self.analysis_type));
        let other = others.filter_map(|analysis| match analysis.body() {
            Ok(Body::Json(body)) => body["tag"].as_str().map(str::to_owned),
            _ => None,
        });
        if let Some(other) = other.into_iter().find(|other| other != tag) {
            let kind = &self.analysis_type;
            context
                .note(format!("`{kind}` is there for the tag {other}: give each link an `analysis_type` of its own"));
        }
    }
}
