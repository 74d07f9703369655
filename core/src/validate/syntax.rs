//! Well-formedness beyond what makes a text unreadable: check 3.

use super::finding::{Finding, Findings, Severity};
use super::place::Place;
use crate::document::{Document, Warning};

/// What a strict reader of JSON objects to in a text that can be read. `source` is the text as it came.
pub(super) fn check(source: &[u8], document: &Document, found: &mut Findings) {
    if source.starts_with("\u{feff}".as_bytes()) {
        found.violation(3, &Place::ROOT, "a byte order mark stands before the JSON text");
    }
    for warning in document.warnings() {
        let message = match warning {
            Warning::DuplicateName(_) => {
                "the name occurs more than once in its object; readers differ in which they take"
            }
            Warning::LoneSurrogate(_) => "the string holds half of a surrogate pair, which is no character",
        };
        let (Warning::DuplicateName(pointer) | Warning::LoneSurrogate(pointer)) = warning;
        found.push(Finding { check: 3, severity: Severity::Violation, pointer, message: message.to_owned() });
    }
}
