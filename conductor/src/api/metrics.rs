//! The figures of this process and of the queues, for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::timeout;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::{Error, Result};
use vconductor_core::layers::instruments::{self, QueueFigures};
use vconductor_core::store::Store;

use super::answer::Result as Answered;
use super::route::{Required, Route, Verb};
use super::{Context, version};

/// Bounds of the distributions of times, in seconds: from a pure link to a transcription.
const SECONDS: &[f64] =
    &[0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
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

/// Starts to record, once in a process.
///
/// # Errors
/// Configuration, if something else records already.
pub(super) fn record() -> Result<PrometheusHandle> {
    static HANDLE: OnceLock<std::result::Result<PrometheusHandle, String>> = OnceLock::new();
    let start = || {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
            .map_err(|error| error.to_string())?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| error.to_string())?;
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
    match timeout(PATIENCE, observe(&*context.store)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error.chain_text(), "the queues cannot be looked at"),
        Err(_) => tracing::warn!("the queues cannot be looked at in time"),
    }
    let text = context.metrics.render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
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
