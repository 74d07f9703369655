//! From which vCon a new version was made: what `redacted` and `amended` say (core-04, 4.1.8 and 4.1.9).

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::audio::content_hash;
use crate::document::{Edit, Json, View};
use crate::vcon::Vcon;
use crate::{Error, Result};

/// The reference to an earlier version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prior {
    uuid: Option<String>,
    url: Option<String>,
    content_hash: Option<String>,
}

impl Prior {
    /// The version `vcon`, by its uuid.
    ///
    /// # Errors
    /// Permanent, when it has none: nothing could refer to it.
    pub fn of(vcon: &Vcon) -> Result<Prior> {
        match vcon.uuid() {
            Some(uuid) => Ok(Prior { uuid: Some(uuid.to_string()), ..Prior::default() }),
            None => Err(Error::permanent("the vCon has no uuid, by which a new version would refer to it")
                .help("give it one: `vconductor vcon convert FILE --to core-04`")),
        }
    }

    /// A version with this uuid.
    ///
    /// # Errors
    /// Permanent, when it is no UUID.
    pub fn by_uuid(uuid: &str) -> Result<Prior> {
        match uuid::Uuid::parse_str(uuid) {
            Ok(uuid) => Ok(Prior { uuid: Some(uuid.to_string()), ..Prior::default() }),
            Err(error) => Err(Error::permanent(format!("`{uuid}` is no UUID")).caused_by(error)),
        }
    }

    /// No earlier version exists, or none that anybody may know of.
    pub fn unavailable() -> Prior {
        Prior::default()
    }

    /// The earlier version also lies at `url`, where it is `bytes`: their hash is written down with it.
    ///
    /// # Errors
    /// Permanent, when the URL is not https (core-04, 2.4.1).
    pub fn at(mut self, url: &str, bytes: &[u8]) -> Result<Prior> {
        if reqwest::Url::parse(url).map_or(true, |parsed| parsed.scheme() != "https") {
            return Err(Error::permanent(format!("`{url}` is not an https URL"))
                .help("an earlier version is referred to by an https URL (core-04, 2.4.1)"));
        }
        self.url = Some(url.to_owned());
        self.content_hash = Some(content_hash(bytes));
        Ok(self)
    }

    /// The members of the reference, behind `first`.
    fn reference(&self, first: Option<(&str, &str)>) -> Json {
        let own = [("uuid", &self.uuid), ("url", &self.url), ("content_hash", &self.content_hash)];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let members = first.into_iter().chain(own).map(|(name, value)| (name.to_owned(), Value::from(value)));
        Value::Object(members.collect::<Map<_, _>>()).into()
    }

    /// The edits by which a copy becomes a version of its own: a uuid, a time of creation, and the reference in the
    /// member `name`. The two references exclude each other, and a group is exclusive with both (core-01).
    pub(crate) fn edits(
        &self,
        name: &'static str,
        kind: Option<&str>,
        root: View<'_>,
        uuid: &str,
        now: Timestamp,
    ) -> Vec<Edit> {
        let mut edits = vec![Edit::set("/uuid", Json::string(uuid))];
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        edits.push(Edit::set("/created_at", Json::string(&now.to_string())));
        for other in ["updated_at", "redacted", "amended", "appended", "group"] {
            if other != name && root.get(other).is_some() {
                edits.push(Edit::remove(format!("/{other}")));
            }
        }
        edits.push(Edit::set(format!("/{name}"), self.reference(kind.map(|kind| ("type", kind)))));
        edits
    }
}
