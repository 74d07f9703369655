//! Who takes part in the recordings of a command line.

use std::str::FromStr;

use serde::Serialize;

/// A party as `--party` gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Party {
    #[serde(skip_serializing_if = "Option::is_none")]
    tel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mailto: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uuid: Option<String>,
}

impl FromStr for Party {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut party = Party::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not NAME=VALUE"))?;
            let member = match key.trim() {
                "tel" => &mut party.tel,
                "sip" => &mut party.sip,
                "mailto" => &mut party.mailto,
                "name" => &mut party.name,
                "uuid" => &mut party.uuid,
                other => return Err(format!("`{other}` is none of tel, sip, mailto, name, uuid")),
            };
            *member = Some(value.trim().to_owned());
        }
        Ok(party)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_is_written_as_pairs() {
        let party: Party = "tel=+1555, name=Alice A.".parse().unwrap();
        assert_eq!(serde_json::to_string(&party).unwrap(), r#"{"tel":"+1555","name":"Alice A."}"#);
        assert!("phone=1".parse::<Party>().unwrap_err().contains("none of tel"));
        assert!("Alice".parse::<Party>().is_err());
    }
}
