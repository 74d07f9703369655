//! Spans of traces (OpenTelemetry): what a run, a link or a call outside was part of, and how long it took.
//!
//! Off until a program installs a tracer; until then each of these functions looks at an empty cell and returns. The span
//! that is at work travels with the future that works ([`Span::around`]), so that whoever calls something below it is
//! handed nothing. No attribute may hold contents of a vCon, a secret, a URL's path or query, or the text of an error.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;
use std::pin::{Pin, pin};
use std::sync::OnceLock;
use std::task::{Context as Waking, Poll};
use std::time::SystemTime;

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value};

pub use opentelemetry::trace::{SpanBuilder, SpanContext, SpanKind, TraceId};

use crate::http::Hosts;

static INSTALLED: OnceLock<Installed> = OnceLock::new();

struct Installed {
    tracer: BoxedTracer,
    headers_to: Hosts,
}

thread_local! {
    /// The id of the next trace that begins on this thread.
    static WANTED: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Switches traces on for the rest of the process; a second tracer is not taken. Requests to the hosts of `headers_to` carry
/// the header `traceparent`.
pub fn install(tracer: BoxedTracer, headers_to: Hosts) -> bool {
    INSTALLED.set(Installed { tracer, headers_to }).is_ok()
}

/// Whether there are traces.
pub fn is_on() -> bool {
    INSTALLED.get().is_some()
}

/// The time, if there are traces: asking for it is not free.
pub fn now() -> Option<SystemTime> {
    is_on().then(SystemTime::now)
}

/// The id that the trace which begins now is to have, for the tracer's generator of ids.
pub fn wanted_trace_id() -> Option<TraceId> {
    WANTED.take()
}

/// The span that is at work here, if it is recorded.
pub fn current() -> Option<SpanContext> {
    is_on().then(|| Context::map_current(|context| context.span().span_context().clone())).filter(is_recorded)
}

/// The value of `traceparent` for a request to a host, if that host is to see it.
pub(crate) fn header_for(host: &str) -> Option<String> {
    let installed = INSTALLED.get()?;
    let span = current().filter(|_| installed.headers_to.contains(host))?;
    let mut header = String::with_capacity(55);
    write!(header, "00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()).ok()?;
    Some(header)
}

fn is_recorded(context: &SpanContext) -> bool {
    context.is_valid() && context.is_sampled()
}

/// A span, or nothing where there are no traces or the trace is not recorded. Ends when it is ended or dropped.
#[derive(Debug, Clone, Default)]
pub struct Span(Option<Context>);

impl Span {
    /// No span.
    pub fn none() -> Span {
        Span(None)
    }

    /// The first span of a trace. `id`: what the trace is called, so that passages of one run on several machines share
    /// one.
    pub fn root(id: Option<TraceId>, span: impl FnOnce() -> SpanBuilder) -> Span {
        let Some(installed) = INSTALLED.get() else { return Span(None) };
        WANTED.set(id);
        Span::recorded(installed, &Context::new(), span())
    }

    /// A span whose parent is in another process, where that is known.
    pub fn continuing(parent: Option<SpanContext>, span: impl FnOnce() -> SpanBuilder) -> Span {
        let Some(installed) = INSTALLED.get() else { return Span(None) };
        let context = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        Span::recorded(installed, &context, span())
    }

    /// A span below the one that is at work here; nothing where none is.
    pub fn child(kind: SpanKind, name: impl FnOnce() -> Cow<'static, str>) -> Span {
        let Some(installed) = INSTALLED.get() else { return Span(None) };
        let context = Context::current();
        if !is_recorded(context.span().span_context()) {
            return Span(None);
        }
        Span::recorded(installed, &context, SpanBuilder::from_name(name()).with_kind(kind))
    }

    /// A span below this one that is over already.
    pub fn past(&self, span: impl FnOnce() -> SpanBuilder, end: SystemTime) {
        if let (Some(installed), Some(context)) = (INSTALLED.get(), &self.0) {
            Span::recorded(installed, context, span()).end_at(end);
        }
    }

    fn recorded(installed: &Installed, parent: &Context, builder: SpanBuilder) -> Span {
        let context = parent.with_span(installed.tracer.build_with_context(builder, parent));
        Span(Some(context).filter(|context| is_recorded(context.span().span_context())))
    }

    /// Whether it is one.
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// Its ids.
    pub fn ids(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|context| context.span().span_context().clone())
    }

    /// Says something of it.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        if let Some(context) = &self.0 {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    }

    /// Says several things of it; they are put together only where it is one.
    pub fn describe<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(context) = &self.0 {
            context.span().set_attributes(attributes());
        }
    }

    /// Says that what it stands for failed: `kind` is a class or a status, never a text.
    pub fn failed(&self, kind: impl Into<Value>) {
        if let Some(context) = &self.0 {
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(""));
        }
    }

    /// Ends it now.
    pub fn end(&self) {
        if let Some(context) = &self.0 {
            context.span().end();
        }
    }

    fn end_at(&self, time: SystemTime) {
        if let Some(context) = &self.0 {
            context.span().end_with_timestamp(time);
        }
    }

    /// Does `work` as part of it.
    pub async fn around<F: Future>(&self, work: F) -> F::Output {
        self.enclose(pin!(work)).await
    }

    /// [`around`](Self::around) for what lives longer than this handle.
    pub fn enclose<F>(&self, work: F) -> Enclosed<F> {
        Enclosed { context: self.0.clone(), work }
    }
}

/// A future that works as part of a span.
#[derive(Debug)]
pub struct Enclosed<F> {
    context: Option<Context>,
    work: F,
}

impl<F: Future + Unpin> Future for Enclosed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, waking: &mut Waking<'_>) -> Poll<F::Output> {
        let _at_work = self.context.clone().map(Context::attach);
        Pin::new(&mut self.work).poll(waking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_tracer_nothing_is_made_and_nothing_asked_for() {
        let never = || -> SpanBuilder { panic!("nobody asked for it") };
        let span = Span::root(Some(TraceId::from(7)), never);
        span.describe(|| -> [KeyValue; 1] { panic!("nobody asked for it") });
        span.past(never, SystemTime::now());
        assert!(!is_on() && !span.is_some() && now().is_none() && current().is_none());
        assert!(!Span::child(SpanKind::Client, || panic!("nobody asked for it")).is_some());
        assert!(wanted_trace_id().is_none() && header_for("localhost").is_none());
        assert_eq!(span.around(async { 7 }).await, 7);
    }
}
