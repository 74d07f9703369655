//! Errors about text that is not JSON, for people.

use super::scan::{Fault, MAX_DEPTH, Problem};
use crate::Error;

/// How many bytes of the text an error shows on each side of the place.
const EXCERPT: usize = 24;

/// The error for a fault in `text`, with line, column, byte offset and an excerpt.
pub(super) fn error(text: &[u8], fault: Fault) -> Error {
    if text.is_empty() {
        return Error::permanent("the document is empty").help("send one JSON object");
    }
    let place = place(text, fault.at);
    match fault.problem {
        Problem::TooDeep => {
            Error::permanent(format!("the JSON text is nested deeper than {MAX_DEPTH} levels at {place}"))
                .help("flatten the document, or keep the deep part as JSON text in a string")
        }
        Problem::Expected(what) => {
            let found = match found(text, fault.at) {
                Some(found) => format!("found {found} in `{}`", excerpt(text, fault.at)),
                None => format!("but the text ends behind `{}`", excerpt(text, fault.at)),
            };
            Error::permanent(format!("the JSON text is not valid at {place}: expected {what}, {found}"))
                .help(help(text, fault.at))
        }
    }
}

/// The error for bytes that are not UTF-8.
pub(super) fn not_utf8(text: &[u8], at: usize) -> Error {
    Error::permanent(format!(
        "the JSON text is not UTF-8 at {}: byte 0x{:02x} in `{}`",
        place(text, at),
        text.get(at).copied().unwrap_or_default(),
        excerpt(text, at)
    ))
    .help("JSON is exchanged in UTF-8 (RFC 8259, section 8.1); convert the file")
}

fn help(text: &[u8], at: usize) -> &'static str {
    if text.starts_with(&[0x1f, 0x8b]) {
        "this is gzip data; decompress it first"
    } else if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        "this is UTF-16; JSON is exchanged in UTF-8"
    } else if at >= text.len() {
        "the document was cut off; send it again in full"
    } else {
        "send one JSON value (RFC 8259) and nothing behind it"
    }
}

/// Line and column count from 1; columns are characters.
fn place(text: &[u8], at: usize) -> String {
    let before = &text[..at.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    format!("line {line}, column {column} (byte {at})")
}

fn found(text: &[u8], at: usize) -> Option<String> {
    let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
    let character = String::from_utf8_lossy(&rest[..rest.len().min(4)]).chars().next()?;
    Some(if character.is_control() { format!("U+{:04X}", u32::from(character)) } else { format!("`{character}`") })
}

fn excerpt(text: &[u8], at: usize) -> String {
    let at = at.min(text.len());
    let part = &text[at.saturating_sub(EXCERPT)..text.len().min(at + EXCERPT)];
    // The cut may have split a character at either end.
    let part = String::from_utf8_lossy(part);
    let shown = part.trim_matches(char::REPLACEMENT_CHARACTER);
    shown.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use crate::document::Document;

    fn message(text: &[u8]) -> String {
        Document::parse(text.to_vec()).unwrap_err().message().to_owned()
    }

    #[test]
    fn an_error_names_the_place_and_what_was_expected() {
        assert_eq!(
            message(b"{\n  \"vcon\" : 0.0.1,\n}"),
            "the JSON text is not valid at line 2, column 15 (byte 16): expected `,` or `}`, found `.` in \
             `{   \"vcon\" : 0.0.1, }`"
        );
        assert_eq!(
            message("{\"größe\": nope}".as_bytes()),
            "the JSON text is not valid at line 1, column 11 (byte 12): expected a value, found `n` in `{\"größe\": nope}`"
        );
        assert_eq!(
            message(b"[1, 2"),
            "the JSON text is not valid at line 1, column 6 (byte 5): expected `,` or `]`, but the text ends behind `[1, 2`"
        );
        assert_eq!(message(b""), "the document is empty");
    }

    #[test]
    fn gzip_and_bad_utf8_are_named() {
        let error = Document::parse(vec![0x1f, 0x8b, 8, 0]).unwrap_err();
        assert!(error.help_text().unwrap().contains("gzip"));
        assert!(message(b"[\"a\", \"\xff\"]").contains("not UTF-8 at line 1, column 8 (byte 7): byte 0xff"));
        // Wherever it lies in a long string.
        for at in [0, 70, 300, 995] {
            let mut text = format!("\"{}\"", "a".repeat(1000)).into_bytes();
            text[at + 1] = 0xc3;
            assert!(message(&text).contains("not UTF-8"), "{at}");
        }
    }
}
