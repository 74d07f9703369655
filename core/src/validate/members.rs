//! Members that nobody defined, and those that a newer revision renamed: checks 24 and 86 to 89.

use super::Findings;
use super::extension::{self, Extension};
use super::object::Object;
use super::place::Place;
use super::unsigned::Subject;
use crate::vcon::members::{CONTENT, DIALOG, PARTY};

const TOP_LEVEL: &[&str] = &[
    "vcon",
    "uuid",
    "created_at",
    "updated_at",
    "subject",
    "extensions",
    "critical",
    "redacted",
    "amended",
    "parties",
    "dialog",
    "analysis",
    "attachments",
    // Known from older revisions; they have checks of their own.
    "group",
    "appended",
    "must_support",
];
/// Where a dialog's message came from (4.3).
const MESSAGE: &[&str] = &["application", "message_id"];
const ANALYSIS: &[&str] = &["type", "dialog", "attachment", "vendor", "product", "schema"];
const ATTACHMENT: &[&str] = &["purpose", "start", "party", "dialog"];
const REFERENCE: &[&str] = &["uuid", "type", "url", "content_hash"];
const EVENT: &[&str] = &["party", "time", "event", "button"];

/// An older name of a member: its check, and what it is called now.
const RENAMED: &[(&str, u16, &str)] = &[
    ("mimetype", 87, "mediatype"),
    ("alg", 88, "content_hash"),
    ("signature", 88, "content_hash"),
    ("key", 88, "content_hash"),
    ("transfer-target", 89, "transfer_target"),
    ("target-dialog", 89, "target_dialog"),
    ("vendor_schema", 89, "schema"),
    ("vendor_product", 89, "product"),
    ("schema_version", 89, "schema"),
    ("transcript", 89, "body"),
];

/// The members of an unsigned vCon.
pub(super) fn core_of_vcon() -> impl Iterator<Item = &'static str> {
    TOP_LEVEL.iter().copied()
}

pub(super) fn top_level(subject: &Subject<'_>, found: &mut Findings) {
    unknown(subject, &subject.top, &[TOP_LEVEL], |_| &[], &Place::ROOT, found);
    for (older, newer) in [("appended", "amended"), ("must_support", "critical")] {
        if subject.top.has(older) {
            found.advice(86, &Place::ROOT.name(older), format!("`{older}` is called `{newer}` now"));
        }
    }
}

pub(super) fn party(subject: &Subject<'_>, object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    unknown(subject, object, &[&PARTY], |extension| extension.party, place, found);
}

pub(super) fn dialog(subject: &Subject<'_>, object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    unknown(subject, object, &[&DIALOG, &CONTENT, MESSAGE], |extension| extension.dialog, place, found);
    renamed(object, place, found);
}

pub(super) fn analysis(subject: &Subject<'_>, object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    unknown(subject, object, &[ANALYSIS, &CONTENT], |extension| extension.analysis, place, found);
    renamed(object, place, found);
}

pub(super) fn attachment(subject: &Subject<'_>, object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    unknown(subject, object, &[ATTACHMENT, &CONTENT], |_| &[], place, found);
    renamed(object, place, found);
}

pub(super) fn reference(subject: &Subject<'_>, object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    unknown(subject, object, &[REFERENCE], |_| &[], place, found);
    renamed(object, place, found);
}

pub(super) fn event(subject: &Subject<'_>, object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    unknown(subject, object, &[EVENT], |_| &[], place, found);
}

/// Check 24.
fn unknown(
    subject: &Subject<'_>,
    object: &Object<'_>,
    core: &[&[&str]],
    added: fn(&Extension) -> &'static [&'static str],
    place: &Place<'_>,
    found: &mut Findings,
) {
    for (name, _) in object.iter() {
        let is_known = core.iter().any(|names| names.contains(&name));
        if !is_known && !extension::adds(&subject.extensions, added, name) {
            found.advice(24, &place.name(name), format!("`{}` is no member that is known here", short(name)));
        }
    }
}

/// Checks 87 to 89.
fn renamed(object: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    for (name, _) in object.iter() {
        if let Some((older, check, newer)) = RENAMED.iter().find(|(older, ..)| *older == name) {
            found.advice(*check, &place.name(name), format!("`{older}` is written as `{newer}` now"));
        }
    }
}

/// Names come from strangers.
fn short(name: &str) -> String {
    let visible = name.chars().map(|character| if character.is_control() { ' ' } else { character });
    visible.take(60).collect()
}
