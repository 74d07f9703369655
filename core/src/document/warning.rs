//! Oddities of a document that can be read all the same.

use std::borrow::Cow;
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
    collect(root, &mut Vec::new(), &mut found);
    found
}

/// One step of a path, written out only when there is something to tell.
enum Step<'a> {
    Name(Cow<'a, str>),
    Index(usize),
}

fn pointer(path: &[Step<'_>]) -> String {
    path.iter().fold(String::new(), |pointer, step| match step {
        Step::Name(name) => child(&pointer, name),
        Step::Index(index) => format!("{pointer}/{index}"),
    })
}

/// Recurses no deeper than `MAX_DEPTH`.
fn collect<'a>(view: View<'a>, path: &mut Vec<Step<'a>>, found: &mut Vec<Warning>) {
    match view.kind() {
        Kind::Object => {
            let mut names = Names::default();
            for (name, value) in view.members() {
                let is_new = names.insert(name.clone());
                path.push(Step::Name(name));
                if !is_new {
                    found.push(Warning::DuplicateName(pointer(path)));
                }
                collect(value, path, found);
                path.pop();
            }
        }
        Kind::Array => {
            for (index, element) in view.elements().enumerate() {
                path.push(Step::Index(index));
                collect(element, path, found);
                path.pop();
            }
        }
        Kind::String if has_lone_surrogate(&view.bytes()) => found.push(Warning::LoneSurrogate(pointer(path))),
        _ => {}
    }
}

/// The names of an object so far. Most objects have few, among which looking is cheaper than hashing.
#[derive(Default)]
struct Names<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    const FEW: usize = 16;

    /// Whether `name` was not there yet.
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

/// Whether the JSON string `text` holds half of a surrogate pair. Only escapes can: UTF-8 has none.
fn has_lone_surrogate(text: &[u8]) -> bool {
    // serde_json reads every string of ours but those.
    memchr::memmem::find(text, b"\\u").is_some() && serde_json::from_slice::<String>(text).is_err()
}
