//! Transfers: checks 44 to 48.

use super::Findings;
use super::object::{Object, shown};
use super::place::Place;
use super::unsigned::Subject;

/// What a transfer leaves to the dialogs that it connects (core-04, section 4.3.1.6).
const BARRED: [&str; 6] = ["parties", "originator", "session_id", "party_history", "recordings", "recording_set"];

const SHOULD: [&str; 4] = ["transferee", "transferor", "original", "target_dialog"];

/// Members that lead to a party.
const PARTIES: [&str; 3] = ["transferee", "transferor", "transfer_target"];

/// Members that lead to a dialog, and whether it may be one that did not come about.
const DIALOGS: [(&str, bool); 3] = [("original", false), ("consultation", true), ("target_dialog", true)];

pub(super) fn check(subject: &Subject<'_>, dialog: &Object<'_>, kind: &str, place: &Place<'_>, found: &mut Findings) {
    if kind != "transfer" {
        for name in PARTIES.into_iter().chain(DIALOGS.map(|(name, _)| name)) {
            if dialog.has(name) {
                found.violation(45, &place.name(name), format!("`{name}` is on a dialog that is no transfer"));
            }
        }
        return;
    }
    for name in BARRED {
        if dialog.has(name) {
            found.violation(44, &place.name(name), format!("a transfer has no `{name}`"));
        }
    }
    let missing: Vec<_> = SHOULD.into_iter().filter(|name| !dialog.has(name)).collect();
    if !missing.is_empty() {
        found.advice(46, place, format!("the transfer lacks `{}`", missing.join("`, `")));
    }
    for name in PARTIES {
        if let Some(index) = single(dialog, name, place, found)
            && index >= subject.parties
        {
            let message = format!("{index} is no index of the {} parties", subject.parties);
            found.violation(48, &place.name(name), message);
        }
    }
    for (name, may_be_incomplete) in DIALOGS {
        let Some(index) = single(dialog, name, place, found) else { continue };
        let place = place.name(name);
        if index >= subject.dialog.len() {
            found.violation(48, &place, format!("{index} is no index of the {} dialogs", subject.dialog.len()));
            continue;
        }
        let target = subject.dialog_type(index).unwrap_or_default();
        match &*target {
            "recording" | "recording-set" | "text" => {}
            "incomplete" if may_be_incomplete => {}
            other => found.violation(48, &place, format!("dialog {index} is of type `{other}`, which does not fit")),
        }
    }
}

/// Check 47: the index in `name`.
fn single(dialog: &Object<'_>, name: &str, place: &Place<'_>, found: &mut Findings) -> Option<usize> {
    let value = dialog.get(name)?;
    let index = value.as_usize();
    if index.is_none() {
        found.violation(47, &place.name(name), format!("`{name}` is {}, not one index", shown(value)));
    }
    index
}
