//! The World Transcription Format: draft-howe-vcon-wtf-extension-02, an extension of the vCon.
//!
//! A body has `transcript`, `segments` and `metadata`, all with required members; times are in seconds, confidences
//! from 0 to 1. It lies in an analysis of type `wtf_transcription`, or in an attachment of that purpose.

mod read;
mod write;

use jiff::Timestamp;
use serde_json::Value;

use super::Transcript;
use crate::document::NewAnalysis;

pub(super) use read::read;
pub use write::body;
pub(super) use write::times;

/// The name of the extension, of the analysis type, and of the attachment's purpose.
pub const NAME: &str = "wtf_transcription";

/// The schema that vcon-server's link writes.
pub const SCHEMA: &str = "wtf-1.0";

/// The analysis that holds a transcript in this format. A vCon with it names [`NAME`] in `extensions`.
pub fn analysis(transcript: &Transcript, dialog: usize, now: Timestamp) -> NewAnalysis {
    let vendor = transcript.origin.provider.as_deref().unwrap_or("unknown");
    let body = Value::Object(body(transcript, now));
    NewAnalysis::new(NAME, vendor).dialog(dialog).body(body).schema(SCHEMA).mediatype("application/json")
}
