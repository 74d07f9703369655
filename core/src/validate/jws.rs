//! The signed form, as far as it can be judged without keys: checks 90 to 94, 97, 98, 104 and 106.

use base64::Engine as _;

use super::Findings;
use super::content::is_https_url;
use super::object::{Object, is_base64url, shown};
use super::place::Place;
use crate::document::{Document, Kind, View};
use crate::vcon::BASE64_URL;

/// Signature algorithms that a vCon may have: asymmetric ones only, since everybody must be able to verify (RFC 7518,
/// section 3; RFC 8037).
const ALGORITHMS: [&str; 10] =
    ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];

/// Checks the JWS `root`. Returns the uuids that its headers name, with their places.
pub(super) fn check(root: View<'_>, found: &mut Findings) -> Vec<(String, String)> {
    payload(root, found);
    let place = Place::ROOT.name("signatures");
    let mut uuids = Vec::new();
    match root.get("signatures") {
        Some(list) if list.kind() == Kind::Array && !list.is_empty() => {
            for (index, view) in list.elements().enumerate() {
                let place = place.index(index);
                match Object::of(view) {
                    Some(object) => signature(&object, &place, &mut uuids, found),
                    None => found.refused(91, &place, format!("the signature is {}, not an object", shown(view))),
                }
            }
        }
        Some(list) => found.refused(90, &place, format!("`signatures` is {}, not an array of signatures", shown(list))),
        None => found.refused(90, &place, "`signatures` is missing"),
    }
    uuids
}

fn payload(root: View<'_>, found: &mut Findings) {
    let place = Place::ROOT.name("payload");
    match root.get("payload") {
        None => found.refused(90, &place, "`payload` is missing"),
        Some(payload) => match payload.as_str() {
            Some(text) if is_base64url(&text) => {}
            // Others pad it; what was signed is the text itself, so that reading it all the same is safe.
            Some(text) if BASE64_URL.decode(text.as_bytes()).is_ok() => {
                found.violation(90, &place, "`payload` is padded or has stray bits, which base64url does not");
            }
            Some(_) => found.refused(90, &place, "`payload` is not base64url"),
            None => found.refused(90, &place, format!("`payload` is {}, not a string", payload.kind().as_str())),
        },
    }
}

fn signature(signature: &Object<'_>, place: &Place<'_>, uuids: &mut Vec<(String, String)>, found: &mut Findings) {
    let protected = protected(signature, place, found);
    match signature.get("signature") {
        Some(value) if value.as_str().is_some_and(|text| !text.is_empty() && is_base64url(&text)) => {}
        Some(value) => {
            found.refused(91, &place.name("signature"), format!("`signature` is {}, not base64url", shown(value)));
        }
        None => found.refused(91, place, "`signature` is missing"),
    }
    let header_place = place.name("header");
    let header = match signature.get("header") {
        None => {
            found.violation(91, place, "`header` is missing");
            None
        }
        Some(value) => {
            let header = Object::of(value);
            if header.is_none() {
                found.violation(91, &header_place, format!("`header` is {}, not an object", shown(value)));
            }
            header
        }
    };
    let protected = protected.as_ref().and_then(|document| Object::of(document.root()));
    let (header, protected) = (header.as_ref(), protected.as_ref());
    certificates(header, protected, &header_place, found);
    algorithm(header, protected, &header_place, found);
    if let (Some(header), Some(protected)) = (header, protected) {
        disjoint(header, protected, &header_place, found);
    }
    critical(header, protected, &header_place, found);
    for (part, name) in [(header, "header"), (protected, "protected")] {
        if let Some(uuid) = part.and_then(|part| part.text("uuid")) {
            uuids.push((place.name(name).name("uuid").to_string(), uuid.into_owned()));
        }
    }
}

/// Check 91: the protected header.
fn protected(signature: &Object<'_>, place: &Place<'_>, found: &mut Findings) -> Option<Document> {
    let here = place.name("protected");
    let Some(value) = signature.get("protected") else {
        found.refused(91, place, "`protected` is missing");
        return None;
    };
    let decoded = value.as_str().and_then(|text| BASE64_URL.decode(text.as_bytes()).ok());
    let document = decoded.and_then(|bytes| Document::parse(bytes).ok());
    match document {
        Some(document) if document.root().kind() == Kind::Object => Some(document),
        _ => {
            found.refused(91, &here, "`protected` does not hold a JSON object in base64url");
            None
        }
    }
}

/// Checks 92 and 104.
fn certificates(header: Option<&Object<'_>>, protected: Option<&Object<'_>>, place: &Place<'_>, found: &mut Findings) {
    let is_there = header.is_some_and(|header| header.has("x5c") || header.has("x5u"));
    if !is_there {
        found.violation(92, place, "the header has neither `x5c` nor `x5u`: it does not say whose key to verify with");
    }
    for x5u in [header, protected].into_iter().flatten().filter_map(|part| part.get("x5u")) {
        if !x5u.as_str().is_some_and(|text| is_https_url(&text)) {
            found.refused(104, &place.name("x5u"), format!("`x5u` is {}, no https URL", shown(x5u)));
        }
    }
}

/// Check 93. The protected header counts; the draft wants `alg` in the other one, too.
fn algorithm(header: Option<&Object<'_>>, protected: Option<&Object<'_>>, place: &Place<'_>, found: &mut Findings) {
    let own = |part: Option<&Object<'_>>| part.and_then(|part| part.get("alg")).map(|alg| alg.to_value());
    let alg = own(protected).or_else(|| own(header));
    match &alg {
        None => found.refused(93, place, "neither header says the algorithm (`alg`)"),
        Some(alg) if alg.as_str().is_some_and(|alg| ALGORITHMS.contains(&alg)) => {
            if own(header).is_none() {
                found.advice(93, place, "`alg` is in the protected header only; the draft wants it in this one, too");
            }
        }
        Some(alg) => {
            let why = match alg.as_str() {
                Some(alg) if alg.eq_ignore_ascii_case("none") => "leaves the vCon unsigned",
                Some(alg) if alg.starts_with("HS") => "has a secret key, which a public certificate is not",
                _ => "is no signature algorithm that is known here",
            };
            let shown: String = alg.to_string().chars().take(40).collect();
            found.refused(93, &place.name("alg"), format!("the algorithm {shown} {why}"));
        }
    }
}

/// Check 94 (RFC 7515, section 4).
fn disjoint(header: &Object<'_>, protected: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    let both: Vec<_> = header.iter().filter_map(|(name, value)| Some((name, value, protected.get(name)?))).collect();
    let (equal, different): (Vec<_>, Vec<_>) = both.into_iter().partition(|(_, one, two)| one.equals(*two));
    for (name, ..) in &different {
        let name: String = name.chars().take(40).collect();
        found.refused(94, &place.name(&name), format!("`{name}` has another value in the protected header"));
    }
    if let (false, true) = (equal.is_empty(), different.is_empty()) {
        let names = equal.iter().take(8).map(|(name, ..)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        found.advice(94, place, format!("{names} stand in both headers"));
    }
}

/// Check 106 (RFC 7515, section 4.1.11). None of the parameters that may be critical is known here.
fn critical(header: Option<&Object<'_>>, protected: Option<&Object<'_>>, place: &Place<'_>, found: &mut Findings) {
    if let Some(crit) = protected.and_then(|part| part.get("crit")) {
        let names = crit.elements().filter_map(|one| one.as_str()).take(8).collect::<Vec<_>>().join("`, `");
        found.refused(106, place, format!("the protected header makes `{names}` critical, which is not known here"));
    }
    if header.is_some_and(|part| part.has("crit")) {
        found.refused(106, &place.name("crit"), "`crit` stands in the header that nobody signed");
    }
}

/// Check 97: compares the uuids of the headers with that of the vCon inside.
pub(super) fn compare_uuids(named: &[(String, String)], inside: Option<&str>, found: &mut Findings) {
    if named.is_empty() {
        found.advice(97, &Place::ROOT.name("signatures"), "no header names the `uuid` of the vCon");
    }
    let Some(inside) = inside else { return };
    for (pointer, uuid) in named {
        if !uuid.eq_ignore_ascii_case(inside) {
            let uuid: String = uuid.chars().take(60).collect();
            found.push(super::Finding {
                check: 97,
                severity: super::Severity::Refused,
                pointer: pointer.clone(),
                message: format!("the header says the vCon is {uuid}, but it is {inside}"),
            });
        }
    }
}
