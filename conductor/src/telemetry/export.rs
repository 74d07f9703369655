//! Builds what sends: exporters, and what feeds them.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::global::BoxedTracer;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter as _};
use vconductor_core::error::{Error, Result};
use vconductor_core::layers::trace;
use vconductor_core::store::Store;

use super::client::{Client, Thread};
use super::ids::{Mixed, RunIds};
use super::queue::{Drops, Queue};
use super::settings::Settings;
use super::{Telemetry, watch};
use crate::api::metrics::record_also;

/// Who says all this.
const SCOPE: &str = "vconductor";

/// Starts to send what the settings ask for.
pub(super) fn start(settings: &Settings, store: &Arc<dyn Store>) -> Result<Telemetry> {
    let thread = Thread::start()?;
    let client = Client::new(&thread)?;
    let resource = resource();
    let mut started = Telemetry::default();
    if let Some(protocol) = settings.traces {
        started.spans = Some(traces(settings, protocol, &client, &thread, &resource)?);
    }
    if let Some(protocol) = settings.metrics {
        let provider = metrics(settings, protocol, client, resource)?;
        let prometheus = record_also(&provider.meter(SCOPE))?;
        started.watch = Some(tokio::spawn(watch::work(Arc::clone(store), prometheus, settings.interval)));
        started.metrics = Some(provider);
    }
    started._thread = Some(thread);
    Ok(started)
}

fn traces(
    settings: &Settings,
    protocol: Protocol,
    client: &Client,
    thread: &Thread,
    resource: &Resource,
) -> Result<Queue> {
    let exporter = SpanExporter::builder().with_http().with_http_client(client.clone()).with_protocol(protocol);
    let mut exporter = exporter.with_retry_policy(again()).build().map_err(|error| refused(&error))?;
    exporter.set_resource(resource);
    let (queue, work) = Queue::new(settings, exporter);
    thread.handle.spawn(work);
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(Mixed(settings.sampler.clone()))
        .with_id_generator(RunIds::default())
        .with_span_processor(queue.clone())
        .build();
    trace::install(BoxedTracer::new(Box::new(provider.tracer(SCOPE))), settings.headers_to.clone());
    Ok(queue)
}

fn metrics(settings: &Settings, protocol: Protocol, client: Client, resource: Resource) -> Result<SdkMeterProvider> {
    let exporter = MetricExporter::builder().with_http().with_http_client(client).with_protocol(protocol);
    let exporter = exporter.with_retry_policy(again()).build().map_err(|error| refused(&error))?;
    let exporter = Counted { exporter, drops: Drops::new("metrics") };
    let reader = PeriodicReader::builder(exporter).with_interval(settings.interval).build();
    Ok(SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build())
}

/// An export is repeated until its time-out, as long as a collector takes to start again.
fn again() -> RetryPolicy {
    RetryPolicy::recommended().with_max_retries(100)
}

fn refused(error: &ExporterBuildError) -> Error {
    Error::configuration(format!("telemetry cannot be sent: {error}"))
        .help("OTEL_EXPORTER_OTLP_ENDPOINT is a URL like http://collector:4318; without one nothing is sent")
}

/// Who we are: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, filled up with what is known by itself.
fn resource() -> Resource {
    let said = Resource::builder().build();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned());
    let own = [
        KeyValue::new("service.name", "vconductor"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", format!("{host}-pid-{}", std::process::id())),
        KeyValue::new("host.name", host),
    ];
    let is_said = |key: &Key| {
        said.get(key)
            .is_some_and(|value| key.as_str() != "service.name" || !value.as_str().starts_with("unknown_service"))
    };
    Resource::builder().with_attributes(own.into_iter().filter(|own| !is_said(&own.key))).build()
}

/// An exporter of metrics whose failures are counted and told once.
struct Counted {
    exporter: MetricExporter,
    drops: Drops,
}

impl PushMetricExporter for Counted {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let exported = self.exporter.export(metrics).await;
        match &exported {
            Ok(()) => self.drops.recovered(),
            Err(error) => {
                tracing::debug!(%error, "metrics were not sent");
                self.drops.add("refused", 1);
            }
        }
        exported
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, limit: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(limit)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
