//! One dialog on its way to a transcript.

use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vconductor_core::document::Edit;
use vconductor_core::plugin::{LinkContext, Outcome};
use vconductor_core::provider::{ResultKey, Unit, cached};
use vconductor_core::store::Resumption;
use vconductor_core::vcon::{Dialog, Vcon};
use vconductor_core::{Error, Result};

use super::options::{ChannelUse, Delivery};
use super::sound::Source;
use super::vendor::{Heard, Plan, Sound, Used, Vendor};
use super::{Callback, Transcribe, pieces, written};

/// The work on one dialog.
pub(super) struct Transcription<'a> {
    link: &'a Transcribe,
    vcon: &'a Vcon,
    dialog: &'a Dialog<'a>,
    context: &'a LinkContext<'a>,
    source: Source<'a>,
    /// Its name in the ledger.
    name: String,
    /// Set when the run has to wait for a callback; the work then ends with an error that nobody sees.
    parked: OnceLock<Outcome>,
}

/// What the ledger keeps of a dialog.
#[derive(Debug, Serialize, Deserialize)]
struct Done {
    /// Which vendor, by its place in the link's list.
    vendor: usize,
    /// What the vendor answered; null: the recording is shorter than `minimum_duration`.
    answer: Value,
    /// Seconds of the recording, where it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// What this run paid for; nothing where an earlier result was kept.
    #[serde(default)]
    used: Used,
}

impl<'a> Transcription<'a> {
    pub(super) fn new(
        link: &'a Transcribe,
        vcon: &'a Vcon,
        dialog: &'a Dialog<'a>,
        context: &'a LinkContext<'a>,
    ) -> Self {
        let name = format!("dialog {}", dialog.index());
        Transcription {
            link,
            vcon,
            dialog,
            context,
            source: Source::new(dialog, context),
            name,
            parked: OnceLock::new(),
        }
    }

    /// How the run waits, when it has to.
    pub(super) fn parked(&self) -> Option<Outcome> {
        self.parked.get().cloned()
    }

    /// Makes the transcript, unless there is one or the recording is none that is wanted.
    ///
    /// # Errors
    /// The vendors', those of fetching the recording, retryable ones of the store.
    pub(super) async fn run(&self) -> Result<()> {
        let first = self.vendor(0);
        let kind = written::kind(self.link.format, first);
        if self.vcon.analyses().any(|known| is_of(known.kind().as_deref(), kind, &known.dialogs(), self.dialog.index()))
        {
            return self.pass("it has a transcript");
        }
        if !self.source.exists() {
            return self.pass("there is neither a body nor a URL");
        }
        let least = first.account().minimum_duration;
        if self.dialog.duration().is_some_and(|seconds| seconds < least) {
            return self.pass(&format!("it is shorter than {least} s"));
        }
        let done: Done = self.context.once(&self.name, Box::pin(self.transcribe())).await?;
        self.report(&done).await?;
        self.write(&done)
    }

    fn vendor(&self, index: usize) -> &dyn Vendor {
        self.link.vendors.get(index).unwrap_or(&self.link.vendors[0]).as_ref()
    }

    fn pass(&self, why: &str) -> Result<()> {
        self.context.note(format!("{} is passed over: {why}", self.name));
        Ok(())
    }

    /// Asks the vendors in their order.
    async fn transcribe(&self) -> Result<Done> {
        let least = self.vendor(0).account().minimum_duration;
        if self.source.seconds().is_none() && least > 0.0 {
            self.look(self.vendor(0)).await?;
        }
        if self.source.seconds().is_some_and(|seconds| seconds < least) {
            return Ok(self.done(0, Value::Null, Used::default()));
        }
        let mut failures: Vec<Error> = Vec::new();
        for (index, vendor) in self.link.vendors.iter().enumerate() {
            let error = match self.ask(vendor.as_ref()).await {
                Ok((heard, kept)) => {
                    let used = if kept { Used::default() } else { heard.used };
                    return Ok(self.done(index, heard.answer, used));
                }
                Err(error) => error,
            };
            let may_go_away = error.is_retryable() && self.context.step.attempt < self.link.fallback_after;
            if self.parked.get().is_some() || may_go_away || index + 1 == self.link.vendors.len() {
                failures.push(error);
                break;
            }
            self.context.note(format!(
                "{}: {} failed, the next vendor is asked: {error}",
                self.name,
                vendor.account().label
            ));
            failures.push(error);
        }
        let first = failures.iter().position(Error::is_retryable).unwrap_or(0);
        Err(failures.swap_remove(first))
    }

    fn done(&self, vendor: usize, answer: Value, used: Used) -> Done {
        Done { vendor, answer, seconds: self.source.measured(), used }
    }

    /// Fetches the recording to know more of it. Where a vendor can fetch it as well, it is no failure that we cannot.
    async fn look(&self, vendor: &dyn Vendor) -> Result<()> {
        match self.source.recording(vendor.account()).await {
            Err(error) if error.is_retryable() || self.url(vendor).is_none() => Err(error),
            Err(error) => {
                self.context.note(format!("{}: the vendor fetches the recording, we cannot: {error}", self.name));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// The URL that the vendor gets in place of the recording.
    fn url(&self, vendor: &dyn Vendor) -> Option<String> {
        if !vendor.accepts().urls {
            return None;
        }
        match self.link.send {
            Delivery::Bytes => None,
            Delivery::Url => self.dialog.url().filter(|url| url.starts_with("http")).map(std::borrow::Cow::into_owned),
            Delivery::Auto => self.source.public_url(),
        }
    }

    /// One vendor's answer, or the one that was kept; true: nothing was paid.
    async fn ask(&self, vendor: &dyn Vendor) -> Result<(Heard, bool)> {
        let url = self.url(vendor);
        let wants_hash = self.link.keep.is_some() && self.source.content().is_none();
        if url.is_none() || wants_hash || self.link.channels == ChannelUse::Auto {
            self.look(vendor).await?;
        }
        let plan = self.source.plan(self.link.channels, &vendor.accepts(), self.link.contract, self.link.diarize);
        let work = Box::pin(self.hear(vendor, url, plan));
        match self.source.content() {
            None => Ok((work.await?, false)),
            Some(content) => {
                let key = ResultKey::new("transcript/1").with(&vendor.account().fingerprint);
                let key = key.with(json!(plan).to_string()).with(content);
                cached(self.context, &key, self.link.keep, work).await
            }
        }
    }

    async fn hear(&self, vendor: &dyn Vendor, url: Option<String>, plan: Plan) -> Result<Heard> {
        let callback = self.link.callback.as_ref().filter(|_| vendor.accepts().urls);
        let sound = match url {
            Some(url) => {
                let channels = if plan.separate { self.source.channels() } else { 1 };
                Sound::Url { url, seconds: self.source.seconds(), channels }
            }
            None => {
                let recording = self.source.recording(vendor.account()).await?;
                let (named, parallel) = (self.source.named(), self.link.parallel);
                if callback.is_none() || recording.len() > vendor.accepts().max_bytes {
                    return pieces::hear(vendor, recording, plan, &named, parallel, &self.name, self.context).await;
                }
                pieces::whole(recording, vendor, plan, named).await?
            }
        };
        match callback {
            Some(callback) => self.wait(vendor, &sound, plan, callback).await,
            None => vendor.hear(&sound, plan, self.context).await,
        }
    }

    /// Orders the transcript once, and waits outside until it is there.
    async fn wait(&self, vendor: &dyn Vendor, sound: &Sound, plan: Plan, callback: &Callback) -> Result<Heard> {
        let token = self.context.effect_id(&format!("{} callback", self.name));
        let name = format!("{}: ordered from {}", self.name, vendor.account().label);
        let was_ordered = self.context.part(&name).is_some();
        let url = callback.url(&token);
        let order: String = self.context.once(&name, vendor.order(sound, plan, &url, self.context)).await?;
        match self.context.resumption.as_ref().filter(|_| was_ordered) {
            Some(Resumption::Called(payload)) => {
                if let Some(heard) = vendor.delivered(payload, &order, plan, self.context)? {
                    return Ok(heard);
                }
                self.context.note(format!("{}: what was called back belongs to no order of this run", self.name));
            }
            Some(Resumption::TimedOut) => {
                let message =
                    format!("no result of {} came to `callback` within {:?}", vendor.account().label, callback.timeout);
                return Err(Error::permanent(message).help(
                    "check that the vendor can reach the URL; a run that is retried waits for the same order again",
                ));
            }
            None => {}
        }
        let wait = i64::try_from(callback.timeout.as_millis()).unwrap_or(i64::MAX);
        let until = self.context.clock.now().saturating_add(wait);
        self.parked.get_or_init(|| Outcome::Park { token, until });
        Err(Error::retryable("waiting for a callback"))
    }

    /// vcon-server's usage report, when the call that it speaks of is in the ledger.
    async fn report(&self, done: &Done) -> Result<()> {
        let account = self.vendor(done.vendor).account();
        let Some((report, kind)) = account.report.as_ref().filter(|_| done.used != Used::default()) else {
            return Ok(());
        };
        let used = done.used;
        let (unit, input) =
            if used.input_tokens > 0.0 { (Unit::Tokens, used.input_tokens) } else { (Unit::Seconds, used.seconds) };
        let send = async {
            let (input, output) = (input.round() as u64, used.output_tokens.round() as u64);
            report.send(self.context, kind, unit, input, output, &account.reported_model).await;
            Ok(true)
        };
        self.context.once(&format!("{}: usage report", self.name), send).await.map(|_| ())
    }

    fn write(&self, done: &Done) -> Result<()> {
        let vendor = self.vendor(done.vendor);
        if let Some(seconds) =
            done.seconds.filter(|_| vendor.account().label == "deepgram" && self.source.lacks_duration())
        {
            self.context.edit(Edit::set(format!("/dialog/{}/duration", self.dialog.index()), json!(seconds)));
        }
        if done.answer.is_null() {
            return self.pass(&format!("it is shorter than {} s", vendor.account().minimum_duration));
        }
        let body = vendor.body(done.answer.clone());
        let least = vendor.account().minimum_confidence;
        let sure = written::confidence(&body, vendor);
        if let Some(sure) = sure.filter(|sure| *sure < least) {
            return self.pass(&format!("{} is sure by {sure}, less than {least}", vendor.account().label));
        }
        if !vendor.is_result(&body) {
            return self.pass("nothing was heard");
        }
        let now = Timestamp::from_millisecond(self.context.clock.now()).unwrap_or_default();
        match written::edits(&done.answer, &body, vendor, self.link.format, self.vcon, self.dialog, now) {
            Some(edits) => edits.into_iter().for_each(|edit| self.context.edit(edit)),
            None => return self.pass("nothing was heard"),
        }
        Ok(())
    }
}

/// Whether an analysis is the transcript of this dialog.
fn is_of(known: Option<&str>, kind: &str, dialogs: &[usize], index: usize) -> bool {
    known == Some(kind) && dialogs.contains(&index)
}
