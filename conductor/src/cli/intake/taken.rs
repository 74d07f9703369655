//! Making an item ready for the store: its uuid, and one where it has none.

use bytes::Bytes;
use vconductor_core::document::{Document, Kind};
use vconductor_core::vcon::uuid8::Generator;
use vconductor_core::vcon::{Form, Vcon};

use crate::cli::refusal::Refusal;

/// A vCon that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Its uuid, lower-case with hyphens, or the identifier that stands in its place.
    pub(crate) uuid: String,
    /// Its text: byte for byte as it came, unless it was given a uuid.
    pub(crate) text: Bytes,
    /// Whether it came without a uuid and was given one.
    pub(crate) given: bool,
}

/// Reads the text of a vCon that begins in `line` of `file`.
pub(super) fn take(text: Bytes, file: &str, line: usize, generator: &Generator) -> Result<Taken, Refusal> {
    let refused = |error| Refusal::of(&error, file, line);
    let document = Document::parse(text).map_err(refused)?;
    let is_list = document.root().kind() == Kind::Array;
    let mut vcon = Vcon::from_document(document).map_err(|error| match is_list {
        true => refused(error).help("write one vCon per line (JSONL), for example with `jq -c '.[]'`"),
        false => refused(error),
    })?;
    if let Some(uuid) = vcon.id() {
        return Ok(Taken { uuid, text: vcon.to_bytes(), given: false });
    }
    if vcon.form() != Form::Unsigned {
        let place = if line > 1 { format!("{file}:{line}") } else { file.to_owned() };
        return Err(Refusal::new(place, "a signed or encrypted vCon without a readable uuid")
            .help("its sender must put the uuid into the header; adding it here would break the signature"));
    }
    vcon.ensure_uuid(generator).map_err(refused)?;
    let uuid = vcon.id().unwrap_or_default();
    Ok(Taken { uuid, text: vcon.to_bytes(), given: true })
}

/// Makes uuids under the domain of `UUID8_DOMAIN_NAME`. The tail of a uuid is one per domain and its counter starts
/// anew in every process: so that two processes never make the same uuid, each is a host of its own in the domain.
pub(crate) fn generator() -> Generator {
    let domain = std::env::var("UUID8_DOMAIN_NAME").ok().filter(|name| !name.is_empty());
    Generator::new(&format!("{:016x}.{}", fastrand::u64(..), domain.as_deref().unwrap_or("vconductor.invalid")))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn taken(text: &str) -> Result<Taken, String> {
        take(Bytes::from(text.to_owned()), "f.json", 1, &generator()).map_err(|refusal| refusal.to_string())
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
        let found = taken("{\"parties\":[],\"n\":1e3}").unwrap();
        assert!(found.given);
        assert_eq!(found.text, format!("{{\"parties\":[],\"n\":1e3,\"uuid\":\"{}\"}}", found.uuid));
        assert!(taken("{\"payload\":\"e30\",\"signatures\":[{}]}").unwrap_err().contains("signed or encrypted"));
        let inner = URL_SAFE_NO_PAD.encode("{\"uuid\":\"018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10\"}");
        assert!(!taken(&format!("{{\"payload\":\"{inner}\",\"signatures\":[{{}}]}}")).unwrap().given);
    }

    #[test]
    fn what_is_no_vcon_is_refused_with_a_reason() {
        assert_eq!(taken("[]").unwrap_err(), "f.json: a vCon is a JSON object, this is an array");
        assert_eq!(taken("{\"uuid\":7}").unwrap_err(), "f.json: `uuid` is 7, which is no UUID");
    }
}
