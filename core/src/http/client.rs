//! The client: connection pools, redirects, size limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, HeaderMap, LOCATION, RANGE, USER_AGENT};
use reqwest::{Method, StatusCode, Url};
use tokio_util::sync::CancellationToken;

use super::download::Download;
use super::guard::Guard;
use super::offline::{Offline, OfflineCall};
use super::request::Request;
use super::resolver::{CheckedResolver, Resolver, SystemResolver};
use super::response::Response;
use super::verdict::{status_error, transport_error};
use crate::clock::{Clock, SystemClock};
use crate::layers::budget::RetryBudgets;
use crate::layers::retry::{Attempted, RetryPolicy, retry_within};
use crate::layers::timeout::with_timeout;
use crate::layers::trace;
use crate::{Error, Result};

/// Redirects that a GET follows.
const MOST_REDIRECTS: usize = 5;

/// Bytes read of an answer that is not 2xx; only its beginning is ever quoted.
const MOST_ERROR_BODY: usize = 64 * 1024;

/// The shared HTTP client. Clones share pools and retry budgets.
#[derive(Debug, Clone)]
pub struct HttpClient {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// For URLs of the configuration.
    open: reqwest::Client,
    /// For URLs from outside. A pool of its own, so that none of its connections skipped the guard.
    guarded: reqwest::Client,
    guard: Arc<Guard>,
    timeout: Duration,
    max_body: usize,
    clock: Arc<dyn Clock>,
    budgets: RetryBudgets,
    /// Answers in place of the network.
    offline: Option<Arc<dyn Offline>>,
}

/// Settings of an [`HttpClient`].
#[derive(Debug)]
pub struct HttpClientBuilder {
    connect_timeout: Duration,
    timeout: Duration,
    max_body: usize,
    guard: Guard,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    offline: Option<Arc<dyn Offline>>,
}

impl Default for HttpClientBuilder {
    fn default() -> Self {
        HttpClientBuilder {
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            max_body: 64 * 1024 * 1024,
            guard: Guard::default(),
            resolver: Arc::new(SystemResolver),
            clock: Arc::new(SystemClock),
            offline: None,
        }
    }
}

impl HttpClientBuilder {
    /// The limit for making a connection, TLS included. Default 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// The limit for a whole call, from connecting to the last byte of the answer. Default 30 s; a request may have its own.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// The most bytes that an answer may have. Default 64 MiB; a request may have its own.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// What URLs from outside may reach. Default: https to public addresses.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Another source of addresses than the operating system.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// The clock against which dates in `Retry-After` are read.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Answers every call in place of the network, which is never reached.
    #[must_use]
    pub fn offline(mut self, offline: Arc<dyn Offline>) -> Self {
        self.offline = Some(offline);
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// A configuration error when TLS cannot be set up (no root certificates, broken proxy variables).
    pub fn build(self) -> Result<HttpClient> {
        let guard = Arc::new(self.guard);
        let library = |guard: Option<Arc<Guard>>| {
            let guarded = guard.is_some();
            let builder = reqwest::Client::builder()
                .user_agent(concat!("vconductor/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .connect_timeout(self.connect_timeout)
                .tcp_nodelay(true)
                .dns_resolver(CheckedResolver { resolver: Arc::clone(&self.resolver), guard });
            // A proxy would resolve the name itself, behind the guard's back.
            let builder = if guarded { builder.no_proxy() } else { builder };
            builder.build().map_err(|error| Error::configuration("cannot set up HTTPS").caused_by(error))
        };
        Ok(HttpClient {
            shared: Arc::new(Shared {
                open: library(None)?,
                guarded: library(Some(Arc::clone(&guard)))?,
                guard,
                timeout: self.timeout,
                max_body: self.max_body,
                clock: self.clock,
                budgets: RetryBudgets::default(),
                offline: self.offline,
            }),
        })
    }
}

impl HttpClient {
    /// Settings for a new client.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder::default()
    }

    /// Whether nothing outside is reached.
    pub fn is_offline(&self) -> bool {
        self.shared.offline.is_some()
    }

    /// Sends once; anything but a 2xx is an error.
    ///
    /// # Errors
    /// By class: retryable for connections that fail or break, time-outs, 408, 409, 425, 429 and 5xx (with the wished
    /// wait); configuration for 401, 402 and 403 of a [provider](Request::provider); permanent for every other status,
    /// refused URLs and answers over the size limit.
    pub async fn send(&self, request: &Request) -> Result<Response> {
        let response = self.exchange(request).await?;
        self.require_success(request, response)
    }

    /// [`send`](Self::send) until it succeeds, fails for good, or `policy` or the host's retry budget is used up.
    pub async fn send_with_retry(
        &self,
        policy: &RetryPolicy,
        cancel: &CancellationToken,
        request: &Request,
    ) -> Attempted<Response> {
        let budget = self.shared.budgets.of(&request.url.origin().ascii_serialization());
        retry_within(policy, Some(&budget), cancel, |_| self.send(request)).await
    }

    /// Sends once and returns the answer whatever its status is; for callers that count or record statuses.
    ///
    /// # Errors
    /// As [`send`](Self::send), without those for a status.
    pub async fn exchange(&self, request: &Request) -> Result<Response> {
        let limit = request.timeout.unwrap_or(self.shared.timeout);
        let exchanged = Box::pin(async {
            let (url, answer) = self.follow(request).await?;
            self.read(request, url, answer).await
        });
        let span = request.span();
        let answered = span.around(with_timeout(limit, request.shown(), exchanged)).await;
        Request::tell(&span, answered.as_ref().map(|response| response.status));
        answered
    }

    /// Sends once and reads the body piece by piece, for what is too large for memory: at most `most` bytes, whatever
    /// the limits of client and request. The time is the caller's to limit.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn download(&self, request: &Request, most: u64) -> Result<Download> {
        let span = request.span();
        let followed = span.around(Box::pin(self.follow(request))).await;
        Request::tell(&span, followed.as_ref().map(|(_, answer)| answer.status()));
        let (url, answer) = followed?;
        if !answer.status().is_success() {
            let response = self.read(request, url, answer).await?;
            return Err(status_error(request, &response, self.shared.clock.now()));
        }
        Download::new(request.clone(), answer, most)
    }

    /// Passes a 2xx through and turns every other answer into the error that [`send`](Self::send) gives for it.
    ///
    /// # Errors
    /// The status as a classified error.
    pub fn require_success(&self, request: &Request, response: Response) -> Result<Response> {
        if response.status.is_success() {
            return Ok(response);
        }
        Err(status_error(request, &response, self.shared.clock.now()))
    }

    /// Sends and follows the redirects of a GET or HEAD, each hop checked like a first one.
    async fn follow(&self, request: &Request) -> Result<(Url, reqwest::Response)> {
        let mut url = request.url.clone();
        let mut headers = request.headers.clone();
        let mut trusted = request.trusted;
        for hop in 0..=MOST_REDIRECTS {
            let answer = self.send_hop(request, &url, &headers, trusted).await.map_err(|error| {
                if hop == 0 { error } else { error.within(format_args!("{}: redirect {hop}", request.shown())) }
            })?;
            let Some(mut target) = redirect_target(&request.method, &url, &answer) else {
                return Ok((url, answer));
            };
            if target.origin() != url.origin() {
                // Nobody wrote this place into the configuration, and our keys are not for it.
                trusted = false;
                headers = harmless(&headers);
            } else if target.username().is_empty() && target.password().is_none() {
                // Both fail only for URLs without a host, and this one has the host of the last hop.
                target.set_username(url.username()).ok();
                target.set_password(url.password()).ok();
            }
            url = target;
        }
        Err(Error::permanent(format!("{}: more than {MOST_REDIRECTS} redirects", request.shown()))
            .help("configure the final URL"))
    }

    async fn send_hop(
        &self,
        request: &Request,
        url: &Url,
        headers: &HeaderMap,
        trusted: bool,
    ) -> Result<reqwest::Response> {
        if let Some(hosts) = &request.hosts
            && !url.host_str().is_some_and(|host| hosts.contains(host))
        {
            let host = url.host_str().unwrap_or_default();
            return Err(Error::permanent(format!("{}: `{host}` is none of the allowed hosts", request.shown()))
                .help("the URL came from outside the configuration; name the host there if it is right"));
        }
        let client = if trusted {
            &self.shared.open
        } else {
            self.shared.guard.check_url(url)?;
            &self.shared.guarded
        };
        if let Some(offline) = &self.shared.offline {
            let call = OfflineCall { method: &request.method, url, headers, body: &request.body };
            return offline.answer(call).map(reqwest::Response::from);
        }
        let mut call = client.request(request.method.clone(), url.clone()).headers(headers.clone());
        if let Some(header) = url.host_str().and_then(trace::header_for) {
            call = call.header("traceparent", header);
        }
        if !request.body.is_empty() || request.method == Method::POST || request.method == Method::PUT {
            call = call.body(request.body.clone());
        }
        call.send().await.map_err(|error| transport_error(request, error))
    }

    async fn read(&self, request: &Request, url: Url, mut answer: reqwest::Response) -> Result<Response> {
        let status = answer.status();
        let headers = std::mem::take(answer.headers_mut());
        let limit = request.max_body.unwrap_or(self.shared.max_body);
        let body = if status.is_success() {
            read_body(request, answer, limit).await?
        } else {
            // A body that breaks off does not hide the status, which is what matters here.
            read_beginning(&mut answer, limit.min(MOST_ERROR_BODY)).await
        };
        Ok(Response { status, headers, body, url, shown: request.shown(), secrets: request.secrets() })
    }
}

/// Where a GET or HEAD is sent next; `None` when the answer is final.
fn redirect_target(method: &Method, url: &Url, answer: &reqwest::Response) -> Option<Url> {
    let followed = matches!(
        answer.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    if !followed || (method != Method::GET && method != Method::HEAD) {
        return None;
    }
    url.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()
}

/// The headers that may go to a host for which they were not meant: a list of the allowed ones, as a
/// provider's key can be in any header.
fn harmless(headers: &HeaderMap) -> HeaderMap {
    let allowed = [ACCEPT, RANGE, USER_AGENT];
    let kept = headers.iter().filter(|(name, value)| allowed.contains(name) && !value.is_sensitive());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn read_body(request: &Request, answer: reqwest::Response, limit: usize) -> Result<Bytes> {
    let mut download = Download::new(request.clone(), answer, limit as u64)?;
    let mut body = BytesMut::new();
    while let Some(chunk) = download.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn read_beginning(answer: &mut reqwest::Response, limit: usize) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == limit {
            break;
        }
    }
    body.freeze()
}
