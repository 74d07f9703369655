//! Reading a document without making values.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

use super::scan::Trusting;
use super::text::{Json, decoded, means, trusted};
use super::tree::{Member, Node};
use crate::{Error, Result};

/// The kinds of JSON values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// Any number.
    Number,
    /// Any string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Kind {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "a boolean",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        }
    }
}

/// A value inside of a document. Accessors of the wrong kind give `None`, never an error.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    source: &'a [u8],
    part: Part<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Text(&'a [u8]),
    Object(&'a [Member]),
    Array(&'a [Node]),
}

impl<'a> View<'a> {
    pub(super) fn of_node(node: &'a Node, source: &'a [u8]) -> View<'a> {
        let part = match node {
            Node::Text(text) => Part::Text(text.bytes(source)),
            Node::Object(members) => Part::Object(members),
            Node::Array(elements) => Part::Array(elements),
        };
        View { source, part }
    }

    /// A view of checked text without white space around it.
    pub(super) fn of_text(text: &'a [u8]) -> View<'a> {
        View { source: &[], part: Part::Text(text) }
    }

    /// What kind of value this is.
    pub fn kind(&self) -> Kind {
        match self.part {
            Part::Object(_) => Kind::Object,
            Part::Array(_) => Kind::Array,
            Part::Text(text) => match text.first() {
                Some(b'{') => Kind::Object,
                Some(b'[') => Kind::Array,
                Some(b'"') => Kind::String,
                Some(b't' | b'f') => Kind::Bool,
                Some(b'n') => Kind::Null,
                _ => Kind::Number,
            },
        }
    }

    /// The text of a value of `kind`.
    fn scalar(&self, kind: Kind) -> Option<&'a [u8]> {
        match self.part {
            Part::Text(text) if self.kind() == kind => Some(text),
            _ => None,
        }
    }

    /// The string, with U+FFFD for lone surrogates; borrowed when it holds no escape.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        self.scalar(Kind::String).map(decoded)
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        self.scalar(Kind::Bool).map(|text| text == b"true")
    }

    /// The number, when it is written as an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        trusted(self.scalar(Kind::Number)?).parse().ok()
    }

    /// The number, when it is written as an integer from 0, as indices are.
    pub fn as_usize(&self) -> Option<usize> {
        trusted(self.scalar(Kind::Number)?).parse().ok()
    }

    /// The number, as the nearest double.
    pub fn as_f64(&self) -> Option<f64> {
        trusted(self.scalar(Kind::Number)?).parse().ok()
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The JSON text; borrowed unless something inside was edited.
    pub fn text(&self) -> Cow<'a, str> {
        match self.bytes() {
            Cow::Borrowed(bytes) => Cow::Borrowed(trusted(bytes)),
            // The pieces that were joined are UTF-8, so that nothing is replaced.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// The JSON text as bytes.
    pub(super) fn bytes(&self) -> Cow<'a, [u8]> {
        let node = match self.part {
            Part::Text(text) => return Cow::Borrowed(text),
            Part::Object(members) => Node::Object(members.to_vec()),
            Part::Array(elements) => Node::Array(elements.to_vec()),
        };
        let mut out = Vec::with_capacity(node.written_len());
        node.write(self.source, &mut out);
        Cow::Owned(out)
    }

    /// The value to write elsewhere, spelled as it is.
    pub fn to_json(&self) -> Json {
        Json::checked(self.bytes().into_owned())
    }

    /// The member called `name`, the last one when there are several.
    pub fn get(&self, name: &str) -> Option<View<'a>> {
        match self.part {
            Part::Object(members) => {
                let member = members.iter().rfind(|member| means(member.name.bytes(self.source), name))?;
                Some(member.value.view(self.source))
            }
            Part::Array(_) => None,
            Part::Text(_) => {
                let named = self.raw_members().filter(|(found, _)| means(found, name));
                named.last().map(|(_, view)| view)
            }
        }
    }

    /// The element at `index`. Costs a pass over those before it: use [`elements`](Self::elements) to see all.
    pub fn index(&self, index: usize) -> Option<View<'a>> {
        match self.part {
            Part::Array(elements) => elements.get(index).map(|node| node.view(self.source)),
            _ => self.elements().nth(index),
        }
    }

    /// The elements of an array; none for other kinds.
    pub fn elements(&self) -> Elements<'a> {
        let rest = match self.part {
            Part::Array(elements) => RestOfArray::Nodes(elements.iter()),
            Part::Text(text) if text.first() == Some(&b'[') => RestOfArray::Text(Rest::new(text)),
            _ => RestOfArray::Nodes([].iter()),
        };
        Elements { source: self.source, rest }
    }

    /// The members of an object in their order, also those whose name occurs again; none for other kinds.
    pub fn members(&self) -> Members<'a> {
        Members(self.raw_members())
    }

    fn raw_members(&self) -> RawMembers<'a> {
        let rest = match self.part {
            Part::Object(members) => RestOfObject::Nodes(members.iter()),
            Part::Text(text) if text.first() == Some(&b'{') => RestOfObject::Text(Rest::new(text)),
            _ => RestOfObject::Nodes([].iter()),
        };
        RawMembers { source: self.source, rest }
    }

    /// How many elements or members there are; 0 for other kinds.
    pub fn len(&self) -> usize {
        match self.part {
            Part::Object(members) => members.len(),
            Part::Array(elements) => elements.len(),
            Part::Text(_) => self.elements().count() + self.raw_members().count(),
        }
    }

    /// Whether there are no elements or members.
    pub fn is_empty(&self) -> bool {
        self.elements().next().is_none() && self.raw_members().next().is_none()
    }

    /// The value as `serde_json` holds it.
    ///
    /// What it cannot hold is replaced: lone surrogates by U+FFFD, numbers beyond the range of doubles by the largest
    /// double. Of members with one name the last one stays.
    pub fn to_value(&self) -> Value {
        if let Part::Text(text) = self.part
            && let Ok(value) = serde_json::from_slice(text)
        {
            return value;
        }
        match self.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => Value::Bool(self.as_bool() == Some(true)),
            Kind::Number => Value::Number(self.number()),
            Kind::String => Value::String(self.as_str().unwrap_or_default().into_owned()),
            Kind::Array => self.elements().map(|element| element.to_value()).collect(),
            Kind::Object => {
                let members = self.members().map(|(name, value)| (name.into_owned(), value.to_value()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    fn number(&self) -> Number {
        if let Part::Text(text) = self.part
            && let Ok(number) = serde_json::from_slice(text)
        {
            return number;
        }
        let clamped = self.as_f64().unwrap_or(0.0).clamp(f64::MIN, f64::MAX);
        Number::from_f64(clamped).unwrap_or_else(|| Number::from(0))
    }

    /// The value as `T`.
    ///
    /// # Errors
    /// Permanent, when the value does not have the shape of `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        if let Ok(read) = serde_json::from_slice(&self.bytes()) {
            return Ok(read);
        }
        // Names that occur twice and lone surrogates trouble serde, but not a `Value` of ours.
        serde_json::from_value(self.to_value()).map_err(|error| {
            Error::permanent(format!("{} cannot be read as {}", self.kind().as_str(), short_name::<T>()))
                .caused_by(error)
        })
    }

    /// Whether both are the same JSON value, however they are spelled.
    pub fn equals(&self, other: View<'_>) -> bool {
        match (self.part, other.part) {
            (Part::Text(one), Part::Text(two)) if one == two => true,
            _ => self.kind() == other.kind() && self.to_value() == other.to_value(),
        }
    }
}

/// The name of a type without its path.
fn short_name<T>() -> &'static str {
    let name = std::any::type_name::<T>();
    let end = name.find('<').unwrap_or(name.len());
    let start = name[..end].rfind("::").map_or(0, |colons| colons + 2);
    &name[start..]
}

/// What is left to scan of a container's text.
#[derive(Debug)]
struct Rest<'a> {
    text: &'a [u8],
    scanner: Trusting<'a>,
    first: bool,
}

impl<'a> Rest<'a> {
    fn new(text: &'a [u8]) -> Self {
        let mut scanner = Trusting::new(text);
        scanner.at = 1;
        Rest { text, scanner, first: true }
    }

    /// Behind the end the scanner finds a fault, which ends the iteration as well.
    fn next_element(&mut self) -> Option<&'a [u8]> {
        let range = self.scanner.element(std::mem::take(&mut self.first), 0).ok()??;
        Some(&self.text[range])
    }

    fn next_member(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let (name, value) = self.scanner.member(std::mem::take(&mut self.first), 0).ok()??;
        Some((&self.text[name], &self.text[value]))
    }
}

/// The elements of an array, in order.
#[derive(Debug)]
pub struct Elements<'a> {
    source: &'a [u8],
    rest: RestOfArray<'a>,
}

#[derive(Debug)]
enum RestOfArray<'a> {
    Nodes(std::slice::Iter<'a, Node>),
    Text(Rest<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        match &mut self.rest {
            RestOfArray::Nodes(nodes) => nodes.next().map(|node| node.view(self.source)),
            RestOfArray::Text(rest) => rest.next_element().map(View::of_text),
        }
    }
}

/// The members of an object, in order: names and values.
#[derive(Debug)]
pub struct Members<'a>(RawMembers<'a>);

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (decoded(name), value))
    }
}

/// Members with their names as JSON text.
#[derive(Debug)]
struct RawMembers<'a> {
    source: &'a [u8],
    rest: RestOfObject<'a>,
}

#[derive(Debug)]
enum RestOfObject<'a> {
    Nodes(std::slice::Iter<'a, Member>),
    Text(Rest<'a>),
}

impl<'a> Iterator for RawMembers<'a> {
    type Item = (&'a [u8], View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.rest {
            RestOfObject::Nodes(members) => {
                let member = members.next()?;
                Some((member.name.bytes(self.source), member.value.view(self.source)))
            }
            RestOfObject::Text(rest) => rest.next_member().map(|(name, value)| (name, View::of_text(value))),
        }
    }
}
