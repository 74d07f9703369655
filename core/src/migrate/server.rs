//! The two forms that vcon-server writes, rule by rule (vcon-server contract, sections 8.1 to 8.3).
//!
//! Other programs read them, so they are made as vcon-server makes them, also where that loses an older name in favour of
//! a newer one.

use super::object::{Log, Object};
use super::{Change, objects};
use crate::document::{Document, Json, Kind, View};

const READ: &str = "vcon-server contract, 8.1";
const WRITE: &str = "vcon-server contract, 8.2";
const EGRESS: &str = "vcon-server contract, 8.3";

/// (older, newer)
type Names = &'static [(&'static str, &'static str)];

const TOP: Names = &[("appended", "amended"), ("must_support", "critical")];
const CONTENT: Names = &[("schema_version", "schema"), ("mimetype", "mediatype"), ("must_support", "critical")];

/// What vcon-server stores (8.1 and 8.2).
pub(super) fn string_bodies(root: View<'_>) -> Vec<Change> {
    let mut log = Log::default();
    for list in ["dialog", "analysis", "attachments"] {
        for (pointer, view) in objects(root, list) {
            let mut object = Object::new(pointer, view, &mut log);
            newer_names(&mut object, CONTENT);
            if list == "attachments" && object.get("type").is_some() && object.get("purpose").is_none() {
                object.rename("type", "purpose");
                object.because("type", READ, "`type` of an attachment is called `purpose`");
            }
            if list != "dialog" {
                body_as_text(&mut object);
            }
        }
    }
    let mut top = Object::new(String::new(), root, &mut log);
    newer_names(&mut top, TOP);
    if top.text("vcon").is_none_or(|text| text != "0.4.0") {
        top.set("vcon", Json::string("0.4.0"));
        top.because("vcon", WRITE, "it is always 0.4.0");
    }
    for (name, kind) in [("group", Kind::Array), ("redacted", Kind::Object)] {
        if top.get(name).is_some_and(|view| view.kind() == kind && view.is_empty()) {
            top.remove(name);
            top.because(name, WRITE, "an empty one is left out");
        }
    }
    log.changes
}

/// Whatever the value is; an older name goes when the newer one is there.
fn newer_names(object: &mut Object<'_>, names: Names) {
    for (older, newer) in names {
        if object.get(older).is_none() {
            continue;
        }
        match object.get(newer) {
            None => object.rename(older, newer),
            Some(_) => object.remove(older),
        }
        object.because(older, READ, format!("it is called `{newer}`; when both are there the newer one counts"));
    }
}

fn body_as_text(object: &mut Object<'_>) {
    let Some(body) = object.get("body").filter(|body| matches!(body.kind(), Kind::Object | Kind::Array)) else {
        return;
    };
    let text = Json::string(&body.text());
    object.set("body", text);
    if object.text("encoding").is_none_or(|encoding| encoding != "json") {
        object.set("encoding", Json::string("json"));
    }
    object.because("body", WRITE, "JSON is written as text in a string");
}

/// What vcon-server hands out to readers of 0.0.1 (8.3).
pub(super) fn legacy(root: View<'_>) -> Vec<Change> {
    let mut log = Log::default();
    for list in ["dialog", "analysis", "attachments"] {
        for (pointer, view) in objects(root, list) {
            let mut object = Object::new(pointer, view, &mut log);
            older_names(&mut object, CONTENT);
            if list == "attachments" && object.get("purpose").is_some() && object.get("type").is_none() {
                object.rename("purpose", "type");
                object.because("purpose", EGRESS, "`purpose` of an attachment is called `type`");
            }
            if list != "dialog" {
                body_as_value(&mut object);
            }
        }
    }
    let mut top = Object::new(String::new(), root, &mut log);
    older_names(&mut top, TOP);
    for (name, value) in [("group", "[]"), ("redacted", "{}"), ("appended", "null")] {
        if top.get(name).is_none()
            && let Ok(value) = Json::parse(value)
        {
            top.set(name, value);
            top.because(name, EGRESS, "readers of 0.0.1 expect it");
        }
    }
    if top.text("vcon").is_none_or(|text| text != "0.0.1") {
        top.set("vcon", Json::string("0.0.1"));
        top.because("vcon", EGRESS, "the form is 0.0.1");
    }
    log.changes
}

fn older_names(object: &mut Object<'_>, names: Names) {
    for (older, newer) in names {
        if object.get(newer).is_none() {
            continue;
        }
        match object.get(older) {
            None => object.rename(newer, older),
            Some(_) => object.remove(newer),
        }
        object.because(newer, EGRESS, format!("it is called `{older}`; when both are there the older one counts"));
    }
}

/// Text that is JSON of any kind becomes the value.
fn body_as_value(object: &mut Object<'_>) {
    if object.text("encoding").is_none_or(|encoding| encoding != "json") {
        return;
    }
    let Some(text) = object.text("body").map(|text| text.into_owned()) else { return };
    // Within three levels, as it will stand: otherwise nobody could read the result.
    let fits = Document::parse(format!("[[[{text}]]]")).is_ok();
    let Some(value) = Json::parse(text).ok().filter(|_| fits) else { return };
    object.set("body", value);
    object.set("encoding", Json::string("none"));
    object.because("body", EGRESS, "JSON is written as the value itself, with the encoding `none`");
}
