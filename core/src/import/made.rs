//! Writing a new vCon of the newest draft.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use jiff::tz::Offset;
use jiff::{Timestamp, Unit};
use serde::Serialize;

use super::Party;
use crate::audio::content_hash;
use crate::document::NewAnalysis;
use crate::vcon::{Date, uuid8};
use crate::{Error, Result};

/// A vCon that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its uuid.
    pub uuid: String,
    /// Its text.
    pub text: Bytes,
}

/// A vCon to be made.
#[derive(Debug, Default)]
pub(super) struct NewVcon {
    pub(super) subject: Option<String>,
    pub(super) extensions: Vec<&'static str>,
    pub(super) parties: Vec<Party>,
    pub(super) dialog: Vec<NewDialog>,
    pub(super) analysis: Vec<NewAnalysis>,
    pub(super) attachments: Vec<NewAttachment>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct NewDialog {
    pub(super) r#type: &'static str,
    pub(super) start: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) parties: Option<Vec<usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) originator: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mediatype: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) application: Option<&'static str>,
    #[serde(flatten)]
    pub(super) content: Option<Content>,
}

#[derive(Debug, Serialize)]
pub(super) struct NewAttachment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purpose: Option<&'static str>,
    pub(super) start: String,
    pub(super) party: usize,
    pub(super) dialog: usize,
    pub(super) mediatype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filename: Option<String>,
    #[serde(flatten)]
    pub(super) content: Content,
}

/// Content with its encoding.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    body: String,
    encoding: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_hash: Option<String>,
}

impl Content {
    /// Text as it is.
    pub(super) fn text(text: impl Into<String>) -> Content {
        Content { body: text.into(), encoding: "none", content_hash: None }
    }

    /// Bytes, with their hash.
    pub(super) fn bytes(bytes: &[u8]) -> Content {
        let content_hash = Some(content_hash(bytes));
        Content { body: URL_SAFE_NO_PAD.encode(bytes), encoding: "base64url", content_hash }
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    vcon: &'static str,
    uuid: &'a str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    extensions: &'a [&'static str],
    parties: &'a [Party],
    dialog: &'a [NewDialog],
    analysis: &'a [NewAnalysis],
    attachments: &'a [NewAttachment],
}

impl NewVcon {
    /// Writes the vCon. Its uuid and its time are derived from what is in it, so that importing the same twice makes the
    /// same vCon: the uuid from all of it, the time from the newest dialog, before which it cannot have been made.
    pub(super) fn make(&self) -> Result<Made> {
        let has_role = self.parties.iter().any(|party| party.role.is_some());
        let mut extensions = self.extensions.clone();
        if has_role {
            extensions.push("CC");
        }
        let starts = self.dialog.iter().filter_map(|dialog| Some(Date::parse(&dialog.start)?.timestamp()));
        let newest = starts.clone().max().unwrap_or_else(Timestamp::now);
        let mut wire = Wire {
            vcon: "0.4.0",
            uuid: "",
            created_at: date(newest)?,
            subject: self.subject.as_deref(),
            extensions: &extensions,
            parties: &self.parties,
            dialog: &self.dialog,
            analysis: &self.analysis,
            attachments: &self.attachments,
        };
        let milliseconds = starts.min().unwrap_or(newest).as_millisecond().max(0).unsigned_abs();
        let uuid = uuid8::derived(milliseconds, &write(&wire)?).to_string();
        wire.uuid = &uuid;
        let text = write(&wire)?.into();
        Ok(Made { uuid, text })
    }
}

fn write(wire: &Wire<'_>) -> Result<Vec<u8>> {
    serde_json::to_vec(wire).map_err(|error| Error::permanent("cannot write the conversation as JSON").caused_by(error))
}

/// RFC 3339 in UTC, to the millisecond.
pub(super) fn date(time: Timestamp) -> Result<String> {
    Ok(to_the_millisecond(time)?.to_string())
}

fn to_the_millisecond(time: Timestamp) -> Result<Timestamp> {
    time.round(Unit::Millisecond).map_err(|error| Error::permanent("impossible time").caused_by(error))
}

/// The same in the offset in which people wrote it, where that was said.
pub(super) fn local_date(time: Timestamp, offset: Option<Offset>) -> Result<String> {
    match offset.filter(|offset| *offset != Offset::UTC) {
        Some(offset) => Ok(to_the_millisecond(time)?.display_with_offset(offset).to_string()),
        None => date(time),
    }
}
