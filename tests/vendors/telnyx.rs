//! Telnyx: recordings.
//!
//! * recordings: <https://developers.telnyx.com/api/call-control/get-recording>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::{Answer, Api, Call, Refusal};

/// The server, under `/v2`.
pub struct Telnyx {
    keys: Vec<String>,
    recordings: Recordings,
}

/// The recordings of the account. Clones see the same.
#[derive(Debug, Clone, Default)]
pub struct Recordings(Arc<Mutex<BTreeMap<String, Value>>>);

impl Recordings {
    /// Adds a recording that lies at a URL.
    pub fn add(&self, id: &str, url: &str) {
        let recording = json!({
            "id": id, "record_type": "recording", "status": "completed", "channels": "dual", "download_urls": {"wav": url},
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), recording);
    }

    /// Adds who spoke, as newer recordings say it.
    pub fn spoke(&self, id: &str, from: &str, to: &str) {
        let mut recordings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recording = recordings.get_mut(id).expect("a recording");
        recording["from"] = json!(from);
        recording["to"] = json!(to);
    }
}

impl Telnyx {
    /// It lets this key in.
    pub fn new(key: &str) -> Self {
        Telnyx { keys: vec![key.to_owned()], recordings: Recordings::default() }
    }

    /// The recordings of the account.
    pub fn recordings(&self) -> Recordings {
        self.recordings.clone()
    }
}

impl Api for Telnyx {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        if call.method != "GET" {
            return Err(Refusal::new(405, "only GET is allowed here"));
        }
        call.is_authorised("Bearer", &self.keys)?;
        call.has_only_parameters(&[])?;
        let id = call.path.strip_prefix("/v2/recordings/").ok_or_else(|| Refusal::new(404, "unknown path"))?;
        let recordings = self.recordings.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = recordings.get(id).ok_or_else(|| Refusal::new(404, "the recording was not found"))?;
        Ok(Answer::json(200, &json!({"data": found})))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        let error = json!({"code": "10000", "title": "refused", "detail": refusal.message});
        Answer::json(refusal.status, &json!({"errors": [error]}))
    }
}
