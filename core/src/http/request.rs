//! One call, complete and repeatable: what to send, how long it may take, and how far its URL is trusted.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;

use super::display::{shown_origin, shown_url};
use super::hosts::Hosts;
use crate::layers::trace::{Span, SpanKind};
use crate::secret::Secret;
use crate::{Error, Result};

/// A request. It can be sent any number of times; cloning does not copy the body.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) timeout: Option<Duration>,
    pub(super) max_body: Option<usize>,
    pub(super) provider: bool,
    pub(super) trusted: bool,
    pub(super) hosts: Option<Hosts>,
    secret_path: bool,
    hidden: Vec<String>,
}

impl Request {
    /// A request for a URL that is not trusted: the address guard decides whether it is sent.
    ///
    /// # Errors
    /// Permanent when `url` is not an absolute URL.
    pub fn new(method: Method, url: &str) -> Result<Self> {
        // The text is not repeated: it may hold a password, and it did not parse, so that cannot be cut out.
        let url = Url::parse(url).map_err(|error| Error::permanent("this is not a URL").caused_by(error))?;
        Ok(Request {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: None,
            max_body: None,
            provider: false,
            trusted: false,
            hosts: None,
            secret_path: false,
            hidden: Vec::new(),
        })
    }

    /// [`Request::new`] with GET.
    ///
    /// # Errors
    /// Permanent when `url` is not an absolute URL.
    pub fn get(url: &str) -> Result<Self> {
        Self::new(Method::GET, url)
    }

    /// [`Request::new`] with POST.
    ///
    /// # Errors
    /// Permanent when `url` is not an absolute URL.
    pub fn post(url: &str) -> Result<Self> {
        Self::new(Method::POST, url)
    }

    /// Marks the URL as written by the operator: private addresses and plain http are fine. Never
    /// for a URL out of a vCon. A redirect to another host is guarded all the same.
    #[must_use]
    pub fn trusted(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// Lets the request, and every redirect of it, go to these hosts only, on top of what the address guard says.
    #[must_use]
    pub fn only_to(mut self, hosts: Hosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Marks a call to a provider with the operator's key: 401, 402 and 403 are configuration errors, and
    /// the provider's `x-should-retry` is obeyed.
    #[must_use]
    pub fn provider(mut self) -> Self {
        self.provider = true;
        self
    }

    /// Marks the URL's path as secret (Slack's incoming webhooks, Telegram's bot URLs): messages show only the host.
    #[must_use]
    pub fn secret_path(mut self) -> Self {
        self.secret_path = true;
        self
    }

    /// Marks what is secret in a URL that the body holds, such as a signature in its query: it is cut out of answers that
    /// repeat it.
    #[must_use]
    pub fn hiding(mut self, url: &Url) -> Self {
        self.hidden.extend(secrets_of(url));
        self
    }

    /// The limit for the whole call, from connecting to the last byte of the answer, in place of the client's.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The most bytes that the answer may have, in place of the client's limit.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = Some(bytes);
        self
    }

    /// Sets a header, replacing an earlier one of that name.
    ///
    /// # Errors
    /// A configuration error when name or value hold characters that HTTP forbids.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self> {
        self.headers.insert(header_name(name)?, header_value(name, value)?);
        Ok(self)
    }

    /// Sets a header whose value is a secret: it is never shown, and cut out of answers that repeat it.
    ///
    /// # Errors
    /// A configuration error when name or value hold characters that HTTP forbids.
    pub fn secret_header(self, name: &str, value: &Secret) -> Result<Self> {
        self.hidden_header(name, value.expose())
    }

    /// Sets `Authorization: Bearer <token>`.
    ///
    /// # Errors
    /// A configuration error when the token holds characters that HTTP forbids.
    pub fn bearer(self, token: &Secret) -> Result<Self> {
        self.hidden_header(AUTHORIZATION.as_str(), &format!("Bearer {}", token.expose()))
    }

    fn hidden_header(mut self, name: &str, value: &str) -> Result<Self> {
        let mut value = header_value(name, value)?;
        value.set_sensitive(true);
        self.headers.insert(header_name(name)?, value);
        Ok(self)
    }

    /// Sets the body and its media type.
    ///
    /// # Errors
    /// A configuration error when the media type holds characters that HTTP forbids.
    pub fn body(mut self, mediatype: &str, body: impl Into<Bytes>) -> Result<Self> {
        self.body = body.into();
        self.header(CONTENT_TYPE.as_str(), mediatype)
    }

    /// Sets the body to `value` as JSON.
    ///
    /// # Errors
    /// Permanent when `value` cannot be written as JSON.
    pub fn json(self, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value)
            .map_err(|error| Error::permanent("cannot write the request as JSON").caused_by(error))?;
        self.body("application/json", body)
    }

    /// The URL, secrets included.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Method and URL as messages show them: without user, password and query.
    pub fn shown(&self) -> String {
        let url = if self.secret_path { shown_origin(&self.url) } else { shown_url(&self.url) };
        format!("{} {url}", self.method)
    }

    /// Its span, below the one that is at work. Of the URL it says the host alone: path and query may hold secrets.
    pub(super) fn span(&self) -> Span {
        let span = Span::child(SpanKind::Client, || self.method.to_string().into());
        if span.is_some() {
            span.set("http.request.method", self.method.to_string());
            span.set("url.scheme", self.url.scheme().to_owned());
            span.set("server.address", self.url.host_str().unwrap_or_default().to_owned());
            if let Some(port) = self.url.port_or_known_default() {
                span.set("server.port", i64::from(port));
            }
        }
        span
    }

    /// Ends its span by how it was answered.
    pub(super) fn tell(span: &Span, answered: std::result::Result<StatusCode, &Error>) {
        match answered {
            Ok(status) => {
                span.set("http.response.status_code", i64::from(status.as_u16()));
                if status.is_client_error() || status.is_server_error() {
                    span.failed(i64::from(status.as_u16()).to_string());
                }
            }
            Err(error) => span.failed(error.class().as_str()),
        }
        span.end();
    }

    /// Every text in this request that an answer must not carry into a message.
    pub(super) fn secrets(&self) -> Vec<String> {
        /// Shorter texts are no secrets worth the name, and replacing them would garble the message.
        const SHORTEST: usize = 6;
        let mut secrets = Vec::new();
        for value in self.headers.values().filter(|value| value.is_sensitive()) {
            if let Ok(text) = value.to_str() {
                secrets.push(text.to_owned());
                secrets.extend(text.split_once(' ').map(|(_, token)| token.to_owned()));
            }
        }
        secrets.extend(secrets_of(&self.url));
        secrets.extend(self.hidden.iter().cloned());
        if self.secret_path {
            secrets.push(self.url.path().to_owned());
            secrets.extend(self.url.path_segments().into_iter().flatten().map(str::to_owned));
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("call", &self.shown())
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The parts of a URL that give access: password and query.
fn secrets_of(url: &Url) -> Vec<String> {
    let whole = url.query().map(str::to_owned);
    let values = url.query_pairs().map(|(_, value)| value.into_owned());
    whole.into_iter().chain(values).chain(url.password().map(str::to_owned)).collect()
}

fn header_name(name: &str) -> Result<HeaderName> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Error::configuration(format!("`{}` is not a header name", name.escape_debug())))
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).map_err(|_| {
        Error::configuration(format!(
            "the value of header `{}` holds a line break or control character",
            name.escape_debug()
        ))
        .help("a secret read from a file often ends in a line break")
    })
}
