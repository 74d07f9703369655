//! The tree of a configuration: values with their place in the source.

use std::fmt;

use super::source::Span;

/// A value and where it stands. Debug prints kind and place only: values may be secrets.
#[derive(Clone)]
pub struct Node {
    /// The value after interpolation.
    pub value: Value,
    /// Where it stands; a node that came through an alias keeps the place of its definition.
    pub span: Span,
    /// A scalar's text before interpolation; empty for lists and maps.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// Whether PyYAML would make a date of it (we keep the text).
    pub timestamp: bool,
    /// Whether interpolation put a value in: it may be a secret and is never printed.
    pub substituted: bool,
    /// Whether interpolation would have put a value in that is not known here.
    pub unknown: bool,
}

/// How a node was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes, whose type follows from its text.
    Plain,
    /// A scalar with quotes or as a block (`|`, `>`): always text.
    Quoted,
    /// A list or map.
    Collection,
}

/// What a node holds, typed as PyYAML types it. Debug prints the kind only.
#[derive(Clone)]
pub enum Value {
    /// `~`, `null` or nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number outside 64 bits, as decimal digits.
    BigInt(String),
    /// Any other number.
    Float(f64),
    /// Text, and dates.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A map in file order; every key once.
    Mapping(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub struct Key {
    /// The key as written: `yes` and `1` are the texts `yes` and `1`.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.value, self.span)
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::Sequence(_) => "list",
            Value::Mapping(_) => "map",
        })
    }
}

impl Node {
    /// A null at the given place: stands for what was left out.
    pub fn null(span: &Span) -> Self {
        Node {
            value: Value::Null,
            span: span.clone(),
            text: String::new(),
            style: Style::Plain,
            timestamp: false,
            substituted: false,
            unknown: false,
        }
    }

    /// A list or map.
    pub(crate) fn collection(value: Value, span: &Span) -> Self {
        Node { value, style: Style::Collection, ..Node::null(span) }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The entries of a map; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The value under a key of a map.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// Key and value under a name of a map.
    pub fn entry(&self, name: &str) -> Option<(&Key, &Node)> {
        self.entries().iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// What was found, for messages: kind and source text, never an interpolated value.
    pub fn describe(&self) -> String {
        let source: String = self.text.lines().next().unwrap_or_default().chars().take(60).collect();
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(_) => format!("the truth value `{source}`"),
            Value::Int(_) | Value::BigInt(_) | Value::Float(_) => format!("the number `{source}`"),
            Value::String(_) => format!("the text `{source}`"),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a map".to_owned(),
        }
    }

    /// The value as JSON. Infinite numbers become null; integers outside 64 bits become floats.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Int(number) => Json::from(*number),
            Value::BigInt(digits) => match digits.parse::<u64>() {
                Ok(number) => Json::from(number),
                Err(_) => digits.parse::<f64>().map_or(Json::Null, Json::from),
            },
            Value::Float(number) => Json::from(*number),
            Value::String(text) => Json::String(text.clone()),
            Value::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Value::Mapping(entries) => entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect(),
        }
    }

    /// This map with the entries of `over` put over it, level by level; anything that is no map is replaced.
    #[must_use]
    pub fn overlaid(&self, over: &Node) -> Node {
        let (Value::Mapping(under), Value::Mapping(entries)) = (&self.value, &over.value) else {
            return if over.is_null() { self.clone() } else { over.clone() };
        };
        let mut merged = under.clone();
        for (key, node) in entries {
            match merged.iter_mut().find(|(known, _)| known.name == key.name) {
                Some((known, value)) => {
                    *known = key.clone();
                    *value = if node.is_null() { node.clone() } else { value.overlaid(node) };
                }
                None => merged.push((key.clone(), node.clone())),
            }
        }
        Node { value: Value::Mapping(merged), ..over.clone() }
    }

    /// Number of nodes in this tree, itself included.
    pub(crate) fn count(&self) -> usize {
        let below: usize = match &self.value {
            Value::Sequence(items) => items.iter().map(Node::count).sum(),
            Value::Mapping(entries) => entries.iter().map(|(_, node)| node.count()).sum(),
            _ => 0,
        };
        1 + below
    }

    /// Levels of nesting: 0 for a scalar.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::Sequence(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Mapping(entries) => 1 + entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}
