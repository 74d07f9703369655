//! Looks how the queues stand, for metrics that are sent: over HTTP it is looked when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use vconductor_core::store::Store;

use crate::api::metrics::look;

/// Looks again and again, shortly before metrics are sent; ends when it is aborted.
pub(super) async fn work(store: Arc<dyn Store>, prometheus: PrometheusHandle, interval: Duration) {
    let interval = interval.clamp(Duration::from_millis(200), Duration::from_secs(15));
    loop {
        look(&*store).await;
        // What Prometheus would be told is kept small while nobody asks for it.
        prometheus.run_upkeep();
        tokio::time::sleep(interval).await;
    }
}
