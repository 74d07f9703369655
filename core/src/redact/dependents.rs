//! What was made from removed parts, or belongs to them.

use std::collections::BTreeSet;

use super::{Target, Warning};
use crate::document::{Document, View};
use crate::vcon::Vcon;

/// Top-level members that are known.
const KNOWN: [&str; 15] = [
    "vcon",
    "uuid",
    "extensions",
    "critical",
    "must_support",
    "created_at",
    "updated_at",
    "subject",
    "redacted",
    "amended",
    "appended",
    "parties",
    "dialog",
    "analysis",
    "attachments",
];

/// Adds what depends on the targets to them, or warns of it.
pub(super) fn follow(
    document: &Document,
    targets: &mut Vec<Target>,
    with_dependents: bool,
    warnings: &mut BTreeSet<Warning>,
) {
    let Ok(vcon) = Vcon::from_document(document.clone()) else { return };
    let dialogs = touched(targets, "dialog");
    let parties = touched(targets, "parties");
    let attachments = touched(targets, "attachments");
    for analysis in vcon.analyses() {
        let index = analysis.index();
        if targets.contains(&Target::Analysis(index)) {
            continue;
        }
        let from_dialog = analysis.dialogs().iter().any(|dialog| dialogs.contains(dialog));
        let from_attachment = analysis.entry().indices("attachment").iter().any(|one| attachments.contains(one));
        if !(from_dialog || from_attachment) {
            continue;
        }
        if with_dependents {
            targets.push(Target::Analysis(index));
        } else {
            let kind = analysis.kind().unwrap_or_default().into_owned();
            let from = if from_dialog { "dialog" } else { "attachment" };
            warn(
                warnings,
                format!("/analysis/{index}"),
                format!("this {kind} was made from a redacted {from}, and stays"),
            );
        }
    }
    for attachment in vcon.attachments().filter(|attachment| !attachment.is_tags()) {
        let index = attachment.index();
        let is_of = attachment.dialog().is_some_and(|dialog| dialogs.contains(&dialog));
        if is_of && !targets.contains(&Target::Attachment(index)) {
            warn(warnings, format!("/attachments/{index}"), "it belongs to a redacted dialog, and stays".to_owned());
        }
    }
    for dialog in vcon.dialogs() {
        let index = dialog.index();
        if dialogs.contains(&index) {
            continue;
        }
        let pointer = format!("/dialog/{index}");
        let set = dialog.entry().indices("recordings").into_iter().chain(dialog.entry().index("recording_set"));
        if set.into_iter().any(|other| dialogs.contains(&other)) {
            warn(warnings, pointer.clone(), "it records the same call as a redacted dialog, and stays".to_owned());
        }
        if dialog.is_recording() && dialog.parties().iter().any(|party| parties.contains(party)) {
            warn(warnings, pointer, "a redacted party may be heard or seen in this recording".to_owned());
        }
    }
}

/// The indices of the elements of `list` that lose something.
fn touched(targets: &[Target], list: &str) -> BTreeSet<usize> {
    let index = |target: &Target| {
        let pointer = target.pointer();
        pointer.strip_prefix(&format!("/{list}/"))?.split('/').next()?.parse().ok()
    };
    targets.iter().filter_map(index).collect()
}

/// Members of the top level that nobody here knows may hold anything.
pub(super) fn unknown_members(document: &Document, warnings: &mut BTreeSet<Warning>) {
    for (name, value) in document.root().members().filter(|(name, _)| !KNOWN.contains(&name.as_ref())) {
        if !is_hollow(value) {
            let pointer = crate::document::child_pointer("", &name);
            warn(warnings, pointer, "this member is not of the draft, and stays".to_owned());
        }
    }
}

fn is_hollow(value: View<'_>) -> bool {
    value.is_null() || matches!(value.text().as_ref(), "{}" | "[]" | "\"\"")
}

fn warn(warnings: &mut BTreeSet<Warning>, pointer: String, message: String) {
    warnings.insert(Warning { pointer, message });
}
