//! Asking: fence, cut, call, check, repair, merge, keep.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::access::{Access, Endpoint};
use super::answer::{Call, Reply, Role};
use super::capability::{bare, default_max_input_tokens, takes_schema, takes_temperature};
use super::fence::{RULE, fenced};
use super::form::Fault;
use super::{Answer, Interface, Task, Vendor, chat, messages, pieces, responses};
use crate::error::{Class, Error, Result};
use crate::http::{Response, StatusCode};
use crate::plugin::LinkContext;
use crate::provider::{self, Asked, Estimate, Keep, ResultKey, Unit, UsageReport, cached};

/// Tokens of an answer that a limit counts with as long as nobody knows better.
const EXPECTED_OUTPUT: u64 = 500;

/// Tokens that the words around a piece may take.
const NOTE: u64 = 200;

/// How a model is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The limit for one call. Default 120 s.
    pub timeout: Duration,
    /// The most tokens that go into one call; a longer text is cut. Default: what the model takes.
    pub max_input_tokens: Option<u32>,
    /// The most tokens of an answer. Default: the provider's.
    pub max_output_tokens: Option<u32>,
    /// How long answers are kept for the same task on the same text.
    pub keep: Keep,
    /// `response_format` of chat completions as it is sent, in place of the one that the task's form asks for.
    pub response_format: Option<Value>,
    /// The interface that is called where the provider has it.
    pub interface: Interface,
    /// Where usage is reported to, and as what.
    pub report: Option<(UsageReport, &'static str)>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            timeout: Duration::from_secs(120),
            max_input_tokens: None,
            max_output_tokens: None,
            keep: Keep::default(),
            response_format: None,
            interface: Interface::Chat,
            report: None,
        }
    }
}

/// A model of a provider, with the keys and limits of one link.
pub struct LanguageModel {
    pub(super) endpoint: Endpoint,
    pub(super) model: String,
    settings: Settings,
}

impl fmt::Debug for LanguageModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LanguageModel").field("model", &self.model).field("provider", &self.endpoint.vendor).finish()
    }
}

impl LanguageModel {
    /// Opens no socket.
    ///
    /// # Errors
    /// A configuration error: no provider or key, or limits that let nothing through.
    pub fn new(model: &str, access: &Access, settings: Settings) -> Result<Self> {
        if model.trim().is_empty() {
            return Err(Error::configuration("option `model` is empty").help("write the name of a model"));
        }
        Ok(LanguageModel { endpoint: access.endpoint(model)?, model: model.to_owned(), settings })
    }

    /// The model's name as it was configured.
    pub fn name(&self) -> &str {
        &self.model
    }

    /// Whose model it is, as vcon-server's `analyze` labels it (contract 2.0, "vendor label").
    pub fn vendor(&self) -> &str {
        &self.endpoint.label
    }

    /// As [`vendor`](Self::vendor), but `openai` however vcon-server's options reach the model: what its other links
    /// write.
    pub fn vendor_or_openai(&self) -> &str {
        if self.endpoint.is_own { &self.endpoint.label } else { "openai" }
    }

    /// The answer to a task on a text. `part` names it in the ledger, where the pieces of a long text have entries of
    /// their own; the whole is the caller's part.
    ///
    /// # Errors
    /// By class: those of [`Provider::call`](crate::provider::Provider::call); configuration when the account has no
    /// credit or the model does not exist; permanent for refusals, answers that were cut off, and answers that do not
    /// have the form even when they were sent back; retryable for empty ones.
    pub async fn answer(&self, context: &LinkContext<'_>, part: &str, task: &Task, text: &str) -> Result<Answer> {
        let room = self.room(task)?;
        let pieces = pieces::cut(text, room)?;
        if let [only] = pieces.as_slice() {
            return self.kept(context, task, "", task.material, only).await;
        }
        let count = pieces.len();
        let mut answers = Vec::with_capacity(count);
        for (index, piece) in pieces.into_iter().enumerate() {
            let number = index + 1;
            let note = format!(
                "This is part {number} of {count} of a text that is too long for one call. Answer for this part alone; \
                 the answers are put together afterwards.\n\n"
            );
            let name = format!("{part} piece {number} of {count}");
            let work = self.kept(context, task, &note, task.material, piece);
            answers.push(context.once(&name, Box::pin(work)).await?);
        }
        self.merged(context, part, task, answers, room).await
    }

    /// One answer out of those for the pieces.
    async fn merged(
        &self,
        context: &LinkContext<'_>,
        part: &str,
        task: &Task,
        mut answers: Vec<Answer>,
        room: u64,
    ) -> Result<Answer> {
        const MERGE: &str = "The text was too long for one call and was worked on in parts. What follows are the answers \
            for its parts, in order. Make them into the one answer for the whole text.\n\n";
        for level in 1_usize.. {
            let groups = grouped(&answers, room);
            if groups.len() >= answers.len() {
                break;
            }
            let count = groups.len();
            let mut merged = Vec::with_capacity(count);
            for (index, group) in groups.into_iter().enumerate() {
                let name = format!("{part} merge {level}, {} of {count}", index + 1);
                let work = self.kept(context, task, MERGE, "answers", &group);
                merged.push(context.once(&name, Box::pin(work)).await?);
            }
            answers = merged;
            if count == 1 {
                break;
            }
        }
        match answers.pop() {
            Some(only) if answers.is_empty() => Ok(only),
            _ => Err(Error::permanent("the answers for the parts of the text are too long to be put together")
                .help("raise `max_input_tokens`, or ask for shorter answers")),
        }
    }

    /// Tokens of the text that one call has room for.
    fn room(&self, task: &Task) -> Result<u64> {
        let most = u64::from(self.settings.max_input_tokens.unwrap_or_else(|| default_max_input_tokens(&self.model)));
        let taken = pieces::tokens(&self.system(task)) + pieces::tokens(&task.prompt) + NOTE;
        match most.checked_sub(taken) {
            Some(room) if room >= NOTE => Ok(room),
            _ => Err(Error::configuration(format!(
                "`max_input_tokens` is {most}, and the instructions alone take about {taken}"
            ))
            .help("raise `max_input_tokens` to what the model takes, or shorten the prompt")),
        }
    }

    fn by_schema(&self) -> bool {
        takes_schema(self.endpoint.vendor, &self.model)
    }

    fn system(&self, task: &Task) -> String {
        let told_otherwise = matches!(task.form, super::Form::Schema(_)) && self.by_schema();
        let instruction = task.form.instruction().filter(|_| !told_otherwise);
        let parts = [Some(task.system.as_str()), Some(RULE), instruction.as_deref()];
        parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// The answer to one question, asked now or before.
    async fn kept(
        &self,
        context: &LinkContext<'_>,
        task: &Task,
        note: &str,
        material: &str,
        text: &str,
    ) -> Result<Answer> {
        let system = self.system(task);
        let question = format!("{}\n\n{note}{}", task.prompt.trim(), fenced(material, text));
        let settings = &self.settings;
        let key = ResultKey::new("language model 1")
            .with(self.endpoint.place())
            .with(&self.model)
            .with(&system)
            .with(&question)
            .with(task.form.identity())
            .with(format!(
                "{:?} {:?} {:?} {:?} {}",
                task.temperature,
                settings.max_output_tokens,
                settings.response_format,
                settings.interface,
                task.keep_unreadable
            ));
        let (answer, was_known) =
            cached(context, &key, settings.keep.0, Box::pin(self.ask(context, task, &system, question))).await?;
        if was_known {
            context.note("the answer was known from an earlier run");
        }
        Ok(answer)
    }

    /// Asks, and sends an answer of the wrong form back once.
    async fn ask(&self, context: &LinkContext<'_>, task: &Task, system: &str, question: String) -> Result<Answer> {
        let mut talk = vec![(Role::User, question)];
        let first = self.call(context, task, system, &talk).await?;
        let fault = match task.form.check(&first) {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        tracing::debug!(
            uuid = context.step.uuid,
            link = context.step.key.link,
            fault = fault.reason,
            "an answer is sent back"
        );
        talk.push((Role::Assistant, if first.trim().is_empty() { "(nothing)".to_owned() } else { first }));
        let again = format!(
            "Your answer cannot be used: {}. Give the whole answer again in the form that was asked for, and nothing else.",
            fault.reason
        );
        talk.push((Role::User, again));
        let second = self.call(context, task, system, &talk).await?;
        match task.form.check(&second) {
            Ok(answer) => Ok(answer),
            Err(Fault { reason, is_unreadable: true }) if task.keep_unreadable => {
                Ok(Answer { text: second, value: None, fault: Some(reason) })
            }
            Err(fault) => {
                Err(Error::permanent(format!("the answer of {} cannot be used: {}", self.model, fault.reason)).help(
                    "it was sent back once; another model may keep to the form, or the prompt asks for another one",
                ))
            }
        }
    }

    /// One paid call.
    async fn call(
        &self,
        context: &LinkContext<'_>,
        task: &Task,
        system: &str,
        talk: &[(Role, String)],
    ) -> Result<String> {
        if context.cancel.is_cancelled() {
            return Err(Error::retryable("stopped before the model was asked"));
        }
        let (endpoint, settings) = (&self.endpoint, &self.settings);
        let call = Call {
            model: &self.model,
            system,
            messages: talk,
            form: &task.form,
            by_schema: self.by_schema(),
            temperature: task.temperature.filter(|_| takes_temperature(&self.model)),
            max_output_tokens: settings.max_output_tokens,
        };
        let interface = endpoint.interface(settings.interface);
        let (body, read): (Value, fn(&Response) -> Result<Reply>) = match (endpoint.vendor, interface) {
            (Vendor::Anthropic, _) => (messages::body(&call), messages::read),
            (_, Interface::Responses) => (responses::body(&call), responses::read),
            (vendor, Interface::Chat) => (chat::body(&call, vendor, settings.response_format.as_ref()), chat::read),
        };
        let body = Bytes::from(body.to_string());
        let asked = pieces::tokens(system) + talk.iter().map(|(_, text)| pieces::tokens(text)).sum::<u64>();
        let answered = settings.max_output_tokens.map_or(EXPECTED_OUTPUT, u64::from);
        let used = |response: &Response| {
            let tokens = read(response).ok()?.tokens;
            Some((tokens.all_input() + tokens.output) as f64)
        };
        let told = |response: &Response| read(response).ok().map(|reply| reply.tokens.usage());
        let (provider, model) = self.billed();
        let asked_for = Asked {
            temperature: call.temperature,
            max_tokens: settings.max_output_tokens,
            used: Some(&told),
            ..Asked::of("chat", provider, model)
        };
        let expected = provider::Call {
            estimate: Estimate { tokens: (asked + answered) as f64, ..Estimate::default() },
            tokens: Some(&used),
            asked: Some(asked_for),
        };
        let build = |key: &crate::secret::Secret| {
            let request = endpoint.request(interface, &self.model, key)?;
            request.timeout(settings.timeout).body("application/json", body.clone())
        };
        let response = Box::pin(endpoint.provider.call_judged(context, expected, build, judged)).await?;
        let reply = read(&response)?;
        self.account(context, &reply).await;
        reply.complete(&self.model)
    }

    /// Provider and model as prices and metrics name them.
    fn billed(&self) -> (&str, &str) {
        match self.endpoint.vendor {
            // A proxy's models have the prices of those who make them.
            Vendor::LiteLlm => (self.endpoint.label.as_str(), bare(&self.model)),
            vendor => (vendor.as_str(), self.model.as_str()),
        }
    }

    /// Says what a call used: to the ledger, the metrics, and whom the options name.
    async fn account(&self, context: &LinkContext<'_>, reply: &Reply) {
        let tokens = reply.tokens;
        let (provider, model) = self.billed();
        context.spend(provider, model, &tokens.amounts());
        if let Some((report, kind)) = &self.settings.report {
            report.send(context, kind, Unit::Tokens, tokens.all_input(), tokens.output, &self.model).await;
        }
    }
}

/// Answers in groups that fit into one call each.
fn grouped(answers: &[Answer], room: u64) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    let mut free = 0;
    for (index, answer) in answers.iter().enumerate() {
        let entry = format!("Part {}:\n{}\n\n", index + 1, answer.text);
        let size = pieces::tokens(&entry);
        match groups.last_mut() {
            Some(group) if size <= free => {
                group.push_str(&entry);
                free -= size;
            }
            _ => {
                free = room.saturating_sub(size);
                groups.push(entry);
            }
        }
    }
    groups
}

/// What providers say in the body of a refused call, in place of what their status says.
fn judged(answer: &Response, error: Error) -> Error {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let fault = body.get("error").unwrap_or(&body);
    let text = |name: &str| fault[name].as_str().unwrap_or_default();
    let (code, kind, message) = (text("code"), text("type"), text("message"));
    let has_no_credit = [code, kind].contains(&"insufficient_quota")
        || matches!(code, "billing_hard_limit_reached" | "billing_not_active")
        || message.contains("credit balance is too low");
    let is_too_long = code == "context_length_exceeded"
        || message.contains("prompt is too long")
        || message.contains("maximum context length");
    let (class, help) = if has_no_credit {
        (Class::Configuration, "the account has no credit left: check its balance and limits at the provider")
    } else if answer.status == StatusCode::NOT_FOUND {
        (Class::Configuration, "the provider does not know the model or the path: check `model` and `base_url`")
    } else if is_too_long {
        (Class::Permanent, "lower `max_input_tokens`, so that the text is cut into pieces")
    } else {
        return error;
    };
    Error::new(class, error.message()).help(help)
}
