//! Keys of maps: merge keys (`<<`), duplicate keys and keys that are no text.

use std::collections::HashMap;

use super::code::Code;
use super::finding::Finding;
use super::node::{Key, Node, Style, Value};
use super::source::Span;

/// One entry of a map as it was written.
pub(crate) struct Entry {
    pub(crate) key: EntryKey,
    pub(crate) value: Node,
}

/// A key as it was written.
pub(crate) enum EntryKey {
    /// `<<`
    Merge(Span),
    /// Any other key; PyYAML makes a truth value of it if `truth`.
    Name { key: Key, truth: bool },
}

impl EntryKey {
    /// The key made of a node; `plain`: it has neither quotes nor tag, so that `<<` merges.
    pub(crate) fn new(node: Node, plain: bool) -> Result<Self, Box<Finding>> {
        if plain && node.text == "<<" {
            return Ok(EntryKey::Merge(node.span));
        }
        if node.style == Style::Collection {
            return Err(Box::new(
                Finding::error(Code::KeyNotText, &node.span, "a list or map cannot be a key")
                    .help("a text that starts with `{` or `[` needs quotes, for example \"{{ name }}\""),
            ));
        }
        let truth = matches!(node.value, Value::Bool(_));
        Ok(EntryKey::Name { key: Key { name: node.text, span: node.span }, truth })
    }

    pub(crate) fn span(&self) -> &Span {
        match self {
            EntryKey::Merge(span) => span,
            EntryKey::Name { key, .. } => &key.span,
        }
    }
}

/// The entries of a map after merging, every key once, as PyYAML's `flatten_mapping` gives them: merged entries come
/// first, explicit keys win over them, and the last of several equal keys wins.
pub(crate) fn flatten(entries: Vec<Entry>, findings: &mut Vec<Finding>) -> Result<Vec<(Key, Node)>, Box<Finding>> {
    let mut out = Unique::default();
    for entry in &entries {
        if let EntryKey::Merge(span) = &entry.key {
            merge(span, &entry.value, &mut out)?;
        }
    }
    let mut written: HashMap<String, Span> = HashMap::new();
    for Entry { key, value } in entries {
        let EntryKey::Name { key, truth } = key else { continue };
        if truth {
            findings.push(
                Finding::warning(
                    Code::KeyNotText,
                    &key.span,
                    format!("the key `{}` is the text `{0}` here, but a truth value to vcon-server", key.name),
                )
                .help("put it in quotes"),
            );
        }
        if let Some(first) = written.insert(key.name.clone(), key.span.clone()) {
            findings.push(
                Finding::warning(Code::DuplicateKey, &key.span, format!("the key `{}` is here twice", key.name))
                    .related(&first, "this value is not used")
                    .help("the last one wins: remove or rename one of them"),
            );
        }
        out.insert(key, value);
    }
    Ok(out.entries)
}

fn merge(key: &Span, value: &Node, out: &mut Unique) -> Result<(), Box<Finding>> {
    let not_a_map = |node: &Node| {
        Finding::error(Code::BadMerge, key, format!("`<<` takes a map or a list of maps, not {}", node.describe()))
            .help("write `<<: *name` with an anchor `&name` at a map")
    };
    match &value.value {
        Value::Mapping(entries) => out.extend(entries),
        Value::Sequence(maps) => {
            // Of several maps the first wins: it is put in last.
            for map in maps.iter().rev() {
                match &map.value {
                    Value::Mapping(entries) => out.extend(entries),
                    _ => return Err(Box::new(not_a_map(map))),
                }
            }
        }
        _ => return Err(Box::new(not_a_map(value))),
    }
    Ok(())
}

/// Entries by name; a later one takes the place of an earlier one.
#[derive(Default)]
struct Unique {
    entries: Vec<(Key, Node)>,
    places: HashMap<String, usize>,
}

impl Unique {
    fn insert(&mut self, key: Key, value: Node) {
        match self.places.get(&key.name) {
            Some(&place) => self.entries[place] = (key, value),
            None => {
                self.places.insert(key.name.clone(), self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    fn extend(&mut self, entries: &[(Key, Node)]) {
        for (key, value) in entries {
            self.insert(key.clone(), value.clone());
        }
    }
}
