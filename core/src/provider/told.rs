//! What traces and metrics are told of a call to a model, by OpenTelemetry's conventions for generative models. Never what was
//! asked or answered.

use std::fmt;
use std::time::Instant;

use opentelemetry::{Array, KeyValue, StringValue, Value};
use serde::Deserialize;

use crate::error::Error;
use crate::http::Response;
use crate::layers::instruments::{self, Usage};
use crate::layers::trace::{Span, SpanKind};

/// Reads what was used out of a successful answer.
pub type UsageTold<'a> = dyn Fn(&Response) -> Option<Usage> + Sync + 'a;

/// What a model is asked for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// `chat` and `text_completion` as the conventions name them; they have no name for `transcription`.
    pub operation: &'static str,
    /// The provider, as prices and metrics name it.
    pub provider: &'a str,
    /// The model.
    pub model: &'a str,
    /// How freely it words the answer, where that is said.
    pub temperature: Option<f64>,
    /// The most tokens of an answer, where that is said.
    pub max_tokens: Option<u32>,
    /// Seconds of sound that are sent.
    pub audio_seconds: Option<f64>,
    /// Reads what was used; asked only while there are traces.
    pub used: Option<&'a UsageTold<'a>>,
}

impl fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("operation", &self.operation).field("model", &self.model).finish_non_exhaustive()
    }
}

impl<'a> Asked<'a> {
    /// An operation of a model.
    pub fn of(operation: &'static str, provider: &'a str, model: &'a str) -> Self {
        Asked { operation, provider, model, temperature: None, max_tokens: None, audio_seconds: None, used: None }
    }
}

/// What the answers of all language models say of themselves.
#[derive(Default, Deserialize)]
struct Answered {
    id: Option<String>,
    model: Option<String>,
    /// Of Messages.
    stop_reason: Option<String>,
    /// Of Chat Completions.
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    finish_reason: Option<String>,
}

/// One call while it is under way.
pub(super) struct Told<'a> {
    asked: Option<Asked<'a>>,
    started: Instant,
    span: Span,
}

impl<'a> Told<'a> {
    pub(super) fn begin(asked: Option<Asked<'a>>) -> Self {
        let span = asked.map_or_else(Span::none, |asked| span(&asked));
        Told { asked, started: Instant::now(), span }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn end(self, answered: Result<&Response, &Error>) {
        let Some(asked) = self.asked else { return };
        let failed = match answered {
            Ok(answer) if answer.status.is_success() => String::new(),
            Ok(answer) => answer.status.as_u16().to_string(),
            Err(error) => error.class().as_str().to_owned(),
        };
        instruments::model_called(asked.operation, asked.provider, asked.model, &failed, self.started.elapsed());
        if !failed.is_empty() {
            self.span.failed(failed);
        } else if self.span.is_some()
            && let (Ok(answer), Some(used)) = (answered, asked.used)
            && let Some(used) = used(answer)
        {
            let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.span.set("gen_ai.usage.input_tokens", count(used.all_input_tokens()));
            self.span.set("gen_ai.usage.output_tokens", count(used.output_tokens));
            self.span.set("gen_ai.usage.cache_read.input_tokens", count(used.cache_read_tokens));
            self.span.set("gen_ai.usage.cache_creation.input_tokens", count(used.cache_write_tokens));
            self.answered(&answer.json().unwrap_or_default());
        }
        self.span.end();
    }

    fn answered(&self, answer: &Answered) {
        if let Some(id) = &answer.id {
            self.span.set("gen_ai.response.id", id.clone());
        }
        if let Some(model) = &answer.model {
            self.span.set("gen_ai.response.model", model.clone());
        }
        let reasons =
            answer.choices.iter().filter_map(|choice| choice.finish_reason.as_ref()).chain(&answer.stop_reason);
        let reasons: Vec<StringValue> = reasons.cloned().map(StringValue::from).collect();
        if !reasons.is_empty() {
            self.span.set("gen_ai.response.finish_reasons", Value::Array(Array::from(reasons)));
        }
    }
}

fn span(asked: &Asked<'_>) -> Span {
    let span = Span::child(SpanKind::Client, || format!("{} {}", asked.operation, asked.model).into());
    span.describe(|| {
        let provider = if asked.provider == "azure" { "azure.ai.openai" } else { asked.provider };
        [
            KeyValue::new("gen_ai.operation.name", asked.operation),
            KeyValue::new("gen_ai.provider.name", provider.to_owned()),
            KeyValue::new("gen_ai.request.model", asked.model.to_owned()),
        ]
    });
    if let Some(temperature) = asked.temperature {
        span.set("gen_ai.request.temperature", temperature);
    }
    if let Some(most) = asked.max_tokens {
        span.set("gen_ai.request.max_tokens", i64::from(most));
    }
    if let Some(seconds) = asked.audio_seconds {
        span.set("vconductor.audio.seconds", seconds);
    }
    span
}
