//! Dialogs: types, dispositions, transfers, session identifiers.

use super::content::{self, Mediatype};
use super::date;
use super::object::{Log, Object};
use super::session_id;
use crate::document::{Json, Kind, View, child_pointer};
use crate::vcon::members::DIALOG;

/// Types that have no content, media type or file name (core-04, 4.3).
const WITHOUT_CONTENT: [&str; 3] = ["incomplete", "transfer", "recording-set"];

/// Dispositions (4.3.11).
const DISPOSITIONS: [&str; 6] = ["no-answer", "congestion", "failed", "busy", "hung-up", "voicemail-no-message"];

/// What indices may point at.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) parties: usize,
    /// The type of each dialog.
    pub(super) dialogs: Vec<Option<String>>,
}

impl Surroundings {
    pub(super) fn of(root: View<'_>) -> Self {
        let count = |name| root.get(name).map_or(0, |view| view.elements().count());
        let dialogs = root.get("dialog").into_iter().flat_map(|view| view.elements());
        let kind = |dialog: View<'_>| dialog.get("type")?.as_str().map(|kind| recorded(&kind).to_owned());
        Surroundings { parties: count("parties"), dialogs: dialogs.map(kind).collect() }
    }
}

/// Libraries write `audio` and `video` for recordings.
fn recorded(kind: &str) -> &str {
    if matches!(kind, "audio" | "video") { "recording" } else { kind }
}

pub(super) fn migrate(mut object: Object<'_>, around: &Surroundings) {
    object.drop_nulls(&DIALOG);
    object.drop_nulls(&["message_id"]);
    let kind = object.text("type").map(|kind| kind.into_owned()).unwrap_or_default();
    if recorded(&kind) != kind && object.keep_original("type") {
        object.set("type", Json::string("recording"));
        object.because("type", "4.3.1", format!("`{kind}` is the type `recording`; the media type tells them apart"));
    }
    date::respell(&mut object, "start");
    disposition(&mut object, &kind);
    session_id::migrate(&mut object);
    if WITHOUT_CONTENT.contains(&kind.as_str()) {
        without_content(&mut object);
    } else {
        content::migrate(&mut object, Mediatype::Demanded);
    }
    if kind == "transfer" {
        transfer(&mut object, around);
    }
}

/// Other words than the six are moved from dialogs that took place: producers write `ANSWERED` there.
fn disposition(object: &mut Object<'_>, kind: &str) {
    let Some(disposition) = object.text("disposition") else { return };
    if kind == "incomplete" || DISPOSITIONS.contains(&disposition.as_ref()) {
        return;
    }
    if object.move_to_meta("disposition") {
        object.because("disposition", "4.3.11", "this is no disposition of the draft; it is in `meta` now");
    } else {
        object.keep("disposition", "this is no disposition of the draft, and `meta` has no place for it");
    }
}

/// Up to core-03 these dialogs could name a media type and a file.
fn without_content(object: &mut Object<'_>) {
    object.drop_nulls(&["mediatype", "mimetype", "filename", "encoding", "url", "content_hash", "body"]);
    for (name, section) in [("mediatype", "4.3.8"), ("filename", "4.3.9")] {
        if object.value(name).is_none() {
            continue;
        }
        if object.move_to_meta(name) {
            object.because(
                name,
                section,
                "a dialog without content has no such member since core-04; it is in `meta` now",
            );
        } else {
            object.keep(name, "a dialog without content has no such member, and `meta` has no place for it");
        }
    }
    if object.text("body").is_some_and(|text| text.is_empty()) {
        object.remove("body");
        if object.get("encoding").is_some() {
            object.remove("encoding");
        }
        object.because("body", "4.3.10", "a dialog without content has no body; this one was empty");
    }
}

/// Names with hyphens, and lists where one index belongs (core-02 and core-03).
fn transfer(object: &mut Object<'_>, around: &Surroundings) {
    for (old, new) in [("transfer-target", "transfer_target"), ("target-dialog", "target_dialog")] {
        let Some(view) = object.value(old) else { continue };
        let first = if view.kind() == Kind::Array { view.elements().next() } else { Some(view) };
        if first.and_then(|index| index.as_usize()).is_some_and(|index| fits(new, index, around)) {
            object.renamed(old, new, "4.3.14", "0.3.0");
        } else {
            object.keep(old, format!("this is no index that `{new}` can hold"));
        }
    }
    for name in ["transferee", "transferor", "transfer_target", "original", "consultation", "target_dialog"] {
        let Some(list) = object.value(name).filter(|view| view.kind() == Kind::Array) else { continue };
        let indices: Option<Vec<_>> = list.elements().map(|index| index.as_usize()).collect();
        match indices.as_deref() {
            Some([]) => {
                object.remove(name);
                object.because(name, "4.3.14", "an empty list is the same as absent");
            }
            Some(&[only]) if fits(name, only, around) => {
                object.set(name, Json::from(only as i64));
                object.because(name, "4.3.14", "this is one index since core-04");
            }
            Some(&[first, ..]) if fits(name, first, around) && object.keep_original(name) => {
                object.set(name, Json::from(first as i64));
                object.because(name, "4.3.14", "this is one index since core-04; the list is in `meta.original`");
            }
            _ => object.keep(name, "this is one index since core-04, and the list holds none that fits"),
        }
    }
}

/// Whether an index points at what it must point at.
fn fits(name: &str, index: usize, around: &Surroundings) -> bool {
    if matches!(name, "transferee" | "transferor" | "transfer_target") {
        return index < around.parties;
    }
    around.dialogs.get(index).and_then(Option::as_deref).is_some_and(|kind| match kind {
        "recording" | "recording-set" | "text" => true,
        "incomplete" => name != "original",
        _ => false,
    })
}

/// The times in `party_history`.
pub(super) fn history(dialog: &str, view: View<'_>, log: &mut Log) {
    let entries = view.get("party_history").into_iter().flat_map(|list| list.elements()).enumerate();
    for (index, entry) in entries.filter(|(_, entry)| entry.kind() == Kind::Object) {
        let mut entry = Object::new(format!("{}/{index}", child_pointer(dialog, "party_history")), entry, log);
        date::respell(&mut entry, "time");
    }
}
