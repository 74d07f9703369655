//! Where in the source a place of a text lies, through quotes, escapes and the indent of blocks.

use super::node::{Node, Style, Value};
use super::source::Span;

impl Node {
    /// The place in the source of a byte of this text, one word or character long; all of it where that cannot be told: for
    /// texts with interpolated values, whose bytes stand nowhere.
    pub(crate) fn place_of(&self, offset: usize) -> Span {
        match &self.value {
            Value::String(text) if !self.substituted && self.style != Style::Collection => {
                place_of(&self.span, text, offset)
            }
            _ => self.span.clone(),
        }
    }
}

/// The place of a byte of `text`, which stands at `span`.
pub(crate) fn place_of(span: &Span, text: &str, offset: usize) -> Span {
    place(span, text, offset).unwrap_or_else(|| span.clone())
}

/// Walks through source and text side by side; what the source has more is quotes, escapes, line ends and indent.
fn place(span: &Span, text: &str, offset: usize) -> Option<Span> {
    let source = span.source().text().get(span.range())?;
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let mut at = opening(source);
    for letter in text[..offset].chars() {
        at += skipped(&source[at..], letter)?;
        at += source[at..].chars().next()?.len_utf8();
    }
    let rest = &source[at..];
    if let Some(letter) = text[offset..].chars().next() {
        at += skipped(rest, letter)?;
    }
    let length = word(&source[at..]);
    // Behind the end of a text in quotes stands the quote, which is not what is meant.
    let is_end = offset == text.len();
    Some(span.part(at..at + if is_end { 0 } else { length }))
}

/// The length of the name that a text begins with, else of its first character.
fn word(text: &str) -> usize {
    let is_inside = |letter: char| letter.is_alphanumeric() || letter == '_';
    let first = text.chars().next().filter(|letter| *letter != '\n').map_or(0, char::len_utf8);
    let begins = text.starts_with(|letter: char| is_inside(letter) || letter == '$');
    let rest = &text[first..];
    if begins { first + rest.find(|letter| !is_inside(letter)).unwrap_or(rest.len()) } else { first }
}

/// What stands before the first character of the text: a quote, or the head of a block (`|-`) with its line end.
fn opening(source: &str) -> usize {
    match source.bytes().next() {
        Some(b'"' | b'\'') => 1,
        Some(b'|' | b'>') => {
            let head = source.find('\n').map_or(source.len(), |end| end + 1);
            head + source[head..].len() - source[head..].trim_start_matches(' ').len()
        }
        _ => 0,
    }
}

/// Bytes of the source to pass before it shows `letter`.
fn skipped(source: &str, letter: char) -> Option<usize> {
    let mut passed = 0;
    for (at, found) in source.char_indices() {
        // A folded line end is a blank of the text.
        if found == letter || (found == '\n' && letter == ' ') {
            return Some(passed.max(at));
        }
        let is_filling = found.is_whitespace() || matches!(found, '\\' | '\'');
        if !is_filling {
            return None;
        }
        passed = at + found.len_utf8();
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::config::source::Source;
    use crate::config::yaml::parse;

    /// Line, column and text of the place of `part` in the value under `a`.
    fn place(text: &str, part: &str) -> (usize, usize, String) {
        let source = Source::new("t.yml", text);
        let root = parse(&source, &mut Vec::new()).unwrap();
        let node = root.get("a").unwrap();
        let span = node.place_of(node.as_str().unwrap().find(part).unwrap());
        (span.line(), span.column(), span.text().to_owned())
    }

    #[test]
    fn places_are_found_in_every_style() {
        for (text, part, line, column) in [
            ("a: .dialog | oops\n", "oops", 1, 14),
            ("a: '.dialog | oops'\n", "oops", 1, 15),
            ("a: \".dialog | oops\"\n", "oops", 1, 15),
            ("a: '.type == ''x'' | oops'\n", "oops", 1, 22),
            ("a: \".type == \\\"x\\\" | oops\"\n", "oops", 1, 22),
            ("a: |\n  .dialog\n    | oops\n", "oops", 3, 7),
            ("b: 1\na: >-\n    .dialog\n    | oops\n", "oops", 4, 7),
            ("a: 'é | oops'\n", "oops", 1, 9),
        ] {
            assert_eq!(place(text, part), (line, column, "oops".to_owned()), "{text}");
        }
    }

    #[test]
    fn behind_the_end_is_the_end() {
        let source = Source::new("t.yml", "a: '.x >'\n");
        let root = parse(&source, &mut Vec::new()).unwrap();
        let span = root.get("a").unwrap().place_of(4);
        assert_eq!((span.column(), span.text()), (9, ""));
    }
}
