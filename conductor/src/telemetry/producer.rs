//! The trace of whoever made the work: handed from one program to the next as vcon-server does it (contract 4), and as the
//! header `traceparent` of W3C over HTTP.

use axum::http::HeaderMap;
use opentelemetry::trace::{SpanId, TraceFlags, TraceState};
use serde::{Deserialize, Serialize};
use vconductor_core::layers::trace::{self, SpanContext, TraceId};

/// What lies in the list `context:<list>:<uuid>`.
#[derive(Serialize, Deserialize)]
struct Handed {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    trace_flags: u8,
    #[serde(default)]
    is_sampled: bool,
}

/// Reads what a producer handed over: vcon-server's JSON, or a `traceparent`. `None` for what is neither.
pub(crate) fn read(handed: &str) -> Option<SpanContext> {
    match serde_json::from_str::<Handed>(handed) {
        Ok(handed) => context(&handed.trace_id, &handed.span_id, handed.trace_flags | u8::from(handed.is_sampled)),
        Err(_) => of_traceparent(handed),
    }
}

/// Reads the header `traceparent` of a call.
pub(crate) fn of_headers(headers: &HeaderMap) -> Option<SpanContext> {
    of_traceparent(headers.get("traceparent")?.to_str().ok()?)
}

/// Writes a context as it is handed over.
fn write(context: &SpanContext) -> Option<String> {
    let handed = Handed {
        trace_id: context.trace_id().to_string(),
        span_id: context.span_id().to_string(),
        trace_flags: context.trace_flags().to_u8(),
        is_sampled: context.is_sampled(),
    };
    serde_json::to_string(&handed).ok()
}

/// What the work of the span that is at work here is tied to: as it is handed over; nothing where there are no traces.
pub(crate) fn current() -> Option<String> {
    trace::current().as_ref().and_then(write)
}

/// What work that a call makes is tied to: the span that handles the call, else the caller's.
pub(crate) fn of_call(headers: &HeaderMap) -> Option<String> {
    trace::current().or_else(|| of_headers(headers)).as_ref().and_then(write)
}

/// `00-<trace>-<span>-<flags>`; later versions may have more behind that.
fn of_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
    let flags = u8::from_str_radix(flags, 16).ok().filter(|_| flags.len() == 2 && is_known)?;
    context(trace, span, flags)
}

fn context(trace: &str, span: &str, flags: u8) -> Option<SpanContext> {
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex(trace, 32) || !is_hex(span, 16) {
        return None;
    }
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, TraceFlags::new(flags & 1), true, TraceState::default());
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn both_forms_say_the_same() {
        let json = format!(r#"{{"trace_id": "{TRACE}", "span_id": "{SPAN}", "trace_flags": 1, "is_sampled": true}}"#);
        let header = format!("00-{TRACE}-{SPAN}-01");
        let context = read(&json).unwrap();
        assert_eq!(read(&header), Some(context.clone()));
        assert_eq!((context.trace_id().to_string().as_str(), context.is_sampled()), (TRACE, true));
        let written: serde_json::Value = serde_json::from_str(&write(&context).unwrap()).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(&json).unwrap());
    }

    #[test]
    fn what_is_no_context_is_passed_over() {
        let zero = "0".repeat(32);
        for text in [
            "",
            "{}",
            "abc",
            "\"00\"",
            &format!("00-{zero}-{SPAN}-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("00-{TRACE}-{SPAN}-1"),
            &format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            r#"{"trace_id": "x", "span_id": "y"}"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(read(&format!("01-{TRACE}-{SPAN}-00-more")).is_some_and(|context| !context.is_sampled()));
    }
}
