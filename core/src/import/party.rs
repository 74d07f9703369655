//! Who takes part.

use std::collections::HashMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A party to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// The telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tel: Option<String>,
    /// The SIP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
    /// The mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mailto: Option<String>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The role, of the extension for contact centres: `agent`, `customer` ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The stable identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
}

impl Party {
    /// A party with a name.
    pub fn named(name: impl Into<String>) -> Party {
        Party { name: Some(name.into()), ..Party::default() }
    }

    /// A party that is called as a file or a log calls it: by number, by address, or by name.
    pub fn called(text: &str) -> Party {
        let text = text.trim();
        if is_telephone_number(text) {
            return Party { tel: Some(text.strip_prefix("tel:").unwrap_or(text).to_owned()), ..Party::default() };
        }
        if let Some(address) = text.strip_prefix("sip:") {
            return Party { sip: Some(address.to_owned()), ..Party::default() };
        }
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        if address.contains('@') && !address.contains(char::is_whitespace) {
            return Party { mailto: Some(address.to_owned()), ..Party::default() };
        }
        Party::named(text)
    }

    /// Whether both are one: a number, an address, an identifier in common, or the same name where there is nothing else.
    pub(super) fn is_same(&self, other: &Party) -> bool {
        let same = |one: &Option<String>, two: &Option<String>| {
            one.as_deref().zip(two.as_deref()).map(|(one, two)| one.eq_ignore_ascii_case(two))
        };
        let addresses = [
            same(&self.mailto, &other.mailto),
            same(&self.tel, &other.tel),
            same(&self.sip, &other.sip),
            same(&self.uuid, &other.uuid),
        ];
        if addresses.contains(&Some(true)) {
            return true;
        }
        addresses.iter().all(Option::is_none) && same(&self.name, &other.name) == Some(true)
    }
}

/// A number as people write it: digits, at least five, with a plus sign, spaces, dots, hyphens and parentheses.
fn is_telephone_number(text: &str) -> bool {
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    (5..=15).contains(&digits) && text.bytes().all(|byte| byte.is_ascii_digit() || b"+ -.()".contains(&byte))
}

/// The most people of one conversation: more are a mailing list, and comparing each with each would take for ever.
const MOST_PEOPLE: usize = 5_000;

/// The parties of a conversation, each of them once.
#[derive(Debug, Default)]
pub(super) struct People {
    all: Vec<Party>,
    /// What was looked up before.
    known: HashMap<Party, usize>,
}

impl People {
    /// Begins with those that are given.
    pub(super) fn of(given: Vec<Party>) -> People {
        People { all: given, known: HashMap::new() }
    }

    /// The index of the party, which is added unless it is there; a name that was missing is filled in.
    ///
    /// # Errors
    /// Permanent: there are too many.
    pub(super) fn index(&mut self, party: Party) -> Result<usize> {
        if let Some(index) = self.known.get(&party) {
            return Ok(*index);
        }
        let index = match self.all.iter().position(|known| known.is_same(&party)) {
            Some(index) => {
                let known = &mut self.all[index];
                known.name = known.name.take().or_else(|| party.name.clone());
                index
            }
            None => {
                self.all.push(party.clone());
                self.all.len() - 1
            }
        };
        if self.known.len() >= MOST_PEOPLE {
            return Err(Error::permanent(format!("more than {MOST_PEOPLE} people in one conversation")));
        }
        self.known.insert(party, index);
        Ok(index)
    }

    /// Those that are there.
    pub(super) fn all(&self) -> &[Party] {
        &self.all
    }

    /// Those that are there, for the vCon.
    pub(super) fn into_parties(self) -> Vec<Party> {
        self.all
    }
}

impl FromStr for Party {
    type Err = String;

    /// `name=Alice,tel=+15550100`.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut party = Party::default();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not NAME=VALUE"))?;
            let member = match key.trim() {
                "tel" => &mut party.tel,
                "sip" => &mut party.sip,
                "mailto" => &mut party.mailto,
                "name" => &mut party.name,
                "role" => &mut party.role,
                "uuid" => &mut party.uuid,
                other => return Err(format!("`{other}` is none of tel, sip, mailto, name, role, uuid")),
            };
            *member = Some(value.trim().to_owned());
        }
        Ok(party)
    }
}
