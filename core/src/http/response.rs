//! An answer that was read completely.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;

use super::display::excerpt;
use crate::{Error, Result};

/// Status, headers and body of an answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; of an answer that is not 2xx at most its first 64 KiB.
    pub body: Bytes,
    /// Where it came from after redirects; may hold secrets in its query.
    pub url: Url,
    /// Method and URL as messages show them.
    pub(super) shown: String,
    /// What must not be quoted out of the body.
    pub(super) secrets: Vec<String>,
}

impl Response {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// Retryable when it is not the expected JSON: mostly a page of a proxy in between, or an answer cut off.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let body = excerpt(&self.body, &self.secrets);
            // serde_json quotes the value it met, which may be one of the secrets; the position is enough.
            let place = format!("line {} column {}", error.line(), error.column());
            Error::retryable(format!("{}: the answer is not the expected JSON ({place}): {body}", self.shown))
                .help("check that the URL is the API itself and not a login page or a proxy")
        })
    }

    /// A header as text; `None` when it is missing or not text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}
