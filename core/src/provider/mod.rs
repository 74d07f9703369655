//! Paid services: calls under limits that all conductors share, with one key or several, metered.
//!
//! A link makes one [`Provider`] out of its options and calls through it:
//!
//! ```ignore
//! let call = Call { estimate: Estimate { audio_seconds: 61.0, ..Estimate::default() }, ..Call::default() };
//! let answer = self.provider.call(context, call, |key| Request::post(URL)?.bearer(key)?.json(&body)).await?;
//! context.spend(self.provider.name(), "nova-3", &[(unit::AUDIO_SECONDS, 61.0)]);
//! ```
//!
//! Calls are not tried again in place: what may go away by itself is scheduled by the engine, and finished parts of a
//! step are in the ledger. Only another key is tried at once.

mod cache;
mod key;
mod limits;
mod permit;
mod probe;
mod report;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

pub use cache::{Keep, ResultKey, cached};
pub use key::OneOrMore;
pub use limits::{Estimate, Limits};
pub use report::{Unit, UsageReport};
pub use told::{Asked, UsageTold};

use crate::clock::Millis;
use crate::error::{Class, Error, Result};
use crate::http::{Request, Response, StatusCode};
use crate::layers::instruments;
use crate::plugin::LinkContext;
use crate::secret::Secret;
use crate::store::{Coordination, Hold, Permit, Taken};
use key::{Key, Standing};
use permit::UnderWay;
use told::Told;

/// A key rests so long when the provider says 429 but not for how long.
const REST: Duration = Duration::from_secs(5);

/// A wait for a limit is worth a line in the log from here on.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// A paid service with the keys and limits of one link.
#[derive(Debug)]
pub struct Provider {
    name: String,
    keys: Vec<Key>,
    limits: Limits,
    standing: Standing,
    /// One waiter of this process asks for permits at a time, in order.
    queue: Mutex<()>,
}

/// Reads the tokens that were used out of a successful answer.
pub type TokensUsed<'a> = dyn Fn(&Response) -> Option<f64> + Sync + 'a;

/// What a call is expected to use, and how its answer tells what it used.
#[derive(Clone, Copy, Default)]
pub struct Call<'a> {
    /// The expectation.
    pub estimate: Estimate,
    /// Reads the tokens that were used out of a successful answer.
    pub tokens: Option<&'a TokensUsed<'a>>,
    /// What a model is asked for, for traces and metrics; of a service without models nothing.
    pub asked: Option<Asked<'a>>,
}

impl Provider {
    /// A provider of this name: links that say the same name and key share their limits.
    ///
    /// # Errors
    /// A configuration error for a limit of nothing.
    pub fn new(name: impl Into<String>, keys: OneOrMore, limits: Limits) -> Result<Self> {
        let nothing = limits.requests_per_minute == Some(0)
            || limits.tokens_per_minute == Some(0)
            || limits.audio_seconds_per_hour == Some(0)
            || limits.concurrency == Some(0);
        if nothing {
            return Err(Error::configuration("`limits` lets no call through").help("a limit is at least 1"));
        }
        let mut keys: Vec<_> = keys.into_keys().into_iter().map(Key::new).collect();
        if keys.is_empty() {
            // A server of one's own may want no key; its limits hold all the same.
            keys.push(Key::new(Secret::default()));
        }
        Ok(Provider { name: name.into(), keys, limits, standing: Standing::default(), queue: Mutex::default() })
    }

    /// The provider's name, as prices, metrics and messages have it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is a key at all.
    pub fn has_key(&self) -> bool {
        self.keys.iter().any(|key| !key.secret.is_empty())
    }

    /// Waits for a key that may be used, calls with it, and answers with a 2xx. `build` makes the request of a key.
    ///
    /// A key that is answered 401, 402 or 403 is taken out, visibly, and the next one is tried. One that is answered 429 rests as
    /// long as the provider says, and the next one is tried.
    ///
    /// # Errors
    /// Those of [`HttpClient::send`](crate::http::HttpClient::send); of class configuration when every key is refused.
    pub async fn call<F>(&self, context: &LinkContext<'_>, call: Call<'_>, build: F) -> Result<Response>
    where
        F: Fn(&Secret) -> Result<Request>,
    {
        self.call_judged(context, call, build, |_, error| error).await
    }

    /// [`call`](Self::call) for a provider whose answers say more than their status: `judge` makes the error of a refused
    /// call out of the answer and the error that its status stands for. One of class configuration takes the key
    /// out, unless the status is 404: then the address or the model is wrong, and no other key helps.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_judged<F, J>(
        &self,
        context: &LinkContext<'_>,
        call: Call<'_>,
        build: F,
        judge: J,
    ) -> Result<Response>
    where
        F: Fn(&Secret) -> Result<Request>,
        J: Fn(&Response, Error) -> Error,
    {
        let shared = context.services.coordination.as_ref();
        loop {
            let (key, permit) = self.permit(context, call.estimate).await?;
            let under_way = UnderWay::new(&context.services.coordination, permit);
            let request = build(&key.secret)?.provider().trusted();
            let told = Told::begin(call.asked);
            let sent = told.span().around(Box::pin(context.http.exchange(&request))).await;
            told.end(sent.as_ref());
            let used = sent.as_ref().ok().filter(|answer| answer.status.is_success());
            let tokens = used.and_then(|answer| call.tokens.and_then(|read| read(answer)));
            let used: Vec<_> = tokens.map(|tokens| (self.limit(key, limits::TOKENS), tokens)).into_iter().collect();
            under_way.settle(&used).await;
            let answer = sent?;
            let status = answer.status;
            let seen = (!status.is_success()).then(|| answer.clone());
            let mut error = match context.http.require_success(&request, answer) {
                Ok(answer) => {
                    self.accepted(shared, key).await;
                    return Ok(answer);
                }
                Err(error) => error,
            };
            if let Some(seen) = seen {
                error = judge(&seen, error);
            }
            let is_refusal =
                matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::FORBIDDEN)
                    || error.class() == Class::Configuration && status != StatusCode::NOT_FOUND;
            let others = match status {
                _ if is_refusal => {
                    self.refused(shared, key, &error, context.clock.now()).await;
                    self.open_keys(context.clock.now()).next().is_some() || self.rested().is_some()
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    let now = context.clock.now();
                    self.standing.rest(&key.fingerprint, later(now, error.wait().unwrap_or(REST)));
                    self.open_keys(now).next().is_some()
                }
                _ => false,
            };
            if !others {
                return Err(error);
            }
        }
    }

    /// A key that may be used now, with a permit for one call.
    async fn permit(&self, context: &LinkContext<'_>, estimate: Estimate) -> Result<(&Key, Permit)> {
        let _turn = self.queue.lock().await;
        let started = Instant::now();
        let mut told = false;
        loop {
            let now = context.clock.now();
            let mut keys: Vec<_> = self.open_keys(now).collect();
            let rested = self.rested();
            if keys.is_empty() && rested.is_none() {
                // All are refused: how often they are tried is the business of the one who holds the link meanwhile.
                keys = self.standing.longest_refused(&self.keys);
            }
            let wait = if keys.is_empty()
                && let Some(until) = rested
            {
                Duration::from_millis(u64::try_from(until - now).unwrap_or(0))
            } else {
                let wants: Vec<_> = keys.iter().map(|key| self.limits.wants(&self.resource(key), estimate)).collect();
                match context.services.coordination.take(&wants).await? {
                    Taken::Granted { index, permit } => {
                        instruments::rate_limit_waited(&self.name, started.elapsed());
                        return Ok((keys[index], permit));
                    }
                    Taken::Wait(wait) => wait,
                }
            };
            if !told && started.elapsed() + wait >= LONG_WAIT {
                told = true;
                tracing::info!(provider = self.name, ?wait, "waiting for room under the provider's limits");
            }
            tokio::select! {
                biased;
                () = context.cancel.cancelled() => {
                    return Err(Error::retryable(format!("stopped while waiting for the limits of {}", self.name)));
                }
                // Not all conductors at the same moment.
                () = tokio::time::sleep(wait + Duration::from_millis(fastrand::u64(1..20))) => {}
            }
        }
    }

    fn open_keys(&self, now: Millis) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| self.standing.is_open(&key.fingerprint, now))
    }

    fn rested(&self) -> Option<Millis> {
        self.standing.rested(self.keys.iter().map(|key| key.fingerprint.clone()))
    }

    /// The name of a key's limits in the store.
    fn resource(&self, key: &Key) -> String {
        format!("{}:{}", self.name, key.fingerprint)
    }

    fn limit(&self, key: &Key, name: &str) -> String {
        format!("{}:{name}", self.resource(key))
    }

    async fn refused(&self, shared: &dyn Coordination, key: &Key, error: &Error, now: Millis) {
        let until = self.standing.refuse(&key.fingerprint, now);
        tracing::warn!(provider = self.name, key = key.fingerprint, %error, "the key is refused and taken out");
        let hold = Hold {
            what: self.hold(key),
            reason: error.message().to_owned(),
            help: error.help_text().map(str::to_owned),
            since: now,
            until,
            times: 1,
        };
        if let Err(error) = shared.hold(&hold).await {
            tracing::warn!(provider = self.name, %error, "the refused key could not be shown to others");
        }
    }

    async fn accepted(&self, shared: &dyn Coordination, key: &Key) {
        if !self.standing.accepted(&key.fingerprint) {
            return;
        }
        tracing::info!(provider = self.name, key = key.fingerprint, "the key is accepted again");
        if let Err(error) = shared.release(&self.hold(key)).await {
            tracing::warn!(provider = self.name, %error, "the accepted key is still shown as refused");
        }
    }

    fn hold(&self, key: &Key) -> String {
        format!("key:{}", self.resource(key))
    }
}

fn later(now: Millis, wait: Duration) -> Millis {
    now.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}
