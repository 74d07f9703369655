//! Typed values out of a [`Node`] tree by serde, with a place for every error.
//!
//! Plugins declare plain serde structs. Reading goes on after an error without the offending entry, so that one
//! run reports every wrong option.

use std::cell::RefCell;

use serde::de::{self, DeserializeOwned, DeserializeSeed, IntoDeserializer, Visitor};

use super::finding::{Finding, Level};
use super::mode::Mode;
use super::node::{Key, Node, Style, Value};
use super::problem::Problem;
use super::scalar::{self, Scalar};
use super::source::Span;

/// Most entries that are left out after errors before reading ends: bounds the work on a hopeless file.
const MAX_LEFT_OUT: usize = 100;
/// Most findings of one value.
const MAX_FINDINGS: usize = 1000;

/// The options of a plugin as written, and where they belong.
#[derive(Debug, Clone)]
pub struct Options {
    /// The map; null where none was given.
    pub node: Node,
    /// Where it stands, for messages: `links.transcribe.options`.
    pub path: String,
}

impl Options {
    /// Reads the options into a struct. `None`: something is wrong, and `findings` says what.
    ///
    /// Options that were left out altogether are an empty map. Unknown ones are findings of the level that the mode
    /// asks for.
    pub fn read<T: DeserializeOwned>(&self, mode: &Mode, findings: &mut Vec<Finding>) -> Option<T> {
        read(&self.node, &self.path, mode, findings)
    }

    /// These options with others put over them.
    #[must_use]
    pub fn overlaid(&self, over: Option<&Node>) -> Options {
        let node = over.map_or_else(|| self.node.clone(), |over| self.node.overlaid(over));
        Options { node, path: self.path.clone() }
    }
}

/// Reads any node into a type; `path` names it in messages. `None`: see `findings`.
pub fn read<T: DeserializeOwned>(node: &Node, path: &str, mode: &Mode, findings: &mut Vec<Finding>) -> Option<T> {
    let context = Context { level: mode.unknown_level(), findings: RefCell::default(), left_out: RefCell::default() };
    let mut good = true;
    let mut wrong: Vec<String> = Vec::new();
    let value = loop {
        let reader = Reader { node, path: path.to_owned(), context: &context };
        let problem = match T::deserialize(reader) {
            Ok(value) => break good.then_some(value),
            Err(problem) => problem,
        };
        let entry = problem.entry.clone();
        // A field that was left out after an error is not missing.
        if problem.missing_field().is_some_and(|field| wrong.iter().any(|name| name == field)) {
            break None;
        }
        // A key without a value means the default, as it does for lists and maps.
        if !(problem.found_nothing() && entry.is_some()) {
            good = false;
            wrong.extend(entry.as_ref().map(|key| key.name.clone()));
            context.add(problem.into_finding(node, path));
        }
        match entry {
            Some(key) if context.may_leave_out(&key.span) => context.left_out.borrow_mut().push(key.span),
            _ => break None,
        }
    };
    for finding in context.findings.into_inner() {
        push_once(findings, finding);
    }
    value
}

/// Adds a finding unless the same one is there: values are read more than once.
pub(crate) fn push_once(findings: &mut Vec<Finding>, finding: Finding) {
    if !findings.iter().any(|known| known.code == finding.code && known.span == finding.span) {
        findings.push(finding);
    }
}

struct Context {
    level: Level,
    findings: RefCell<Vec<Finding>>,
    /// Keys of entries that are not read again.
    left_out: RefCell<Vec<Span>>,
}

impl Context {
    fn add(&self, finding: Finding) {
        let mut findings = self.findings.borrow_mut();
        if findings.len() < MAX_FINDINGS {
            push_once(&mut findings, finding);
        }
    }

    fn may_leave_out(&self, key: &Span) -> bool {
        self.left_out.borrow().len() < MAX_LEFT_OUT && !self.is_left_out(key)
    }

    fn is_left_out(&self, key: &Span) -> bool {
        self.left_out.borrow().contains(key)
    }
}

/// Reads one node.
struct Reader<'a> {
    node: &'a Node,
    path: String,
    context: &'a Context,
}

impl<'a> Reader<'a> {
    /// The value, with the type a substituted text would have as a plain scalar: `port: ${env:PORT}` is a number.
    fn scalar(&self) -> Value {
        match (&self.node.value, self.node.substituted && self.node.style == Style::Plain) {
            (Value::String(text), true) => match scalar::resolve(text) {
                Scalar::Value(value) => value,
                _ => self.node.value.clone(),
            },
            (value, _) => value.clone(),
        }
    }

    /// Hands a scalar to a visitor.
    fn visit_scalar<'de, V: Visitor<'de>>(&self, value: &Value, visitor: V) -> Result<V::Value, Problem> {
        let result = match value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Int(number) => match u64::try_from(*number) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_i64(*number),
            },
            Value::BigInt(digits) => match digits.parse::<u64>() {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_f64(digits.parse().unwrap_or(f64::INFINITY)),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_str(text),
            Value::Sequence(_) | Value::Mapping(_) => return self.visit_collection(None, visitor),
        };
        result.map_err(|problem: Problem| problem.at(self.node, &self.path))
    }

    fn visit_collection<'de, V: Visitor<'de>>(
        &self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let result = match &self.node.value {
            Value::Sequence(items) => visitor.visit_seq(Items { reader: self, items: items.iter(), index: 0 }),
            _ => {
                let entries = self.entries(fields);
                visitor.visit_map(Entries { reader: self, entries: entries.into_iter(), value: None })
            }
        };
        result.map_err(|problem: Problem| problem.at(self.node, &self.path))
    }

    /// The entries to read; those that are no fields become findings.
    fn entries(&self, fields: Option<&'static [&'static str]>) -> Vec<&'a (Key, Node)> {
        let mut entries: Vec<_> = self.node.entries().iter().collect();
        entries.retain(|(key, _)| !self.context.is_left_out(&key.span));
        if let Some(fields) = fields {
            entries.retain(|(key, _)| {
                let known = fields.contains(&key.name.as_str());
                if !known {
                    self.context.add(Problem::unknown_option(self.context.level, key, &self.path, fields));
                }
                known
            });
        }
        entries
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let value = match self.scalar() {
                // Python takes 60.0 for 60.
                Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => Value::Int(number as i64),
                value => value,
            };
            self.visit_scalar(&value, visitor)
        })*
    };
}

macro_rules! as_they_are {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let value = self.scalar();
            self.visit_scalar(&value, visitor)
        })*
    };
}

macro_rules! texts {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match self.node.value {
                // `api_key: 12345` is a text without quotes: its digits are taken as they stand.
                Value::Int(_) | Value::BigInt(_) | Value::Float(_) => {
                    let text = Value::String(self.node.text.clone());
                    self.visit_scalar(&text, visitor)
                }
                _ => self.visit_scalar(&self.node.value, visitor),
            }
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader<'_> {
    type Error = Problem;

    numbers! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 }
    as_they_are! { deserialize_f32 deserialize_f64 }
    texts! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.visit_scalar(&self.node.value, visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let value = match self.scalar() {
            Value::Int(number @ (0 | 1)) => Value::Bool(number == 1),
            value => value,
        };
        self.visit_scalar(&value, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.node.is_null() {
            let nothing = Items { reader: &self, items: [].iter(), index: 0 };
            return visitor.visit_seq(nothing).map_err(|problem: Problem| problem.at(self.node, &self.path));
        }
        self.visit_scalar(&self.node.value, visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.node.is_null() {
            return self.visit_collection(None, visitor);
        }
        self.visit_scalar(&self.node.value, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.node.value {
            Value::Null | Value::Mapping(_) => self.visit_collection(Some(fields), visitor),
            // A struct is always written by name.
            Value::Sequence(_) => Err(Problem::expected(&visitor).at(self.node, &self.path)),
            _ => self.visit_scalar(&self.node.value, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let result = match &self.node.value {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            // `mode: off` is a truth value to YAML; the word is meant.
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                visitor.visit_enum(self.node.text.as_str().into_deserializer())
            }
            Value::Mapping(entries) if entries.len() == 1 => {
                visitor.visit_enum(Variant { reader: &self, entry: &entries[0] })
            }
            _ => Err(Problem::expected(&visitor)),
        };
        result.map_err(|problem: Problem| problem.at(self.node, &self.path))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { bytes byte_buf unit unit_struct }
}

struct Items<'a, 'r> {
    reader: &'r Reader<'a>,
    items: std::slice::Iter<'a, Node>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some(node) = self.items.next() else { return Ok(None) };
        let path = format!("{}[{}]", self.reader.path, self.index);
        self.index += 1;
        let reader = Reader { node, path: path.clone(), context: self.reader.context };
        seed.deserialize(reader).map(Some).map_err(|problem| problem.at(node, &path))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'a, 'r> {
    reader: &'r Reader<'a>,
    entries: std::vec::IntoIter<&'a (Key, Node)>,
    value: Option<&'a (Key, Node)>,
}

impl<'de> de::MapAccess<'de> for Entries<'_, '_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let name: de::value::StrDeserializer<'_, Problem> = key.name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|problem| problem.at_key(key, &self.reader.path).entry(key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let Some((key, node)) = self.value else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let path = format!("{}.{}", self.reader.path, key.name);
        let reader = Reader { node, path: path.clone(), context: self.reader.context };
        seed.deserialize(reader).map_err(|problem| problem.at(node, &path).entry(key))
    }
}

/// An enum variant with a value, written as a map of one entry.
struct Variant<'a, 'r> {
    reader: &'r Reader<'a>,
    entry: &'a (Key, Node),
}

impl<'a> Variant<'a, '_> {
    fn value(&self) -> Reader<'a> {
        let (key, node) = self.entry;
        Reader { node, path: format!("{}.{}", self.reader.path, key.name), context: self.reader.context }
    }
}

impl<'de> de::EnumAccess<'de> for Variant<'_, '_> {
    type Error = Problem;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Problem> {
        let name: de::value::StrDeserializer<'_, Problem> = self.entry.0.name.as_str().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, '_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(self.value())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Problem> {
        de::Deserializer::deserialize_seq(self.value(), visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        de::Deserializer::deserialize_struct(self.value(), "", fields, visitor)
    }
}

#[cfg(test)]
#[path = "typed_test.rs"]
mod tests;
