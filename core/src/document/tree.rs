//! The nodes of a document: text as long as nobody edits inside, opened containers where somebody did.

use bytes::Bytes;

use super::scan::{Checking, Fault, Problem, Trusting};
use super::text::Text;
use super::view::View;

/// A value in a document.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// Not opened.
    Text(Text),
    /// An object whose members can be edited.
    Object(Vec<Member>),
    /// An array whose elements can be edited.
    Array(Vec<Node>),
}

/// A member of an opened object.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The name as JSON text, with its quotes.
    pub(super) name: Text,
    pub(super) value: Node,
}

/// Most vCons have no more members at the top level, so that one allocation is enough.
const USUAL_MEMBERS: usize = 12;

/// Checks a whole document. A root object comes opened, because nearly all access goes through its members.
pub(super) fn scan_document(scanner: &mut Checking<'_>) -> Result<Node, Fault> {
    scanner.skip_whitespace();
    let start = scanner.at;
    let root = if scanner.peek() == Some(b'{') {
        scanner.at += 1;
        let mut members = Vec::with_capacity(USUAL_MEMBERS);
        while let Some((name, value)) = scanner.member(members.is_empty(), 1)? {
            members.push(Member { name: Text::Source(name), value: Node::Text(Text::Source(value)) });
        }
        Node::Object(members)
    } else {
        scanner.value(0)?;
        Node::Text(Text::Source(start..scanner.at))
    };
    scanner.skip_whitespace();
    match scanner.peek() {
        None => Ok(root),
        Some(_) => Err(Fault { at: scanner.at, problem: Problem::Expected("the end of the text") }),
    }
}

impl Node {
    pub(super) fn view<'a>(&'a self, source: &'a [u8]) -> View<'a> {
        View::of_node(self, source)
    }

    /// Opens a container, so that its children are nodes of their own. Other values stay as they are.
    pub(super) fn open(&mut self, source: &Bytes) {
        let Node::Text(text) = self else { return };
        let bytes = text.bytes(source);
        let mut scanner = Trusting::new(bytes);
        scanner.at = 1;
        // The text was checked when it came in, so that the scanner finds no fault: `Err` ends the loops like `None`.
        match bytes.first() {
            Some(b'{') => {
                let mut members = Vec::new();
                while let Ok(Some((name, value))) = scanner.member(members.is_empty(), 0) {
                    members.push(Member { name: text.part(name), value: Node::Text(text.part(value)) });
                }
                *self = Node::Object(members);
            }
            Some(b'[') => {
                let mut elements = Vec::new();
                while let Ok(Some(element)) = scanner.element(elements.is_empty(), 0) {
                    elements.push(Node::Text(text.part(element)));
                }
                *self = Node::Array(elements);
            }
            _ => {}
        }
    }

    /// Writes the value as JSON text: unopened parts as they are, opened containers without white space.
    pub(super) fn write(&self, source: &[u8], out: &mut Vec<u8>) {
        match self {
            Node::Text(text) => out.extend_from_slice(text.bytes(source)),
            Node::Object(members) => {
                out.push(b'{');
                for (number, member) in members.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(member.name.bytes(source));
                    out.push(b':');
                    member.value.write(source, out);
                }
                out.push(b'}');
            }
            Node::Array(elements) => {
                out.push(b'[');
                for (number, element) in elements.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    element.write(source, out);
                }
                out.push(b']');
            }
        }
    }

    /// How many bytes [`write`](Self::write) writes.
    pub(super) fn written_len(&self) -> usize {
        /// The brackets, and a comma between every two children.
        fn around(children: usize) -> usize {
            2 + children.saturating_sub(1)
        }
        match self {
            Node::Text(text) => text.len(),
            Node::Object(members) => {
                let children = members.iter().map(|member| member.name.len() + 1 + member.value.written_len());
                children.sum::<usize>() + around(members.len())
            }
            Node::Array(elements) => elements.iter().map(Node::written_len).sum::<usize>() + around(elements.len()),
        }
    }
}
