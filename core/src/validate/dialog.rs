//! Dialogs: checks 33 to 46, 53 to 55 and 62. Those of transfers, recording-sets and sessions have files of their own.

use super::content::{self, Role};
use super::object::{Object, is_date, is_index, shown};
use super::place::Place;
use super::unsigned::Subject;
use super::{Findings, channels, extension, members, recording_set, session, transfer};
use crate::document::{Kind, View};

/// The types of the core (core-04, section 4.3.1).
const TYPES: [&str; 5] = ["recording", "recording-set", "text", "transfer", "incomplete"];

/// Why an incomplete dialog did not come about (core-04, section 4.3.11).
const DISPOSITIONS: [&str; 6] = ["no-answer", "congestion", "failed", "busy", "hung-up", "voicemail-no-message"];

pub(super) fn check(subject: &Subject<'_>, index: usize, dialog: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    members::dialog(subject, dialog, place, found);
    let kind = dialog.text("type");
    let kind = kind.as_deref().unwrap_or_default();
    kinds(subject, dialog, place, found);
    times(dialog, kind, place, found);
    parties(subject, dialog, kind, place, found);
    if ["incomplete", "transfer", "recording-set"].contains(&kind) {
        no_content(dialog, kind, place, found);
        content::check(dialog, Role::Barren, place, found);
    } else {
        content::check(dialog, Role::Dialog, place, found);
    }
    transfer::check(subject, dialog, kind, place, found);
    recording_set::check(subject, index, dialog, kind, place, found);
    disposition(dialog, kind, place, found);
    session::check(subject, dialog, place, found);
    channels::check(dialog, place, found);
    let is_placeholder = dialog.iter().all(|(name, _)| name == "type" || name == "disposition");
    let has_content = dialog.has("body") || dialog.has("url");
    if ["recording", "text"].contains(&kind) && !has_content && !subject.is_redacted && !is_placeholder {
        found.advice(62, place, format!("the {kind} holds neither `body` nor `url`"));
    }
}

/// Checks 33 and 34.
fn kinds(subject: &Subject<'_>, dialog: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    let Some(value) = dialog.get("type") else {
        found.violation(33, place, "the dialog has no `type`");
        return;
    };
    let is_known = value.as_str().is_some_and(|kind| {
        TYPES.contains(&&*kind) || extension::adds(&subject.extensions, |extension| extension.dialog_types, &kind)
    });
    if !is_known {
        found.violation(34, &place.name("type"), format!("the type {} is not registered", shown(value)));
    }
}

/// Checks 35 and 36.
fn times(dialog: &Object<'_>, kind: &str, place: &Place<'_>, found: &mut Findings) {
    match dialog.get("start") {
        None if kind == "transfer" => {}
        None => found.advice(35, place, "the dialog does not say when it began (`start`)"),
        Some(start) if start.as_str().is_some_and(|text| is_date(&text)) => {}
        Some(start) => {
            let message = format!("`start` is {}, no date of RFC 3339 with offset", shown(start));
            found.violation(35, &place.name("start"), message);
        }
    }
    if let Some(duration) = dialog.get("duration")
        && !duration.as_f64().is_some_and(|seconds| seconds.is_finite() && seconds >= 0.0)
    {
        let message = format!("`duration` is {}, not a number of seconds", shown(duration));
        found.violation(36, &place.name("duration"), message);
    }
}

/// Checks 37 and 39.
fn parties(subject: &Subject<'_>, dialog: &Object<'_>, kind: &str, place: &Place<'_>, found: &mut Findings) {
    let count = subject.parties;
    let here = place.name("parties");
    let parties = dialog.get("parties");
    match parties {
        None if ["recording", "recording-set", "text"].contains(&kind) => {
            found.advice(37, place, "the dialog does not say who took part (`parties`)");
        }
        None => {}
        Some(parties) if parties.kind() == Kind::Array => {
            for (index, element) in parties.elements().enumerate() {
                party_or_mix(element, count, &here.index(index), found);
            }
        }
        Some(party) if is_index(party, count) => {}
        Some(party) => found.violation(37, &here, no_party(party, count)),
    }
    let Some(originator) = dialog.get("originator") else { return };
    let place = place.name("originator");
    if !is_index(originator, count) {
        found.violation(39, &place, no_party(originator, count));
    } else if parties.and_then(first).is_some() && parties.and_then(first) == originator.as_usize() {
        found.hint(39, &place, "the first party is the originator anyway");
    }
}

/// An element of `parties`: a party, several who share a channel, or nobody.
fn party_or_mix(element: View<'_>, count: usize, place: &Place<'_>, found: &mut Findings) {
    match element.kind() {
        Kind::Null => {}
        Kind::Array => {
            for (index, party) in element.elements().enumerate() {
                if !is_index(party, count) {
                    found.violation(37, &place.index(index), no_party(party, count));
                }
            }
        }
        _ if is_index(element, count) => {}
        _ => found.violation(37, place, no_party(element, count)),
    }
}

/// The first party of `parties`, however deep.
fn first(parties: View<'_>) -> Option<usize> {
    match parties.kind() {
        Kind::Array => first(parties.index(0)?),
        _ => parties.as_usize(),
    }
}

fn no_party(value: View<'_>, count: usize) -> String {
    format!("{} is no index of the {count} parties", shown(value))
}

/// Checks 40 to 43.
fn no_content(dialog: &Object<'_>, kind: &str, place: &Place<'_>, found: &mut Findings) {
    const BARRED: [(&str, u16); 7] = [
        ("body", 40),
        ("encoding", 40),
        ("url", 40),
        ("content_hash", 40),
        ("mediatype", 41),
        ("filename", 42),
        ("message_id", 43),
    ];
    for (name, check) in BARRED {
        if dialog.has(name) {
            found.violation(check, &place.name(name), format!("a dialog of type {kind} has no `{name}`"));
        }
    }
}

/// Checks 53 to 55.
fn disposition(dialog: &Object<'_>, kind: &str, place: &Place<'_>, found: &mut Findings) {
    let Some(disposition) = dialog.get("disposition") else {
        if kind == "incomplete" {
            found.violation(53, place, "the incomplete dialog does not say why (`disposition`)");
        }
        return;
    };
    let place = place.name("disposition");
    if !disposition.as_str().is_some_and(|text| DISPOSITIONS.contains(&&*text)) {
        found.violation(54, &place, format!("{} is not one of the six dispositions", shown(disposition)));
    }
    if kind != "incomplete" {
        found.advice(55, &place, format!("`disposition` tells why a call failed; this is of type `{kind}`"));
    }
}
