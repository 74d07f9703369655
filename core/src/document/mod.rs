//! The document: a JSON tree that keeps what nobody touched as the text it came as.
//!
//! [`Document::parse`] checks the whole text once and remembers only where the members of the top level lie. Reading
//! goes through [`View`]s, which look into the text. An edit opens the containers on its path and leaves the rest as
//! ranges of the source, so that adding a tag to a vCon with an hour of audio copies nothing but the final bytes.
//!
//! * Untouched means byte-equal: number spelling, member order, escapes and white space survive. A container on an
//!   edited path loses the white space between its children, nothing else.
//! * Member names that occur twice are kept. Readers see the last one, as in Python's `json` and in `serde_json`.
//! * A byte order mark in front is dropped; JSON has none (RFC 8259, section 8.1).

mod analysis;
mod conflict;
mod diff;
mod edit;
mod fault;
mod pointer;
mod scan;
mod tags;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod view;
mod warning;
mod write;

use bytes::Bytes;
use serde_json::Value;

use crate::Result;

pub use analysis::NewAnalysis;
pub use conflict::conflicts;
pub use diff::diff;
pub use edit::Edit;
pub use pointer::child as child_pointer;
pub use scan::MAX_DEPTH;
pub use tags::{Tag, tags};
pub use text::Json;
pub use view::{Elements, Kind, Members, View};
pub use warning::Warning;

use scan::Checking;
use tree::{Member, Node};

/// Bytes that some Windows programs put in front of UTF-8 text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One JSON document. A clone shares the source text.
#[derive(Debug, Clone)]
pub struct Document {
    /// Checked JSON text in UTF-8.
    source: Bytes,
    root: Node,
    edited: bool,
}

impl Document {
    /// Checks `source` and takes it as it is, without a copy where it already is [`Bytes`] or a `Vec`.
    ///
    /// # Errors
    /// Permanent, with the place and what was expected there: what is not one JSON value in UTF-8, or is nested deeper
    /// than [`MAX_DEPTH`].
    pub fn parse(source: impl Into<Bytes>) -> Result<Document> {
        let mut source = source.into();
        if source.starts_with(BYTE_ORDER_MARK) {
            source = source.slice(BYTE_ORDER_MARK.len()..);
        }
        let mut scanner = Checking::new(&source);
        let root = tree::scan_document(&mut scanner).map_err(|fault| fault::error(&source, fault))?;
        if scanner.saw_non_ascii()
            && let Err(error) = std::str::from_utf8(&source)
        {
            return Err(fault::not_utf8(&source, error.valid_up_to()));
        }
        Ok(Document { source, root, edited: false })
    }

    /// The document of a value.
    ///
    /// # Errors
    /// Permanent, when it is nested deeper than [`MAX_DEPTH`].
    pub fn from_value(value: &Value) -> Result<Document> {
        Document::parse(value.to_string())
    }

    /// The JSON text: the very source when nothing was edited, at no cost.
    pub fn to_bytes(&self) -> Bytes {
        if !self.edited {
            return self.source.clone();
        }
        let mut out = Vec::with_capacity(self.len());
        self.root.write(&self.source, &mut out);
        out.into()
    }

    /// The whole document as a value to write elsewhere.
    pub fn to_json(&self) -> Json {
        Json::checked(self.to_bytes())
    }

    /// Whether any edit changed something since the document was read.
    pub fn is_edited(&self) -> bool {
        self.edited
    }

    /// The number of bytes that [`to_bytes`](Self::to_bytes) gives.
    #[expect(clippy::len_without_is_empty, reason = "a JSON text is never empty")]
    pub fn len(&self) -> usize {
        if self.edited { self.root.written_len() } else { self.source.len() }
    }

    /// The whole document, for reading.
    pub fn root(&self) -> View<'_> {
        self.root.view(&self.source)
    }

    /// The value at a JSON pointer (RFC 6901), or `None` when there is none or the pointer is not valid.
    pub fn get(&self, pointer: &str) -> Option<View<'_>> {
        let mut view = self.root();
        if pointer.is_empty() {
            return Some(view);
        }
        for token in pointer.strip_prefix('/')?.split('/') {
            let token = pointer::unescaped(token)?;
            view = match view.kind() {
                Kind::Array => view.index(pointer::index(&token)?)?,
                _ => view.get(&token)?,
            };
        }
        Some(view)
    }

    /// What is odd about the document though it can be read: names that occur twice, lone surrogates. Reads everything.
    pub fn warnings(&self) -> Vec<Warning> {
        warning::warnings(self.root())
    }
}

/// Equal as JSON: the spelling of numbers, the order of members and white space do not matter.
impl PartialEq for Document {
    fn eq(&self, other: &Document) -> bool {
        self.root().equals(other.root())
    }
}
