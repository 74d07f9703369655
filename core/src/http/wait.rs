//! How long the other side wants us to wait, from the headers of its answer.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::clock::Millis;

/// The wished wait, or `None` when no header tells.
///
/// In order: `retry-after-ms` (OpenAI, Azure), `Retry-After` in seconds or as a date (RFC 9110, 10.2.3), and
/// on a 429 the rate-limit headers of OpenAI and Groq (`x-ratelimit-reset-requests: 6m0s`) and Anthropic
/// (`anthropic-ratelimit-tokens-reset: 2026-01-01T00:00:00Z`).
pub(super) fn wished_wait(status: StatusCode, headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Some(millis / 1000);
    }
    if let Some(value) = text(RETRY_AFTER.as_str())
        && let Some(wait) = number(value).or_else(|| http_date(value).map(|then| until(then, now)))
    {
        return Some(wait);
    }
    (status == StatusCode::TOO_MANY_REQUESTS).then(|| rate_limit_reset(headers, now)).flatten()
}

/// The longest reset among the limits that are used up; when none says so, the longest of all.
fn rate_limit_reset(headers: &HeaderMap, now: Millis) -> Option<Duration> {
    let mut used_up = None;
    let mut longest = None;
    for (name, value) in headers {
        let Some(remaining) = remaining_header(name.as_str()) else { continue };
        let Some(wait) = value.to_str().ok().and_then(|value| reset(value.trim(), now)) else { continue };
        longest = longest.max(Some(wait));
        if headers.get(remaining).is_some_and(|left| left.as_bytes() == b"0") {
            used_up = used_up.max(Some(wait));
        }
    }
    used_up.or(longest)
}

/// The header that says how much is left, for a header that says when it is reset.
fn remaining_header(name: &str) -> Option<String> {
    if let Some(what) = name.strip_prefix("x-ratelimit-reset-") {
        return Some(format!("x-ratelimit-remaining-{what}"));
    }
    let what = name.strip_prefix("anthropic-ratelimit-")?.strip_suffix("-reset")?;
    Some(format!("anthropic-ratelimit-{what}-remaining"))
}

fn reset(value: &str, now: Millis) -> Option<Duration> {
    number(value)
        .or_else(|| spelled_duration(value))
        .or_else(|| value.parse::<Timestamp>().ok().map(|then| until(then.as_millisecond(), now)))
}

/// A non-negative number of seconds.
fn number(value: &str) -> Option<Duration> {
    value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

/// `1s`, `12ms`, `6m0s`, `1h2m3.5s`.
fn spelled_duration(mut value: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    while !value.is_empty() {
        let (figures, rest) = value.split_at(value.find(|c: char| c.is_ascii_alphabetic())?);
        let (unit, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len()));
        let seconds_per_unit = match unit {
            "ns" => 1e-9,
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(figures.parse::<f64>().ok()? * seconds_per_unit).ok()?;
        total = total.checked_add(part)?;
        value = rest;
    }
    (!total.is_zero() || value.is_empty()).then_some(total)
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, in milliseconds since the Unix epoch.
fn http_date(value: &str) -> Option<Millis> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok().map(Timestamp::as_millisecond)
}

fn until(then: Millis, now: Millis) -> Duration {
    Duration::from_millis(u64::try_from(then.saturating_sub(now)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z.
    const NOW: Millis = 1_767_225_600_000;

    fn wait(status: u16, headers: &[(&'static str, &str)]) -> Option<f64> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        wished_wait(StatusCode::from_u16(status).unwrap(), &headers, NOW).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        for (value, seconds) in [
            ("0", Some(0.0)),
            ("120", Some(120.0)),
            (" 1.5 ", Some(1.5)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30.0)),
            ("Wed, 31 Dec 2025 23:59:00 GMT", Some(0.0)),
            ("-5", None),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(wait(503, &[("retry-after", value)]), seconds, "{value:?}");
        }
        assert_eq!(wait(503, &[]), None);
        assert_eq!(wait(429, &[("retry-after-ms", "250"), ("retry-after", "9")]), Some(0.25));
        assert_eq!(wait(429, &[("retry-after-ms", "x"), ("retry-after", "9")]), Some(9.0));
    }

    #[test]
    fn rate_limit_headers_count_on_429_only_and_the_used_up_limit_wins() {
        let openai = [
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "6m0s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "12ms"),
        ];
        assert_eq!(wait(429, &openai), Some(0.012));
        assert_eq!(wait(500, &openai), None);
        assert_eq!(wait(429, &openai[1..2]), Some(360.0));
        assert_eq!(wait(429, &[("x-ratelimit-reset-tokens", "1h2m3.5s")]), Some(3723.5));
        assert_eq!(wait(429, &[("x-ratelimit-reset-tokens", "soon")]), None);
        assert_eq!(wait(429, &[("x-ratelimit-reset-tokens", "5")]), Some(5.0));
        let anthropic = [
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:07Z"),
            ("anthropic-ratelimit-tokens-reset", "2026-01-01T01:00:00Z"),
        ];
        assert_eq!(wait(429, &anthropic), Some(7.0));
        assert_eq!(wait(429, &[openai[1], ("retry-after", "3")]), Some(3.0));
    }
}
