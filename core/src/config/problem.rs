//! What goes wrong when a node is read into a type: serde's errors with a place and in our words.

use std::fmt;

use serde::de;

use super::code::Code;
use super::finding::{Finding, Level};
use super::nearest::nearest;
use super::node::{Key, Node, Style, Value};
use super::source::Span;

/// An error while reading. It never holds a value, only what was expected; what was found is taken from the source.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    place: Option<Box<Place>>,
    /// The innermost map entry that it lies in.
    pub(crate) entry: Option<Box<Key>>,
}

#[derive(Debug)]
enum Kind {
    Expected(String),
    Word { known: Vec<&'static str> },
    Missing(&'static str),
    Other(String),
}

#[derive(Debug)]
struct Place {
    span: Span,
    path: String,
    found: String,
    hint: Option<&'static str>,
    null: bool,
    substituted: bool,
    text: String,
}

impl Problem {
    fn new(kind: Kind) -> Self {
        Problem { kind, place: None, entry: None }
    }

    pub(crate) fn expected(expected: &dyn de::Expected) -> Self {
        Self::new(Kind::Expected(expected.to_string()))
    }

    /// Says at which node it happened, unless an inner node has said so.
    pub(crate) fn at(mut self, node: &Node, path: &str) -> Self {
        self.place.get_or_insert_with(|| {
            Box::new(Place {
                span: node.span.clone(),
                path: path.to_owned(),
                found: node.describe(),
                hint: hint(node),
                null: node.is_null(),
                substituted: node.substituted,
                text: node.text.clone(),
            })
        });
        self
    }

    pub(crate) fn at_key(mut self, key: &Key, path: &str) -> Self {
        self.place.get_or_insert_with(|| {
            Box::new(Place {
                span: key.span.clone(),
                path: path.to_owned(),
                found: format!("the key `{}`", key.name),
                hint: None,
                null: false,
                substituted: false,
                text: key.name.clone(),
            })
        });
        self
    }

    /// Says in which map entry it happened, unless an inner map has said so.
    pub(crate) fn entry(mut self, key: &Key) -> Self {
        self.entry.get_or_insert_with(|| Box::new(key.clone()));
        self
    }

    /// The field that is missing, if that is the problem.
    pub(crate) fn missing_field(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Missing(field) => Some(field),
            _ => None,
        }
    }

    /// Whether a null stood where a value was wanted.
    pub(crate) fn found_nothing(&self) -> bool {
        self.place.as_ref().is_some_and(|place| place.null) && matches!(self.kind, Kind::Expected(_))
    }

    /// The finding for it; `node` and `path` stand in where no place is known.
    pub(crate) fn into_finding(self, node: &Node, path: &str) -> Finding {
        let Problem { kind, place, .. } = self.at(node, path);
        let Some(place) = place else { return Finding::error(Code::BadValue, &node.span, "cannot be read") };
        let Place { span, path, found, hint, substituted, text, .. } = *place;
        match kind {
            Kind::Expected(expected) => {
                let expected = in_our_words(&expected);
                let code = if found.starts_with("the number") && expected.contains("number") {
                    Code::BadValue
                } else {
                    Code::WrongType
                };
                let finding = Finding::error(code, &span, format!("`{path}` must be {expected}, not {found}"));
                match hint.filter(|_| suits(hint, &expected)) {
                    Some(hint) => finding.help(hint),
                    None => finding,
                }
            }
            Kind::Word { known } => {
                let guess = nearest(&text, &known).map(str::to_owned);
                Finding::error(Code::UnknownWord, &span, format!("`{path}` cannot be {found}"))
                    .nearest(guess.as_deref())
                    .help(format!("possible: {}", listed(&known)))
            }
            Kind::Missing(field) => {
                Finding::error(Code::MissingKey, &span, format!("`{path}` lacks the required key `{field}`"))
                    .help(format!("add `{field}:`"))
            }
            Kind::Other(_) if substituted => {
                // The plugin's own words may quote the value.
                Finding::error(Code::BadValue, &span, format!("`{path}` has a value that is not allowed"))
            }
            Kind::Other(message) => {
                if message.starts_with("data did not match any variant") {
                    let message = format!("`{path}` has none of the allowed forms: found {found}");
                    return Finding::error(Code::BadValue, &span, message)
                        .help("`vconductor describe` and the module's name show what it takes");
                }
                Finding::error(Code::BadValue, &span, format!("`{path}`: {message}"))
            }
        }
    }

    /// The finding for a key that is no field.
    pub(crate) fn unknown_option(level: Level, key: &Key, path: &str, fields: &[&str]) -> Finding {
        let finding =
            Finding::new(level, Code::UnknownOption, &key.span, format!("`{path}` has no option `{}`", key.name))
                .nearest(nearest(&key.name, fields));
        match (level, &finding.nearest, fields) {
            (Level::Warning, Some(_), _) | (Level::Warning, None, []) => {
                finding.help("this option has no effect, as in vcon-server")
            }
            (Level::Warning, None, fields) => {
                finding.help(format!("this option has no effect, as in vcon-server; possible: {}", first(fields)))
            }
            (_, Some(_), _) => finding,
            (_, None, []) => finding.help("it takes no options"),
            (_, None, fields) => finding.help(format!("possible: {}", first(fields))),
        }
    }
}

/// The first of many words, which are the plugin's own.
fn first(words: &[&str]) -> String {
    const MOST: usize = 14;
    match words.get(MOST + 1..) {
        Some(rest) => {
            format!("{}, and {} more that `vconductor describe` shows", listed(&words[..MOST]), rest.len() + 1)
        }
        None => listed(words),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// What often mends a value of the wrong type.
fn hint(node: &Node) -> Option<&'static str> {
    const QUOTE: &str = "put it in quotes if it is meant as text";
    match (&node.value, node.style) {
        _ if node.substituted => None,
        (Value::Bool(_), _) => Some(QUOTE),
        (Value::String(text), style) if text.parse::<f64>().is_ok() => Some(match style {
            Style::Quoted => "remove the quotes",
            _ => "YAML 1.1 reads this form as text: write the number out, for example `1000.0`",
        }),
        (Value::String(text), Style::Plain) if text.starts_with("0o") => {
            Some("YAML 1.1 reads `0o...` as text: a number in base eight begins with `0`, for example `0644`")
        }
        _ => None,
    }
}

fn suits(hint: Option<&str>, expected: &str) -> bool {
    let about_text = hint.is_some_and(|hint| hint.contains("meant as text"));
    if about_text { expected.contains("text") } else { expected.contains("number") || expected.contains("seconds") }
}

/// Serde's names of types as a reader of YAML knows them.
fn in_our_words(expected: &str) -> String {
    let words = match expected {
        "a sequence" => "a list",
        "a map" => "a map",
        "a string" | "a borrowed string" | "str" | "string" | "a character" => "text",
        "a boolean" => "`true` or `false`",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number, 0 or more",
        "nonzero u32" | "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "i32" => "a whole number from -2147483648 to 2147483647",
        "i8" | "i16" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "unit" => "nothing",
        other if other.starts_with("struct ") => "a map",
        other if other.starts_with("enum ") || other.starts_with("variant ") => "a word",
        other => other,
    };
    words.to_owned()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Expected(expected) => write!(f, "expected {}", in_our_words(expected)),
            Kind::Word { known } => write!(f, "expected one of {}", listed(known)),
            Kind::Missing(field) => write!(f, "missing `{field}`"),
            Kind::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Problem::new(Kind::Other(message.to_string()))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Problem::expected(expected)
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Problem::expected(expected)
    }

    fn unknown_variant(_: &str, known: &'static [&'static str]) -> Self {
        Problem::new(Kind::Word { known: known.to_vec() })
    }

    fn missing_field(field: &'static str) -> Self {
        Problem::new(Kind::Missing(field))
    }
}
