//! Trying what a plugin talks to, without paying and without leaving a trace.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::http::{HttpClient, Method, Request, StatusCode, Url};

/// One thing that was tried.
#[derive(Debug)]
pub struct Probe {
    /// What was tried, without secrets: `openai, key ab12cd34`, `https://crm.example.com`.
    pub target: String,
    /// What the answer says, in a few words; an error says what is wrong and what to do.
    pub outcome: Result<String>,
    /// How long it took.
    pub time: Duration,
}

impl Probe {
    /// Tries something and takes the time. `work` answers with what the other side said, in a few words.
    pub async fn of(target: impl Into<String>, work: impl Future<Output = Result<String>>) -> Self {
        let started = Instant::now();
        let outcome = work.await;
        Probe { target: target.into(), outcome, time: started.elapsed() }
    }

    /// Whether the other side accepts the credentials of a request that costs nothing.
    pub async fn credentials(http: &HttpClient, target: &str, request: Result<Request>) -> Self {
        Probe::of(target, async {
            http.send(&request?.trusted().provider()).await?;
            Ok("accepts the credentials".to_owned())
        })
        .await
    }

    /// Whether an address answers at all, whatever it says: for receivers that must not get what is no vCon. Of the
    /// address only the host is shown, since a path may be a secret.
    pub async fn address(http: &HttpClient, url: &Url) -> Self {
        Probe::of(url.origin().ascii_serialization(), async {
            let request = Request::new(Method::HEAD, url.as_str())?.trusted().secret_path();
            let status = http.exchange(&request).await?.status;
            match status {
                StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                    Err(Error::retryable(format!("{}: answered {status}", request.shown()))
                        .help("a proxy answers and nothing behind it: check that the service runs"))
                }
                status => Ok(format!("answers ({} to HEAD)", status.as_u16())),
            }
        })
        .await
    }
}
