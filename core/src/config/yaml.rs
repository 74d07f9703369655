//! Reads YAML text into a [`Node`] tree: what PyYAML's `safe_load` gives, with positions and limits.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::code::Code;
use super::finding::Finding;
use super::layout::Layout;
use super::merge::{Entry, EntryKey, flatten};
use super::node::{Node, Style, Value};
use super::scalar::{self, Scalar};
use super::source::{Source, Span};

/// Longest text that is read, in bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Deepest nesting of lists and maps.
const MAX_DEPTH: usize = 64;
/// Most values in one file after aliases are expanded: guards against alias bombs.
const MAX_NODES: usize = 200_000;

/// Reads one file. `None`: it could not be read, and `findings` says why. An empty file is null.
pub(crate) fn parse(source: &Arc<Source>, findings: &mut Vec<Finding>) -> Option<Node> {
    if source.text().len() > MAX_BYTES {
        let message = format!("this file is larger than {} MB", MAX_BYTES / 1024 / 1024);
        findings.push(Finding::error(Code::TooLarge, &Span::new(source, 0..0), message));
        return None;
    }
    let mut layout = Layout::new(source.text());
    let mut first = None;
    loop {
        let mut found = Vec::new();
        let mut builder = Builder::new(source, &layout, &mut found);
        let outcome = builder.run();
        let root = builder.root;
        let finding = match outcome {
            Ok(()) => {
                findings.extend(found);
                return Some(root.unwrap_or_else(|| Node::null(&Span::new(source, 0..0))));
            }
            Err(Failure::Ours(finding)) => *finding,
            Err(Failure::Parser(error)) => {
                // If mending does not help, the first error is the one to look at.
                let finding = first.get_or_insert(syntax(source, &layout, &error)).clone();
                if layout.mend(&error) {
                    continue;
                }
                finding
            }
        };
        findings.extend(found);
        findings.push(finding);
        return None;
    }
}

/// Why reading ended early.
enum Failure {
    Parser(ScanError),
    Ours(Box<Finding>),
}

type Outcome<T> = Result<T, Box<Finding>>;

/// A list or map that is still open.
struct Open {
    kind: Kind,
    start: usize,
    anchor: usize,
}

enum Kind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, key: Option<EntryKey> },
}

/// A finished node under an anchor, with what its copies cost.
struct Anchored {
    node: Node,
    count: usize,
    depth: usize,
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    layout: &'a Layout<'a>,
    findings: &'a mut Vec<Finding>,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    documents: usize,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>, layout: &'a Layout<'a>, findings: &'a mut Vec<Finding>) -> Self {
        Builder {
            source,
            layout,
            findings,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            documents: 0,
            root: None,
        }
    }

    fn run(&mut self) -> Result<(), Failure> {
        let layout = self.layout;
        for event in Parser::new_from_str(layout.text()) {
            let (event, place) = event.map_err(Failure::Parser)?;
            let span = Span::new(self.source, layout.byte(place.start.index())..layout.byte(place.end.index()));
            self.event(event, &span).map_err(Failure::Ours)?;
        }
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, span: &Span) -> Outcome<()> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return fail(Finding::error(Code::SeveralDocuments, span, "a second document starts here").help(
                        "a configuration is one document: remove this line, or put the rest into a file of its own",
                    ));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref(), span)?;
                self.add(node, anchor, style == ScalarStyle::Plain && tag.is_none())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::SequenceStart(anchor, tag) => {
                check_tag(tag.as_deref(), "seq", span)?;
                self.start(Kind::List(Vec::new()), span, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                check_tag(tag.as_deref(), "map", span)?;
                self.start(Kind::Map { entries: Vec::new(), key: None }, span, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn start(&mut self, kind: Kind, span: &Span, anchor: usize) -> Outcome<()> {
        if self.open.len() >= MAX_DEPTH {
            return fail(Finding::error(Code::TooLarge, span, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.open.push(Open { kind, start: span.range().start, anchor });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Outcome<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let bytes = self.source.text().as_bytes();
        let flow = bytes.get(span.range().start).is_some_and(|byte| matches!(byte, b']' | b'}'));
        let (value, first) = match open.kind {
            Kind::List(items) => {
                let first = items.first().map(|node| node.span.clone());
                (Value::Sequence(items), first)
            }
            Kind::Map { entries, .. } => {
                let first = entries.first().map(|entry| entry.key.span().clone());
                (Value::Mapping(flatten(entries, self.findings)?), first)
            }
        };
        // A block has no closing mark: it is shown by its first key or item.
        let range = match first {
            Some(first) if !flow && first.range().start >= open.start => first.range(),
            _ => open.start..span.range().end.max(open.start),
        };
        self.add(Node::collection(value, &Span::new(self.source, range)), open.anchor, false)
    }

    fn alias(&mut self, anchor: usize, span: &Span) -> Outcome<()> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return fail(Finding::error(Code::Syntax, span, "this alias stands inside the value that it names"));
        };
        if self.nodes + anchored.count > MAX_NODES || self.open.len() + anchored.depth > MAX_DEPTH {
            let message = format!("aliases expand to more than {MAX_NODES} values or {MAX_DEPTH} levels");
            return fail(Finding::error(Code::TooLarge, span, message));
        }
        self.nodes += anchored.count;
        let node = anchored.node.clone();
        self.add(node, 0, false)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Outcome<Node> {
        let plain = style == ScalarStyle::Plain;
        let resolved = match tag {
            None if plain => Some(scalar::resolve(text)),
            None => scalar::resolve_tagged("str", text),
            Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => scalar::resolve_tagged("str", text),
            Some(tag) if tag.is_yaml_core_schema() => scalar::resolve_tagged(&tag.suffix, text),
            Some(_) => None,
        };
        // Only the merge key itself may be a plain `<<`; `=` as a key is text, as in PyYAML.
        let at_key = matches!(self.open.last(), Some(Open { kind: Kind::Map { key: None, .. }, .. }));
        let (value, timestamp) = match resolved {
            Some(Scalar::Value(value)) => (value, false),
            Some(Scalar::Timestamp) => (Value::String(text.to_owned()), true),
            Some(Scalar::Unusable) if at_key => (Value::String(text.to_owned()), false),
            Some(Scalar::Unusable) => {
                return fail(
                    Finding::error(Code::UnknownTag, span, format!("`{text}` has no meaning as a value"))
                        .help("put it in quotes if it is meant as text"),
                );
            }
            None => return Err(Box::new(bad_tag(tag, span))),
        };
        let style = if plain && tag.is_none() { Style::Plain } else { Style::Quoted };
        Ok(Node { value, text: text.to_owned(), style, timestamp, ..Node::null(span) })
    }

    /// Puts a finished node where it belongs. `plain`: it may be a merge key.
    fn add(&mut self, node: Node, anchor: usize, plain: bool) -> Outcome<()> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return fail(Finding::error(Code::TooLarge, &node.span, format!("more than {MAX_NODES} values")));
        }
        if anchor > 0 {
            let anchored = Anchored { count: node.count(), depth: node.depth(), node: node.clone() };
            self.anchors.insert(anchor, anchored);
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map { entries, key }) => match key.take() {
                Some(key) => entries.push(Entry { key, value: node }),
                None => *key = Some(EntryKey::new(node, plain)?),
            },
        }
        Ok(())
    }
}

fn syntax(source: &Arc<Source>, layout: &Layout<'_>, error: &ScanError) -> Finding {
    let at = layout.byte(error.marker().index());
    let text = source.text();
    let span = |start: usize| {
        let length = text[start.min(text.len())..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
        Span::new(source, start..start + length)
    };
    let info = error.info();
    if info.contains("tab") {
        let tab = text[at.min(text.len())..].find('\t').map_or(at, |offset| at + offset);
        return Finding::error(Code::Syntax, &span(tab), "a tab where YAML allows only spaces")
            .help("indent with spaces");
    }
    Finding::error(Code::Syntax, &span(at), format!("not valid YAML: {info}")).help(hint(info))
}

/// What usually mends an error of the parser.
fn hint(info: &str) -> &'static str {
    const HINTS: &[(&str, &str)] = &[
        ("mapping values are not allowed", "a text with `: ` in it needs quotes; or the line is indented wrongly"),
        ("unknown anchor", "define the anchor with `&name` before the alias uses it"),
        ("'-' indicator", "the items of a list and the keys of a map cannot stand at the same indent"),
        ("unexpected character: `@'", "a text that starts with `@` needs quotes"),
        ("unexpected character: ``'", "a text that starts with a backtick needs quotes"),
        ("unexpected character: `%'", "a text that starts with `%` needs quotes"),
        ("quoted scalar", "a closing quote is missing, or the text goes on at a smaller indent"),
        ("illegal placement of ':'", "a closing `]` or `}` is missing above, or a text with `: ` in it needs quotes"),
        ("flow construct", "a closing `]` or `}` is missing"),
        ("flow", "a closing `]` or `}`, or a comma, is missing"),
        ("simple key", "a `:` is missing behind the key, or the line is indented wrongly"),
        ("expected <document start>", "this line is not part of the map above: look at its indent"),
        ("did not find expected key", "look at the indent: the keys of one map stand in one column"),
    ];
    HINTS
        .iter()
        .find(|(part, _)| info.contains(part))
        .map_or("look at this line and the one above it: indent, quotes, brackets", |(_, hint)| *hint)
}

fn check_tag(tag: Option<&Tag>, allowed: &str, span: &Span) -> Outcome<()> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == allowed) => Err(Box::new(bad_tag(Some(tag), span))),
        _ => Ok(()),
    }
}

fn bad_tag(tag: Option<&Tag>, span: &Span) -> Finding {
    let name = match tag {
        Some(tag) if tag.is_yaml_core_schema() => format!("!!{}", tag.suffix),
        Some(tag) => format!("{}{}", tag.handle, tag.suffix),
        None => String::new(),
    };
    Finding::error(Code::UnknownTag, span, format!("the tag `{name}` is not known or does not fit the value"))
        .help("known tags are !!str, !!int, !!float, !!bool, !!null, !!timestamp, !!seq and !!map; an environment variable is written `${env:NAME}`")
}

fn fail<T>(finding: Finding) -> Outcome<T> {
    Err(Box::new(finding))
}

#[cfg(test)]
#[path = "yaml_test.rs"]
mod tests;
