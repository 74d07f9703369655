//! Calls that are answered in this process: simulations and chain tests reach nothing.

use std::fmt;

use bytes::Bytes;
use reqwest::{Method, StatusCode, Url};

use super::HeaderMap;
use crate::Result;

/// A call as it would have been sent.
#[derive(Debug, Clone, Copy)]
pub struct OfflineCall<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Where it would go.
    pub url: &'a Url,
    /// Its headers; they may hold keys.
    pub headers: &'a HeaderMap,
    /// Its body.
    pub body: &'a Bytes,
}

/// An answer as it would have come.
#[derive(Debug, Clone, Default)]
pub struct OfflineAnswer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Answers in place of the network.
pub trait Offline: fmt::Debug + Send + Sync {
    /// The answer to a call.
    ///
    /// # Errors
    /// What the network would have done, or that nobody said what the answer is.
    fn answer(&self, call: OfflineCall<'_>) -> Result<OfflineAnswer>;
}

impl From<OfflineAnswer> for reqwest::Response {
    fn from(answer: OfflineAnswer) -> Self {
        let mut response = http::Response::new(answer.body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        response.into()
    }
}
