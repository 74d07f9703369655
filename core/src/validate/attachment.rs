//! Attachments: checks 76 to 79.

use super::content::{self, Role};
use super::object::{Object, is_date, is_index, shown};
use super::place::Place;
use super::unsigned::Subject;
use super::{Findings, members};

pub(super) fn check(subject: &Subject<'_>, attachment: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    members::attachment(subject, attachment, place, found);
    match attachment.get("start") {
        None => found.violation(76, place, "the attachment does not say when it was sent (`start`)"),
        Some(start) if start.as_str().is_some_and(|text| is_date(&text)) => {}
        Some(start) => {
            let message = format!("`start` is {}, no date of RFC 3339 with offset", shown(start));
            found.violation(76, &place.name("start"), message);
        }
    }
    let references = [
        ("party", 77, subject.parties, "parties", "which party brought it"),
        ("dialog", 78, subject.dialog.len(), "dialogs", "to which dialog it belongs"),
    ];
    for (name, check, count, what, missing) in references {
        match attachment.get(name) {
            None => found.violation(check, place, format!("the attachment does not say {missing} (`{name}`)")),
            Some(value) if is_index(value, count) => {}
            Some(value) => {
                found.violation(
                    check,
                    &place.name(name),
                    format!("{} is no index of the {count} {what}", shown(value)),
                );
            }
        }
    }
    if attachment.has("type") && !attachment.has("purpose") {
        found.advice(79, &place.name("type"), "`type` of an attachment is called `purpose` now");
    }
    content::check(attachment, Role::Attachment, place, found);
}
