//! How exports reach the collector: our HTTP client, on a thread of their own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient as Exporting, HttpError, Request as ToSend, Response as Answered};
use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use vconductor_core::error::{Error, Result};
use vconductor_core::http::{HttpClient, Request};
use vconductor_core::secret::Secret;

/// The longest time for one request; the exporters' own limit (`OTEL_EXPORTER_OTLP_TIMEOUT`) counts repetitions, too.
const LONGEST: Duration = Duration::from_secs(60);

/// A thread with a runtime, for all that has to do with the collector: what it costs, the engine's threads do not notice.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) handle: Handle,
    _end: DropGuard,
}

impl Thread {
    /// Starts it; it ends when this is dropped.
    pub(super) fn start() -> Result<Arc<Thread>> {
        let failed = |error: std::io::Error| Error::retryable("cannot start a thread").caused_by(error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let ended = end.clone();
        let work = move || runtime.block_on(ended.cancelled());
        std::thread::Builder::new().name("telemetry".to_owned()).spawn(work).map_err(failed)?;
        Ok(Arc::new(Thread { handle, _end: end.drop_guard() }))
    }
}

/// Sends what exporters have put together.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: HttpClient,
    handle: Handle,
    limit: Duration,
}

impl Client {
    pub(super) fn new(thread: &Thread) -> Result<Client> {
        let said = ["", "TRACES_", "METRICS_"].map(|signal| format!("OTEL_EXPORTER_OTLP_{signal}TIMEOUT"));
        let said = said.iter().filter_map(|name| std::env::var(name).ok()?.trim().parse().ok());
        let limit = said.max().map_or(Duration::from_secs(10), Duration::from_millis).min(LONGEST);
        Ok(Client { http: HttpClient::builder().build()?, handle: thread.handle.clone(), limit })
    }
}

#[async_trait]
impl Exporting for Client {
    async fn send_bytes(&self, request: ToSend<Bytes>) -> Result<Answered<Bytes>, HttpError> {
        let mut ours = Request::post(&request.uri().to_string())?.trusted().timeout(self.limit);
        for (name, value) in request.headers() {
            // Any of them may be the collector's key.
            ours = ours.secret_header(name.as_str(), &Secret::new(value.to_str()?.to_owned()))?;
        }
        let kind = request.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or("application/x-protobuf").to_owned();
        let ours = ours.body(&kind, request.into_body())?;
        let http = self.http.clone();
        let answer = self.handle.spawn(async move { http.exchange(&ours).await }).await??;
        let mut answered = Answered::builder().status(answer.status.as_u16());
        if let Some(wait) = answer.header("retry-after") {
            answered = answered.header("retry-after", wait);
        }
        Ok(answered.body(answer.body)?)
    }
}
