//! Items: what is stored of an event until its vCon is made.
//!
//! An item lies among the vCons of the store and is one: the event is an attachment. Its uuid is derived from the ingress
//! and the vendor's id, so that the same event is always the same item.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vconductor_core::clock::Millis;
use vconductor_core::error::{Error, Result};
use vconductor_core::ingress::Event;
use vconductor_core::vcon::uuid8;

/// The purpose of the attachment that holds the event.
const PURPOSE: &str = "ingress_event";

/// An event with when it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    /// When it came.
    pub(super) received: Millis,
    /// The event.
    pub(super) event: Event,
}

/// What is derived from an event's key; each use is a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The item.
    Item = 0,
    /// The note of who made its vCon.
    Note = 1,
    /// What is known of a call.
    Call = 2,
}

/// A name that is the same for the same key of the same ingress: a uuid that no conversation has.
pub(super) fn name(use_: Use, ingress: &str, key: &str) -> String {
    // No conversation took place in the first milliseconds of 1970.
    uuid8::derived(use_ as u64, format!("ingress\0{ingress}\0{key}").as_bytes()).to_string()
}

impl Item {
    /// The item as a vCon.
    pub(super) fn document(&self, uuid: &str) -> Result<Bytes> {
        let start = at(self.received).to_string();
        let event = json!({
            "purpose": PURPOSE, "start": start, "mediatype": "application/json", "encoding": "json", "body": self,
        });
        document(uuid, self.received, &[event])
    }

    /// Reads it back.
    ///
    /// # Errors
    /// Permanent: it is no item.
    pub(super) fn read(document: &Bytes) -> Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            attachments: (Attachment,),
        }
        #[derive(Deserialize)]
        struct Attachment {
            body: Item,
        }
        let document: Document = serde_json::from_slice(document).map_err(|error| {
            Error::permanent("what is stored is no item of an ingress")
                .caused_by(error)
                .help("nothing but an ingress may put uuids on its list")
        })?;
        Ok(document.attachments.0.body)
    }
}

/// What is left of an item when its vCon is made, until it is deleted: written in the step that makes the vCon.
pub(super) fn done(uuid: &str, received: Millis) -> Result<Bytes> {
    document(uuid, received, &[])
}

/// Whether an item's vCon is made.
pub(super) fn is_done(document: &Bytes) -> bool {
    #[derive(Deserialize)]
    struct Document {
        attachments: Vec<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Document>(document).is_ok_and(|document| document.attachments.is_empty())
}

fn document(uuid: &str, received: Millis, attachments: &[Value]) -> Result<Bytes> {
    let document = json!({
        "vcon": "0.4.0",
        "uuid": uuid,
        "created_at": at(received).to_string(),
        "parties": [],
        "dialog": [],
        "analysis": [],
        "attachments": attachments,
    });
    serde_json::to_vec(&document)
        .map(Bytes::from)
        .map_err(|error| Error::permanent("an event cannot be written as JSON").caused_by(error))
}

/// A point in time, to the millisecond.
pub(super) fn at(millis: Millis) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use vconductor_core::ingress::Call;
    use vconductor_core::vcon::Vcon;

    use super::*;

    #[test]
    fn an_item_is_a_vcon_and_reads_back() {
        let item = Item { received: 1_784_019_600_123, event: Event::Call(Call::new("c")) };
        let uuid = name(Use::Item, "main", "call c");
        assert_ne!(uuid, name(Use::Note, "main", "call c"));
        assert_ne!(uuid, name(Use::Item, "other", "call c"));
        let document = item.document(&uuid).unwrap();
        assert_eq!(Item::read(&document).unwrap(), item);
        assert!(!is_done(&document));
        let vcon = Vcon::read(document).unwrap();
        assert_eq!(vcon.id(), Some(uuid.clone()));
        let done = done(&uuid, item.received).unwrap();
        assert!(is_done(&done) && Item::read(&done).is_err() && !is_done(&Bytes::from("{}")));
        assert!(Item::read(&Bytes::from("{\"attachments\": []}")).is_err());
    }
}
