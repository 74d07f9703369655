//! The report of usage that vcon-server sends to a URL of the operator (contract: analyze, deepgram, openai transcription).

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::http::Request;
use crate::plugin::LinkContext;
use crate::secret::Secret;

/// Where reports go.
#[derive(Debug, Clone)]
pub struct UsageReport {
    /// The URL.
    pub url: String,
    /// Sent as bearer token.
    pub token: Option<Secret>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Tokens of a language model.
    Tokens,
    /// Seconds of sound.
    Seconds,
}

impl UsageReport {
    /// Reports one call. It never fails a step: the call it speaks of is paid for and must not be made again.
    pub async fn send(&self, context: &LinkContext<'_>, kind: &str, unit: Unit, input: u64, output: u64, model: &str) {
        if let Err(error) = self.try_send(context, kind, unit, input, output, model).await {
            tracing::warn!(uuid = context.step.uuid, link = context.step.key.link, %error, "the usage report was not delivered");
        }
    }

    async fn try_send(
        &self,
        context: &LinkContext<'_>,
        kind: &str,
        unit: Unit,
        input: u64,
        output: u64,
        model: &str,
    ) -> crate::Result<()> {
        let created = Timestamp::from_millisecond(context.clock.now()).unwrap_or_default();
        let body = json!({
            "created_at": created.to_string(),
            "record_id": context.step.uuid,
            "type": "VCON_PROCESSING",
            "sub_type": kind,
            "unit_type": match unit { Unit::Tokens => "tokens", Unit::Seconds => "seconds" },
            "input_units": input,
            "output_units": output,
            "ai_model": model,
        });
        let mut request = Request::post(&self.url)?.trusted().timeout(Duration::from_secs(30)).json(&body)?;
        if let Some(token) = &self.token {
            request = request.bearer(token)?;
        }
        context.http.send(&request).await.map(drop)
    }
}
