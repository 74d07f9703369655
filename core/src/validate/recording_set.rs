//! Recordings that make up one call: checks 49 to 52.

use super::Findings;
use super::object::{Object, shown};
use super::place::Place;
use super::unsigned::Subject;
use crate::document::Kind;

pub(super) fn check(
    subject: &Subject<'_>,
    index: usize,
    dialog: &Object<'_>,
    kind: &str,
    place: &Place<'_>,
    found: &mut Findings,
) {
    if kind == "recording-set" {
        set(subject, index, dialog, place, found);
    } else if dialog.has("recordings") {
        found.violation(50, &place.name("recordings"), format!("`recordings` is on a dialog of type `{kind}`"));
    }
    if dialog.has("recording_set") {
        member(subject, index, dialog, kind, place, found);
    }
}

/// Checks 49 and 51, and the half of 52 that looks from the set.
fn set(subject: &Subject<'_>, index: usize, dialog: &Object<'_>, place: &Place<'_>, found: &mut Findings) {
    let Some(recordings) = dialog.get("recordings") else {
        found.violation(49, place, "the recording-set has no `recordings`");
        return;
    };
    let here = place.name("recordings");
    if recordings.kind() != Kind::Array {
        found.violation(51, &here, format!("`recordings` is {}, not an array", shown(recordings)));
        return;
    }
    for (position, element) in recordings.elements().enumerate() {
        let place = here.index(position);
        let Some(recording) = element.as_usize().filter(|recording| *recording < subject.dialog.len()) else {
            let count = subject.dialog.len();
            found.violation(51, &place, format!("{} is no index of the {count} dialogs", shown(element)));
            continue;
        };
        match subject.dialog_type(recording).as_deref() {
            Some("recording") => {
                let back = subject.dialog[recording].as_ref().and_then(|one| one.get("recording_set"));
                if back.is_none_or(|back| back.as_usize() != Some(index)) {
                    found.advice(52, &place, format!("dialog {recording} does not refer back by `recording_set`"));
                }
            }
            other => {
                let other = other.unwrap_or_default();
                found.violation(51, &place, format!("dialog {recording} is of type `{other}`, no recording"));
            }
        }
    }
}

/// Check 52, looking from the recording.
fn member(
    subject: &Subject<'_>,
    index: usize,
    dialog: &Object<'_>,
    kind: &str,
    place: &Place<'_>,
    found: &mut Findings,
) {
    let Some(value) = dialog.get("recording_set") else { return };
    let place = place.name("recording_set");
    if kind != "recording" {
        found.violation(52, &place, format!("`recording_set` is on a dialog of type `{kind}`"));
        return;
    }
    let Some(set) = value.as_usize().filter(|set| *set < subject.dialog.len()) else {
        found.violation(52, &place, format!("{} is no index of the {} dialogs", shown(value), subject.dialog.len()));
        return;
    };
    match subject.dialog_type(set).as_deref() {
        Some("recording-set") => {
            if !subject.recordings.contains(&(set, index)) {
                found.advice(52, &place, format!("the recording-set {set} does not list this recording"));
            }
        }
        other => {
            let other = other.unwrap_or_default();
            found.violation(52, &place, format!("dialog {set} is of type `{other}`, no recording-set"));
        }
    }
}
