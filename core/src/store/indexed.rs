//! What vCons are found by, the same in every store.

use serde::Deserialize;

use super::{Term, TermKind};

/// What the index wants to know of a vCon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Indexed {
    /// Its `created_at` in seconds since the epoch, where it can be read.
    pub(super) created: Option<i64>,
    /// What its parties have.
    pub(super) terms: Vec<Term>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Members {
    created_at: serde_json::Value,
    parties: Vec<Party>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Party {
    tel: serde_json::Value,
    mailto: serde_json::Value,
    name: serde_json::Value,
}

impl Indexed {
    /// What is no vCon is stored all the same; only nothing can be found by.
    pub(super) fn of(document: &[u8]) -> Indexed {
        let members: Members = serde_json::from_slice(document).unwrap_or_default();
        let mut terms = Vec::new();
        for party in &members.parties {
            for (kind, value) in
                [(TermKind::Tel, &party.tel), (TermKind::Mailto, &party.mailto), (TermKind::Name, &party.name)]
            {
                let value = match value {
                    serde_json::Value::String(text) if !text.is_empty() => text.clone(),
                    serde_json::Value::Number(number) => number.to_string(),
                    _ => continue,
                };
                terms.push(Term { kind, value });
            }
        }
        Indexed { created: seconds(&members.created_at), terms }
    }
}

/// The time of a `created_at` in seconds, as vcon-server's API reads it: a text of ISO 8601 (taken as UTC without an
/// offset, as midnight without a time), or a number of seconds or, from 2e10 on, of milliseconds, also as text.
pub fn seconds(created_at: &serde_json::Value) -> Option<i64> {
    let of_number = |number: f64| {
        let seconds = if number.abs() > 2e10 { number / 1000.0 } else { number };
        seconds.is_finite().then(|| seconds.floor() as i64)
    };
    match created_at {
        serde_json::Value::String(text) => text
            .parse::<jiff::Timestamp>()
            .or_else(|_| format!("{text}Z").parse())
            .or_else(|_| format!("{text}T00:00:00Z").parse())
            .map(|time: jiff::Timestamp| time.as_second())
            .ok()
            .or_else(|| of_number(text.trim().parse().ok()?)),
        serde_json::Value::Number(number) => of_number(number.as_f64()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn created_at_is_read_as_vcon_servers_api_reads_it() {
        for (created_at, read) in [
            (json!("2026-01-02T03:04:05Z"), Some(1_767_323_045)),
            (json!("2026-01-02T03:04:05.999+00:00"), Some(1_767_323_045)),
            (json!("2026-01-02T05:04:05+02:00"), Some(1_767_323_045)),
            (json!("2026-01-02T03:04:05"), Some(1_767_323_045)),
            (json!("2026-01-02"), Some(1_767_312_000)),
            (json!(1_767_323_045), Some(1_767_323_045)),
            (json!(1_767_323_045.9), Some(1_767_323_045)),
            (json!(1_767_323_045_123_i64), Some(1_767_323_045)),
            (json!("1767323045"), Some(1_767_323_045)),
            (json!("last week"), None),
            (json!(null), None),
        ] {
            assert_eq!(seconds(&created_at), read, "{created_at}");
        }
    }
}
