//! The door of a route: who may pass, how long it may take, and what is written down of it.

use std::time::Instant;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use opentelemetry::KeyValue;
use vconductor_core::layers::instruments;
use vconductor_core::layers::trace::{Span, SpanBuilder, SpanKind};

use super::access::{Caller, Scope};
use super::answer::{Refusal, Result};
use super::route::Required;
use super::server::Peer;
use super::{Context, version};
use crate::telemetry::producer;

/// The door of one route.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) context: Context,
    pub(super) required: Required,
    /// Whether a key that is bound to a tenant may pass.
    pub(super) tenants: bool,
    pub(super) path: &'static str,
}

impl Door {
    /// Who passes; `None` where nobody is asked, or where the handler asks because only it knows the list.
    async fn caller(&self, headers: &HeaderMap, peer: Peer) -> Result<Option<Caller>> {
        let scope = match self.required {
            Required::Nothing | Required::List => return Ok(None),
            Required::Read => Scope::Read,
            Required::Write => Scope::Write,
            Required::Admin => Scope::Admin,
        };
        let caller = self.context.access.caller(headers, peer.0).await?;
        if !self.tenants && caller.tenants.tenant().is_some() {
            return Err(Refusal::forbidden("This key is bound to a tenant, and this is not for tenants"));
        }
        if !caller.may(&scope) {
            return Err(Refusal::forbidden(format!("This key lacks the scope {scope}")));
        }
        Ok(Some(caller))
    }
}

/// Lets calls pass, and counts, bounds and writes down what they do.
pub(super) async fn guard(
    State(door): State<Door>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().path().to_owned());
    let (name, response) = match door.caller(request.headers(), peer).await {
        Err(refusal) => (None, refusal.into_response()),
        Ok(caller) => {
            let name = caller.as_ref().map(|caller| caller.name.clone());
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            let span = span(&door, verb(&method), request.headers());
            let answer = span.around(tokio::time::timeout(door.context.limits.call, next.run(request))).await;
            let late = || Refusal::new(StatusCode::GATEWAY_TIMEOUT, "The answer took too long").after(1);
            let answer = answer.unwrap_or_else(|_| late().into_response());
            tell(&span, answer.status());
            (name, answer)
        }
    };
    let status = response.status();
    instruments::http_answered(door.path, verb(&method), status.as_u16(), started.elapsed());
    let name = response.extensions().get::<Caller>().map(|caller| caller.name.clone()).or(name);
    let read = matches!(method, Method::GET | Method::HEAD) && door.required != Required::Write;
    let refused = matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS);
    if refused || (!read && door.required != Required::Nothing) {
        door.context.audit.record(name.as_deref(), &method, &uri, status, peer.0);
    }
    response
}

/// The span of a call, below the caller's. Calls that only ask have none unless the caller's trace is recorded: probes and
/// scrapes would fill the traces.
fn span(door: &Door, verb: &'static str, headers: &HeaderMap) -> Span {
    let caller = producer::of_headers(headers);
    if verb != "POST" && caller.as_ref().is_none_or(|caller| !caller.is_sampled()) {
        return Span::none();
    }
    Span::continuing(caller, || {
        SpanBuilder::from_name(format!("{verb} {}", door.path))
            .with_kind(SpanKind::Server)
            .with_attributes([KeyValue::new("http.request.method", verb), KeyValue::new("http.route", door.path)])
    })
}

/// Ends the span of a call.
fn tell(span: &Span, status: StatusCode) {
    span.set("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.failed(status.as_u16().to_string());
    }
    span.end();
}

/// Only the verbs that there are: what a caller makes up is no label.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Headers that every answer has: vcon-server's versions, and what keeps browsers from making anything of an answer.
pub(super) async fn finish(State(secure): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert("x-vcon-server-version", HeaderValue::from_static(version::VERSION));
    headers.insert("x-vcon-server-commit", HeaderValue::from_static(version::COMMIT));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(policy);
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}
