//! Getting what a delivery only points to.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::http::{HttpClient, Request, Response, StatusCode};
use crate::{Error, Result};

/// How long asking a vendor's API may take.
const ASK: Duration = Duration::from_secs(30);
/// How long fetching a recording may take.
const FETCH: Duration = Duration::from_secs(300);
/// The largest answer of a vendor's API in bytes.
const LARGEST_ANSWER: usize = 1 << 20;

/// Gets recordings and facts from vendors, in bounded time and size. Where a request may go is said by the request:
/// [`Request::trusted`] for an address of the configuration, [`Request::only_to`] for one that a delivery named.
#[derive(Debug, Clone)]
pub struct Fetcher {
    http: HttpClient,
    largest: usize,
}

impl Fetcher {
    /// A fetcher that takes recordings of up to `largest` bytes.
    pub fn new(http: HttpClient, largest: usize) -> Self {
        Fetcher { http, largest }
    }

    /// The largest recording in bytes.
    pub fn largest(&self) -> usize {
        self.largest
    }

    /// An answer of a vendor's API.
    ///
    /// # Errors
    /// As [`HttpClient::send`]; retryable when there is nothing yet (404), as the call is often told of before it can be
    /// asked for, or when it is no JSON.
    pub async fn json(&self, request: Request) -> Result<Value> {
        self.there(request.timeout(ASK).max_body(LARGEST_ANSWER)).await?.json()
    }

    /// [`json`](Self::json), or `None` when there is nothing (404) and need not be.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn json_if_any(&self, request: Request) -> Result<Option<Value>> {
        let request = request.timeout(ASK).max_body(LARGEST_ANSWER);
        let response = self.http.exchange(&request).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.http.require_success(&request, response)?.json().map(Some)
    }

    /// The bytes of a recording.
    ///
    /// # Errors
    /// As [`HttpClient::send`]; retryable when it is not there yet (404, 202, or nothing in it).
    pub async fn media(&self, request: Request) -> Result<Bytes> {
        let request = request.timeout(FETCH).max_body(self.largest);
        let shown = request.shown();
        let response = self.there(request).await?;
        if response.body.is_empty() || response.status != StatusCode::OK {
            return Err(not_there(&shown, response.status));
        }
        Ok(response.body)
    }

    /// [`media`](Self::media), or `None` when it is not to be had under this URL (any more): 401, 403, 404 and 410 are what
    /// a signed URL answers whose time is over.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub async fn signed_media(&self, request: Request) -> Result<Option<Bytes>> {
        let request = request.timeout(FETCH).max_body(self.largest);
        let response = self.http.exchange(&request).await?;
        if matches!(response.status.as_u16(), 401 | 403 | 404 | 410) {
            return Ok(None);
        }
        Ok(Some(self.http.require_success(&request, response)?.body))
    }

    async fn there(&self, request: Request) -> Result<Response> {
        let response = self.http.exchange(&request).await?;
        if response.status == StatusCode::NOT_FOUND {
            return Err(not_there(&request.shown(), response.status));
        }
        self.http.require_success(&request, response)
    }
}

fn not_there(shown: &str, status: StatusCode) -> Error {
    Error::retryable(format!("{shown}: not there yet ({status})"))
        .help("vendors often tell of a recording before it can be had; it is tried again until `give_up_after`")
}
