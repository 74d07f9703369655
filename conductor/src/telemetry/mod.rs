//! Traces and metrics over OTLP, set up by OpenTelemetry's environment variables, and the line of the log that tells how a
//! run ended. Decision 38 says why it is so.
//!
//! Everything is off, and costs nothing, until an endpoint is named. Then spans go through a bounded [`queue`] to a thread of
//! their own, and metrics are read from what Prometheus is told as well ([`recorder`]): a collector that is away or slow
//! costs spans, which are counted, and never a moment of the engine's.
//!
//! Reading order: [`settings`] reads the environment, [`export`] builds what sends; [`run`] is what a run's trace looks like,
//! [`producer`] how it is tied to the trace of whoever made the work.

mod client;
mod export;
mod ids;
pub(crate) mod producer;
mod queue;
mod recorder;
pub(crate) mod run;
mod settings;
mod watch;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry_sdk::metrics::SdkMeterProvider;
use tokio::task::JoinHandle;
use vconductor_core::error::Result;
use vconductor_core::store::Store;

use queue::Queue;
pub(crate) use recorder::Recorder;
use settings::Settings;

/// How long what is left may take to be sent at the end of the process.
const LAST: Duration = Duration::from_secs(5);

/// The kind of the store, as `messaging.system` names it.
static SYSTEM: OnceLock<&str> = OnceLock::new();

/// The kind of the store: `redis` or `embedded`.
fn system() -> &'static str {
    SYSTEM.get().copied().unwrap_or("embedded")
}

/// What sends traces and metrics while the process lives.
#[derive(Default)]
pub(crate) struct Telemetry {
    spans: Option<Queue>,
    metrics: Option<SdkMeterProvider>,
    watch: Option<JoinHandle<()>>,
    _thread: Option<Arc<client::Thread>>,
}

impl Telemetry {
    /// Starts what the environment asks for. To be called before anything is recorded.
    ///
    /// # Errors
    /// Configuration: an endpoint that is no URL, or a value that nobody can read.
    pub(crate) fn start(store: &Arc<dyn Store>) -> Result<Telemetry> {
        let settings = Settings::read(|name| std::env::var(name).ok().filter(|value| !value.trim().is_empty()))?;
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        if settings.traces.is_none() && settings.metrics.is_none() {
            return Ok(Telemetry::default());
        }
        let kind = if store.describe().starts_with("redis") { "redis" } else { "embedded" };
        SYSTEM.get_or_init(|| kind);
        export::start(&settings, store)
    }

    /// Sends what is left, for as long as that takes within some seconds.
    pub(crate) async fn stop(self) {
        if let Some(watch) = self.watch {
            watch.abort();
        }
        let spans = async {
            if let Some(spans) = &self.spans {
                spans.close(LAST).await;
            }
        };
        let metrics = async {
            if let Some(metrics) = self.metrics {
                let last = tokio::task::spawn_blocking(move || metrics.shutdown());
                // What fails here was told and counted by who failed.
                drop(tokio::time::timeout(LAST, last).await);
            }
        };
        tokio::join!(spans, metrics);
    }
}
