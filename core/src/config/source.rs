//! Source text and places in it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// One configuration file: its name as findings print it, and its text.
#[derive(PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Byte offset at which each line starts.
    lines: Vec<usize>,
}

impl Source {
    /// A source with the given name; a byte order mark at the start is dropped.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Source { name: name.into(), text, lines })
    }

    /// The file name as findings print it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a line (from 1) without its line end.
    pub(crate) fn line(&self, line: usize) -> &str {
        &self.text[self.line_range(line - 1)]
    }

    /// Index of the line (from 0) that holds a byte offset.
    fn line_of(&self, offset: usize) -> usize {
        self.lines.partition_point(|&start| start <= offset).saturating_sub(1)
    }

    /// Byte range of a line (index from 0) without its line end.
    fn line_range(&self, line: usize) -> Range<usize> {
        let start = self.lines[line];
        let end = self.lines.get(line + 1).copied().unwrap_or(self.text.len());
        start..start + self.text[start..end].trim_end_matches(['\n', '\r']).len()
    }

    /// Line and column (both from 1, columns in characters) of a byte offset.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_of(offset);
        (line + 1, self.text[self.lines[line]..offset].chars().count() + 1)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// A byte range of a source. Prints as `file:line:column`.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    /// The bytes `range` of `source`; offsets are moved back to the text's end and to a character boundary.
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        let start = source.text.floor_char_boundary(range.start);
        let end = source.text.floor_char_boundary(range.end).max(start);
        Span { source: Arc::clone(source), start, end }
    }

    /// The source that this is a part of.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Byte range in the source.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The part that lies on the first line: what a finding underlines.
    pub fn first_line(&self) -> Range<usize> {
        let line = self.source.line_range(self.source.line_of(self.start));
        let end = self.end.min(line.end).max(self.start);
        self.start..end
    }

    /// The source text of the first line of the span.
    pub fn text(&self) -> &str {
        &self.source.text[self.first_line()]
    }

    /// Line, from 1.
    pub fn line(&self) -> usize {
        self.source.position(self.start).0
    }

    /// Column in characters, from 1.
    pub fn column(&self) -> usize {
        self.source.position(self.start).1
    }

    /// Column (from 1, exclusive) at which the part on the first line ends.
    pub fn end_column(&self) -> usize {
        self.source.position(self.first_line().end).1
    }

    /// The part of this span given by byte offsets inside it.
    pub(crate) fn part(&self, range: Range<usize>) -> Self {
        Span::new(&self.source, self.start + range.start..(self.start + range.end).min(self.end))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.start);
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_a_byte_order_mark_does_not() {
        let source = Source::new("a.yml", "\u{feff}x: 1\r\né: ü y\r\n");
        let at = source.text().find('y').unwrap();
        let span = Span::new(&source, at..at + 3);
        assert_eq!(span.to_string(), "a.yml:2:6");
        assert_eq!((span.text(), span.end_column()), ("y", 7));
    }

    #[test]
    fn offsets_beyond_the_text_do_no_harm() {
        let source = Source::new("a.yml", "é");
        assert_eq!(Span::new(&source, 1..99).to_string(), "a.yml:1:1");
        assert_eq!(Span::new(&source, 50..99).to_string(), "a.yml:1:2");
        assert_eq!(Span::new(&Source::new("e.yml", ""), 0..0).to_string(), "e.yml:1:1");
    }
}
