//! The vCons that events become.
//!
//! Party 0 is always who called or wrote, party 1 who was called, whichever way it went: so no dialog needs an
//! `originator`, except where the first channel of a recording is not the caller's (core-04, section 4.3.4).

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use vconductor_core::document::Edit;
use vconductor_core::error::{Error, Result};
use vconductor_core::import::Party;
use vconductor_core::ingress::{Call, Channels, Conversation, Disposition, File, Media, Message, Recording};
use vconductor_core::media::{is_media, probe};
use vconductor_core::vcon::{Vcon, uuid8};

use super::content::{filename, head, heard, is_mediatype, mixed, put_bytes, to_the_millisecond, written_time};

/// A vCon that was made.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) uuid: String,
    pub(super) document: Bytes,
}

/// What a vCon is made under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin<'a> {
    /// The name of the ingress.
    pub(super) ingress: &'a str,
    /// The vendor, for the tag `source`.
    pub(super) source: &'a str,
    /// The event's key: the vCon's uuid is derived from it.
    pub(super) key: &'a str,
    /// When the event came.
    pub(super) received: Timestamp,
}

/// A vCon on its way.
struct Draft {
    start: Timestamp,
    parties: Vec<Party>,
    dialog: Vec<Value>,
    attachments: Vec<Value>,
    tags: BTreeMap<String, String>,
}

/// A recorded call.
///
/// # Errors
/// Permanent: the bytes are no recording.
pub(super) fn recorded(origin: Origin<'_>, recording: &Recording, call: Call, bytes: &[u8]) -> Result<Finished> {
    let found = probe(bytes).map_err(|error| error.within(format_args!("recording {}", recording.id)))?;
    let start = recording.start.or(call.start).unwrap_or(origin.received);
    let duration = found.duration.map(|duration| duration.as_secs_f64()).or(recording.duration);
    let (parties, originator) = heard(found.channels, recording.channels, call.direction);
    let mut dialog = head("recording", start);
    if let Some(duration) = duration {
        dialog.insert("duration".to_owned(), json!(to_the_millisecond(duration)));
    }
    dialog.insert("parties".to_owned(), parties);
    if let Some(originator) = originator {
        dialog.insert("originator".to_owned(), json!(originator));
    }
    dialog.insert("mediatype".to_owned(), json!(found.mediatype));
    dialog.insert("filename".to_owned(), json!(filename(&recording.media, &recording.id, found.mediatype)));
    put_bytes(&mut dialog, bytes);
    let mut tags = call.tags;
    if let Some(direction) = call.direction {
        tags.insert("direction".to_owned(), direction.as_str().to_owned());
    }
    Draft {
        start,
        parties: vec![call.from.unwrap_or_default(), call.to.unwrap_or_default()],
        dialog: vec![Value::Object(dialog)],
        attachments: Vec::new(),
        tags,
    }
    .finish(origin)
}

/// A file: a vCon as it is, byte for byte, or a recording.
///
/// # Errors
/// Permanent: it is neither.
pub(super) fn filed(origin: Origin<'_>, file: &File, bytes: Bytes) -> Result<Finished> {
    if is_media(&bytes) {
        let recording = Recording {
            id: file.id.clone(),
            call: file.call.clone(),
            media: file.media.clone(),
            start: Some(file.call.start.unwrap_or(file.modified)),
            duration: None,
            channels: Channels::CallerFirst,
        };
        return recorded(origin, &recording, file.call.clone(), &bytes);
    }
    let vcon = Vcon::read(bytes.clone())
        .map_err(|error| Error::permanent("the file is neither a recording nor a vCon").caused_by(error))?;
    let uuid = vcon.id().ok_or_else(|| Error::permanent("the vCon in the file has no uuid"))?;
    Ok(Finished { uuid, document: bytes })
}

/// A call that did not come about.
///
/// # Errors
/// Permanent, if it cannot be written.
pub(super) fn incomplete(origin: Origin<'_>, call: Call, disposition: Disposition) -> Result<Finished> {
    let start = call.start.unwrap_or(origin.received);
    let mut dialog = head("incomplete", start);
    dialog.insert("parties".to_owned(), json!([0, 1]));
    dialog.insert("disposition".to_owned(), json!(disposition.as_str()));
    let mut tags = call.tags;
    if let Some(direction) = call.direction {
        tags.insert("direction".to_owned(), direction.as_str().to_owned());
    }
    Draft {
        start,
        parties: vec![call.from.unwrap_or_default(), call.to.unwrap_or_default()],
        dialog: vec![Value::Object(dialog)],
        attachments: Vec::new(),
        tags,
    }
    .finish(origin)
}

/// A message with what came with it. Sound and video are recordings; other files are attachments, as the draft wants it.
///
/// # Errors
/// Permanent, if it cannot be written.
pub(super) fn written(origin: Origin<'_>, message: Message, media: &[Bytes]) -> Result<Finished> {
    let start = message.sent.unwrap_or(origin.received);
    let mut parties = vec![message.from];
    parties.extend(message.to);
    let all: Vec<usize> = (0..parties.len()).collect();
    let mut draft = Draft { start, parties, dialog: Vec::new(), attachments: Vec::new(), tags: message.tags };
    let about = |dialog: &mut Map<String, Value>| {
        dialog.insert("parties".to_owned(), json!(all));
        dialog.insert("message_id".to_owned(), json!(message.id));
        if let Some(application) = &message.application {
            dialog.insert("application".to_owned(), json!(application));
        }
    };
    let mut text = head("text", start);
    about(&mut text);
    text.insert("mediatype".to_owned(), json!("text/plain"));
    text.insert("body".to_owned(), json!(message.text));
    text.insert("encoding".to_owned(), json!("none"));
    draft.dialog.push(Value::Object(text));
    for (index, (place, bytes)) in message.media.iter().zip(media).enumerate() {
        let id = format!("{}-{index}", message.id);
        match probe(bytes).ok().filter(|_| is_media(bytes)) {
            Some(found) => {
                let mut dialog = head("recording", start);
                about(&mut dialog);
                if let Some(duration) = found.duration {
                    dialog.insert("duration".to_owned(), json!(to_the_millisecond(duration.as_secs_f64())));
                }
                // Only the sender is to be heard.
                dialog.insert("parties".to_owned(), mixed(found.channels, &json!(0)));
                dialog.insert("mediatype".to_owned(), json!(found.mediatype));
                dialog.insert("filename".to_owned(), json!(filename(place, &id, found.mediatype)));
                put_bytes(&mut dialog, bytes);
                draft.dialog.push(Value::Object(dialog));
            }
            None => {
                let mediatype = place.mediatype.as_deref().filter(|text| is_mediatype(text));
                let mediatype = mediatype.unwrap_or("application/octet-stream");
                let mut attachment = Map::new();
                attachment.insert("purpose".to_owned(), json!("message_media"));
                attachment.insert("start".to_owned(), json!(written_time(start)));
                attachment.insert("party".to_owned(), json!(0));
                attachment.insert("dialog".to_owned(), json!(0));
                attachment.insert("mediatype".to_owned(), json!(mediatype));
                attachment.insert("filename".to_owned(), json!(filename(place, &id, mediatype)));
                put_bytes(&mut attachment, bytes);
                draft.attachments.push(Value::Object(attachment));
            }
        }
    }
    draft.finish(origin)
}

/// The URLs of dialogs whose content is to be fetched: those without a hash, which no vCon may have.
pub(super) fn unfetched(conversation: &Conversation) -> Vec<(usize, Media)> {
    let dialogs = conversation.vcon.get("dialog").and_then(Value::as_array).into_iter().flatten().enumerate();
    let media = |dialog: &Value| {
        let text = |name: &str| dialog.get(name).and_then(Value::as_str).map(str::to_owned);
        let url = text("url").filter(|_| dialog.get("content_hash").is_none())?;
        Some(Media { url, id: None, mediatype: text("mediatype"), filename: text("filename") })
    };
    dialogs.filter_map(|(index, dialog)| Some((index, media(dialog)?))).collect()
}

/// A conversation that its sender described, with what was fetched.
///
/// # Errors
/// Permanent: it is no vCon, or what was fetched is no recording.
pub(super) fn described(
    origin: Origin<'_>,
    conversation: Conversation,
    fetched: &[(usize, Media, Bytes)],
) -> Result<Finished> {
    let Value::Object(mut vcon) = conversation.vcon else {
        return Err(Error::permanent("the conversation is no JSON object"));
    };
    for (index, media, bytes) in fetched {
        let dialog = vcon.get_mut("dialog").and_then(|dialogs| dialogs.get_mut(*index)).and_then(Value::as_object_mut);
        let Some(dialog) = dialog else { continue };
        let found = probe(bytes).map_err(|error| error.within(format_args!("dialog {index}")))?;
        dialog.remove("url");
        dialog.entry("type").or_insert_with(|| json!("recording"));
        dialog.insert("mediatype".to_owned(), json!(found.mediatype));
        dialog.entry("filename").or_insert_with(|| json!(filename(media, &conversation.id, found.mediatype)));
        if let Some(duration) = found.duration {
            dialog.insert("duration".to_owned(), json!(to_the_millisecond(duration.as_secs_f64())));
        }
        put_bytes(dialog, bytes);
    }
    vcon.entry("vcon").or_insert_with(|| json!("0.4.0"));
    vcon.entry("created_at").or_insert_with(|| json!(written_time(origin.received)));
    for name in ["parties", "dialog", "analysis", "attachments"] {
        vcon.entry(name).or_insert_with(|| json!([]));
    }
    let given = vcon.get("uuid").and_then(Value::as_str).and_then(|text| text.parse::<uuid::Uuid>().ok());
    let uuid = given.map_or_else(|| uuid_of(origin, origin.received), |uuid| uuid.to_string());
    vcon.insert("uuid".to_owned(), json!(uuid));
    let document = serialised(&Value::Object(vcon))?;
    let vcon = Vcon::read(document).map_err(|error| error.within("what `map` makes"))?;
    tagged(vcon, uuid, origin, BTreeMap::new())
}

impl Draft {
    fn finish(self, origin: Origin<'_>) -> Result<Finished> {
        let uuid = uuid_of(origin, self.start);
        let document = json!({
            "vcon": "0.4.0",
            "uuid": uuid,
            "created_at": written_time(origin.received),
            "parties": self.parties,
            "dialog": self.dialog,
            "analysis": [],
            "attachments": self.attachments,
        });
        tagged(Vcon::read(serialised(&document)?)?, uuid, origin, self.tags)
    }
}

fn tagged(mut vcon: Vcon, uuid: String, origin: Origin<'_>, tags: BTreeMap<String, String>) -> Result<Finished> {
    let always = [("source", origin.source), ("ingress", origin.ingress)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    for (name, value) in always.into_iter().chain(tags) {
        vcon.apply(&Edit::AddTag { name, value, start: Some(origin.received) })?;
    }
    Ok(Finished { uuid, document: vcon.to_bytes() })
}

fn serialised(document: &Value) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::permanent("cannot write the vCon as JSON").caused_by(error))
}

/// The same event makes the same vCon, whoever makes it.
fn uuid_of(origin: Origin<'_>, start: Timestamp) -> String {
    let milliseconds = start.as_millisecond().max(0).unsigned_abs();
    let content = format!("vcon\0{}\0{}", origin.ingress, origin.key);
    uuid8::derived(milliseconds, content.as_bytes()).to_string()
}
