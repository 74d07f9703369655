//! Oddities of a document that can be read all the same.

use std::collections::HashSet;

use super::pointer::child;
use super::{Kind, View};

/// Something a sender should mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A member name occurs more than once in one object; the last one counts. Holds the pointer to the member.
    DuplicateName(String),
    /// A string holds half of a surrogate pair, which converters replace by U+FFFD. Holds the pointer to the string.
    LoneSurrogate(String),
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Warning::DuplicateName(pointer) => {
                write!(f, "`{pointer}` occurs more than once; the last one counts")
            }
            Warning::LoneSurrogate(pointer) => {
                write!(f, "the string at `{pointer}` holds half of a surrogate pair")
            }
        }
    }
}

/// All warnings, in document order.
pub(super) fn warnings(root: View<'_>) -> Vec<Warning> {
    let mut found = Vec::new();
    collect(root, "", &mut found);
    found
}

/// Recurses no deeper than `MAX_DEPTH`.
fn collect(view: View<'_>, pointer: &str, found: &mut Vec<Warning>) {
    match view.kind() {
        Kind::Object => {
            let mut names = HashSet::new();
            for (name, value) in view.members() {
                let pointer = child(pointer, &name);
                if !names.insert(name) {
                    found.push(Warning::DuplicateName(pointer.clone()));
                }
                collect(value, &pointer, found);
            }
        }
        Kind::Array => {
            for (index, element) in view.elements().enumerate() {
                collect(element, &format!("{pointer}/{index}"), found);
            }
        }
        // serde_json reads every string of ours but those.
        Kind::String if serde_json::from_slice::<String>(&view.bytes()).is_err() => {
            found.push(Warning::LoneSurrogate(pointer.to_owned()));
        }
        _ => {}
    }
}
