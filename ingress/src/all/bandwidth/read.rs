//! What Bandwidth's callbacks say (Bandwidth's documentation, "Voice webhooks" and "Messaging webhooks"): one object about a
//! call, or a list of objects about messages.

use std::collections::BTreeMap;

use serde_json::Value;
use vconductor_core::import::Party;
use vconductor_core::ingress::{
    Call, Channels, Direction, Disposition, Event, Media, Message, Phase, Recording, Refused, party_called, seconds,
    time,
};

/// The most messages of one callback, and the most media and recipients of one message.
const MOST: usize = 100;

/// The events of a body.
pub(super) fn events(body: &Value, account: &str) -> Result<Vec<Event>, Refused> {
    match body {
        Value::Array(all) => {
            let read = all.iter().take(MOST).map(message);
            Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().map(Event::Message).collect())
        }
        Value::Object(_) => {
            if text(body, "accountId").is_some_and(|about| about != account) {
                return Err(Refused::unproved("it is about another account than `account`"));
            }
            let kind = text(body, "eventType").ok_or_else(|| Refused::unreadable("there is no `eventType`"))?;
            Ok(voice(kind, body)?.into_iter().collect())
        }
        _ => Err(Refused::unreadable("the body is neither an object nor a list")),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value[name].as_str().filter(|text| !text.is_empty())
}

fn voice(kind: &str, body: &Value) -> Result<Option<Event>, Refused> {
    Ok(match kind {
        "initiate" => Some(Event::Call(Call { phase: Some(Phase::Begun), ..call(body)? })),
        "answer" => Some(Event::Call(Call { phase: Some(Phase::Answered), ..call(body)? })),
        "disconnect" => {
            // Who was answered has spoken, however the call ended.
            let answered = text(body, "answerTime").is_some();
            let disposition = text(body, "cause").filter(|_| !answered).and_then(disposition);
            Some(Event::Call(Call { phase: Some(Phase::Ended), disposition, ..call(body)? }))
        }
        "recordingAvailable" | "conferenceRecordingAvailable" => recording(body)?.map(Event::Recording),
        // `recordingComplete` comes before the file can be fetched; transcriptions belong to a recording that was told of.
        _ => None,
    })
}

fn call(body: &Value) -> Result<Call, Refused> {
    let id = text(body, "callId").or_else(|| text(body, "conferenceId"));
    let id = id.ok_or_else(|| Refused::unreadable("there is no `callId`"))?;
    let mut tags = BTreeMap::new();
    for (name, tag) in [
        ("callId", "call_id"),
        ("parentCallId", "parent_call_id"),
        ("conferenceId", "conference_id"),
        ("applicationId", "application_id"),
        ("tag", "tag"),
    ] {
        if let Some(value) = text(body, name) {
            tags.insert(tag.to_owned(), value.to_owned());
        }
    }
    Ok(Call {
        from: text(body, "from").and_then(party_called),
        to: text(body, "to").and_then(party_called),
        direction: text(body, "direction").and_then(Direction::said),
        start: ["enqueuedTime", "startTime"].into_iter().rev().find_map(|name| text(body, name).and_then(time)),
        tags,
        ..Call::new(id)
    })
}

fn disposition(cause: &str) -> Option<Disposition> {
    match cause {
        "busy" => Some(Disposition::Busy),
        "timeout" => Some(Disposition::NoAnswer),
        "cancel" | "hangup" => Some(Disposition::HungUp),
        "rejected"
        | "invalid-bxml"
        | "application-error"
        | "callback-error"
        | "account-limit"
        | "node-capacity-exceeded"
        | "error"
        | "unknown" => Some(Disposition::Failed),
        _ => None,
    }
}

fn recording(body: &Value) -> Result<Option<Recording>, Refused> {
    if body["status"] == "error" {
        return Ok(None);
    }
    let (Some(id), Some(url)) = (text(body, "recordingId"), text(body, "mediaUrl")) else {
        return Err(Refused::unreadable("there is no `recordingId` or no `mediaUrl`"));
    };
    let mut call = call(body)?;
    call.tags.insert("recording_id".to_owned(), id.to_owned());
    // Here it is the recording's start.
    let start = call.start.take();
    Ok(Some(Recording {
        id: id.to_owned(),
        media: Media { url: url.to_owned(), id: Some(id.to_owned()), ..Media::default() },
        start,
        duration: text(body, "duration").and_then(seconds),
        channels: if body["channels"] == 2 { Channels::OwnLegFirst } else { Channels::Mixed },
        call,
    }))
}

/// Messages that came in, and those that went out and arrived; other states of a message make nothing.
fn message(event: &Value) -> Result<Option<Message>, Refused> {
    let kind = text(event, "type").ok_or_else(|| Refused::unreadable("there is no `type`"))?;
    let direction = match kind {
        "message-received" => Direction::Inbound,
        "message-delivered" => Direction::Outbound,
        _ => return Ok(None),
    };
    let message = &event["message"];
    let id = text(message, "id").ok_or_else(|| Refused::unreadable("there is no `message.id`"))?;
    let to = message["to"].as_array().into_iter().flatten().take(MOST);
    let to: Vec<Party> = to.filter_map(|number| party_called(number.as_str()?)).collect();
    let media = message["media"].as_array().into_iter().flatten().take(MOST);
    // A message with media comes with a description of its layout, which is no part of what was said.
    let media = media.filter_map(Value::as_str).filter(|url| !url.ends_with(".smil") && !url.ends_with(".xml"));
    let media: Vec<Media> = media.map(|url| Media { url: url.to_owned(), ..Media::default() }).collect();
    let mut tags = BTreeMap::from([("message_id".to_owned(), id.to_owned())]);
    tags.insert("direction".to_owned(), direction.as_str().to_owned());
    if let Some(application) = text(message, "applicationId") {
        tags.insert("application_id".to_owned(), application.to_owned());
    }
    Ok(Some(Message {
        id: id.to_owned(),
        from: text(message, "from").and_then(party_called).unwrap_or_default(),
        to: if to.is_empty() { vec![Party::default()] } else { to },
        text: message["text"].as_str().unwrap_or_default().to_owned(),
        sent: text(message, "time").and_then(time),
        application: Some(if media.is_empty() { "sms" } else { "mms" }.to_owned()),
        media,
        tags,
    }))
}
