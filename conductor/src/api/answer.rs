//! Answers that refuse: their status and their body, in the shapes that clients of vcon-server know.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};
use vconductor_core::error::Error;

/// The result of a handler.
pub(super) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// Something that is wrong with what was sent, as vcon-server's clients read it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Invalid(Value);

impl Invalid {
    /// `kind` and `message` are those of the reference where it has them; `place` leads to the value.
    pub(super) fn new(
        kind: &str,
        place: impl Into<Value>,
        message: impl Into<String>,
        input: impl Into<Value>,
    ) -> Self {
        Invalid(json!({"type": kind, "loc": place.into(), "msg": message.into(), "input": input.into()}))
    }

    /// A parameter of the query that is not there.
    pub(super) fn missing(parameter: &str) -> Self {
        Invalid::new("missing", json!(["query", parameter]), "Field required", Value::Null)
    }
}

/// An answer that refuses.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: Value,
    /// Seconds.
    retry_after: Option<u64>,
}

impl Refusal {
    /// `{"detail": "..."}`.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Refusal { status, detail: Value::String(detail.into()), retry_after: None }
    }

    /// 404.
    pub(super) fn not_found(detail: &str) -> Self {
        Refusal::new(StatusCode::NOT_FOUND, detail)
    }

    /// 403.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Refusal::new(StatusCode::FORBIDDEN, detail)
    }

    /// 422 with everything that is wrong.
    pub(super) fn invalid(found: Vec<Invalid>) -> Self {
        let detail = found.into_iter().map(|Invalid(value)| value).collect();
        Refusal { status: StatusCode::UNPROCESSABLE_ENTITY, detail, retry_after: None }
    }

    /// Asks to come again.
    #[must_use]
    pub(super) fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// A failure of ours while `what` was done, which is all that the answer says: the reason is in the log.
    pub(super) fn of(error: &Error, what: &str) -> Self {
        let help = error.help_text().unwrap_or_default();
        if error.is_retryable() {
            tracing::warn!(error = %error.chain_text(), help, "{what}");
            let wait = error.wait().map_or(1, |wait| wait.as_secs());
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, what).after(wait);
        }
        tracing::error!(error = %error.chain_text(), help, "{what}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, what)
    }

    /// What it says is wrong.
    pub(super) fn detail(&self) -> &Value {
        &self.detail
    }

    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        Refusal::invalid(vec![invalid])
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({"detail": self.detail}))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
