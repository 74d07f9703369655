//! What is told of a run: its trace, and one line of the log when it has ended.
//!
//! A run's trace has the run's id. Each passage (the first, a retry, what goes on after a park) is one span without a
//! parent; below it lie the claim, the links with their calls, the storages and the commit. The span names and the attributes
//! `vcon_id`, `chain_name`, `link_name`, `link_index` and `storage_name` are vcon-server's.

use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::Link;
use vconductor_core::error::{Error, Result};
use vconductor_core::layers::trace::{Enclosed, Span, SpanBuilder, SpanKind, TraceId};
use vconductor_core::plugin::Outcome;
use vconductor_core::run::Usage;
use vconductor_core::store::{Claimed, Commit, End, Failure};

use super::{producer, system};
use crate::engine::chain::{Chain, LinkStep, Step, StorageStep};
use crate::engine::report::RunOutcome;

/// The flight that brought runs in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flight {
    pub(crate) began: SystemTime,
    pub(crate) ended: SystemTime,
    /// Runs that it brought.
    pub(crate) runs: usize,
}

/// One passage of a run, from its claim to its commit.
pub(crate) struct Told {
    span: Span,
    attempt: u32,
}

impl Told {
    /// Begins with the claim. `flight`: when it was made, if there are traces.
    pub(crate) fn begin(claimed: &Claimed, chain: &Chain, flight: Option<Flight>) -> Told {
        let (claim, attempt) = (&claimed.claim, claimed.attempts + 1);
        let Some(flight) = flight else { return Told { span: Span::none(), attempt } };
        let root = || {
            let mut span = SpanBuilder::from_name(format!("vcon_processing.{}", chain.name))
                .with_kind(SpanKind::Consumer)
                .with_start_time(flight.began)
                .with_attributes([
                    KeyValue::new("vcon_id", claim.uuid.clone()),
                    KeyValue::new("vcon.uuid", claim.uuid.clone()),
                    KeyValue::new("chain_name", chain.name.clone()),
                    KeyValue::new("vconductor.run.id", claim.run.to_string()),
                    KeyValue::new("vconductor.attempt", i64::from(attempt)),
                    KeyValue::new("messaging.system", system()),
                    KeyValue::new("messaging.operation.name", "process"),
                    KeyValue::new("messaging.operation.type", "process"),
                    KeyValue::new("messaging.destination.name", claim.list.clone()),
                    KeyValue::new("messaging.consumer.group.name", chain.name.clone()),
                    KeyValue::new("messaging.client.id", claim.process.to_string()),
                    KeyValue::new("messaging.message.id", claim.uuid.clone()),
                ]);
            let producer = claimed.context.as_deref().and_then(producer::read);
            span.links = producer.map(|producer| vec![Link::with_context(producer)]);
            span
        };
        let span = Span::root(Some(TraceId::from_bytes(claim.run.0.into_bytes())), root);
        if let Some(stored) = &claimed.stored {
            span.set("messaging.message.body.size", i64::try_from(stored.document.len()).unwrap_or(i64::MAX));
        }
        let runs = i64::try_from(flight.runs).unwrap_or(i64::MAX);
        span.past(
            || {
                flown(
                    "claim",
                    "receive",
                    &claim.list,
                    flight.began,
                    [KeyValue::new("messaging.batch.message_count", runs)],
                )
            },
            flight.ended,
        );
        Told { span, attempt }
    }

    /// The passage as part of it.
    pub(crate) fn enclose<F>(&self, passage: F) -> Enclosed<F> {
        self.span.enclose(passage)
    }

    /// Ends with what became of the run; `flight`: when the flight of its last commit began.
    pub(crate) fn end(
        self,
        commit: &Commit,
        chain: &str,
        outcome: RunOutcome,
        took: Duration,
        cost: Option<f64>,
        flight: Option<SystemTime>,
    ) {
        let failure = match &commit.end {
            End::Retry { failure, .. } | End::Dead { failure, .. } => Some(failure),
            _ => None,
        };
        if let Some(began) = flight {
            self.span.past(|| flown(ending(&commit.end), "settle", &commit.claim.list, began, []), SystemTime::now());
        }
        self.span.set("vconductor.outcome", outcome.as_str());
        if let Some(cost) = cost {
            self.span.set("vconductor.cost.usd", cost);
        }
        if let Some(failure) = failure {
            self.span.set("vconductor.step", failure.step.clone());
            self.span.failed(failure.class.as_str());
        }
        self.span.end();
        self.log(commit, chain, outcome, took, cost, failure);
    }

    /// Ends without a commit: the claim was lost, or given back at the end of the process.
    pub(crate) fn lost(self) {
        self.span.set("vconductor.outcome", "lost");
        self.span.end();
    }

    /// One line: at INFO when a run is done, at WARN when it is dead, at DEBUG when it goes on later.
    fn log(
        &self,
        commit: &Commit,
        chain: &str,
        outcome: RunOutcome,
        took: Duration,
        cost: Option<f64>,
        failure: Option<&Failure>,
    ) {
        let claim = &commit.claim;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "vconductor::run",
                    run = %claim.run,
                    uuid = claim.uuid,
                    chain,
                    list = claim.list,
                    outcome = outcome.as_str(),
                    attempts = self.attempt,
                    ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                    cost_usd = cost,
                    step = failure.map(|failure| failure.step.as_str()),
                    error_type = failure.map(|failure| failure.class.as_str()),
                    error = failure.map(|failure| failure.message.as_str()),
                    trace_id = self.span.ids().map(|ids| tracing::field::display(ids.trace_id())),
                    "run"
                )
            };
        }
        match outcome {
            RunOutcome::Done | RunOutcome::Stopped => line!(info),
            RunOutcome::Dead => line!(warn),
            RunOutcome::Retried | RunOutcome::Parked | RunOutcome::Waited => line!(debug),
        }
    }
}

/// A span for what one flight did for the run.
fn flown<const N: usize>(
    name: &'static str,
    kind: &'static str,
    list: &str,
    began: SystemTime,
    more: [KeyValue; N],
) -> SpanBuilder {
    let attributes = [
        KeyValue::new("messaging.system", system()),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.name", list.to_owned()),
    ];
    SpanBuilder::from_name(format!("{name} {list}"))
        .with_kind(SpanKind::Client)
        .with_start_time(began)
        .with_attributes(attributes.into_iter().chain(more))
}

fn ending(end: &End) -> &'static str {
    match end {
        End::Continue => "save",
        End::Done => "ack",
        End::Release => "release",
        End::Retry { .. } => "retry",
        End::Wait { .. } => "wait",
        End::Park { .. } => "park",
        End::Dead { .. } => "dead_letter",
    }
}

/// The span of one execution of a link.
pub(crate) fn link(step: &LinkStep, chain: &Chain, uuid: &str, attempt: u32) -> Span {
    let span = Span::child(SpanKind::Internal, || format!("link.{}", step.name()).into());
    span.describe(|| {
        let has = |at: &Step| match at {
            Step::Link(link) => link.key == step.key,
            Step::Parallel(links) => links.iter().any(|link| link.key == step.key),
        };
        let index = chain.steps.iter().position(has).unwrap_or_default();
        [
            KeyValue::new("vcon_id", uuid.to_owned()),
            KeyValue::new("vcon.uuid", uuid.to_owned()),
            KeyValue::new("chain_name", chain.name.clone()),
            KeyValue::new("link_name", step.name().to_owned()),
            KeyValue::new("link_index", i64::try_from(index).unwrap_or_default()),
            KeyValue::new("vconductor.module", step.module),
            KeyValue::new("vconductor.attempt", i64::from(attempt)),
        ]
    });
    span
}

/// Ends the span of a link.
pub(crate) fn link_ended(span: &Span, result: &Result<Outcome>, used: Option<&Usage>) {
    span.set(
        "vconductor.outcome",
        match result {
            Ok(Outcome::Continue) => "continue",
            Ok(Outcome::Stop) => "stop",
            Ok(Outcome::Switch(_)) => "switch",
            Ok(Outcome::Park { .. }) => "park",
            Err(_) => "error",
        },
    );
    if let Some(cost) = used.and_then(|used| used.cost) {
        span.set("vconductor.cost.usd", cost);
    }
    ended(span, result.as_ref().err());
}

/// Ends a span, as failed if there is an error.
pub(crate) fn ended(span: &Span, error: Option<&Error>) {
    if let Some(error) = error {
        span.failed(error.class().as_str());
    }
    span.end();
}

/// The span of one write of a storage.
pub(crate) fn storage(step: &StorageStep, chain: &str, uuid: &str) -> Span {
    let span = Span::child(SpanKind::Client, || format!("storage.{}", step.name).into());
    span.describe(|| {
        [
            KeyValue::new("vcon_id", uuid.to_owned()),
            KeyValue::new("vcon.uuid", uuid.to_owned()),
            KeyValue::new("chain_name", chain.to_owned()),
            KeyValue::new("storage_name", step.name.clone()),
            KeyValue::new("vconductor.module", step.module),
        ]
    });
    if let Some(system) = database(step.module) {
        span.describe(|| [KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", "save")]);
    }
    span
}

/// What the conventions for databases call a storage that is one.
fn database(module: &str) -> Option<&'static str> {
    match module {
        "storage.postgres" => Some("postgresql"),
        "storage.mongo" => Some("mongodb"),
        "storage.elasticsearch" => Some("elasticsearch"),
        "storage.redis_storage" => Some("redis"),
        "storage.sqlite" => Some("sqlite"),
        _ => None,
    }
}
