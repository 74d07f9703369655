//! The top level.

use jiff::Timestamp;
use uuid::Uuid;

use super::Options;
use super::content_hash;
use super::date;
use super::object::{Log, Object};
use crate::document::{Document, Json, Kind, View};
use crate::vcon::Date;

const NAMES: [&str; 13] = [
    "vcon",
    "uuid",
    "created_at",
    "updated_at",
    "subject",
    "extensions",
    "critical",
    "redacted",
    "amended",
    "appended",
    "must_support",
    "group",
    "parties",
];

/// Members of a reference to another vCon, for which null means absent.
const REFERENCE: [&str; 6] = ["uuid", "type", "url", "content_hash", "alg", "signature"];

/// Members that belong to the contact-center extension since 0.3.0.
const CC_DIALOG: [&str; 5] = ["campaign", "interaction", "interaction_type", "interaction_id", "skill"];

pub(super) fn migrate(mut object: Object<'_>, root: View<'_>, options: &Options<'_>) {
    object.drop_nulls(&NAMES);
    object.drop_nulls(&["dialog", "analysis", "attachments"]);
    if object.value("vcon").is_some_and(|view| view.as_str().is_none_or(|text| text != "0.4.0")) {
        object.set("vcon", Json::string("0.4.0"));
        object.because("vcon", "4.1.1", "core-04 is the syntax 0.4.0");
    }
    for (name, section) in [("redacted", "4.1.8"), ("appended", "4.1.9"), ("amended", "4.1.9"), ("group", "2.2")] {
        // What `reference` will drop does not count.
        let dropped = if name == "group" { &[][..] } else { &REFERENCE };
        if object.value(name).is_some_and(|view| is_empty(view, dropped)) {
            object.remove(name);
            object.because(
                name,
                section,
                "an object or list without values may be left out, and this one breaks a rule",
            );
        }
    }
    if object.value("appended").is_some_and(is_reference) && object.value("redacted").is_none() {
        object.renamed("appended", "amended", "4.1.9", "0.4.0");
    } else if object.value("appended").is_some() {
        object.keep("appended", "`amended` is a reference with a `uuid` or a `url`, and excludes `redacted`");
    }
    let is_list_of_names =
        |view: View<'_>| view.kind() == Kind::Array && view.elements().all(|name| name.kind() == Kind::String);
    if object.value("must_support").is_some_and(is_list_of_names) {
        object.renamed("must_support", "critical", "4.1.4", "0.4.0");
    } else if object.value("must_support").is_some() {
        object.keep("must_support", "`critical` is a list of names");
    }
    if object.value("group").is_some() {
        object.keep("group", "the name is reserved since core-02; a group has no other place");
    }
    date::respell(&mut object, "created_at");
    date::respell(&mut object, "updated_at");
    identify(&mut object, root, options);
    declare_contact_center(&mut object, root);
}

/// Whether this is an object or list without values, apart from null members with one of the names `dropped`.
fn is_empty(view: View<'_>, dropped: &[&str]) -> bool {
    match view.kind() {
        Kind::Array => view.is_empty(),
        Kind::Object => view.members().all(|(name, value)| value.is_null() && dropped.contains(&name.as_ref())),
        _ => false,
    }
}

/// Whether this can stand in `amended`: it says which vCon is meant, by a uuid or by an https URL with a digest.
fn is_reference(view: View<'_>) -> bool {
    let text = |name: &str| view.get(name).filter(|value| !value.is_null()).map(|value| value.as_str());
    let uuid = text("uuid").map(|uuid| uuid.is_some_and(|uuid| uuid.len() == 36 && Uuid::parse_str(&uuid).is_ok()));
    let url = text("url").map(|url| url.is_some_and(|url| url.starts_with("https://")) && content_hash::is_said(view));
    view.kind() == Kind::Object && uuid != Some(false) && url != Some(false) && (uuid.is_some() || url.is_some())
}

/// A vCon has a uuid and a time of creation; what is made up here is named in `meta.generated`.
fn identify(object: &mut Object<'_>, root: View<'_>, options: &Options<'_>) {
    let mut generated = Vec::new();
    if let Some(generator) = options.generator
        && object.value("uuid").is_none()
    {
        object.set("uuid", Json::string(&generator.next().to_string()));
        object.because("uuid", "4.1.2", "a vCon has a uuid; this one was generated");
        generated.push("uuid");
    }
    if object.value("created_at").is_none()
        && let Some(time) = earliest(root).or(options.now)
    {
        object.set("created_at", Json::string(&time.to_string()));
        object.because(
            "created_at",
            "4.1.5",
            "a vCon has a time of creation; this is when its first dialog began, else now",
        );
        generated.push("created_at");
    }
    // When `meta` is something else, the recorded changes alone say it.
    if !generated.is_empty() && object.put_json_into_meta("/generated", serde_json::Value::from(generated).into()) {
        object.because("meta", "2.5", "says which members were generated");
    }
}

/// When the first dialog began.
fn earliest(root: View<'_>) -> Option<Timestamp> {
    let dialogs = root.get("dialog").into_iter().flat_map(|list| list.elements());
    let start = |dialog: View<'_>| Date::parse(&dialog.get("start")?.as_str()?);
    dialogs.filter_map(start).map(Date::timestamp).min()
}

/// Names the extension whose members were part of the core up to 0.0.2.
fn declare_contact_center(object: &mut Object<'_>, root: View<'_>) {
    let elements = |list: &str| root.get(list).into_iter().flat_map(|view| view.elements());
    let has =
        |view: View<'_>, names: &[&str]| names.iter().any(|name| view.get(name).is_some_and(|view| !view.is_null()));
    let used = elements("parties").any(|party| has(party, &["contact_list"]))
        || elements("dialog").any(|dialog| has(dialog, &CC_DIALOG));
    if !used {
        return;
    }
    let new = match object.value("extensions") {
        None => Json::from(serde_json::json!(["CC"])),
        Some(list) if list.kind() != Kind::Array => return,
        Some(list) if list.elements().any(|name| name.as_str().is_some_and(|name| name == "CC")) => return,
        Some(list) => {
            let Ok(mut list) = Document::parse(list.text().into_owned()) else { return };
            if list.append("", Json::string("CC")).is_err() {
                return;
            }
            list.to_json()
        }
    };
    object.set("extensions", new);
    object.because("extensions", "4.1.3", "members of contact centers belong to the extension `CC` since 0.3.0");
}

/// The references to other vCons, whose hash had other names.
pub(super) fn reference(pointer: &str, view: View<'_>, log: &mut Log) {
    if view.kind() == Kind::Object {
        let mut object = Object::new(pointer.to_owned(), view, log);
        object.drop_nulls(&REFERENCE);
        content_hash::migrate(&mut object);
    }
}
