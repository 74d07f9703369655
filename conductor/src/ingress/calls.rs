//! Correlation: what the events of a call have told, kept for the recording.
//!
//! Each phase of a call has a place of its own and is written whole, so that events may come in any order, twice, and to
//! several processes at once, and nothing is read to be written back.

use std::time::Duration;

use bytes::Bytes;
use vconductor_core::error::{Error, Result};
use vconductor_core::ingress::{Call, Phase};

use super::Gate;
use super::item::{Use, name};

/// How long what is known of a call is kept: calls last for hours, and recordings come late.
const KEEP: Duration = Duration::from_secs(3 * 86_400);

impl Gate {
    /// Keeps what an event has told. Durable when it returns.
    pub(super) async fn keep_call(&self, call: &Call) -> Result<()> {
        let text = serde_json::to_vec(call)
            .map_err(|error| Error::permanent("a call cannot be written as JSON").caused_by(error))?;
        let place = self.place(&call.id, call.phase);
        self.store.keep_result(&key(&place), &place, Bytes::from(text), KEEP).await
    }

    /// All that is known of a call.
    pub(super) async fn known_call(&self, id: &str) -> Result<Call> {
        let mut known = Call::new(id);
        // The last word first: it knows how the call went.
        let phases = [None].into_iter().chain(Phase::ALL.map(Some));
        for phase in phases.rev() {
            let kept = self.store.result(&key(&self.place(id, phase))).await?;
            if let Some(call) = kept.and_then(|text| serde_json::from_slice::<Call>(&text).ok()) {
                known.fill(call);
            }
        }
        Ok(known)
    }

    fn place(&self, id: &str, phase: Option<Phase>) -> String {
        name(Use::Call, &self.name, &format!("{} {id}", phase.map_or("", Phase::as_str)))
    }
}

fn key(place: &str) -> String {
    format!("ingress:{place}")
}
