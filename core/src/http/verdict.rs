//! What a status or a broken connection means for the engine: try again, give up, or ask the operator.

use std::error::Error as StdError;

use reqwest::StatusCode;

use super::display::excerpt;
use super::request::Request;
use super::resolver::Refused;
use super::response::Response;
use super::wait::wished_wait;
use crate::clock::Millis;
use crate::{Class, Error};

/// The error for an answer that is not 2xx.
pub(super) fn status_error(request: &Request, response: &Response, now: Millis) -> Error {
    let status = response.status;
    let class = class_of(request, response);
    let mut message = format!("{}: answered {status}", request.shown());
    let quoted = excerpt(&response.body, &response.secrets);
    if !quoted.is_empty() {
        message = format!("{message}: {quoted}");
    }
    let mut error = Error::new(class, message);
    if class == Class::Retryable
        && let Some(wait) = wished_wait(status, &response.headers, now)
    {
        error = error.retry_after(wait);
    }
    match help_for(class, request, status) {
        Some(help) => error.help(help),
        None => error,
    }
}

fn class_of(request: &Request, response: &Response) -> Class {
    let status = response.status;
    if request.provider {
        match response.header("x-should-retry") {
            Some("true") => return Class::Retryable,
            Some("false") if !is_credential_fault(status) => return Class::Permanent,
            _ => {}
        }
        if is_credential_fault(status) {
            return Class::Configuration;
        }
    }
    match status.as_u16() {
        // 409: the provider's SDKs retry it (a lock, or the same idempotency key still in flight).
        408 | 409 | 425 | 429 | 500.. => Class::Retryable,
        _ => Class::Permanent,
    }
}

fn is_credential_fault(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN)
}

fn help_for(class: Class, request: &Request, status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        300..=399 => "redirects are not followed for this call: configure the final URL",
        402 if class == Class::Configuration => "the provider wants to be paid: check the account's balance and plan",
        401 | 403 if class == Class::Configuration => "check the API key and what it is allowed to do",
        401 | 403 | 410 if !request.trusted => {
            "the URL came from outside: if it is a signed one it may have ended; have vCons processed sooner, or signed for longer"
        }
        401 | 403 => "the receiver refuses us: check its credentials in the options",
        404 => "check the URL",
        410 => "the receiver says that this endpoint is gone for good: remove it from the configuration",
        413 => "the request is larger than the receiver accepts",
        429 => "too many requests: lower `concurrency` or set a rate limit",
        _ => return None,
    })
}

/// The error for a call that ended without an answer.
pub(super) fn transport_error(request: &Request, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let shown = request.shown();
    if let Some(refused) = cause::<Refused>(&error) {
        return Error::permanent(format!("{shown}: refused by the address guard: {refused}")).help(
            "the URL came from outside the configuration; the operator can open a host or network under `http: allow:`",
        );
    }
    if error.is_builder() {
        return Error::permanent(format!("{shown}: this request cannot be sent")).caused_by(error);
    }
    let (what, help) = if error.is_timeout() {
        ("no connection in time", "check that the host is reachable from here")
    } else if error.is_connect() {
        ("cannot connect", "check host name, port, certificate and that the service runs")
    } else {
        ("the connection broke", "it is tried again")
    };
    Error::retryable(format!("{shown}: {what}")).help(help).caused_by(error)
}

/// The first cause of type `T`.
fn cause<'e, T: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e T> {
    let mut error = Some(error);
    while let Some(current) = error {
        if let Some(found) = current.downcast_ref::<T>() {
            return Some(found);
        }
        error = current.source();
    }
    None
}
