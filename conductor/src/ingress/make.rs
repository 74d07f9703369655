//! From an item to its vCon: what is missing is asked for and fetched.

use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::ingress::{Call, Event, Recording};

use super::Gate;
use super::item::{Item, at};
use super::vcon::{self, Finished, Origin};

/// How long a recording waits for the events that tell who spoke, where nobody can be asked. They come over other
/// connections, in any order.
const PATIENCE: Millis = 30_000;

impl Gate {
    /// Makes the vCon of an item.
    ///
    /// # Errors
    /// Retryable: something is not there yet. Otherwise as [`vconductor_core::plugin::Ingress::media`].
    pub(super) async fn make(&self, item: Item) -> Result<Finished> {
        let key = item.event.key();
        let received = at(item.received);
        let origin = Origin { ingress: &self.name, source: &self.source, key: &key, received };
        let finished = match item.event {
            Event::Recording(recording) => {
                let call = self.who_spoke(&recording, item.received).await?;
                let bytes = self.adapter.media(&recording.media, &self.fetcher).await?;
                vcon::recorded(origin, &recording, call, &bytes)?
            }
            Event::Call(told) => {
                let mut call = told;
                let id = call.id.clone();
                call.fill(self.known_call(&id).await?);
                let disposition = call
                    .disposition
                    .ok_or_else(|| Error::permanent("a call that went well makes no vCon by itself"))?;
                vcon::incomplete(origin, call, disposition)?
            }
            Event::Message(message) => {
                let mut media = Vec::with_capacity(message.media.len());
                for place in &message.media {
                    media.push(self.adapter.media(place, &self.fetcher).await?);
                }
                vcon::written(origin, message, &media)?
            }
            Event::Conversation(conversation) => {
                let mut fetched = Vec::new();
                for (index, media) in vcon::unfetched(&conversation) {
                    let bytes = self.adapter.media(&media, &self.fetcher).await?;
                    fetched.push((index, media, bytes));
                }
                vcon::described(origin, conversation, &fetched)?
            }
            Event::File(file) => {
                let bytes = self.adapter.media(&file.media, &self.fetcher).await?;
                vcon::filed(origin, &file, bytes)?
            }
        };
        failpoint::hit("ingress_fetched");
        Ok(finished)
    }

    /// What is known of a recorded call: from the recording's own event, from other events, from the vendor.
    async fn who_spoke(&self, recording: &Recording, received: Millis) -> Result<Call> {
        let mut call = recording.call.clone();
        call.fill(self.known_call(&call.id).await?);
        if call.has_parties() {
            return Ok(call);
        }
        if let Some(told) = self.adapter.call(recording, &self.fetcher).await? {
            call.fill(told);
        } else if SystemClock.now() - received < PATIENCE {
            return Err(Error::retryable(format!("call {}: nobody has told yet who spoke", call.id)).help(
                "the vendor's events of the call are to come here too; without them the vCon is made after 30 s",
            ));
        }
        Ok(call)
    }
}
