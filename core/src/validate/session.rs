//! Session identifiers and what happened to the parties: checks 56 to 61.

use super::object::{Object, is_date, is_index, is_uuid, shown};
use super::place::Place;
use super::unsigned::Subject;
use super::{Findings, members};
use crate::document::{Kind, View};

/// What can happen to a party (core-04, section 4.3.13).
const EVENTS: [&str; 8] = ["join", "drop", "hold", "unhold", "mute", "unmute", "keydown", "keyup"];

pub(super) fn check(subject: &Subject<'_>, dialog: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    if let Some(session) = dialog.get("session_id") {
        session_id(session, dialog.get("parties"), &place.name("session_id"), found);
    }
    if let Some(history) = dialog.get("party_history") {
        let place = place.name("party_history");
        if history.kind() != Kind::Array {
            found.violation(58, &place, format!("`party_history` is {}, not an array", shown(history)));
        }
        for (index, event) in history.elements().enumerate() {
            match Object::of(event) {
                Some(event) => self::event(subject, &event, &place.index(index), found),
                None => found.violation(58, &place.index(index), format!("{} is not an object", shown(event))),
            }
        }
    }
}

/// Check 56: one SessionId, or arrays of the structure of `parties`.
fn session_id(session: View<'_>, parties: Option<View<'_>>, place: &Place<'_>, found: &mut Findings) {
    match (session.kind(), parties) {
        (Kind::Object, _) => ends(session, place, found),
        (Kind::Array, Some(parties)) if parties.kind() == Kind::Array => {
            if session.len() != parties.len() {
                let message = format!("{} session ids for {} entries of `parties`", session.len(), parties.len());
                found.violation(56, place, message);
                return;
            }
            for (index, (session, party)) in session.elements().zip(parties.elements()).enumerate() {
                let place = place.index(index);
                match (session.kind(), party.kind()) {
                    (Kind::Array, Kind::Array) => session_id(session, Some(party), &place, found),
                    (Kind::Object, kind) if kind != Kind::Array => ends(session, &place, found),
                    // Nobody is on that channel.
                    (Kind::Null, Kind::Null) => {}
                    _ => {
                        found.violation(56, &place, format!("{} does not match its entry of `parties`", shown(session)))
                    }
                }
            }
        }
        (Kind::Array, _) => found.violation(56, place, "an array of session ids, though `parties` is none"),
        _ => found.violation(56, place, format!("`session_id` is {}, not a SessionId", shown(session))),
    }
}

/// Check 57.
fn ends(session: View<'_>, place: &Place<'_>, found: &mut Findings) {
    for name in ["local", "remote"] {
        if let Some(end) = session.get(name)
            && !end.as_str().is_some_and(|text| is_session_uuid(&text))
        {
            found.violation(57, &place.name(name), format!("`{name}` is {}, no UUID of RFC 7989", shown(end)));
        }
    }
}

/// RFC 7989, section 5: 32 hexadecimal digits. The usual form with hyphens is accepted.
fn is_session_uuid(text: &str) -> bool {
    is_uuid(text) || (text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Checks 58 to 61.
fn event(subject: &Subject<'_>, event: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    members::event(subject, event, place, found);
    let missing: Vec<_> = ["party", "time", "event"].into_iter().filter(|name| !event.has(name)).collect();
    if !missing.is_empty() {
        found.violation(58, place, format!("the event lacks `{}`", missing.join("`, `")));
    }
    if let Some(kind) = event.get("event")
        && !kind.as_str().is_some_and(|text| EVENTS.contains(&&*text))
    {
        found.violation(59, &place.name("event"), format!("{} is not one of the eight events", shown(kind)));
    }
    if let Some(kind @ ("keydown" | "keyup")) = event.text("event").as_deref()
        && event.text("button").is_none()
    {
        found.violation(60, place, format!("{kind} does not say of which `button`"));
    }
    if let Some(party) = event.get("party")
        && !is_index(party, subject.parties)
    {
        let message = format!("{} is no index of the {} parties", shown(party), subject.parties);
        found.violation(61, &place.name("party"), message);
    }
    if let Some(time) = event.get("time")
        && !time.as_str().is_some_and(|text| is_date(&text))
    {
        found.violation(61, &place.name("time"), format!("`time` is {}, no date of RFC 3339 with offset", shown(time)));
    }
}
