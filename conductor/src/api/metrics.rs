//! The figures of this process and of the queues, for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use opentelemetry::metrics::Meter;
use tokio::time::timeout;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::{Error, Result};
use vconductor_core::layers::instruments::{self, Kind, QueueFigures};
use vconductor_core::store::Store;

use super::answer::Result as Answered;
use super::route::{Required, Route, Verb};
use super::{Context, version};
use crate::telemetry::Recorder;

/// How long the store may take to say how the queues stand; without it the figures of before are told.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often the recorder tidies up.
const UPKEEP: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(
            Verb::Get,
            "/metrics",
            Required::Read,
            "Tells the figures of this process and of the queues",
            metrics,
        )
        .gives_as(200, "The figures", "text/plain", "Text"),
    ]
}

/// What is recorded with, once in a process.
static HANDLE: OnceLock<std::result::Result<PrometheusHandle, String>> = OnceLock::new();

/// Starts to record, unless it is done already.
///
/// # Errors
/// Configuration, if something else records already.
pub(super) fn record() -> Result<PrometheusHandle> {
    start(|recorder| metrics::set_global_recorder(recorder).map_err(|error| error.to_string()))
}

/// Starts to record for OTLP as well.
///
/// # Errors
/// Configuration, if something else records already.
pub(crate) fn record_also(meter: &Meter) -> Result<PrometheusHandle> {
    start(|recorder| metrics::set_global_recorder(Recorder::new(recorder, meter)).map_err(|error| error.to_string()))
}

fn start(install: impl FnOnce(PrometheusRecorder) -> std::result::Result<(), String>) -> Result<PrometheusHandle> {
    let start = || {
        let mut builder = PrometheusBuilder::new();
        for instrument in instruments::ALL.iter().filter(|instrument| instrument.kind == Kind::Histogram) {
            let whose = Matcher::Full(instrument.name.to_owned());
            builder = builder.set_buckets_for_metric(whose, instrument.bounds()).map_err(|error| error.to_string())?;
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        install(recorder)?;
        instruments::describe_all();
        instruments::build_started(version::VERSION, version::COMMIT);
        Ok(handle)
    };
    let started = HANDLE.get_or_init(start).clone();
    started.map_err(|why| Error::configuration(format!("metrics cannot be recorded: {why}")))
}

/// Keeps what is recorded small while nobody asks for it.
pub(super) async fn tidy(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        handle.run_upkeep();
    }
}

async fn metrics(State(context): State<Context>) -> Answered<Response> {
    look(&*context.store).await;
    let text = context.metrics.render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Looks how the queues stand, if the store says so in time.
pub(crate) async fn look(store: &dyn Store) {
    match timeout(PATIENCE, observe(store)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error.chain_text(), "the queues cannot be looked at"),
        Err(_) => tracing::warn!("the queues cannot be looked at in time"),
    }
}

/// Looks how the queues stand.
async fn observe(store: &dyn Store) -> Result<()> {
    let now = SystemClock.now();
    let age = |oldest: Option<Millis>| {
        let age = oldest.map_or(0, |oldest| now.saturating_sub(oldest));
        Duration::from_millis(u64::try_from(age).unwrap_or(0))
    };
    for list in store.lists().await? {
        let figures = QueueFigures {
            length: list.waiting,
            inflight: list.claimed,
            scheduled: list.scheduled,
            parked: list.parked,
            oldest_age: age(list.oldest),
        };
        instruments::queue_observed(&list.list, figures);
    }
    for queue in store.dead_letter_queues().await? {
        instruments::dlq_observed(&queue.queue, queue.letters);
    }
    Ok(())
}
