//! The encrypted form, as far as it can be judged without keys: checks 99, 100 and 106.

use base64::Engine as _;

use super::Findings;
use super::object::{Object, is_base64url, shown};
use super::place::Place;
use crate::document::{Document, Kind, View};
use crate::vcon::BASE64_URL;

/// Key encryption that is read (RFC 7518, section 4).
const KEY_ALGORITHMS: [&str; 2] = ["RSA-OAEP", "RSA-OAEP-256"];
/// Content encryption that is read (RFC 7518, section 5).
const CONTENT_ALGORITHMS: [&str; 2] = ["A256CBC-HS512", "A256GCM"];

/// Checks the JWE `root`. Returns the uuid that its unprotected header names.
pub(super) fn check(root: View<'_>, found: &mut Findings) -> Option<String> {
    let top = &Object::of(root)?;
    for name in ["iv", "ciphertext", "tag"] {
        let place = Place::ROOT.name(name);
        match top.get(name) {
            Some(value) if value.as_str().is_some_and(|text| is_base64url(&text)) => {}
            Some(value) => found.refused(99, &place, format!("`{name}` is {}, not base64url", shown(value))),
            None if name == "ciphertext" && top.has("cyphertext") => {
                found.violation(99, &place, "`ciphertext` is spelled `cyphertext`, as in container-00");
            }
            None => found.refused(99, &place, format!("`{name}` is missing")),
        }
    }
    let place = Place::ROOT.name("unprotected");
    let unprotected = top.get("unprotected");
    match unprotected {
        None => found.violation(99, &place, "`unprotected` is missing"),
        Some(value) if value.kind() != Kind::Object => {
            found.violation(99, &place, format!("`unprotected` is {}, not an object", shown(value)));
        }
        Some(_) => {}
    }
    let protected = protected(top, found);
    let shared: Vec<_> = [protected.as_ref().map(Document::root), unprotected].into_iter().flatten().collect();
    let recipients = recipients(top, found);
    let place = Place::ROOT.name("recipients");
    if recipients.is_empty() {
        algorithm(&shared, "enc", &CONTENT_ALGORITHMS, &Place::ROOT.name("unprotected"), found);
    }
    for (index, recipient) in recipients.into_iter().enumerate() {
        let place = place.index(index);
        let header = recipient.and_then(|recipient| recipient.get("header"));
        let headers: Vec<_> = shared.iter().copied().chain(header).collect();
        algorithm(&headers, "alg", &KEY_ALGORITHMS, &place, found);
        // The same for all recipients, wherever it stands.
        if index == 0 {
            algorithm(&headers, "enc", &CONTENT_ALGORITHMS, &Place::ROOT.name("unprotected"), found);
        }
    }
    unprotected.and_then(|header| Some(header.get("uuid")?.as_str()?.into_owned()))
}

/// The protected header, which the draft does not ask for.
fn protected(top: &Object<'_>, found: &mut Findings) -> Option<Document> {
    let value = top.get("protected")?;
    let decoded = value.as_str().and_then(|text| BASE64_URL.decode(text.as_bytes()).ok());
    let document =
        decoded.and_then(|bytes| Document::parse(bytes).ok()).filter(|one| one.root().kind() == Kind::Object);
    let place = Place::ROOT.name("protected");
    match &document {
        None => found.violation(99, &place, "`protected` does not hold a JSON object in base64url"),
        Some(document) if document.root().get("crit").is_some() => {
            found.refused(106, &place, "the protected header makes a parameter critical that is not known here");
        }
        Some(_) => {}
    }
    document
}

/// Check 99: the recipients, `None` for one that is no object.
fn recipients<'a>(top: &Object<'a>, found: &mut Findings) -> Vec<Option<View<'a>>> {
    let place = Place::ROOT.name("recipients");
    match top.get("recipients") {
        Some(list) if list.kind() == Kind::Array && !list.is_empty() => list
            .elements()
            .enumerate()
            .map(|(index, recipient)| {
                let is_object = recipient.kind() == Kind::Object;
                if !is_object {
                    found.violation(99, &place.index(index), format!("{} is not an object", shown(recipient)));
                }
                is_object.then_some(recipient)
            })
            .collect(),
        Some(list) => {
            found.refused(99, &place, format!("`recipients` is {}, not an array of recipients", shown(list)));
            Vec::new()
        }
        None => {
            found.refused(99, &place, "`recipients` is missing");
            Vec::new()
        }
    }
}

/// Check 100: the algorithm `name`, in the first header that has it.
fn algorithm(headers: &[View<'_>], name: &str, supported: &[&str], place: &Place<'_>, found: &mut Findings) {
    match headers.iter().find_map(|header| header.get(name)) {
        Some(value) if value.as_str().is_some_and(|text| supported.contains(&&*text)) => {}
        Some(value) => {
            let supported = supported.join(", ");
            found.violation(100, place, format!("`{name}` is {}; read are {supported}", shown(value)));
        }
        None => found.violation(100, place, format!("no header says `{name}`")),
    }
}
