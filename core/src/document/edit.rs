//! Edits: the recorded changes that links make to a document.
//!
//! In JSON an edit is an object with a member `op`, as `exec` links answer them line by line:
//!
//! ```json
//! {"op": "add_tag", "name": "topic", "value": "refund"}
//! {"op": "add_analysis", "analysis": {"type": "summary", "dialog": 0, "vendor": "acme", "body": "..."}}
//! {"op": "set", "pointer": "/subject", "value": "Refund"}
//! {"op": "append", "pointer": "/attachments", "value": {"purpose": "note", "body": "...", "encoding": "none"}}
//! {"op": "remove", "pointer": "/dialog/0/body"}
//! {"op": "replace", "document": {"uuid": "..."}}
//! {"op": "rewrap", "document": {"payload": "...", "signatures": ["..."]}}
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::text::Json;
use super::{Document, NewAnalysis};
use crate::Result;

/// One recorded change. Applying it twice is the same as once, but for `Append` and for `Remove` in an array.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub enum Edit {
    /// Writes an analysis, over the one with the same identity where there is one.
    AddAnalysis(NewAnalysis),
    /// Adds a tag unless it is there.
    AddTag {
        /// What stands before the colon.
        name: String,
        /// What stands behind it.
        value: String,
        /// The start of a tags attachment that must be made; by default the time of applying.
        start: Option<Timestamp>,
    },
    /// Adds an element to an array, which is made when it is absent or null.
    Append {
        /// The array.
        pointer: String,
        /// The new element.
        value: Json,
    },
    /// Puts a value at a place.
    Set {
        /// The place.
        pointer: String,
        /// The new value.
        value: Json,
    },
    /// Removes the value at a place, if there is one.
    Remove {
        /// The place.
        pointer: String,
    },
    /// Replaces the whole document.
    Replace(Json),
    /// Replaces the document by another form of the same vCon: signed, encrypted, or opened. The only edit of a signed or
    /// encrypted vCon; see [`Vcon::apply`](crate::vcon::Vcon::apply) for what it may do.
    Rewrap(Json),
}

impl Edit {
    /// An edit that adds a tag.
    pub fn tag(name: impl Into<String>, value: impl Into<String>) -> Edit {
        Edit::AddTag { name: name.into(), value: value.into(), start: None }
    }

    /// An edit that puts `value` at `pointer`.
    pub fn set(pointer: impl Into<String>, value: impl Into<Json>) -> Edit {
        Edit::Set { pointer: pointer.into(), value: value.into() }
    }

    /// An edit that adds `value` to the array at `pointer`.
    pub fn append(pointer: impl Into<String>, value: impl Into<Json>) -> Edit {
        Edit::Append { pointer: pointer.into(), value: value.into() }
    }

    /// An edit that removes what is at `pointer`.
    pub fn remove(pointer: impl Into<String>) -> Edit {
        Edit::Remove { pointer: pointer.into() }
    }
}

impl Document {
    /// Makes a recorded change. Returns whether anything changed.
    ///
    /// # Errors
    /// Permanent, as those of [`set`](Self::set), [`remove`](Self::remove) and [`append`](Self::append). The document
    /// is then as it was.
    pub fn apply(&mut self, edit: &Edit) -> Result<bool> {
        match edit {
            Edit::AddAnalysis(analysis) => self.put_analysis(analysis),
            Edit::AddTag { name, value, start } => self.put_tag(name, value, *start),
            Edit::Append { pointer, value } => self.append(pointer, value.clone()).map(|()| true),
            Edit::Set { pointer, value } => self.set(pointer, value.clone()),
            Edit::Remove { pointer } => self.remove(pointer),
            Edit::Replace(document) | Edit::Rewrap(document) => self.set("", document.clone()),
        }
    }
}

/// An edit in JSON. A flat struct, because tagged enums of serde cannot hold raw JSON.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    op: Operation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Also `null` is a value.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    value: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    analysis: Option<NewAnalysis>,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    document: Option<Json>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    AddAnalysis,
    AddTag,
    Append,
    Set,
    Remove,
    Replace,
    Rewrap,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(deserializer).map(Some)
}

impl From<Edit> for Wire {
    fn from(edit: Edit) -> Wire {
        let empty =
            |op| Wire { op, pointer: None, name: None, value: None, start: None, analysis: None, document: None };
        match edit {
            Edit::AddAnalysis(analysis) => Wire { analysis: Some(analysis), ..empty(Operation::AddAnalysis) },
            Edit::AddTag { name, value, start } => {
                Wire { name: Some(name), value: Some(Json::string(&value)), start, ..empty(Operation::AddTag) }
            }
            Edit::Append { pointer, value } => {
                Wire { pointer: Some(pointer), value: Some(value), ..empty(Operation::Append) }
            }
            Edit::Set { pointer, value } => {
                Wire { pointer: Some(pointer), value: Some(value), ..empty(Operation::Set) }
            }
            Edit::Remove { pointer } => Wire { pointer: Some(pointer), ..empty(Operation::Remove) },
            Edit::Replace(document) => Wire { document: Some(document), ..empty(Operation::Replace) },
            Edit::Rewrap(document) => Wire { document: Some(document), ..empty(Operation::Rewrap) },
        }
    }
}

impl TryFrom<Wire> for Edit {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Edit, &'static str> {
        let pointer = wire.pointer.ok_or("the edit needs a `pointer`");
        Ok(match wire.op {
            Operation::AddAnalysis => Edit::AddAnalysis(wire.analysis.ok_or("`add_analysis` needs an `analysis`")?),
            Operation::AddTag => {
                let value = wire.value.as_ref().and_then(|value| serde_json::from_str(value.text()).ok());
                Edit::AddTag {
                    name: wire.name.ok_or("`add_tag` needs a `name`")?,
                    value: value.ok_or("`add_tag` needs a `value` that is a string")?,
                    start: wire.start,
                }
            }
            Operation::Append => {
                Edit::Append { pointer: pointer?, value: wire.value.ok_or("`append` needs a `value`")? }
            }
            Operation::Set => Edit::Set { pointer: pointer?, value: wire.value.ok_or("`set` needs a `value`")? },
            Operation::Remove => Edit::Remove { pointer: pointer? },
            Operation::Replace => Edit::Replace(wire.document.ok_or("`replace` needs a `document`")?),
            Operation::Rewrap => Edit::Rewrap(wire.document.ok_or("`rewrap` needs a `document`")?),
        })
    }
}
