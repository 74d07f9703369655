//! `links.transcribe`: makes transcripts of recordings.

mod contract;
mod deepgram;
mod dialog;
mod hugging_face;
mod openai;
mod options;
mod pieces;
mod sound;
#[cfg(test)]
mod tests;
mod timeline;
mod vendor;
mod vfun;
mod written;

use std::time::Duration;

use async_trait::async_trait;
use vconductor_core::config;
use vconductor_core::http::{HttpClient, Url};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use dialog::Transcription;
use options::{ChannelUse, Delivery, Format, Options};
use vendor::{Vendor, vendor};

/// Transcribes recordings with the first of its vendors that can.
struct Transcribe {
    /// In the order in which they are asked.
    vendors: Vec<Box<dyn Vendor>>,
    fallback_after: u32,
    format: Format,
    channels: ChannelUse,
    diarize: Option<bool>,
    send: Delivery,
    callback: Option<Callback>,
    keep: Option<Duration>,
    parallel: usize,
    /// The options are in vcon-server's form.
    contract: bool,
}

/// Where a vendor sends a result to.
struct Callback {
    url: String,
    timeout: Duration,
}

register_link!(Transcribe);

impl LinkPlugin for Transcribe {
    const MODULE: &'static str = "links.transcribe";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const PAID: bool = true;
    const ALIASES: &'static [&'static str] = &contract::MODULES;
    const EXAMPLE: &'static str = "\
transcribe:
  module: links.transcribe
  options:
    vendor: deepgram
    api_key: ${env:DEEPGRAM_KEY}
    model: nova-3
    limits: {concurrency: 50}
    fallback:
      - vendor: openai
        api_key: ${env:OPENAI_API_KEY}
        model: whisper-1
";
    type Options = Options;

    fn adapt(module: &str, options: config::Options) -> config::Options {
        contract::adapted(module, options)
    }

    fn new(_: &str, options: Options) -> Result<Self> {
        let contract = options.is_contract_form();
        let service = options.service();
        let mut vendors = vec![vendor(&service, contract)?];
        for (index, entry) in options.fallback.iter().enumerate() {
            let next = vendor(entry, false);
            vendors.push(next.map_err(|error| error.within(format_args!("option `fallback`, entry {}", index + 1)))?);
        }
        if options.parallel == 0 || options.parallel > 64 {
            return Err(Error::configuration(format!("`parallel` is {}, not 1 to 64", options.parallel)));
        }
        let default = if contract { ChannelUse::Mixed } else { ChannelUse::Auto };
        Ok(Transcribe {
            vendors,
            fallback_after: options.fallback_after.max(1),
            format: options.format,
            channels: options.channels.unwrap_or(default),
            diarize: service.diarize,
            send: options.send,
            callback: options.callback.map(|url| Callback::new(url, options.callback_timeout.0)).transpose()?,
            keep: options.cache.0,
            parallel: options.parallel,
            contract,
        })
    }
}

impl Callback {
    fn new(url: String, timeout: Duration) -> Result<Self> {
        let is_url = Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if !is_url {
            return Err(Error::configuration("`callback` is not an http or https URL")
                .help("write the public URL of this server, like https://host/callbacks/{token}"));
        }
        if timeout.is_zero() {
            return Err(Error::configuration("`callback_timeout` is 0").help("write a time such as 24h"));
        }
        Ok(Callback { url, timeout })
    }

    /// The URL for one order.
    fn url(&self, token: &str) -> String {
        if self.url.contains("{token}") {
            return self.url.replace("{token}", token);
        }
        match self.url.split_once('?') {
            Some((path, query)) => format!("{}/{token}?{query}", path.trim_end_matches('/')),
            None => format!("{}/{token}", self.url.trim_end_matches('/')),
        }
    }
}

/// Which dialog an error is of, unless it says so itself.
fn named(error: Error, dialog: usize) -> Error {
    let place = format!("dialog {dialog}");
    if error.message().contains(&place) { error } else { error.within(place) }
}

#[async_trait]
impl Link for Transcribe {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let mut failures = Vec::new();
        for dialog in vcon.dialogs().filter(|dialog| dialog.is_recording()) {
            if context.cancel.is_cancelled() {
                return Err(Error::retryable("stopped before all dialogs were transcribed"));
            }
            let transcription = Transcription::new(self, vcon, &dialog, context);
            let result = Box::pin(transcription.run()).await.map_err(|error| named(error, dialog.index()));
            if let Some(outcome) = transcription.parked() {
                return Ok(outcome);
            }
            match result {
                Ok(()) => {}
                // What a callback brings is for the dialog that waits for it.
                Err(error) if self.callback.is_some() => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        // A retryable one first: it brings the step back, and only what failed is asked for again.
        let first = failures.iter().position(Error::is_retryable).unwrap_or(0);
        failures.into_iter().nth(first).map_or(Ok(Outcome::Continue), Err)
    }

    fn facts(&self) -> Facts {
        let mut writes: Vec<String> =
            self.vendors.iter().map(|vendor| written::kind(self.format, vendor.as_ref()).to_owned()).collect();
        writes.dedup();
        Facts { writes, ..Facts::default() }
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let mut probes = Vec::new();
        for vendor in &self.vendors {
            probes.extend(vendor.probe(http).await);
        }
        probes
    }
}
