//! Content, inline or elsewhere: checks 63 to 75.

use super::Findings;
use super::object::{Object, is_base64url, shown};
use super::place::Place;
use crate::audio::matches_token;
use crate::document::{Document, Kind, View};
use crate::vcon::BASE64_URL;
use base64::Engine as _;

/// Whose content it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Dialog,
    Analysis,
    Attachment,
    /// A dialog of a type that has no content: that it has some is check 40, what it lacks is no matter.
    Barren,
    /// What `redacted` or `amended` refers to.
    Reference,
}

pub(super) fn check(object: &Object<'_>, role: Role, place: &Place<'_>, found: &mut Findings) {
    if object.has("body") && object.has("url") {
        found.violation(63, place, "there are both `body` and `url`");
    }
    if role != Role::Reference {
        inline(object, role, place, found);
    }
    external(object, place, found);
    if let Some(hash) = object.get("content_hash") {
        content_hash(hash, &place.name("content_hash"), found);
        own_hash(object, hash, place, found);
    }
}

/// Checks 64 to 69 and 75.
fn inline(object: &Object<'_>, role: Role, place: &Place<'_>, found: &mut Findings) {
    let encoding = object.get("encoding");
    let encoding_text = encoding.and_then(|encoding| encoding.as_str());
    if let Some(encoding) = encoding
        && !matches!(encoding_text.as_deref(), Some("base64url" | "json" | "none"))
    {
        let message = format!("{} is not one of base64url, json and none", shown(encoding));
        found.violation(65, &place.name("encoding"), message);
    }
    if let Some(mediatype) = object.get("mediatype")
        && !mediatype.as_str().is_some_and(|text| is_mediatype(&text))
    {
        found.violation(69, &place.name("mediatype"), format!("{} is not type/subtype", shown(mediatype)));
    }
    let Some(body) = object.get("body").filter(|body| body.text() != "\"\"") else { return };
    if role != Role::Barren {
        if encoding.is_none() {
            found.violation(64, place, "there is a `body`, but no `encoding`");
        }
        if !object.has("mediatype") {
            match role {
                // A format that has no media type is told by vendor, product and schema.
                Role::Analysis if !object.has("schema") => {
                    found.hint(68, place, "neither `mediatype` nor `schema` says what the `body` is");
                }
                Role::Analysis => {}
                _ => found.violation(68, place, "there is a `body`, but no `mediatype`"),
            }
        }
    }
    let place = place.name("body");
    let encoding = encoding_text.as_deref();
    if body.kind() != Kind::String {
        if encoding != Some("json") {
            found.violation(66, &place, format!("`body` is {}, not a string", body.kind().as_str()));
        }
        return;
    }
    let text = body.as_str().unwrap_or_default();
    match encoding {
        Some("base64url") if !is_base64url(&text) => found.violation(67, &place, not_base64url(&text)),
        Some("json") if is_container(&text) => {
            found.advice(75, &place, "the JSON value stands as text in a string, as before core-03");
        }
        _ => {}
    }
}

/// Why a body is no base64url, in words that lead to the mistake.
fn not_base64url(text: &str) -> String {
    let stranger = text.char_indices().find(|(_, one)| !(one.is_ascii_alphanumeric() || *one == '-' || *one == '_'));
    match stranger {
        Some((_, '+' | '/')) => "`body` is in the standard alphabet of base64, with `+` and `/`".to_owned(),
        Some((_, '=')) => "`body` is padded with `=`".to_owned(),
        Some((at, one)) => format!("`body` holds {one:?} at character {at}, which is not base64url"),
        None => "`body` is cut off: a last single character encodes nothing".to_owned(),
    }
}

/// Whether `text` is the JSON text of an object or array.
fn is_container(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && Document::parse(text.to_owned()).is_ok()
}

/// Checks 70 and 71.
fn external(object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    let Some(url) = object.get("url") else { return };
    if !object.has("content_hash") {
        found.violation(70, place, "there is a `url`, but no `content_hash`");
    }
    if !url.as_str().is_some_and(|text| is_https_url(&text)) {
        found.violation(71, &place.name("url"), format!("{} is no absolute https URL", shown(url)));
    }
}

/// Checks 72 and 73.
fn content_hash(hash: View<'_>, place: &Place<'_>, found: &mut Findings) {
    if hash.kind() != Kind::Array {
        token(hash, place, found);
    } else if hash.is_empty() {
        found.violation(72, place, "the list of hashes is empty");
    }
    for (index, element) in hash.elements().enumerate() {
        token(element, &place.index(index), found);
    }
}

fn token(value: View<'_>, place: &Place<'_>, found: &mut Findings) {
    let text = value.as_str().unwrap_or_default();
    // base64url itself contains hyphens.
    let parts = text.split_once('-').filter(|(algorithm, digest)| {
        let is_algorithm = algorithm.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let is_digest = digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        is_algorithm && is_digest && !algorithm.is_empty() && !digest.is_empty()
    });
    let Some((algorithm, digest)) = parts else {
        found.violation(72, place, format!("{} is no token such as sha512-...", shown(value)));
        return;
    };
    let length = match algorithm {
        "sha512" => 86,
        "sha384" => 64,
        "sha256" => 43,
        _ => return,
    };
    if digest.len() != length {
        let is_hexadecimal = digest.len() % 32 == 0 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        let guess = if is_hexadecimal { "; it looks like hexadecimal" } else { "" };
        let message = format!("the digest of {algorithm} has {} characters, not {length}{guess}", digest.len());
        found.violation(73, place, message);
    }
}

/// Check 74 for inline content that says its hash; what lies elsewhere has to be fetched first.
fn own_hash(object: &Object<'_>, hash: View<'_>, place: &Place<'_>, found: &mut Findings) {
    // A redacted body may be empty while its hash is kept.
    let Some(body) = object.text("body").filter(|body| !body.is_empty() && !object.has("url")) else { return };
    let bytes = match object.text("encoding").as_deref() {
        Some("base64url") => BASE64_URL.decode(body.as_bytes()).ok(),
        Some("none") => Some(body.as_bytes().to_vec()),
        _ => None,
    };
    if let Some(bytes) = bytes {
        compare(&bytes, hash, &place.name("content_hash"), found);
    }
}

/// Check 74: compares `bytes` with every hash of a known algorithm.
pub(super) fn compare(bytes: &[u8], hash: View<'_>, place: &Place<'_>, found: &mut Findings) {
    let tokens = hash.as_str().into_iter().chain(hash.elements().filter_map(|element| element.as_str()));
    for token in tokens {
        if matches_token(bytes, &token) == Some(false) {
            let message = format!("the {} bytes of content do not have the hash {}", bytes.len(), beginning(&token));
            found.refused(74, place, message);
        }
    }
}

fn beginning(token: &str) -> String {
    match token.char_indices().nth(24) {
        Some((end, _)) => format!("{}...", &token[..end]),
        None => token.to_owned(),
    }
}

/// `type/subtype` of RFC 2045, section 5.1, with anything as parameters: mail folds them over lines.
fn is_mediatype(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
    };
    essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// An https URL with a host (RFC 9110, section 4.2.2).
pub(super) fn is_https_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    scheme.eq_ignore_ascii_case("https")
        && !host.is_empty()
        && !host.starts_with(':')
        && !text.chars().any(|character| character.is_whitespace() || character.is_control())
}
