//! An analysis entry that a link writes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::{Json, quoted};
use super::{Document, Kind, View};
use crate::{Error, Result};

/// Members in the order in which they are written; others follow as they were added.
const ORDER: [&str; 9] = ["type", "dialog", "vendor", "body", "encoding", "product", "schema", "mediatype", "filename"];

/// A new entry of `analysis`.
///
/// Its identity is (`type`, `dialog`, `vendor`, `product`, `schema`): applying it again replaces the entry with the same
/// identity, so that a step that runs twice leaves one entry. No member of our own marks it: an analysis that any
/// producer wrote is found the same way, and strict readers see nothing foreign.
///
/// Serialised, it is the entry itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAnalysis {
    members: Vec<(String, Json)>,
}

impl NewAnalysis {
    /// An analysis of `kind` (`transcript`, `summary` ...), the member `type`, made by `vendor`.
    pub fn new(kind: &str, vendor: &str) -> Self {
        NewAnalysis { members: Vec::new() }.member("type", Json::string(kind)).member("vendor", Json::string(vendor))
    }

    /// It was made from one dialog.
    #[must_use]
    pub fn dialog(self, index: usize) -> Self {
        self.member("dialog", serde_json::Value::from(index))
    }

    /// It was made from several dialogs.
    #[must_use]
    pub fn dialogs(self, indices: &[usize]) -> Self {
        self.member("dialog", serde_json::Value::from(indices))
    }

    /// The product or model that made it.
    #[must_use]
    pub fn product(self, product: &str) -> Self {
        self.member("product", Json::string(product))
    }

    /// The format of the body.
    #[must_use]
    pub fn schema(self, schema: &str) -> Self {
        self.member("schema", Json::string(schema))
    }

    /// The media type of the body.
    #[must_use]
    pub fn mediatype(self, mediatype: &str) -> Self {
        self.member("mediatype", Json::string(mediatype))
    }

    /// The content, with its encoding: text stays text (`none`); objects and lists become JSON text in a string (`json`),
    /// which is the form that the other programs around vCons write and read.
    #[must_use]
    pub fn body(self, body: impl Into<Json>) -> Self {
        let body = body.into();
        match View::of_text(body.bytes()).kind() {
            Kind::String => self.member("body", body).encoding("none"),
            Kind::Object | Kind::Array => self.member("body", Json::string(body.text())).encoding("json"),
            _ => self.member("body", body).encoding("json"),
        }
    }

    /// Another encoding than [`body`](Self::body) chose; call it after that.
    #[must_use]
    pub fn encoding(self, encoding: &str) -> Self {
        self.member("encoding", Json::string(encoding))
    }

    /// Any other member.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.members.retain(|(present, _)| present != name);
        self.members.push((name.to_owned(), value.into()));
        self
    }

    /// The entry as it is written.
    pub fn entry(&self) -> Json {
        let rank = |name: &str| ORDER.iter().position(|ordered| *ordered == name).unwrap_or(ORDER.len());
        let mut members: Vec<_> = self.members.iter().collect();
        members.sort_by_key(|(name, _)| rank(name));
        let members: Vec<_> =
            members.iter().map(|(name, value)| format!("{}:{}", quoted(name), value.text())).collect();
        Json::checked(format!("{{{}}}", members.join(",")))
    }

    pub(super) fn identity(&self) -> Identity {
        identity(View::of_text(self.entry().bytes()))
    }

    /// Reads an entry that somebody else made, by the rules for what a link writes.
    fn from_entry(entry: &Json) -> Result<NewAnalysis> {
        let view = View::of_text(entry.bytes());
        if view.get("type").and_then(|kind| kind.as_str()).is_none() {
            return Err(Error::permanent("an analysis must be an object with a `type` that is a string")
                .help("for example {\"type\": \"summary\", \"dialog\": 0, \"vendor\": \"acme\", \"body\": \"...\"}"));
        }
        let mut analysis = NewAnalysis { members: Vec::new() };
        for (name, value) in view.members() {
            analysis = analysis.member(&name, Json::checked(value.text().into_owned()));
        }
        if let Some(body) = view.get("body") {
            let native = matches!(body.kind(), Kind::Object | Kind::Array);
            if native || view.get("encoding").is_none_or(|encoding| encoding.is_null()) {
                analysis = analysis.body(Json::checked(body.text().into_owned()));
            }
        }
        Ok(analysis)
    }
}

impl Serialize for NewAnalysis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entry().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NewAnalysis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        NewAnalysis::from_entry(&Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What tells one analysis from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    kind: Option<String>,
    /// One index and a list of one are the same.
    dialog: Vec<usize>,
    vendor: Option<String>,
    product: Option<String>,
    schema: Option<String>,
}

fn identity(entry: View<'_>) -> Identity {
    let text = |name: &str| {
        entry.get(name).filter(|view| !view.is_null()).map(|view| match view.as_str() {
            Some(text) => text.into_owned(),
            None => view.text().into_owned(),
        })
    };
    let dialog = entry.get("dialog");
    let one = dialog.and_then(|view| view.as_usize());
    let listed = dialog.into_iter().flat_map(|view| view.elements()).filter_map(|view| view.as_usize());
    Identity {
        kind: text("type"),
        dialog: one.into_iter().chain(listed).collect(),
        vendor: text("vendor"),
        product: text("product"),
        // The name of this member up to 0.0.2.
        schema: text("schema").or_else(|| text("schema_version")),
    }
}

impl Document {
    /// Writes `analysis` over the entry with its identity, or behind the others. Returns whether anything changed.
    pub(super) fn put_analysis(&mut self, analysis: &NewAnalysis) -> Result<bool> {
        let wanted = analysis.identity();
        let found =
            self.get("/analysis").and_then(|entries| entries.elements().position(|entry| identity(entry) == wanted));
        match found {
            Some(index) => self.set(&format!("/analysis/{index}"), analysis.entry()),
            None => self.append("/analysis", analysis.entry()).map(|()| true),
        }
    }
}
