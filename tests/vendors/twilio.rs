//! Twilio: calls, recordings and media of messages.
//!
//! * calls: <https://www.twilio.com/docs/voice/api/call-resource>
//! * recordings: <https://www.twilio.com/docs/voice/api/recording>
//! * media: <https://www.twilio.com/docs/messaging/api/media-resource>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Answer, Api, Call, Refusal};

/// The server, under `/2010-04-01`.
pub struct Twilio {
    account: String,
    credentials: Vec<String>,
    held: Held,
}

/// What the account holds. Clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<Mutex<Holding>>);

#[derive(Debug, Default)]
struct Holding {
    calls: BTreeMap<String, Value>,
    media: BTreeMap<String, Bytes>,
    moved: BTreeMap<String, String>,
}

impl Held {
    /// Adds a call.
    pub fn call(&self, sid: &str, from: &str, to: &str, direction: &str) {
        let call = json!({
            "sid": sid, "from": from, "to": to, "direction": direction, "status": "completed", "duration": "12",
            "start_time": "Tue, 14 Jul 2026 09:00:00 +0000", "end_time": "Tue, 14 Jul 2026 09:00:12 +0000", "caller_name": null,
        });
        self.lock().calls.insert(sid.to_owned(), call);
    }

    /// Adds the bytes at a path under the account, for example `/Recordings/RE1.wav`.
    pub fn media(&self, path: &str, bytes: impl Into<Bytes>) {
        self.lock().media.insert(path.to_owned(), bytes.into());
    }

    /// Redirects a path under the account.
    pub fn moved(&self, path: &str, to: &str) {
        self.lock().moved.insert(path.to_owned(), to.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Holding> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Twilio {
    /// It lets in this account with this token.
    pub fn new(account: &str, token: &str) -> Self {
        let credentials = vec![STANDARD.encode(format!("{account}:{token}"))];
        Twilio { account: account.to_owned(), credentials, held: Held::default() }
    }

    /// What the account holds.
    pub fn held(&self) -> Held {
        self.held.clone()
    }
}

impl Api for Twilio {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        if call.method != "GET" {
            return Err(Refusal::new(405, "only GET is allowed here"));
        }
        call.is_authorised("Basic", &self.credentials)?;
        let path = call.path.strip_prefix(&format!("/2010-04-01/Accounts/{}", self.account));
        let path = path.ok_or_else(|| Refusal::new(404, format!("unknown path {}", call.path)))?;
        let held = self.held.lock();
        if let Some(sid) = path.strip_prefix("/Calls/").and_then(|rest| rest.strip_suffix(".json")) {
            call.has_only_parameters(&[])?;
            let found = held.calls.get(sid).ok_or_else(|| Refusal::new(404, "the call was not found"))?;
            return Ok(Answer::json(200, found));
        }
        if let Some(to) = held.moved.get(path) {
            return Ok(Answer::text(307, "text/plain", "").header("location", to.clone()));
        }
        call.has_only_parameters(&["RequestedChannels"])?;
        if call.parameter("RequestedChannels").is_some_and(|channels| !matches!(channels, "1" | "2")) {
            return Err(Refusal::bad_request("RequestedChannels is 1 or 2"));
        }
        let bytes = held.media.get(path).ok_or_else(|| Refusal::new(404, "the resource was not found"))?;
        Ok(Answer::text(200, "audio/x-wav", bytes.clone()))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let body =
            json!({"code": 20000 + u32::from(refusal.status), "message": refusal.message, "status": refusal.status});
        Answer::json(refusal.status, &body)
    }
}
