//! Why one item of a batch is not taken in.

use std::fmt;

use vconductor_core::error::Error;

/// One item that is not taken in; the rest goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `file`, `file:line` or `file:line:column`.
    pub(crate) place: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
}

impl Refusal {
    pub(crate) fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal { place: place.into(), message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// From an error about the text that begins in `line` of a file; the place of the error in the text becomes a
    /// place in the file.
    pub(crate) fn of(error: &Error, file: &str, line: usize) -> Self {
        let text = error.chain_text();
        let mut refusal = match position(&text) {
            Some((found_line, column, rest)) => {
                Refusal::new(format!("{file}:{}:{column}", line + found_line - 1), rest)
            }
            None if line > 1 => Refusal::new(format!("{file}:{line}"), text),
            None => Refusal::new(file, text),
        };
        refusal.help = error.help_text().map(str::to_owned);
        refusal
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Line and column of a message that says `... at line 2, column 15 (byte 16): why`, and the message without them.
fn position(text: &str) -> Option<(usize, usize, String)> {
    let (what, rest) = text.split_once(" at line ")?;
    let (line, rest) = rest.split_once(", column ")?;
    let (column, rest) = rest.split_once(" (byte ")?;
    let (_, why) = rest.split_once(')')?;
    Some((line.parse().ok()?, column.parse().ok()?, format!("{what}{why}")))
}

#[cfg(test)]
mod tests {
    use vconductor_core::document::Document;

    use super::*;

    #[test]
    fn the_place_in_the_text_becomes_a_place_in_the_file() {
        let error = Document::parse("{\n  \"vcon\" : 0.0.1,\n}").unwrap_err();
        let refusal = Refusal::of(&error, "calls.json", 1);
        assert_eq!(refusal.place, "calls.json:2:15");
        assert!(refusal.message.starts_with("the JSON text is not valid: expected `,` or `}`"), "{}", refusal.message);
        let error = Document::parse("{\"a\" 1}").unwrap_err();
        assert_eq!(Refusal::of(&error, "many.jsonl", 7).place, "many.jsonl:7:6");
        let error = Document::parse("").unwrap_err();
        assert_eq!(Refusal::of(&error, "empty.json", 1).to_string(), "empty.json: the document is empty");
    }
}
