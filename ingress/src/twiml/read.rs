//! What the callbacks say. Each page of Twilio's documentation is named where its fields are read.

use std::collections::BTreeMap;

use serde_json::Value;
use vconductor_core::ingress::{
    Call, Channels, Direction, Disposition, Event, Fields, Media, Message, Phase, Recording, Refused, party_called,
    seconds, time,
};

/// The most media of one message: Twilio sends up to 10.
const MOST_MEDIA: usize = 10;

/// How callbacks are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// The ending under which a recording is fetched.
    pub(crate) extension: &'static str,
}

impl Reading {
    /// The events of a callback.
    pub(crate) fn events(self, fields: &Fields) -> Result<Vec<Event>, Refused> {
        if let Some(sid) = fields.get("MessageSid").or_else(|| fields.get("SmsMessageSid")) {
            return Ok(message(sid, fields).map(Event::Message).into_iter().collect());
        }
        let Some(sid) = fields.get("CallSid") else {
            return Err(Refused::unreadable("there is neither `CallSid` nor `MessageSid`"));
        };
        let call = call_of(sid, fields);
        let mut events = Vec::new();
        if fields.get("CallStatus").is_some() {
            events.push(Event::Call(call.clone()));
        }
        events.extend(self.recording(call, fields)?.map(Event::Recording));
        Ok(events)
    }

    /// "Recording status callbacks"; a callback of a call that was made with `Record` has these fields, too, and no
    /// `RecordingStatus`.
    fn recording(self, call: Call, fields: &Fields) -> Result<Option<Recording>, Refused> {
        let (Some(sid), Some(url)) = (fields.get("RecordingSid"), fields.get("RecordingUrl")) else {
            return Ok(None);
        };
        // `in-progress`, `absent` (too short, or silent) and `failed` have nothing to fetch.
        if fields.get("RecordingStatus").is_some_and(|status| status != "completed") {
            return Ok(None);
        }
        let mut call = call;
        call.tags.insert("recording_sid".to_owned(), sid.to_owned());
        for (field, tag) in [("RecordingSource", "recording_source"), ("RecordingTrack", "recording_track")] {
            if let Some(value) = fields.get(field) {
                call.tags.insert(tag.to_owned(), value.to_owned());
            }
        }
        let two = fields.get("RecordingChannels") == Some("2");
        let url = self.media(url, two)?;
        Ok(Some(Recording {
            id: sid.to_owned(),
            media: Media { url, id: Some(sid.to_owned()), ..Media::default() },
            start: fields.get("RecordingStartTime").and_then(time),
            duration: fields.get("RecordingDuration").and_then(seconds),
            // The first channel is the call itself, the second the other leg.
            channels: if two { Channels::OwnLegFirst } else { Channels::Mixed },
            call,
        }))
    }

    /// The address of the bytes. Without `RequestedChannels` both channels come as one.
    fn media(self, url: &str, two: bool) -> Result<String, Refused> {
        let wrong = || Refused::unreadable("`RecordingUrl` is no URL");
        let mut url = url::parse(url).ok_or_else(wrong)?;
        let path = url.path().trim_end_matches(".json").to_owned();
        let has_ending = [".wav", ".mp3"].iter().any(|ending| path.ends_with(ending));
        url.set_path(&if has_ending { path } else { format!("{path}.{}", self.extension) });
        if two {
            url.query_pairs_mut().append_pair("RequestedChannels", "2");
        }
        Ok(url.into())
    }
}

mod url {
    use vconductor_core::http::Url;

    pub(super) fn parse(text: &str) -> Option<Url> {
        Url::parse(text).ok().filter(|url| url.host_str().is_some() && !url.cannot_be_a_base())
    }
}

/// "Call status callbacks" and the parameters of every request about a call.
fn call_of(sid: &str, fields: &Fields) -> Call {
    let party = |field: &str| fields.get(field).and_then(party_called);
    let mut from = party("From").or_else(|| party("Caller"));
    if let (Some(party), Some(name)) = (&mut from, fields.get("CallerName")) {
        party.name.get_or_insert_with(|| name.to_owned());
    }
    let status = fields.get("CallStatus");
    let mut tags = BTreeMap::from([("call_sid".to_owned(), sid.to_owned())]);
    for (field, tag) in [("AccountSid", "account_sid"), ("ParentCallSid", "parent_call_sid")] {
        if let Some(value) = fields.get(field) {
            tags.insert(tag.to_owned(), value.to_owned());
        }
    }
    Call {
        phase: status.and_then(phase),
        from,
        to: party("To").or_else(|| party("Called")),
        direction: fields.get("Direction").and_then(Direction::said),
        // `Timestamp` is when the callback was sent: for a call that ended, not when it began.
        start: fields
            .get("StartTime")
            .or_else(|| began(status).then(|| fields.get("Timestamp")).flatten())
            .and_then(time),
        duration: fields.get("CallDuration").and_then(seconds),
        disposition: status.and_then(disposition),
        tags,
        ..Call::new(sid)
    }
}

fn began(status: Option<&str>) -> bool {
    matches!(status, Some("queued" | "initiated" | "ringing" | "busy" | "failed" | "no-answer" | "canceled"))
}

fn phase(status: &str) -> Option<Phase> {
    match status {
        "queued" | "initiated" | "ringing" => Some(Phase::Begun),
        "in-progress" | "answered" => Some(Phase::Answered),
        "completed" | "busy" | "failed" | "no-answer" | "canceled" => Some(Phase::Ended),
        _ => None,
    }
}

fn disposition(status: &str) -> Option<Disposition> {
    match status {
        "busy" => Some(Disposition::Busy),
        "failed" => Some(Disposition::Failed),
        "no-answer" => Some(Disposition::NoAnswer),
        "canceled" => Some(Disposition::HungUp),
        _ => None,
    }
}

/// "Twilio's request to your webhook" for messages that come in. Callbacks about messages that went out have no `Body`.
fn message(sid: &str, fields: &Fields) -> Option<Message> {
    let number: usize = fields.get("NumMedia").and_then(|number| number.parse().ok()).unwrap_or(0);
    let text = fields.written("Body").filter(|_| fields.get("MessageStatus").is_none())?;
    let media = (0..number.min(MOST_MEDIA)).filter_map(|index| {
        let url = fields.get(&format!("MediaUrl{index}"))?.to_owned();
        let mediatype = fields.get(&format!("MediaContentType{index}")).map(str::to_owned);
        Some(Media { url, mediatype, ..Media::default() })
    });
    let media: Vec<Media> = media.collect();
    let from = fields.get("From").unwrap_or_default();
    let application = match (from.split_once(':'), media.is_empty()) {
        (Some((channel @ ("whatsapp" | "messenger" | "rcs"), _)), _) => channel,
        (_, true) => "sms",
        (_, false) => "mms",
    };
    let mut sender = party_called(from).unwrap_or_default();
    if let Some(name) = fields.get("ProfileName") {
        sender.name.get_or_insert_with(|| name.to_owned());
    }
    let mut tags = BTreeMap::from([("message_sid".to_owned(), sid.to_owned())]);
    tags.insert("direction".to_owned(), "inbound".to_owned());
    for (field, tag) in [("AccountSid", "account_sid"), ("MessagingServiceSid", "messaging_service_sid")] {
        if let Some(value) = fields.get(field) {
            tags.insert(tag.to_owned(), value.to_owned());
        }
    }
    Some(Message {
        id: sid.to_owned(),
        from: sender,
        to: vec![fields.get("To").and_then(party_called).unwrap_or_default()],
        text: text.to_owned(),
        sent: None,
        application: Some(application.to_owned()),
        media,
        tags,
    })
}

/// The resource of a call in the vendor's API.
pub(crate) fn call(resource: &Value) -> Call {
    let text = |name: &str| resource.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut from = text("from").and_then(party_called);
    if let (Some(party), Some(name)) = (&mut from, text("caller_name")) {
        party.name.get_or_insert_with(|| name.to_owned());
    }
    Call {
        from,
        to: text("to").and_then(party_called),
        direction: text("direction").and_then(Direction::said),
        start: text("start_time").and_then(time),
        duration: text("duration").and_then(seconds),
        ..Call::new(text("sid").unwrap_or_default())
    }
}
