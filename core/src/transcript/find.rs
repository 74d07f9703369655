//! The transcripts of a vCon.

use super::{Transcript, attribute, of_body};
use crate::vcon::Vcon;

/// A transcript and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// The dialogs that it is of; none where the vCon does not say.
    pub dialogs: Vec<usize>,
    /// The transcript, its turns attributed to parties where that is possible.
    pub transcript: Transcript,
}

/// Where a transcript is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An analysis, by its index.
    Analysis(usize),
    /// An attachment, by its index.
    Attachment(usize),
}

/// The purpose, or type, of World Transcription Format bodies.
const WTF: &str = "wtf_transcription";

/// All transcripts of a vCon: analyses whose type speaks of a transcript, and attachments with the purpose
/// `wtf_transcription`, which some libraries write. Bodies that cannot be read are passed over.
pub fn find(vcon: &Vcon) -> Vec<Found> {
    let analyses = vcon.analyses().filter_map(|analysis| {
        if !is_transcript(&analysis.kind()?) {
            return None;
        }
        let vendor = analysis.vendor();
        let transcript = of_body(&analysis.body().ok()?, vendor.as_deref())?;
        let mut found = Found { place: Place::Analysis(analysis.index()), dialogs: analysis.dialogs(), transcript };
        if found.transcript.origin.model.is_none() {
            found.transcript.origin.model = analysis.product().map(std::borrow::Cow::into_owned);
        }
        Some(found)
    });
    let attachments = vcon.attachments().filter_map(|attachment| {
        if attachment.purpose()? != WTF {
            return None;
        }
        let transcript = of_body(&attachment.body().ok()?, None)?;
        let dialogs = attachment.dialog().into_iter().collect();
        Some(Found { place: Place::Attachment(attachment.index()), dialogs, transcript })
    });
    let mut all: Vec<Found> = analyses.chain(attachments).collect();
    for found in &mut all {
        attribute(&mut found.transcript, vcon, found.dialogs.first().copied());
    }
    all
}

/// Types in use: `transcript`, `transcription`, `wtf_transcription`, `transcript-redacted`, `diarized`.
fn is_transcript(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.starts_with("transcri") || kind == WTF || kind.starts_with("diari") || kind == "utterances"
}
