//! Lines that YAML 1.2 finds indented too little inside quotes and brackets.
//!
//! PyYAML does not look at the indent there and the parser does, so such lines are given blanks in front before they
//! are parsed. The blanks mean nothing in those places; offsets are counted back to the text as it is.

use std::borrow::Cow;

use saphyr_parser::ScanError;

/// Blanks put in front of a line: deeper than any block is indented.
const BLANKS: usize = 200;
/// Most lines that are mended, and the longest text: bounds the work, since each mending parses again.
const MAX_MENDED: usize = 200;
const MAX_BYTES: usize = 256 * 1024;

/// The text that is parsed, and how its offsets lead back.
pub(crate) struct Layout<'a> {
    original: &'a str,
    /// Lines (from 0) with blanks in front, ascending.
    mended: Vec<usize>,
    text: Cow<'a, str>,
    /// Byte offset of every character of `text`, if they differ.
    offsets: Option<Vec<usize>>,
    /// Byte offset at which each line of a mended `text` starts.
    starts: Vec<usize>,
}

impl<'a> Layout<'a> {
    pub(crate) fn new(original: &'a str) -> Self {
        let offsets = offsets(original);
        Layout { original, mended: Vec::new(), text: Cow::Borrowed(original), offsets, starts: Vec::new() }
    }

    /// The text to parse.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Byte offset in the original of a character of the parsed text.
    pub(crate) fn byte(&self, character: usize) -> usize {
        let parsed = self.parsed_byte(character);
        if self.mended.is_empty() {
            return parsed;
        }
        let line = self.starts.partition_point(|start| *start <= parsed).saturating_sub(1);
        let (earlier, own) = match self.mended.binary_search(&line) {
            Ok(earlier) => (earlier, (parsed - self.starts[line]).min(BLANKS)),
            Err(earlier) => (earlier, 0),
        };
        parsed - earlier * BLANKS - own
    }

    fn parsed_byte(&self, character: usize) -> usize {
        let byte = self.offsets.as_ref().map_or(Some(character), |offsets| offsets.get(character).copied());
        byte.unwrap_or(self.text.len()).min(self.text.len())
    }

    /// Mends the lines that an error is about. False: it is about something else.
    pub(crate) fn mend(&mut self, error: &ScanError) -> bool {
        if !error.info().contains("invalid indentation") || self.original.len() > MAX_BYTES {
            return false;
        }
        let at = self.byte(error.marker().index());
        let line = self.original[..at].matches('\n').count();
        let lines = match self.original[at..].chars().next() {
            Some(quote @ ('"' | '\'')) => match closing(&self.original[at + 1..], quote) {
                Some(inside) => line + 1..line + 1 + inside.matches('\n').count(),
                None => return false,
            },
            _ => line..line + 1,
        };
        let before = self.mended.len();
        self.mended.extend(lines);
        self.mended.sort_unstable();
        self.mended.dedup();
        if self.mended.len() == before || self.mended.len() > MAX_MENDED {
            return false;
        }
        let mut text = String::with_capacity(self.original.len() + self.mended.len() * BLANKS);
        self.starts.clear();
        for (number, line) in self.original.split_inclusive('\n').enumerate() {
            self.starts.push(text.len());
            if self.mended.binary_search(&number).is_ok() {
                text.extend(std::iter::repeat_n(' ', BLANKS));
            }
            text.push_str(line);
        }
        self.offsets = offsets(&text);
        self.text = Cow::Owned(text);
        true
    }
}

fn offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect())
}

/// The text up to the closing quote.
fn closing(text: &str, quote: char) -> Option<&str> {
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' && quote == '"' {
            letters.next();
        } else if letter == quote {
            // Two single quotes are one quote inside the text.
            if quote == '"' || letters.next_if(|(_, next)| *next == quote).is_none() {
                return Some(&text[..at]);
            }
        }
    }
    None
}
