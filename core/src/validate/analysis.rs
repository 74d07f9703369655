//! Analyses: checks 80 to 85.

use super::content::{self, Role};
use super::object::{Object, is_index_or_list, shown};
use super::place::Place;
use super::unsigned::Subject;
use super::{Findings, extension, members};
use crate::document::Kind;

/// The types of the core (core-04, section 4.5.1).
const TYPES: [&str; 6] = ["report", "sentiment", "summary", "transcript", "translation", "tts"];

pub(super) fn check(subject: &Subject<'_>, analysis: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    members::analysis(subject, analysis, place, found);
    match (analysis.get("type"), analysis.text("type")) {
        (None, _) => found.violation(80, place, "the analysis has no `type`"),
        (Some(value), None) => {
            found.violation(80, &place.name("type"), format!("`type` is {}, not a string", shown(value)));
        }
        (Some(_), Some(kind)) => {
            if !TYPES.contains(&&*kind)
                && !extension::adds(&subject.extensions, |extension| extension.analysis_types, &kind)
            {
                let message = format!("`{}` is none of the six types of the core", kind.escape_debug());
                found.advice(85, &place.name("type"), message);
            }
        }
    }
    match analysis.get("vendor") {
        None => found.violation(81, place, "the analysis does not say who made it (`vendor`)"),
        Some(vendor) if vendor.kind() == Kind::String => {}
        Some(vendor) => {
            found.violation(81, &place.name("vendor"), format!("`vendor` is {}, not a string", shown(vendor)));
        }
    }
    let references =
        [("dialog", 82, subject.dialog.len(), "dialogs"), ("attachment", 83, subject.attachments, "attachments")];
    for (name, check, count, what) in references {
        if let Some(value) = analysis.get(name)
            && !is_index_or_list(value, count)
        {
            let message = format!("`{name}` is {}, not one or several indices of the {count} {what}", shown(value));
            found.violation(check, &place.name(name), message);
        }
    }
    for name in ["product", "schema"] {
        if let Some(value) = analysis.get(name)
            && value.kind() != Kind::String
        {
            found.violation(84, &place.name(name), format!("`{name}` is {}, not a string", shown(value)));
        }
    }
    content::check(analysis, Role::Analysis, place, found);
}
