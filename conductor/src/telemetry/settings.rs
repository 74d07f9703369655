//! OpenTelemetry's environment variables, as far as they are ours to read; the exporters read the rest (headers, time-out).

use std::time::Duration;

use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::trace::Sampler;
use vconductor_core::error::{Error, Result};
use vconductor_core::http::Hosts;

/// Spans that may wait to be sent, where nothing is said: a second of a busy conductor, some 20 MB.
const QUEUE: usize = 32_768;
/// Spans of one export.
const BATCH: usize = 512;
/// How long spans wait for company.
const DELAY: u64 = 5000;
/// How often metrics are sent.
const INTERVAL: u64 = 60_000;

/// What is to be sent, and how.
#[derive(Debug)]
pub(super) struct Settings {
    /// How traces are sent; `None`: not at all.
    pub(super) traces: Option<Protocol>,
    /// How metrics are sent.
    pub(super) metrics: Option<Protocol>,
    pub(super) sampler: Sampler,
    /// Spans that may wait.
    pub(super) queue: usize,
    /// Spans of one export.
    pub(super) batch: usize,
    /// How long spans wait for company.
    pub(super) delay: Duration,
    /// How often metrics are sent.
    pub(super) interval: Duration,
    /// Hosts whose requests carry `traceparent`.
    pub(super) headers_to: Hosts,
    /// What could not be followed.
    pub(super) warnings: Vec<String>,
}

impl Settings {
    /// Reads what is set; `get` gives a variable that is there and not empty.
    ///
    /// # Errors
    /// Configuration, for numbers and hosts that nobody can read.
    pub(super) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Settings> {
        let mut warnings = Vec::new();
        let disabled = get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let mut signal = |signal: &str| {
            let own = |name: &str| get(&format!("OTEL_EXPORTER_OTLP_{signal}_{name}"));
            let general = |name: &str| get(&format!("OTEL_EXPORTER_OTLP_{name}"));
            let endpoint = own("ENDPOINT").or_else(|| general("ENDPOINT"))?;
            let exporter = get(&format!("OTEL_{signal}_EXPORTER")).unwrap_or_else(|| "otlp".to_owned());
            if disabled || exporter == "none" {
                return None;
            }
            if exporter != "otlp" {
                warnings.push(format!(
                    "OTEL_{signal}_EXPORTER={exporter}: there is otlp and none (Prometheus reads GET /metrics); nothing is sent"
                ));
                return None;
            }
            let named = own("PROTOCOL").or_else(|| general("PROTOCOL"));
            let of_grpc = endpoint.trim_end_matches('/').ends_with(":4317");
            match named.as_deref() {
                Some("http/json") => Some(Protocol::HttpJson),
                Some("http/protobuf") => Some(Protocol::HttpBinary),
                None if of_grpc => {
                    warnings.push(format!(
                        "{signal}: {endpoint} looks like the port for gRPC, and OTLP is spoken over HTTP here; the \
                         collector's port for that is 4318"
                    ));
                    Some(Protocol::HttpBinary)
                }
                None => Some(Protocol::HttpBinary),
                Some(other) => {
                    warnings.push(format!(
                        "{signal}: the protocol {other} is not spoken here, so nothing is sent; set \
                         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and an endpoint with the collector's port for it, 4318"
                    ));
                    None
                }
            }
        };
        let (traces, metrics) = (signal("TRACES"), signal("METRICS"));
        warnings.dedup_by_key(|warning| warning.split_once(": ").map(|(_, what)| what.to_owned()));
        let sampler = sampler(&get, &mut warnings);
        let number = |name: &str, default: u64| match get(name) {
            None => Ok(default),
            Some(text) => text.trim().parse().ok().filter(|number| *number > 0).ok_or_else(|| {
                Error::configuration(format!("{name}={text} is not a number above 0")).help("write a whole number")
            }),
        };
        let size = |name, default| Ok::<_, Error>(usize::try_from(number(name, default)?).unwrap_or(usize::MAX));
        let queue = size("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE as u64)?.min(1 << 22);
        let hosts = get("VCONDUCTOR_TRACEPARENT_TO").unwrap_or_default();
        let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
        Ok(Settings {
            traces,
            metrics,
            sampler,
            queue,
            batch: size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH as u64)?.min(queue),
            delay: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", DELAY)?),
            interval: Duration::from_millis(number("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL)?),
            headers_to: Hosts::parse(hosts).map_err(|error| error.within("VCONDUCTOR_TRACEPARENT_TO"))?,
            warnings,
        })
    }
}

/// Which traces are kept.
fn sampler(get: &impl Fn(&str) -> Option<String>, warnings: &mut Vec<String>) -> Sampler {
    let mut ratio = || {
        let Some(text) = get("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        text.trim().parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or_else(|| {
            warnings.push(format!("OTEL_TRACES_SAMPLER_ARG={text} is not a number from 0 to 1; all traces are kept"));
            1.0
        })
    };
    let below = |root| Sampler::ParentBased(Box::new(root));
    match get("OTEL_TRACES_SAMPLER").as_deref() {
        None | Some("parentbased_always_on") => below(Sampler::AlwaysOn),
        Some("always_on") => Sampler::AlwaysOn,
        Some("always_off") => Sampler::AlwaysOff,
        Some("parentbased_always_off") => below(Sampler::AlwaysOff),
        Some("traceidratio") => Sampler::TraceIdRatioBased(ratio()),
        Some("parentbased_traceidratio") => below(Sampler::TraceIdRatioBased(ratio())),
        Some(other) => {
            warnings.push(format!(
                "OTEL_TRACES_SAMPLER={other} is not known, so all traces are kept; there are always_on, always_off, \
                 traceidratio, and each with parentbased_ in front"
            ));
            below(Sampler::AlwaysOn)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> Settings {
        let get = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Settings::read(get).unwrap()
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

    #[test]
    fn nothing_is_sent_without_an_endpoint() {
        let settings = read(&[("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_SERVICE_NAME", "x")]);
        assert!(settings.traces.is_none() && settings.metrics.is_none() && settings.warnings.is_empty());
    }

    #[test]
    fn both_signals_are_sent_to_an_endpoint_unless_one_is_switched_off() {
        let both = read(&[ENDPOINT]);
        assert_eq!((both.traces, both.metrics), (Some(Protocol::HttpBinary), Some(Protocol::HttpBinary)));
        let metrics = read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
        assert_eq!((metrics.traces, metrics.metrics), (None, Some(Protocol::HttpJson)));
        let traces = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector/v1/traces")]);
        assert_eq!((traces.traces, traces.metrics), (Some(Protocol::HttpBinary), None));
        let none = read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")]);
        assert!(none.traces.is_none() && none.metrics.is_none());
    }

    #[test]
    fn what_is_not_spoken_is_told_once_and_stops_nothing() {
        let settings =
            read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert!(settings.traces.is_none() && settings.warnings.len() == 1, "{:?}", settings.warnings);
        let port = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")]);
        assert!(port.traces.is_some() && port.warnings.len() == 1 && port.warnings[0].contains("4318"));
        let sampler = read(&[ENDPOINT, ("OTEL_TRACES_SAMPLER", "xray")]);
        assert!(sampler.warnings[0].contains("xray"));
        let ratio = read(&[ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "a tenth")]);
        assert!(ratio.warnings[0].contains("a tenth"));
    }

    #[test]
    fn numbers_and_hosts_must_be_such() {
        let get = |name: &str| (name == "OTEL_METRIC_EXPORT_INTERVAL").then(|| "often".to_owned());
        assert!(Settings::read(get).unwrap_err().message().contains("often"));
        let get = |name: &str| (name == "VCONDUCTOR_TRACEPARENT_TO").then(|| "https://x/".to_owned());
        assert!(Settings::read(get).unwrap_err().message().contains("VCONDUCTOR_TRACEPARENT_TO"));
        let hosts = read(&[("VCONDUCTOR_TRACEPARENT_TO", "crm.internal, *.svc.local")]).headers_to;
        assert!(hosts.contains("crm.internal") && hosts.contains("a.svc.local") && !hosts.contains("api.openai.com"));
    }
}
