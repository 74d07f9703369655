//! Spans on their way to the collector: bounded, and whoever ends a span never waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use vconductor_core::layers::instruments;

use super::settings::Settings;

/// Where ended spans are put.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    /// Cancelled when what is left is to be sent at once.
    closing: CancellationToken,
    /// Cancelled when everything was sent.
    closed: CancellationToken,
    drops: Arc<Drops>,
}

impl Queue {
    /// The queue, and the work of sending what is put into it.
    pub(super) fn new(settings: &Settings, exporter: SpanExporter) -> (Queue, impl Future<Output = ()> + use<>) {
        let (spans, waiting) = mpsc::channel(settings.queue);
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let drops = Arc::new(Drops::new("spans"));
        let sender = Sender {
            waiting,
            exporter,
            batch: settings.batch,
            delay: settings.delay,
            closing: closing.clone(),
            drops: Arc::clone(&drops),
        };
        let ended = closed.clone().drop_guard();
        let work = async move {
            sender.work().await;
            drop(ended);
        };
        (Queue { spans, closing, closed, drops }, work)
    }

    /// Sends what is left; what is not sent within `limit` is lost, and counted.
    pub(super) async fn close(&self, limit: Duration) {
        self.closing.cancel();
        if tokio::time::timeout(limit, self.closed.cancelled()).await.is_err() {
            let left = self.spans.max_capacity() - self.spans.capacity();
            self.drops.add("stopped", left as u64);
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.drops.add("queue_full", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.closing.cancel();
        Ok(())
    }
}

/// Takes spans out of the queue and sends them, one batch after the other.
struct Sender {
    waiting: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    batch: usize,
    delay: Duration,
    closing: CancellationToken,
    drops: Arc<Drops>,
}

impl Sender {
    async fn work(mut self) {
        loop {
            let batch = self.next().await;
            if batch.is_empty() {
                return;
            }
            let spans = batch.len() as u64;
            match self.exporter.export(batch).await {
                Ok(()) => self.drops.recovered(),
                Err(error) => {
                    tracing::debug!(%error, spans, "spans were not sent");
                    self.drops.add("refused", spans);
                }
            }
        }
    }

    /// The next batch; empty at the end.
    async fn next(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::with_capacity(self.batch);
        let mut until = None;
        while batch.len() < self.batch {
            while batch.len() < self.batch
                && let Ok(span) = self.waiting.try_recv()
            {
                batch.push(span);
            }
            if batch.len() == self.batch || self.closing.is_cancelled() {
                break;
            }
            if !batch.is_empty() {
                until.get_or_insert_with(|| Instant::now() + self.delay);
            }
            let room = self.batch - batch.len();
            let received = async {
                let received = self.waiting.recv_many(&mut batch, room);
                match until {
                    Some(until) => timeout_at(until, received).await.is_ok_and(|received| received > 0),
                    None => received.await > 0,
                }
            };
            let goes_on = tokio::select! {
                goes_on = received => goes_on,
                () = self.closing.cancelled() => true,
            };
            if !goes_on {
                break;
            }
        }
        batch
    }
}

/// Counts what was not sent, and says so once: until something was sent again.
#[derive(Debug)]
pub(super) struct Drops {
    signal: &'static str,
    told: AtomicBool,
}

impl Drops {
    pub(super) fn new(signal: &'static str) -> Drops {
        Drops { signal, told: AtomicBool::new(false) }
    }

    pub(super) fn add(&self, reason: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        instruments::telemetry_dropped(self.signal, reason, count);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                signal = self.signal,
                reason,
                "the collector is away, too slow or refuses: some of what is to be sent to it is lost; \
                 vconductor_telemetry_dropped_total counts it, and this is said once"
            );
        }
    }

    /// The collector takes again what it is sent.
    pub(super) fn recovered(&self) {
        self.told.store(false, Ordering::Relaxed);
    }
}
