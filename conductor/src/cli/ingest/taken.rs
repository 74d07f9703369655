//! Making an item ready for the store: its uuid, and one where it has none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use uuid::Uuid;
use vconductor_core::document::{Document, Json, Kind};
use vconductor_core::vcon::uuid8;

use super::refusal::Refusal;

/// A vCon that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// Its uuid, lower-case with hyphens.
    pub(super) uuid: String,
    /// Its text: byte for byte as it came, unless it was given a uuid.
    pub(super) text: Bytes,
    /// Whether it came without a uuid and was given one.
    pub(super) given: bool,
}

/// Reads the text of a vCon that begins in `line` of `file`.
pub(super) fn take(text: Bytes, file: &str, line: usize) -> Result<Taken, Refusal> {
    let mut document = Document::parse(text).map_err(|error| Refusal::of(&error, file, line))?;
    let place = if line > 1 { format!("{file}:{line}") } else { file.to_owned() };
    match document.root().kind() {
        Kind::Object => {}
        Kind::Array => {
            return Err(Refusal::new(place, "a JSON array, where a vCon is expected")
                .help("write one vCon per line (JSONL), for example with `jq -c '.[]'`"));
        }
        other => return Err(Refusal::new(place, format!("{}, where a vCon (an object) is expected", other.as_str()))),
    }
    if let Some(found) = own_uuid(&document) {
        let uuid = Uuid::parse_str(&found).map_err(|_| {
            Refusal::new(&place, format!("the member `uuid` is not a UUID: {found:?}"))
                .help("a vCon's uuid looks like 018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10")
        })?;
        return Ok(Taken { uuid: uuid.to_string(), text: document.to_bytes(), given: false });
    }
    if document.get("/payload").is_some() || document.get("/ciphertext").is_some() {
        return Err(Refusal::new(place, "a signed or encrypted vCon without a readable uuid")
            .help("its sender must put the uuid into the header; it cannot be added without breaking the signature"));
    }
    let uuid = uuid8().to_string();
    document
        .set("/uuid", Json::string(&uuid))
        .map_err(|error| Refusal::new(place, format!("cannot be given a uuid: {}", error.chain_text())))?;
    Ok(Taken { uuid, text: document.to_bytes(), given: true })
}

/// The uuid where the form of the document has it: unsigned, signed (header, then payload), encrypted.
fn own_uuid(document: &Document) -> Option<String> {
    let at = |pointer| document.get(pointer).filter(|view| !view.is_null());
    if let Some(uuid) = at("/uuid") {
        return Some(uuid.as_str().map_or_else(|| uuid.text().into_owned(), |text| text.into_owned()));
    }
    for pointer in ["/signatures/0/header/uuid", "/unprotected/uuid"] {
        if let Some(uuid) = at(pointer).and_then(|view| view.as_str()) {
            return Some(uuid.into_owned());
        }
    }
    let payload = URL_SAFE_NO_PAD.decode(at("/payload")?.as_str()?.as_bytes()).ok()?;
    let inner = Document::parse(payload).ok()?;
    Some(inner.get("/uuid")?.as_str()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> Result<Taken, String> {
        take(Bytes::from(text.to_owned()), "f.json", 1).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_has_a_uuid_stays_byte_equal() {
        let text = "{ \"uuid\" : \"018F2B7C-5E1A-8C33-9D2B-2F5B6F1F7A10\", \"n\": 1e3 }";
        let found = taken(text).unwrap();
        assert_eq!(found.uuid, "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10");
        assert_eq!(found.text, text);
        assert!(!found.given);
    }

    #[test]
    fn what_has_none_gets_one_unless_it_is_signed() {
        let found = taken("{\"vcon\":\"0.0.1\",\"n\": 1e3}").unwrap();
        assert!(found.given);
        assert_eq!(found.text, format!("{{\"vcon\":\"0.0.1\",\"n\": 1e3,\"uuid\":\"{}\"}}", found.uuid));
        assert!(taken("{\"payload\":\"e30\",\"signatures\":[{}]}").unwrap_err().contains("signed or encrypted"));
        let inner = URL_SAFE_NO_PAD.encode("{\"uuid\":\"018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10\"}");
        assert!(!taken(&format!("{{\"payload\":\"{inner}\",\"signatures\":[{{}}]}}")).unwrap().given);
    }

    #[test]
    fn what_is_no_vcon_is_refused_with_a_reason() {
        assert_eq!(taken("[]").unwrap_err(), "f.json: a JSON array, where a vCon is expected");
        assert_eq!(taken("{\"uuid\":7}").unwrap_err(), "f.json: the member `uuid` is not a UUID: \"7\"");
    }
}
