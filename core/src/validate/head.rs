//! Identity, times, version and extensions of the vCon: checks 4 to 13 and 20.

use super::extension;
use super::object::{is_date, is_uuid, shown};
use super::place::Place;
use super::unsigned::{ARRAYS, Subject};
use super::{Findings, Validator};
use crate::document::Kind;
use crate::vcon::Date;

pub(super) fn check(validator: &Validator<'_>, subject: &Subject<'_>, found: &mut Findings) {
    uuid(subject, found);
    times(subject, found);
    let top = &subject.top;
    if let Some(version) = top.get("vcon")
        && version.as_str().as_deref() != Some("0.4.0")
    {
        found.violation(9, &Place::ROOT.name("vcon"), format!("`vcon` is {}, not \"0.4.0\"", shown(version)));
    }
    if let Some(text) = top.get("subject")
        && text.kind() != Kind::String
    {
        found.violation(10, &Place::ROOT.name("subject"), format!("`subject` is {}, not a string", shown(text)));
    }
    extensions(validator, subject, found);
    if top.has("group") {
        found.advice(20, &Place::ROOT.name("group"), "`group` was removed from the format");
    }
}

/// Checks 4 to 6.
fn uuid(subject: &Subject<'_>, found: &mut Findings) {
    let place = Place::ROOT.name("uuid");
    let Some(uuid) = subject.top.get("uuid") else {
        if ARRAYS.iter().any(|name| subject.top.has(name)) {
            found.violation(4, &place, "`uuid` is missing");
        } else {
            found.refused(4, &place, "`uuid` is missing, and so is everything else that would make this a vCon");
        }
        return;
    };
    match uuid.as_str() {
        None => found.refused(5, &place, format!("`uuid` is {}, not a string", shown(uuid))),
        Some(text) if !is_uuid(&text) => found.violation(5, &place, format!("`uuid` is {}, no UUID", shown(uuid))),
        Some(text) => {
            let is_variant = matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b' | b'A' | b'B');
            if text.as_bytes()[14] != b'8' || !is_variant {
                let version = &text[14..15];
                found.advice(6, &place, format!("the UUID is of version {version}, not of version 8"));
            }
        }
    }
}

/// Checks 7 and 8.
fn times(subject: &Subject<'_>, found: &mut Findings) {
    if !subject.top.has("created_at") {
        found.violation(7, &Place::ROOT.name("created_at"), "`created_at` is missing");
    }
    for name in ["created_at", "updated_at"] {
        let place = Place::ROOT.name(name);
        let Some(date) = subject.top.get(name) else { continue };
        match date.as_str() {
            None => found.violation(8, &place, format!("`{name}` is {}, not a date in a string", shown(date))),
            Some(text) if is_date(&text) => {}
            Some(text) if name == "created_at" && Date::parse(&text).is_none() => {
                found.refused(8, &place, format!("`{name}` is {}, which is no point in time", shown(date)));
            }
            Some(_) => {
                found.violation(8, &place, format!("`{name}` is {}, no date of RFC 3339 with offset", shown(date)))
            }
        }
    }
}

/// Checks 11 to 13.
fn extensions(validator: &Validator<'_>, subject: &Subject<'_>, found: &mut Findings) {
    for name in ["extensions", "critical"] {
        let Some(list) = subject.top.get(name) else { continue };
        let is_list = list.kind() == Kind::Array && list.elements().all(|one| one.kind() == Kind::String);
        if is_list {
            continue;
        }
        let (place, message) =
            (Place::ROOT.name(name), format!("`{name}` is {}, not an array of strings", shown(list)));
        match name {
            "critical" => found.refused(11, &place, message),
            _ => found.violation(11, &place, message),
        }
    }
    let Some(critical) = subject.top.get("critical") else { return };
    let place = Place::ROOT.name("critical");
    for (index, one) in critical.elements().enumerate() {
        let text = one.as_str();
        if let Some(text) = &text
            && !extension::is_known(text)
            && !validator.supported.iter().any(|supported| supported == text)
        {
            found.refused(
                12,
                &place.index(index),
                format!("the extension {} must be understood and is not", shown(one)),
            );
        }
        if text.is_none_or(|text| !subject.extensions.contains(&text)) {
            found.advice(13, &place.index(index), format!("{} is not listed in `extensions`", shown(one)));
        }
    }
}
