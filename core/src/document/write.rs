//! The editing primitives: set, remove and append at a JSON pointer.

use std::borrow::Cow;

use super::pointer::{index, tokens};
use super::scan::{Checking, MAX_DEPTH, Problem};
use super::text::{Json, Text, means};
use super::{Document, Kind, Member, Node};
use crate::{Error, Result};

impl Document {
    /// Puts a value at `pointer`: replaces the value there, or adds the member to its object. Arrays grow by
    /// [`append`](Self::append) only, which keeps edits of parallel branches apart. The empty pointer replaces the
    /// document. Returns whether anything changed.
    ///
    /// # Errors
    /// Permanent, naming the pointer: it is not valid, its parent does not exist or takes no such child, or the value is
    /// nested too deep for its place.
    pub fn set(&mut self, pointer: &str, value: impl Into<Json>) -> Result<bool> {
        let value = value.into();
        let tokens = tokens(pointer)?;
        check_depth(pointer, tokens.len(), &value)?;
        let new = Node::Text(Text::New(value.bytes().clone()));
        let Some((last, parents)) = tokens.split_last() else {
            let changed = *self.root().bytes() != value.bytes()[..];
            if changed {
                self.root = new;
                self.edited = true;
            }
            return Ok(changed);
        };
        let source = self.source.clone();
        let place = match self.opened(pointer, parents)? {
            Node::Object(members) => match members.iter().rposition(|member| means(member.name.bytes(&source), last)) {
                Some(found) => &mut members[found].value,
                None => {
                    members.push(Member { name: Text::name(last), value: new });
                    self.edited = true;
                    return Ok(true);
                }
            },
            Node::Array(elements) => match index(last) {
                Some(at) if at < elements.len() => &mut elements[at],
                _ => return Err(no_element(pointer, last, elements.len())),
            },
            Node::Text(_) => return Err(no_container(pointer)),
        };
        if *place.view(&source).bytes() == value.bytes()[..] {
            return Ok(false);
        }
        *place = new;
        self.edited = true;
        Ok(true)
    }

    /// Removes the value at `pointer`; elements behind it move up. Returns whether there was one.
    ///
    /// # Errors
    /// Permanent, when the pointer is not valid or empty.
    pub fn remove(&mut self, pointer: &str) -> Result<bool> {
        let tokens = tokens(pointer)?;
        let Some((last, parents)) = tokens.split_last() else {
            return Err(Error::permanent(
                "the empty JSON pointer `` names the whole document, which cannot be removed",
            ));
        };
        if self.get(pointer).is_none() {
            return Ok(false);
        }
        let source = self.source.clone();
        match self.opened(pointer, parents)? {
            // A name that occurs twice must not come back with its earlier value.
            Node::Object(members) => members.retain(|member| !means(member.name.bytes(&source), last)),
            Node::Array(elements) => {
                if let Some(at) = index(last).filter(|&at| at < elements.len()) {
                    elements.remove(at);
                }
            }
            Node::Text(_) => return Err(no_container(pointer)),
        }
        self.edited = true;
        Ok(true)
    }

    /// Adds an element to the array at `pointer`, which is made when it is absent or null.
    ///
    /// # Errors
    /// Permanent, naming the pointer: it is not valid, its parent does not exist, something other than an array is
    /// there, or the value is nested too deep for its place.
    pub fn append(&mut self, pointer: &str, value: impl Into<Json>) -> Result<()> {
        let value = value.into();
        let tokens = tokens(pointer)?;
        check_depth(pointer, tokens.len() + 1, &value)?;
        match self.get(pointer).map(|view| view.kind()) {
            Some(Kind::Array) => {}
            None | Some(Kind::Null) => {
                self.set(pointer, Json::checked("[]"))?;
            }
            Some(other) => {
                let found = other.as_str();
                return Err(Error::permanent(format!("cannot append at `{pointer}`: {found} is there, not an array")));
            }
        }
        if let Node::Array(elements) = self.opened(pointer, &tokens)? {
            elements.push(Node::Text(Text::New(value.bytes().clone())));
            self.edited = true;
        }
        Ok(())
    }

    /// The opened container at `path`; `pointer` is for the error.
    fn opened(&mut self, pointer: &str, path: &[Cow<'_, str>]) -> Result<&mut Node> {
        let mut node = &mut self.root;
        node.open(&self.source);
        for token in path {
            let child = match node {
                Node::Object(members) => {
                    let named = |member: &&mut Member| means(member.name.bytes(&self.source), token);
                    members.iter_mut().rfind(named).map(|member| &mut member.value)
                }
                Node::Array(elements) => index(token).and_then(|at| elements.get_mut(at)),
                Node::Text(_) => None,
            };
            let Some(child) = child else {
                return Err(Error::permanent(format!(
                    "nothing is at `{pointer}`: the document has no `{token}` there"
                ))
                .help("set the parent first"));
            };
            child.open(&self.source);
            node = child;
        }
        Ok(node)
    }
}

fn no_container(pointer: &str) -> Error {
    Error::permanent(format!("cannot write at `{pointer}`: its parent is neither an object nor an array"))
}

fn no_element(pointer: &str, token: &str, length: usize) -> Error {
    Error::permanent(format!("cannot write at `{pointer}`: `{token}` is no index of an array of {length} elements"))
        .help("indices count from 0; an element is added by `append` at the array")
}

/// Refuses what would make a document that [`Document::parse`] refuses.
fn check_depth(pointer: &str, depth: usize, value: &Json) -> Result<()> {
    match Checking::new(value.bytes()).value(depth) {
        Err(fault) if fault.problem == Problem::TooDeep => {
            Err(Error::permanent(format!("the value for `{pointer}` would be nested deeper than {MAX_DEPTH} levels")))
        }
        _ => Ok(()),
    }
}
