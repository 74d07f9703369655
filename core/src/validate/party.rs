//! Parties: checks 25 to 32.

use super::Findings;
use super::members;
use super::object::{Object, is_base64url, shown};
use super::place::Place;
use super::unsigned::Subject;
use crate::document::{Kind, View};
use crate::vcon::members::PARTY;

/// The parts of a civic address (core-04, section 4.2.9).
const CIVIC: [&str; 17] = [
    "country", "a1", "a2", "a3", "a4", "a5", "a6", "prd", "pod", "sts", "hno", "hns", "lmk", "loc", "flr", "nam", "pc",
];

pub(super) fn check(subject: &Subject<'_>, party: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    members::party(subject, party, place, found);
    for name in PARTY {
        let Some(value) = party.get(name) else { continue };
        let here = place.name(name);
        match value.as_str() {
            _ if name == "civicaddress" => civic_address(value, &here, found),
            None => found.violation(25, &here, format!("`{name}` is {}, not a string", shown(value))),
            Some(text) => member(name, &text, &here, found),
        }
    }
    if party.has("name") && !party.has("validation") {
        found.advice(30, place, "the party has a `name`, but no `validation` says how it was checked");
    }
}

/// Checks 27 to 29, 31 and 32. Empty strings are how libraries write that nothing is known.
fn member(name: &str, text: &str, place: &Place<'_>, found: &mut Findings) {
    if text.is_empty() && name != "did" {
        return;
    }
    let shown = short(text);
    match name {
        "did" if !is_did(text) => found.violation(27, place, format!("`{shown}` is no DID")),
        "tel" if !is_tel(text) => found.advice(28, place, format!("`{shown}` is no telephone number")),
        "sip" if !is_sip(text) => found.advice(28, place, format!("`{shown}` is no SIP address")),
        "mailto" if !is_mailto(text) => found.advice(28, place, format!("`{shown}` is no mail address")),
        "stir" if !is_compact_jws(text) => {
            found.advice(29, place, "the PASSporT does not consist of three parts in base64url");
        }
        "gmlpos" if !is_position(text) => {
            found.advice(31, place, format!("`{shown}` is not a latitude and a longitude"));
        }
        "type" if !["person", "bot", "organization"].contains(&text) => {
            found.advice(32, place, format!("`{shown}` is not one of person, bot and organization"));
        }
        _ => {}
    }
}

/// Check 26.
fn civic_address(value: View<'_>, place: &Place<'_>, found: &mut Findings) {
    let Some(address) = Object::of(value) else {
        found.violation(26, place, format!("`civicaddress` is {}, not an object", shown(value)));
        return;
    };
    for (name, part) in address.iter() {
        if !CIVIC.contains(&name) {
            found.violation(26, &place.name(name), format!("`{}` is no part of a civic address", short(name)));
        } else if part.kind() != Kind::String {
            found.violation(26, &place.name(name), format!("`{name}` is {}, not a string", shown(part)));
        }
    }
}

/// `did:method:identifier` (W3C DID core 1.0, section 3.1), also with path, query and fragment.
fn is_did(text: &str) -> bool {
    let Some((method, rest)) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')) else { return false };
    let identifier = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_identifier = identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte))
        && !identifier.is_empty()
        && !identifier.ends_with(':')
        && are_escapes(identifier);
    is_method && is_identifier && rest.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether every `%` is followed by two hexadecimal digits.
fn are_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|part| {
        let digits = part.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    })
}

/// A number as in a tel URL (RFC 3966): with or without `tel:`, global or local, with separators and parameters. Blanks
/// are let pass, since people write them.
fn is_tel(text: &str) -> bool {
    let number = without_scheme(text, "tel:").split(';').next().unwrap_or_default();
    let digits = number.strip_prefix('+').unwrap_or(number);
    // RFC 3966: a local number may hold `*`, `#` and hexadecimal digits.
    let is_digit = |byte: &u8| byte.is_ascii_hexdigit() || b"*#".contains(byte);
    digits.bytes().any(|byte| byte.is_ascii_digit())
        && digits.bytes().all(|byte| is_digit(&byte) || b"-.() /".contains(&byte))
}

/// An addr-spec of SIP (RFC 3261, section 25.1), with or without its scheme: `user@host`, or a host alone.
fn is_sip(text: &str) -> bool {
    let address = without_scheme(without_scheme(text, "sips:"), "sip:");
    let address = address.split([';', '?']).next().unwrap_or_default();
    let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    !host.is_empty() && address.bytes().all(|byte| byte.is_ascii_graphic()) && !address.starts_with('@')
}

/// A mail address in any common form: bare, with `mailto:`, or with a name before it in angle brackets.
fn is_mailto(text: &str) -> bool {
    let address = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
        Some((_, address)) => address,
        None => text.trim(),
    };
    let address = without_scheme(address, "mailto:").split('?').next().unwrap_or_default();
    match address.rsplit_once('@') {
        Some((local, host)) => {
            let is_plain =
                |part: &str| !part.chars().any(|character| character.is_whitespace() || character.is_control());
            !local.is_empty() && !host.is_empty() && is_plain(host) && (is_plain(local) || local.starts_with('"'))
        }
        None => false,
    }
}

fn without_scheme<'a>(text: &'a str, scheme: &str) -> &'a str {
    match text.get(..scheme.len()) {
        Some(start) if start.eq_ignore_ascii_case(scheme) => &text[scheme.len()..],
        _ => text,
    }
}

/// RFC 7515, section 7.1; a PASSporT may come with its claims left out (RFC 8225, section 7).
fn is_compact_jws(text: &str) -> bool {
    let parts: Vec<_> = text.split('.').collect();
    match parts[..] {
        [header, claims, signature] => {
            !header.is_empty() && !signature.is_empty() && [header, claims, signature].into_iter().all(is_base64url)
        }
        _ => false,
    }
}

/// Two decimal numbers; longitude and latitude are not told apart by range, since other reference systems exist.
fn is_position(text: &str) -> bool {
    let mut count = 0;
    let are_numbers = text.split_whitespace().all(|part| {
        count += 1;
        part.parse::<f64>().is_ok_and(f64::is_finite)
    });
    are_numbers && count == 2
}

fn short(text: &str) -> String {
    let visible = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    visible.take(60).collect()
}
