//! What Telnyx's events say (Telnyx's documentation, "Voice API webhooks" and "Messaging webhooks").

use std::collections::BTreeMap;

use serde_json::Value;
use vconductor_core::import::Party;
use vconductor_core::ingress::{
    Call, Channels, Direction, Disposition, Event, Media, Message, Phase, Recording, Refused, party_called, time,
};

/// The most media and recipients of one message.
const MOST: usize = 100;

/// The events of a body.
pub(super) fn events(body: &Value, format: &str) -> Result<Vec<Event>, Refused> {
    let data = &body["data"];
    let kind = data["event_type"].as_str().ok_or_else(|| Refused::unreadable("there is no `data.event_type`"))?;
    let payload = &data["payload"];
    let event = match kind {
        "call.initiated" => Some(Event::Call(told(data, Phase::Begun)?)),
        "call.answered" | "call.bridged" => Some(Event::Call(told(data, Phase::Answered)?)),
        "call.hangup" => Some(Event::Call(told(data, Phase::Ended)?)),
        "call.recording.saved" | "conference.recording.saved" => Some(Event::Recording(recording(data, format)?)),
        "message.received" => Some(Event::Message(message(payload, Direction::Inbound)?)),
        "message.finalized" => Some(Event::Message(message(payload, Direction::Outbound)?)),
        _ => None,
    };
    Ok(event.into_iter().collect())
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value[name].as_str().filter(|text| !text.is_empty())
}

/// The leg: a recording is of one, and one call may have several, each with its own numbers.
fn id(payload: &Value) -> Result<&str, Refused> {
    ["call_leg_id", "call_session_id", "call_control_id", "conference_id"]
        .into_iter()
        .find_map(|name| text(payload, name))
        .ok_or_else(|| Refused::unreadable("there is no `call_leg_id`"))
}

fn told(data: &Value, phase: Phase) -> Result<Call, Refused> {
    let payload = &data["payload"];
    let mut told = Call { phase: Some(phase), ..call(payload) };
    told.id = id(payload)?.to_owned();
    told.start = text(payload, "start_time").and_then(time);
    if phase == Phase::Begun {
        told.start = told.start.or_else(|| text(data, "occurred_at").and_then(time));
    }
    if phase == Phase::Ended {
        told.disposition = text(payload, "hangup_cause").and_then(disposition);
    }
    Ok(told)
}

/// What events of calls, and newer recordings, say about who spoke.
pub(super) fn call(payload: &Value) -> Call {
    let mut tags = BTreeMap::new();
    for name in ["call_session_id", "call_leg_id", "connection_id", "conference_id"] {
        if let Some(value) = text(payload, name) {
            tags.insert(name.to_owned(), value.to_owned());
        }
    }
    let mut from = text(payload, "from").and_then(party_called);
    if let (Some(party), Some(name)) = (&mut from, text(payload, "caller_id_name")) {
        party.name.get_or_insert_with(|| name.to_owned());
    }
    Call {
        from,
        to: text(payload, "to").and_then(party_called),
        direction: text(payload, "direction").and_then(Direction::said),
        tags,
        ..Call::default()
    }
}

/// Only causes that nobody can have after a conversation.
fn disposition(cause: &str) -> Option<Disposition> {
    match cause {
        "user_busy" => Some(Disposition::Busy),
        "no_answer" | "timeout" => Some(Disposition::NoAnswer),
        "originator_cancel" => Some(Disposition::HungUp),
        "call_rejected" | "not_found" => Some(Disposition::Failed),
        _ => None,
    }
}

fn recording(data: &Value, format: &str) -> Result<Recording, Refused> {
    let payload = &data["payload"];
    let mut call = call(payload);
    call.id = id(payload)?.to_owned();
    let urls = [&payload["recording_urls"], &payload["public_recording_urls"]];
    let wanted = urls.iter().find_map(|urls| text(urls, format));
    let any = || urls.iter().find_map(|urls| urls.as_object()?.values().find_map(Value::as_str));
    let url = wanted.or_else(any).ok_or_else(|| Refused::unreadable("there is no `recording_urls`"))?;
    let recording_id = text(payload, "recording_id");
    let started = text(payload, "recording_started_at").or_else(|| text(payload, "start_time"));
    let ended = text(payload, "recording_ended_at").or_else(|| text(payload, "end_time"));
    let (start, end) = (started.and_then(time), ended.and_then(time));
    // Without an id of its own it is told from others of the same leg by when it began.
    let own_id = match recording_id {
        Some(recording_id) => recording_id.to_owned(),
        None => format!("{}/{}", call.id, started.unwrap_or_default()),
    };
    call.tags.insert("recording_id".to_owned(), own_id.clone());
    let length = start.zip(end).map(|(start, end)| (end - start).total(jiff::Unit::Second).unwrap_or(0.0));
    Ok(Recording {
        id: own_id,
        media: Media { url: url.to_owned(), id: recording_id.map(str::to_owned), ..Media::default() },
        start,
        duration: length.filter(|length| *length >= 0.0),
        channels: if payload["channels"] == "dual" { Channels::OwnLegFirst } else { Channels::Mixed },
        call,
    })
}

fn message(payload: &Value, direction: Direction) -> Result<Message, Refused> {
    let id = text(payload, "id").ok_or_else(|| Refused::unreadable("there is no `payload.id`"))?;
    let party = |value: &Value| text(value, "phone_number").and_then(party_called);
    let to: Vec<Party> = payload["to"].as_array().into_iter().flatten().take(MOST).filter_map(party).collect();
    let media = payload["media"].as_array().into_iter().flatten().take(MOST).filter_map(|media| {
        let url = text(media, "url")?.to_owned();
        Some(Media { url, mediatype: text(media, "content_type").map(str::to_owned), ..Media::default() })
    });
    let kind = text(payload, "type").unwrap_or("SMS").to_ascii_lowercase();
    let mut tags = BTreeMap::from([("message_id".to_owned(), id.to_owned())]);
    tags.insert("direction".to_owned(), direction.as_str().to_owned());
    if let Some(profile) = text(payload, "messaging_profile_id") {
        tags.insert("messaging_profile_id".to_owned(), profile.to_owned());
    }
    Ok(Message {
        id: id.to_owned(),
        from: party(&payload["from"]).unwrap_or_default(),
        to: if to.is_empty() { vec![Party::default()] } else { to },
        text: payload["text"].as_str().unwrap_or_default().to_owned(),
        sent: ["sent_at", "received_at"].into_iter().find_map(|name| text(payload, name).and_then(time)),
        application: Some(kind),
        media: media.collect(),
        tags,
    })
}
