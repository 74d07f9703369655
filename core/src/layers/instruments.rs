//! Every metric that the engine and its plugins emit: name, unit, labels and meaning in one place.
//!
//! Names follow the Prometheus rules (base units, `_total` for counters). Labels come from the
//! configuration or from small fixed sets; a uuid, a URL or an error text is never a label, since every
//! new value is a new time series. The generated reference page is made from [`ALL`].

mod conventions;

use std::time::Duration;

use metrics::{Unit, counter, gauge, histogram};

pub use conventions::{Alias, CONVENTIONS, Convention};

use crate::Class;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; read as a rate.
    Counter,
    /// Goes up and down; read as it is.
    Gauge,
    /// A distribution; read as quantiles.
    Histogram,
}

/// The description of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instrument {
    /// The full name, as scraped.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The unit of its values.
    pub unit: Unit,
    /// Its label names, in the order in which they are recorded.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

impl Instrument {
    /// The bounds of a distribution's buckets.
    pub fn bounds(&self) -> &'static [f64] {
        if self.unit == Unit::Seconds { SECONDS } else { TOKENS_OF_A_CALL }
    }
}

/// Bounds of the distributions of times, in seconds: from a pure link to a transcription.
pub const SECONDS: &[f64] =
    &[0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// Bounds of the distribution of tokens, as the convention for language models has them.
pub const TOKENS_OF_A_CALL: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

// The two sums of fractions (cost, audio seconds) are gauges that only grow: the facade's counters are whole numbers.
macro_rules! instruments {
    ($(#[doc = $help:literal] $constant:ident = $name:literal, $kind:ident, $unit:ident, [$($label:literal),*];)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// All metrics, sorted by topic.
        pub const ALL: &[Instrument] = &[$(Instrument {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            help: $help.trim_ascii(),
        }),*];
    };
}

instruments! {
    /// Uuids that wait in an ingress list, not counting claimed ones.
    QUEUE_LENGTH = "vconductor_queue_length", Gauge, Count, ["list"];
    /// Age of the oldest uuid that waits in an ingress list.
    QUEUE_OLDEST_AGE = "vconductor_queue_oldest_age_seconds", Gauge, Seconds, ["list"];
    /// Uuids of an ingress list that are claimed and not yet finished.
    QUEUE_INFLIGHT = "vconductor_queue_inflight", Gauge, Count, ["list"];
    /// Runs claimed from an ingress list; one that comes back (a retry, a park, a crash) is claimed again.
    QUEUE_CLAIMED = "vconductor_queue_claimed_total", Counter, Count, ["list"];
    /// Uuids taken back from a conductor that died.
    QUEUE_RECOVERED = "vconductor_queue_recovered_total", Counter, Count, ["list"];
    /// Runs that wait for a retry that is due later.
    QUEUE_SCHEDULED = "vconductor_queue_scheduled", Gauge, Count, ["list"];
    /// Runs that are parked for a callback, a vendor's batch job or a storage.
    QUEUE_PARKED = "vconductor_queue_parked", Gauge, Count, ["list"];
    /// Entries in a dead letter list.
    DLQ_LENGTH = "vconductor_dlq_length", Gauge, Count, ["list"];
    /// Runs that ended in a dead letter list, by class of the error.
    DLQ = "vconductor_dlq_total", Counter, Count, ["list", "reason"];
    /// Finished passages of a vCon through a chain, by outcome: ok, failed, skipped, retried or parked.
    RUNS = "vconductor_runs_total", Counter, Count, ["chain", "outcome"];
    /// Time from claim to the end of a run, without time spent parked or waiting for a retry.
    RUN_DURATION = "vconductor_run_duration_seconds", Histogram, Seconds, ["chain"];
    /// Runs of a chain that this process works on.
    RUNS_INFLIGHT = "vconductor_runs_inflight", Gauge, Count, ["chain"];
    /// Time one execution of a link took, by outcome: success, halt (it stopped the chain) or error.
    LINK_DURATION = "vconductor_link_duration_seconds", Histogram, Seconds, ["chain", "link", "outcome"];
    /// Errors that ended a link, by class.
    LINK_ERRORS = "vconductor_link_errors_total", Counter, Count, ["chain", "link", "error_type"];
    /// Attempts of a link after its first.
    LINK_RETRIES = "vconductor_link_retries_total", Counter, Count, ["chain", "link"];
    /// External steps that were not executed again because the ledger held their result.
    LEDGER_HITS = "vconductor_ledger_hits_total", Counter, Count, ["chain", "link"];
    /// Time spent waiting for a rate limit before a call was made.
    RATE_LIMIT_WAIT = "vconductor_rate_limit_wait_seconds", Histogram, Seconds, ["resource"];
    /// Whether a link, chain or key is held: 1 while it is (after a credential fault, or when a budget is spent), then 0.
    CIRCUIT_STATE = "vconductor_circuit_state", Gauge, Count, ["resource"];
    /// Time one storage took to write one vCon or one batch, by outcome: ok or error.
    STORAGE_WRITE_DURATION = "vconductor_storage_write_duration_seconds", Histogram, Seconds, ["storage", "outcome"];
    /// Errors of a storage, by class.
    STORAGE_ERRORS = "vconductor_storage_errors_total", Counter, Count, ["storage", "error_type"];
    /// Webhook deliveries that were tried, by class of the answer: 2xx to 5xx, or none.
    WEBHOOK_ATTEMPTS = "vconductor_webhook_attempts_total", Counter, Count, ["endpoint", "code_class"];
    /// Questions to the server of a follower, by result: ok, or the class of the error.
    FOLLOWER_PULLS = "vconductor_follower_pulls_total", Counter, Count, ["follower", "result"];
    /// vCons of a follower by what became of them: taken, stored, repeated, retried or dead.
    FOLLOWER_VCONS = "vconductor_follower_vcons_total", Counter, Count, ["follower", "outcome"];
    /// Calls of the HTTP API, by the path of their route.
    HTTP_REQUESTS = "vconductor_http_requests_total", Counter, Count, ["route", "method", "status"];
    /// Time until the answer to a call of the HTTP API began.
    HTTP_DURATION = "vconductor_http_request_duration_seconds", Histogram, Seconds, ["route", "method"];
    /// vCons that the HTTP API put on a list (`other`: none of the configuration), by source: new, external, reingress or dlq_reprocess.
    API_ENQUEUED = "vconductor_api_vcons_enqueued_total", Counter, Count, ["list", "source"];
    /// Deliveries to an ingress by what became of them: accepted, repeated, ignored, unproved, unreadable or unavailable.
    INGRESS_DELIVERIES = "vconductor_ingress_deliveries_total", Counter, Count, ["ingress", "outcome"];
    /// Events of an ingress by what became of them: made (a vCon), repeated, retried or dead.
    INGRESS_EVENTS = "vconductor_ingress_events_total", Counter, Count, ["ingress", "outcome"];
    /// Money spent with a provider, in US dollars by the price table.
    COST = "vconductor_cost_usd_total", Gauge, Count, ["chain", "link", "provider", "model"];
    /// Calls to a model that the price table does not know: their cost is missing from the sum.
    COST_UNKNOWN = "vconductor_cost_unknown_total", Counter, Count, ["provider", "model"];
    /// Tokens used, by type: input, output, cache_read or cache_write.
    TOKENS = "vconductor_tokens_total", Counter, Count, ["provider", "model", "type"];
    /// Time one call to a model took, by operation: chat, text_completion or transcription; error_type is the status or class of a failure.
    MODEL_DURATION = "vconductor_model_call_duration_seconds", Histogram, Seconds, ["operation", "provider", "model", "error_type"];
    /// Tokens of one call to a model, by type: input (cached ones included) or output.
    MODEL_TOKENS = "vconductor_model_call_tokens", Histogram, Count, ["operation", "provider", "model", "type"];
    /// Audio sent to transcription, in seconds.
    AUDIO_SECONDS = "vconductor_audio_seconds_total", Gauge, Seconds, ["provider", "model"];
    /// Bytes of documents that are loaded at the moment.
    DOCUMENT_BYTES = "vconductor_document_bytes", Gauge, Bytes, [];
    /// Number of the live configuration; it grows by one with every accepted reload.
    CONFIG_GENERATION = "vconductor_config_generation", Gauge, Count, [];
    /// Reloads of the configuration, by result: ok or rejected.
    CONFIG_RELOADS = "vconductor_config_reload_total", Counter, Count, ["result"];
    /// What could not be sent over OTLP, by signal (spans, or metrics: exports) and reason: queue_full, refused (the collector was away, too slow, or said no) or stopped.
    TELEMETRY_DROPPED = "vconductor_telemetry_dropped_total", Counter, Count, ["signal", "reason"];
    /// Always 1; its labels say which build runs.
    BUILD_INFO = "vconductor_build_info", Gauge, Count, ["version", "commit"];
}

/// Gives the installed recorder the unit and the help text of every metric.
pub fn describe_all() {
    for Instrument { name, kind, unit, help, .. } in ALL {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *unit, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *unit, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *unit, *help),
        }
    }
}

/// Figures of one ingress list, taken together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct QueueFigures {
    /// Waiting uuids.
    pub length: u64,
    /// Claimed uuids.
    pub inflight: u64,
    /// Retries that are due later.
    pub scheduled: u64,
    /// Parked runs.
    pub parked: u64,
    /// Age of the oldest waiting uuid; nothing waits: zero.
    pub oldest_age: Duration,
}

/// Reports the state of one ingress list.
pub fn queue_observed(list: &str, figures: QueueFigures) {
    gauge!(QUEUE_LENGTH, "list" => list.to_owned()).set(figures.length as f64);
    gauge!(QUEUE_INFLIGHT, "list" => list.to_owned()).set(figures.inflight as f64);
    gauge!(QUEUE_SCHEDULED, "list" => list.to_owned()).set(figures.scheduled as f64);
    gauge!(QUEUE_PARKED, "list" => list.to_owned()).set(figures.parked as f64);
    gauge!(QUEUE_OLDEST_AGE, "list" => list.to_owned()).set(figures.oldest_age.as_secs_f64());
}

/// Reports the length of a dead letter list.
pub fn dlq_observed(list: &str, length: u64) {
    gauge!(DLQ_LENGTH, "list" => list.to_owned()).set(length as f64);
}

/// Counts runs claimed from an ingress list.
pub fn claimed(list: &str, runs: u64) {
    counter!(QUEUE_CLAIMED, "list" => list.to_owned()).increment(runs);
}

/// Reports how many runs of a chain this process works on.
pub fn runs_at_work(chain: &str, runs: u64) {
    gauge!(RUNS_INFLIGHT, "chain" => chain.to_owned()).set(runs as f64);
}

/// Counts uuids taken back from a dead conductor.
pub fn recovered(list: &str, uuids: u64) {
    counter!(QUEUE_RECOVERED, "list" => list.to_owned()).increment(uuids);
}

/// Counts a run that ended in a dead letter; `list` is the whole name, `DLQ:<list>` or `DLQ:storage:<name>`.
pub fn dead_lettered(list: &str, class: Class) {
    counter!(DLQ, "list" => list.to_owned(), "reason" => class.as_str()).increment(1);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// Finished and acknowledged.
    Ok,
    /// Ended in a dead letter.
    Failed,
    /// Nothing to do (filtered, sampled out).
    Skipped,
    /// Given back for a later retry.
    Retried,
    /// Waits for something outside.
    Parked,
}

impl RunOutcome {
    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            RunOutcome::Ok => "ok",
            RunOutcome::Failed => "failed",
            RunOutcome::Skipped => "skipped",
            RunOutcome::Retried => "retried",
            RunOutcome::Parked => "parked",
        }
    }
}

/// Counts a run and how long it held its slot.
pub fn run_finished(chain: &str, outcome: RunOutcome, took: Duration) {
    counter!(RUNS, "chain" => chain.to_owned(), "outcome" => outcome.as_str()).increment(1);
    histogram!(RUN_DURATION, "chain" => chain.to_owned()).record(took);
}

/// Reports one finished link; `outcome` is one of the names in [`LINK_DURATION`].
pub fn link_finished(chain: &str, link: &str, outcome: &'static str, took: Duration, attempts: u32) {
    histogram!(LINK_DURATION, "chain" => chain.to_owned(), "link" => link.to_owned(), "outcome" => outcome)
        .record(took);
    if attempts > 1 {
        counter!(LINK_RETRIES, "chain" => chain.to_owned(), "link" => link.to_owned())
            .increment(u64::from(attempts - 1));
    }
}

/// Counts an error that ended a link.
pub fn link_failed(chain: &str, link: &str, class: Class) {
    counter!(LINK_ERRORS, "chain" => chain.to_owned(), "link" => link.to_owned(), "error_type" => class.as_str())
        .increment(1);
}

/// Counts an external step that the ledger spared.
pub fn ledger_hit(chain: &str, link: &str) {
    counter!(LEDGER_HITS, "chain" => chain.to_owned(), "link" => link.to_owned()).increment(1);
}

/// Reports one write of a storage; `error` is the class when it failed.
pub fn storage_written(storage: &str, took: Duration, error: Option<Class>) {
    let outcome = if error.is_some() { "error" } else { "ok" };
    histogram!(STORAGE_WRITE_DURATION, "storage" => storage.to_owned(), "outcome" => outcome).record(took);
    if let Some(class) = error {
        counter!(STORAGE_ERRORS, "storage" => storage.to_owned(), "error_type" => class.as_str()).increment(1);
    }
}

/// Counts one webhook delivery; `endpoint` is its name in the configuration or its host, never its URL.
pub fn webhook_attempted(endpoint: &str, status: Option<u16>) {
    let code_class = match status.map(|status| status / 100) {
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(_) => "5xx",
        None => "none",
    };
    counter!(WEBHOOK_ATTEMPTS, "endpoint" => endpoint.to_owned(), "code_class" => code_class).increment(1);
}

/// Counts a question to the server of a follower; `error` is the class when it failed.
pub fn follower_pulled(follower: &str, error: Option<Class>) {
    let result = error.map_or("ok", Class::as_str);
    counter!(FOLLOWER_PULLS, "follower" => follower.to_owned(), "result" => result).increment(1);
}

/// Counts vCons of a follower; `outcome` is one of the names in [`FOLLOWER_VCONS`].
pub fn follower_vcons(follower: &str, outcome: &'static str, count: u64) {
    if count > 0 {
        counter!(FOLLOWER_VCONS, "follower" => follower.to_owned(), "outcome" => outcome).increment(count);
    }
}

/// Reports a call of the HTTP API; `route` is the path of the route, never the path that was called.
pub fn http_answered(route: &'static str, method: &'static str, status: u16, took: Duration) {
    counter!(HTTP_REQUESTS, "route" => route, "method" => method, "status" => status.to_string()).increment(1);
    histogram!(HTTP_DURATION, "route" => route, "method" => method).record(took);
}

/// Counts vCons that the HTTP API put on a list; `source` is one of the names in [`API_ENQUEUED`].
pub fn api_enqueued(list: &str, source: &'static str, vcons: u64) {
    if vcons > 0 {
        counter!(API_ENQUEUED, "list" => list.to_owned(), "source" => source).increment(vcons);
    }
}

/// Counts a delivery to an ingress; `outcome` is one of the names in [`INGRESS_DELIVERIES`].
pub fn ingress_delivered(ingress: &str, outcome: &'static str) {
    counter!(INGRESS_DELIVERIES, "ingress" => ingress.to_owned(), "outcome" => outcome).increment(1);
}

/// Counts an event of an ingress; `outcome` is one of the names in [`INGRESS_EVENTS`].
pub fn ingress_event(ingress: &str, outcome: &'static str) {
    counter!(INGRESS_EVENTS, "ingress" => ingress.to_owned(), "outcome" => outcome).increment(1);
}

/// Reports a wait for a rate limit.
pub fn rate_limit_waited(resource: &str, waited: Duration) {
    histogram!(RATE_LIMIT_WAIT, "resource" => resource.to_owned()).record(waited);
}

/// Reports whether a link, chain or key is held.
pub fn circuit_changed(resource: &str, open: bool) {
    gauge!(CIRCUIT_STATE, "resource" => resource.to_owned()).set(f64::from(u8::from(open)));
}

/// What one call to a provider's model used up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Cost in US dollars; `None` when the price table does not know the model.
    pub cost_usd: Option<f64>,
    /// Input tokens that were not read from a cache.
    pub input_tokens: u64,
    /// Output tokens, reasoning included.
    pub output_tokens: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to the provider's cache.
    pub cache_write_tokens: u64,
    /// Seconds of audio transcribed.
    pub audio_seconds: f64,
}

impl Usage {
    /// Input tokens, cached ones included, as the conventions count them.
    pub fn all_input_tokens(&self) -> u64 {
        self.input_tokens + self.cache_read_tokens + self.cache_write_tokens
    }
}

/// Adds what one paid call used up.
pub fn usage_recorded(chain: &str, link: &str, provider: &str, model: &str, usage: Usage) {
    let model_labels = [("provider", provider.to_owned()), ("model", model.to_owned())];
    match usage.cost_usd {
        Some(cost) => {
            let labels = [("chain", chain.to_owned()), ("link", link.to_owned())];
            let labels: Vec<_> = labels.into_iter().chain(model_labels.clone()).collect();
            gauge!(COST, &labels).increment(cost);
        }
        None => counter!(COST_UNKNOWN, &model_labels).increment(1),
    }
    let tokens = [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cache_read", usage.cache_read_tokens),
        ("cache_write", usage.cache_write_tokens),
    ];
    for (kind, count) in tokens.into_iter().filter(|(_, count)| *count > 0) {
        counter!(TOKENS, "provider" => provider.to_owned(), "model" => model.to_owned(), "type" => kind)
            .increment(count);
    }
    if usage.audio_seconds > 0.0 {
        gauge!(AUDIO_SECONDS, &model_labels).increment(usage.audio_seconds);
    }
    let operation = if usage.audio_seconds > 0.0 { "transcription" } else { "chat" };
    for (kind, count) in [("input", usage.all_input_tokens()), ("output", usage.output_tokens)] {
        if count > 0 {
            let [provider, model] = model_labels.clone();
            let labels = [("operation", operation.to_owned()), provider, model, ("type", kind.to_owned())];
            histogram!(MODEL_TOKENS, &labels).record(count as f64);
        }
    }
}

/// Reports one call to a model; `error_type` is the status or class of a failure, else empty.
pub fn model_called(operation: &'static str, provider: &str, model: &str, error_type: &str, took: Duration) {
    let labels = [("operation", operation), ("provider", provider), ("model", model), ("error_type", error_type)];
    histogram!(MODEL_DURATION, &labels.map(|(name, value)| (name, value.to_owned()))).record(took);
}

/// Counts spans, or exports of metrics, that were not sent.
pub fn telemetry_dropped(signal: &'static str, reason: &'static str, count: u64) {
    counter!(TELEMETRY_DROPPED, "signal" => signal, "reason" => reason).increment(count);
}

/// Reports the bytes of all loaded documents.
pub fn documents_held(bytes: u64) {
    gauge!(DOCUMENT_BYTES).set(bytes as f64);
}

/// Says which configuration is live; 1 is the one of the start.
pub fn config_lives(generation: u64) {
    gauge!(CONFIG_GENERATION).set(generation as f64);
}

/// Counts a reload and whether the new configuration was accepted.
pub fn config_reloaded(accepted: bool) {
    counter!(CONFIG_RELOADS, "result" => if accepted { "ok" } else { "rejected" }).increment(1);
}

/// Says which build runs; called once at the start.
pub fn build_started(version: &'static str, commit: &'static str) {
    gauge!(BUILD_INFO, "version" => version, "commit" => commit).set(1.0);
}

#[cfg(test)]
mod tests;
