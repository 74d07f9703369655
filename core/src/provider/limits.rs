//! What a provider lets one key do, and what a call wants of that.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::store::Want;

/// Limits of each key of a provider, shared by all conductors on one store. What is left out is not limited.
///
/// A call that would exceed them waits for its turn before it is made, so that the provider never has to refuse it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Calls in any minute.
    pub requests_per_minute: Option<u32>,
    /// Tokens, of requests and answers, in any minute.
    pub tokens_per_minute: Option<u64>,
    /// Seconds of sound in any hour.
    pub audio_seconds_per_hour: Option<u64>,
    /// Calls at the same time.
    pub concurrency: Option<u32>,
}

/// What a call is expected to use beside one request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimate {
    /// Tokens of request and answer.
    pub tokens: f64,
    /// Seconds of sound.
    pub audio_seconds: f64,
}

impl Estimate {
    /// The tokens of a text in most languages and models: one for four characters.
    pub fn tokens_of(text: &str) -> f64 {
        (text.chars().count() as f64 / 4.0).ceil()
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Limits {
    /// What a call wants, under names that begin with `key`.
    pub(super) fn wants(&self, key: &str, estimate: Estimate) -> Vec<Want> {
        let want = |name: &str, most: Option<f64>, window, amount| {
            most.map(|most| Want { limit: format!("{key}:{name}"), most, window, amount })
        };
        let per_minute = self.requests_per_minute.map(f64::from);
        let tokens = self.tokens_per_minute.map(|most| most as f64);
        let sound = self.audio_seconds_per_hour.map(|most| most as f64);
        [
            want(REQUESTS, per_minute, MINUTE, 1.0),
            want(TOKENS, tokens, MINUTE, estimate.tokens),
            want(SOUND, sound, HOUR, estimate.audio_seconds),
            want(AT_ONCE, self.concurrency.map(f64::from), Duration::ZERO, 1.0),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

const REQUESTS: &str = "requests";
pub(super) const TOKENS: &str = "tokens";
const SOUND: &str = "audio";
const AT_ONCE: &str = "at-once";
