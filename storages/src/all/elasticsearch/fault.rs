//! What a refusal of the server means for the engine and for the operator.

use std::error::Error as StdError;
use std::time::Duration;

use serde_json::Value;
use vconductor_core::{Class, Error};

/// The error for a refusal; `body` is what the server answered, or the error of one item of a bulk request.
pub(super) fn fault(place: &str, status: u16, body: &Value, wait: Option<Duration>) -> Error {
    let error = body.get("error").unwrap_or(body);
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, mut reason) = (text("type"), text("reason").to_owned());
    // A proxy, or a plain text of the server.
    if reason.is_empty() {
        reason = error.as_str().unwrap_or_default().to_owned();
    }
    reason.truncate(reason.char_indices().nth(400).map_or(reason.len(), |(end, _)| end));
    let (class, message, help) = judge(place, status, kind, &reason);
    let mut failed = Error::new(class, message).help(help);
    if !(kind.is_empty() && reason.is_empty()) {
        failed = failed.caused_by(format!("{kind}: {reason}"));
    }
    match wait {
        Some(wait) => failed.retry_after(wait),
        None => failed,
    }
}

fn judge(place: &str, status: u16, kind: &str, reason: &str) -> (Class, String, String) {
    let told = |class, message: String, help: &str| (class, message, help.to_owned());
    match (kind, status) {
        ("cluster_block_exception", _) => told(
            Class::Retryable,
            format!("{place}: the index is closed to writes, mostly because the disk is nearly full"),
            "free disk space on the server; if it stays closed, set `index.blocks.read_only_allow_delete` to null",
        ),
        (_, _) if reason.contains("maximum shards open") || reason.contains("maximum normal shards open") => told(
            Class::Configuration,
            format!("{place}: the cluster has as many shards as it may have"),
            "each type of analysis and attachment has an index of its own: delete indices that are not needed, or raise \
             `cluster.max_shards_per_node`",
        ),
        (_, 401) => told(
            Class::Configuration,
            format!("{place} refuses the user or API key"),
            "check options `api_key`, or `username` and `password`",
        ),
        (_, 403) => told(
            Class::Configuration,
            format!("{place}: the user may not do this"),
            "give it `create_index`, `index`, `delete`, `read` and `maintenance` on `<index_prefix>vcon_*`",
        ),
        (_, 408 | 425 | 429 | 500 | 502..=599) => {
            let name = if kind.is_empty() { format!("status {status}") } else { kind.to_owned() };
            told(Class::Retryable, format!("{place}: the server cannot do it now ({name})"), "it is tried again")
        }
        (_, 413) => told(
            Class::Permanent,
            format!("{place}: the vCon has a part that is larger than the server takes"),
            "take recordings out of the document (section `media`, or link `diet`), or raise `http.max_content_length`",
        ),
        (_, 406) => told(
            Class::Configuration,
            format!("{place}: the server does not know our requests"),
            "Elasticsearch 8 or 9, or OpenSearch 2, is needed",
        ),
        ("index_not_found_exception", _) => told(
            Class::Configuration,
            format!("{place}: an index is missing and the server does not make it"),
            "allow `action.auto_create_index` for `<index_prefix>vcon_*`",
        ),
        (_, 404 | 405 | 501) => told(
            Class::Configuration,
            format!("{place}: there is no Elasticsearch at this address"),
            "check option `url`",
        ),
        _ => {
            let name = if kind.is_empty() { format!("status {status}") } else { kind.to_owned() };
            told(
                Class::Permanent,
                format!("{place}: the server refuses the request ({name})"),
                "look at the server's log",
            )
        }
    }
}

/// The error for a request without an answer.
pub(super) fn unanswered(place: &str, error: &(dyn StdError + 'static), timed_out: bool) -> Error {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    let failed = if timed_out {
        Error::retryable(format!("{place} did not answer in time"))
            .help("it is tried again; option `timeout` is the longest time for an answer")
    } else if text.to_lowercase().contains("certificate") {
        Error::configuration(format!("the certificate of {place} is not trusted"))
            .help("name the authority's certificate in option `ca_certs`")
    } else {
        Error::retryable(format!("{place} cannot be reached"))
            .help("check that the server runs and that option `url` names it; it is tried again")
    };
    failed.caused_by(text)
}

/// A failure once more, for another vCon of the same request.
pub(super) fn again(error: &Error) -> Error {
    let mut copy = Error::new(error.class(), error.chain_text());
    if let Some(help) = error.help_text() {
        copy = copy.help(help);
    }
    match error.wait() {
        Some(wait) => copy.retry_after(wait),
        None => copy,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_have_the_class_that_decides_what_happens_next() {
        let shards = json!({"error": {"type": "validation_exception", "reason": "this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open;"}});
        for (status, body, class) in [
            (401, json!({"error": {"type": "security_exception"}}), Class::Configuration),
            (403, json!({"error": {"type": "security_exception"}}), Class::Configuration),
            (403, json!({"error": {"type": "cluster_block_exception"}}), Class::Retryable),
            (429, json!({"type": "es_rejected_execution_exception", "reason": "queue"}), Class::Retryable),
            (503, json!("no healthy upstream"), Class::Retryable),
            (400, shards, Class::Configuration),
            (406, json!({"error": "Content-Type header is not supported"}), Class::Configuration),
            (413, Value::Null, Class::Permanent),
            (400, json!({"error": {"type": "mapper_parsing_exception"}}), Class::Permanent),
        ] {
            let error = fault("Elasticsearch", status, &body, Some(Duration::from_secs(7)));
            assert_eq!((error.class(), error.wait()), (class, Some(Duration::from_secs(7))), "{status} {body}");
            assert!(error.help_text().is_some());
        }
    }
}
