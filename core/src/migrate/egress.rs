//! The form in which links and storages hand vCons out.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Options, Target, write};
use crate::Result;
use crate::vcon::{Form, Vcon};

/// In which form a vCon is handed out. A signed or encrypted one always goes as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Egress {
    /// As it is, byte for byte. The empty text means the same, for `${env:EGRESS_FORMAT_VERSION:-}`.
    #[default]
    #[serde(rename = "as_is", alias = "")]
    AsIs,
    /// As vcon-server hands it out with `EGRESS_FORMAT_VERSION=0.0.1`, for receivers that only know names of 0.0.1.
    #[serde(rename = "0.0.1")]
    V0_0_1,
    /// As vcon-server stores it: newer names, JSON bodies as text in a string.
    #[serde(rename = "string-bodies")]
    StringBodies,
    /// Migrated to the newest draft.
    #[serde(rename = "core-04")]
    Core04,
}

impl Egress {
    /// The text of `vcon` in this form.
    ///
    /// # Errors
    /// Permanent, when the vCon cannot be written in it.
    pub fn text(self, vcon: &Vcon) -> Result<Bytes> {
        let target = match self {
            Egress::AsIs => return Ok(vcon.to_bytes()),
            Egress::V0_0_1 => Target::V0_0_1,
            Egress::StringBodies => Target::StringBodies,
            Egress::Core04 => Target::Core04,
        };
        match vcon.form() {
            Form::Unsigned => Ok(write(vcon, target, &Options::default())?.vcon.to_bytes()),
            Form::Signed | Form::Encrypted => Ok(vcon.to_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_form_has_its_name_and_its_members() {
        let vcon = Vcon::read(
            json!({"uuid": "u", "created_at": "2024-01-02T03:04:05Z", "parties": [], "amended": {"uuid": "p"},
                "attachments": [{"type": "tags", "body": ["a:b"], "encoding": "json"}]})
            .to_string(),
        )
        .unwrap();
        for (name, version, body) in [
            ("as_is", json!(null), json!(["a:b"])),
            ("", json!(null), json!(["a:b"])),
            ("0.0.1", json!("0.0.1"), json!(["a:b"])),
            ("string-bodies", json!("0.4.0"), json!("[\"a:b\"]")),
            ("core-04", json!(null), json!(["a:b"])),
        ] {
            let form: Egress = serde_json::from_value(json!(name)).unwrap();
            let text: Value = serde_json::from_slice(&form.text(&vcon).unwrap()).unwrap();
            assert_eq!((&text["vcon"], &text["attachments"][0]["body"]), (&version, &body), "{name}");
            assert_eq!(form == Egress::V0_0_1, text.get("appended").is_some(), "{name}");
        }
        assert_eq!(Egress::AsIs.text(&vcon).unwrap(), vcon.to_bytes());
        assert!(serde_json::from_value::<Egress>(json!("0.0.2")).is_err());
        let signed = Vcon::read(json!({"payload": "e30", "signatures": [{}]}).to_string()).unwrap();
        assert_eq!(Egress::V0_0_1.text(&signed).unwrap(), signed.to_bytes());
    }
}
