//! The texts of what was removed, looked for in what stays.

use std::collections::BTreeSet;

use super::rule::Rule;
use super::{Target, Warning};
use crate::document::{Document, Kind, View, child_pointer};

/// Shorter texts of a removed part are words that may stand anywhere.
const TELLING: usize = 12;

/// Shorter names of a party are no names.
const NAME: usize = 3;

/// Members whose strings are no text of anybody, below the top level and at it.
pub(super) fn is_structural(parent: &str, name: &str) -> bool {
    let at_top = matches!(
        name,
        "vcon"
            | "uuid"
            | "created_at"
            | "updated_at"
            | "redacted"
            | "amended"
            | "appended"
            | "extensions"
            | "critical"
            | "must_support"
    );
    let below = matches!(
        name,
        "type"
            | "encoding"
            | "mediatype"
            | "mimetype"
            | "start"
            | "time"
            | "event"
            | "content_hash"
            | "alg"
            | "signature"
            | "session_id"
            | "vendor"
            | "product"
            | "purpose"
    );
    if parent.is_empty() { at_top } else { below && parent.matches('/').count() <= 4 }
}

/// Whether the body of this object is base64.
pub(super) fn is_base64(view: View<'_>) -> bool {
    view.get("encoding")
        .and_then(|encoding| encoding.as_str())
        .is_some_and(|encoding| matches!(encoding.to_ascii_lowercase().as_str(), "base64" | "base64url"))
}

/// What was removed.
#[derive(Debug, Default)]
pub(super) struct Removed {
    /// Long texts, with the place they were at.
    texts: Vec<(String, String)>,
    /// What identifies a party: index and text.
    names: Vec<(usize, String)>,
}

impl Removed {
    /// Remembers the texts of a target.
    pub(super) fn take(&mut self, target: &Target, document: &Document) {
        let pointer = target.pointer();
        let Some(view) = document.get(&pointer) else { return };
        let party = match target {
            Target::Party(index) => Some(*index),
            Target::Pointer(pointer) => {
                pointer.strip_prefix("/parties/").and_then(|rest| rest.split('/').next()?.parse().ok())
            }
            _ => None,
        };
        self.collect(&pointer, view, party);
    }

    /// Recurses no deeper than `MAX_DEPTH`.
    fn collect(&mut self, pointer: &str, view: View<'_>, party: Option<usize>) {
        match view.kind() {
            Kind::Object => {
                for (name, value) in view.members().filter(|(name, _)| !is_structural(pointer, name)) {
                    self.collect(&child_pointer(pointer, &name), value, party);
                }
            }
            Kind::Array => {
                for (index, element) in view.elements().enumerate() {
                    self.collect(&format!("{pointer}/{index}"), element, party);
                }
            }
            Kind::String => {
                let text = view.as_str().unwrap_or_default().trim().to_owned();
                match party {
                    Some(index) => self.name(index, pointer, text),
                    None if text.chars().count() >= TELLING => self.texts.push((pointer.to_owned(), text)),
                    None => {}
                }
            }
            _ => {}
        }
    }

    /// Members that say what somebody is, and not who, are no names.
    fn name(&mut self, index: usize, pointer: &str, text: String) {
        let member = pointer.split('/').nth(3).unwrap_or_default();
        let is_name = !matches!(member, "role" | "validation" | "timezone" | "meta" | "civicaddress" | "gmlpos");
        for scheme in ["tel:", "sip:", "mailto:"] {
            if let Some(bare) = text.strip_prefix(scheme) {
                return self.name(index, pointer, bare.to_owned());
            }
        }
        if is_name && text.chars().count() >= NAME && text != "anonymous" {
            self.names.push((index, text));
        }
    }

    /// Rules that replace what identifies the removed parties.
    pub(super) fn party_rules(&self) -> impl Iterator<Item = Rule> {
        self.names.iter().filter_map(|(index, text)| Rule::literal(&format!("PARTY_{index}"), text))
    }

    /// Warns of every place where something removed still stands.
    pub(super) fn find(&self, document: &Document, warnings: &mut BTreeSet<Warning>) {
        let names: Vec<_> = self.names.iter().map(|(index, name)| (*index, name.to_lowercase())).collect();
        self.look("", document.root(), &names, warnings);
    }

    fn look(&self, pointer: &str, view: View<'_>, names: &[(usize, String)], warnings: &mut BTreeSet<Warning>) {
        match view.kind() {
            Kind::Object => {
                for (name, value) in view.members() {
                    self.look(&child_pointer(pointer, &name), value, names, warnings);
                }
            }
            Kind::Array => {
                for (index, element) in view.elements().enumerate() {
                    self.look(&format!("{pointer}/{index}"), element, names, warnings);
                }
            }
            Kind::String => {
                let text = view.as_str().unwrap_or_default();
                let mut warn = |message: String| warnings.insert(Warning { pointer: pointer.to_owned(), message });
                // What it says in JSON that is written as text, it says with escapes.
                let says = |removed: &str| {
                    text.contains(removed) || text.contains(removed.escape_default().to_string().as_str())
                };
                if let Some((from, _)) = self.texts.iter().find(|(_, removed)| says(removed)) {
                    warn(format!("the redacted text of {from} still stands here"));
                }
                let lower = text.to_lowercase();
                if let Some((index, _)) = names.iter().find(|(_, name)| lower.contains(name)) {
                    warn(format!("something that identifies the redacted party {index} still stands here"));
                }
            }
            _ => {}
        }
    }
}
