//! The path `/ingress/<name>`: verify, read, store, answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::routing::get;
use bytes::Bytes;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::failpoint;
use vconductor_core::ingress::{Answer, Delivery, Event, Refused};
use vconductor_core::layers::instruments::ingress_delivered;

use super::accept::Taken;
use super::{Gate, Ingresses};
use crate::telemetry::producer;

/// The largest body in bytes: events are small, what is large is fetched.
const LARGEST: usize = 4 << 20;
/// How long the body may take to arrive: vendors give up after 15 s.
const PATIENCE: Duration = Duration::from_secs(15);
/// What a vendor is told to wait when the store is away, in seconds.
const AGAIN: &str = "5";
/// Refusals that follow each other faster are told once, in milliseconds.
const QUIET: Millis = 1000;

/// The path of all ingress adapters. Each has its own proof in place of the keys of the API, so this belongs outside of
/// what asks for those; its limit of the body is its own, too.
pub fn router(ingresses: Arc<Ingresses>) -> Router {
    Router::new().route("/ingress/{name}", get(take).post(take)).with_state(ingresses)
}

async fn take(
    State(ingresses): State<Arc<Ingresses>>,
    Path(name): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let gate = ingresses.gate(&name).filter(|gate| gate.adapter.spool().is_none());
    let Some(gate) = gate else { return plain(StatusCode::NOT_FOUND, "there is no such ingress") };
    let body = match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, LARGEST)).await {
        Ok(Ok(body)) => body,
        // Too long, or broken off: the status is for the first.
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 4 MiB, or broke off"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"),
    };
    let query = uri.query().unwrap_or_default().to_owned();
    let delivery = Delivery { method, query, headers, body, at: SystemClock.now() };
    gate.deliver(delivery).await
}

/// What a delivery says, if it is proved.
fn understood(gate: &Gate, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
    gate.adapter.verify(delivery)?;
    gate.adapter.read(delivery)
}

impl Gate {
    /// Takes one delivery. 2xx only when it is safe.
    async fn deliver(self: Arc<Self>, delivery: Delivery) -> Response<Body> {
        let (gate, delivery) = (Arc::clone(&self), Arc::new(delivery));
        let (same, context) = (Arc::clone(&delivery), producer::of_call(&delivery.headers));
        // The operator's jq programs and large bodies take their time.
        let reading = tokio::task::spawn_blocking(move || understood(&gate, &same));
        let events = match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(Ok(events))) => events,
            Ok(Ok(Err(refused))) => return self.refuse(&refused),
            Ok(Err(_)) | Err(_) => {
                tracing::error!(
                    ingress = self.name,
                    "a delivery could not be read: the adapter panicked, or took too long"
                );
                return plain(StatusCode::INTERNAL_SERVER_ERROR, "it could not be read");
            }
        };
        let taken = match self.accept(events, delivery.at, context.as_deref()).await {
            Ok(taken) => taken,
            Err(error) => {
                ingress_delivered(&self.name, "unavailable");
                let ingress = self.name.as_str();
                tracing::warn!(ingress, error = %error.chain_text(), "a delivery cannot be stored; it is to come again");
                let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, "it cannot be stored now");
                response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(AGAIN));
                return response;
            }
        };
        failpoint::hit("ingress_stored");
        let outcome = match taken {
            Taken::Accepted => "accepted",
            Taken::Repeated => "repeated",
            Taken::Nothing => "ignored",
        };
        ingress_delivered(&self.name, outcome);
        tracing::debug!(ingress = self.name, outcome, bytes = delivery.body.len(), "a delivery was taken");
        answered(self.adapter.answer(&delivery))
    }

    /// The sender learns no more than the status: what is wrong with a proof is nobody's business.
    fn refuse(&self, refused: &Refused) -> Response<Body> {
        let (outcome, status, said) = match refused {
            Refused::Unproved { challenge: Some(_), .. } => ("unproved", StatusCode::UNAUTHORIZED, "not verified"),
            Refused::Unproved { .. } => ("unproved", StatusCode::FORBIDDEN, "not verified"),
            Refused::Unreadable { .. } => ("unreadable", StatusCode::BAD_REQUEST, "not understood"),
        };
        ingress_delivered(&self.name, outcome);
        let now = SystemClock.now();
        if now.saturating_sub(self.told.swap(now, Ordering::Relaxed)) > QUIET {
            tracing::warn!(ingress = self.name, why = %refused, "a delivery was refused");
        } else {
            tracing::debug!(ingress = self.name, why = %refused, "another delivery was refused");
        }
        let mut response = plain(status, said);
        if let Refused::Unproved { challenge: Some(challenge), .. } = refused {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(challenge));
        }
        response
    }
}

fn answered(answer: Answer) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from_static(answer.body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    if !answer.mediatype.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.mediatype));
    }
    response
}

/// An answer as the rest of the API gives it.
fn plain(status: StatusCode, detail: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::json!({"detail": detail}).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}
