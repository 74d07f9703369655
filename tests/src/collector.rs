//! A collector of OTLP over HTTP, as a test wants it: it decodes what comes, and can be slow or refuse.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint};
use prost::Message;
use serde::de::DeserializeOwned;

/// Names with values.
pub type Attributes = BTreeMap<String, String>;

/// A span as it arrived.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its trace, in hex.
    pub trace: String,
    /// Its id, in hex.
    pub id: String,
    /// Its parent's id; empty for the first of a trace.
    pub parent: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// What is said of it.
    pub attributes: Attributes,
    /// The traces and spans it is linked to.
    pub links: Vec<(String, String)>,
    /// Whether it failed.
    pub failed: bool,
    /// When it began and ended, in nanoseconds since the epoch.
    pub time: (u64, u64),
}

/// The last that was said of one metric with one set of attributes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The sum of a counter, the level of a gauge, or the number of values of a histogram.
    pub value: f64,
    /// The sum of the values of a histogram.
    pub sum: f64,
}

#[derive(Default)]
struct Seen {
    spans: Vec<Span>,
    metrics: BTreeMap<(String, Attributes), Point>,
    resources: Vec<Attributes>,
    headers: Vec<HeaderMap>,
    /// Requests, also refused ones.
    requests: usize,
    /// What does not decode.
    unreadable: usize,
    status: Option<u16>,
    delay: Duration,
}

/// A running collector.
#[derive(Clone)]
pub struct Collector {
    seen: Arc<Mutex<Seen>>,
    /// Where it listens.
    pub url: String,
}

impl Collector {
    /// Starts one on a free port.
    pub async fn start() -> Collector {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let collector = Collector { seen: Arc::default(), url };
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::max(64 << 20)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        collector
    }

    /// Refuses everything with this status from now on.
    pub fn refuses(&self, status: u16) {
        self.lock().status = Some(status);
    }

    /// Takes everything again.
    pub fn accepts(&self) {
        self.lock().status = None;
    }

    /// Takes so long for each answer from now on.
    pub fn takes(&self, time: Duration) {
        self.lock().delay = time;
    }

    /// The environment of a conductor that sends there soon.
    pub fn environment(&self) -> Vec<(String, String)> {
        let set = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.url.as_str()),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ];
        set.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.lock().spans.clone()
    }

    /// All metrics as they were told last.
    pub fn metrics(&self) -> BTreeMap<(String, Attributes), Point> {
        self.lock().metrics.clone()
    }

    /// The value of the one metric of this name with these attributes among its own.
    pub fn value(&self, name: &str, attributes: &[(&str, &str)]) -> f64 {
        let metrics = self.metrics();
        let has =
            |found: &Attributes| attributes.iter().all(|(name, value)| found.get(*name).is_some_and(|is| is == value));
        let found: Vec<_> = metrics.iter().filter(|((known, found), _)| known == name && has(found)).collect();
        assert_eq!(found.len(), 1, "{name} {attributes:?}: {found:?}");
        found[0].1.value
    }

    /// What senders said of themselves.
    pub fn resources(&self) -> Vec<Attributes> {
        self.lock().resources.clone()
    }

    /// The headers of all requests.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.lock().headers.clone()
    }

    /// Requests so far, and how many of them could not be read.
    pub fn requests(&self) -> (usize, usize) {
        let seen = self.lock();
        (seen.requests, seen.unreadable)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, path: &str, headers: &HeaderMap, body: &Bytes) -> Option<()> {
        let is_json = headers.get("content-type").is_some_and(|kind| kind == "application/json");
        let mut seen = self.lock();
        match path {
            "/v1/traces" => {
                let request: ExportTraceServiceRequest = decoded(is_json, body)?;
                for resource in request.resource_spans {
                    seen.resources.push(attributes(&resource.resource?.attributes));
                    seen.spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans).map(Span::from));
                }
            }
            "/v1/metrics" => {
                let request: ExportMetricsServiceRequest = decoded(is_json, body)?;
                for resource in request.resource_metrics {
                    for metric in resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                        for (attributes, point) in points(metric.data?) {
                            seen.metrics.insert((metric.name.clone(), attributes), point);
                        }
                    }
                }
            }
            _ => return None,
        }
        Some(())
    }
}

async fn take(State(collector): State<Collector>, uri: Uri, headers: HeaderMap, body: Bytes) -> StatusCode {
    let (delay, status) = {
        let mut seen = collector.lock();
        seen.requests += 1;
        seen.headers.push(headers.clone());
        (seen.delay, seen.status)
    };
    tokio::time::sleep(delay).await;
    if let Some(status) = status {
        return StatusCode::from_u16(status).expect("a status");
    }
    match collector.read(uri.path(), &headers, &body) {
        Some(()) => StatusCode::OK,
        None => {
            collector.lock().unreadable += 1;
            StatusCode::BAD_REQUEST
        }
    }
}

fn decoded<T: Message + Default + DeserializeOwned>(is_json: bool, body: &Bytes) -> Option<T> {
    if is_json { serde_json::from_slice(body).ok() } else { T::decode(body.clone()).ok() }
}

fn points(data: Data) -> Vec<(Attributes, Point)> {
    let number = |point: &NumberDataPoint| {
        let value = match point.value {
            Some(Number::AsDouble(value)) => value,
            Some(Number::AsInt(value)) => value as f64,
            None => f64::NAN,
        };
        (attributes(&point.attributes), Point { value, sum: value })
    };
    let spread = |point: &HistogramDataPoint| {
        (attributes(&point.attributes), Point { value: point.count as f64, sum: point.sum.unwrap_or_default() })
    };
    match data {
        Data::Gauge(gauge) => gauge.data_points.iter().map(number).collect(),
        Data::Sum(sum) => sum.data_points.iter().map(number).collect(),
        Data::Histogram(histogram) => histogram.data_points.iter().map(spread).collect(),
        Data::ExponentialHistogram(_) | Data::Summary(_) => Vec::new(),
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    pairs.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map(text).unwrap_or_default())).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::BoolValue(value)) => value.to_string(),
        Some(Any::IntValue(value)) => value.to_string(),
        Some(Any::DoubleValue(value)) => value.to_string(),
        Some(Any::ArrayValue(values)) => {
            format!("[{}]", values.values.iter().map(text).collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl From<opentelemetry_proto::tonic::trace::v1::Span> for Span {
    fn from(span: opentelemetry_proto::tonic::trace::v1::Span) -> Span {
        Span {
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            kind: span.kind,
            attributes: attributes(&span.attributes),
            links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
            failed: span.status.as_ref().is_some_and(|status| status.code == 2),
            time: (span.start_time_unix_nano, span.end_time_unix_nano),
            name: span.name,
        }
    }
}
