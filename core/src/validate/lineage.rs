//! From which version a vCon was derived: checks 14 to 19.

use super::Findings;
use super::content::{self, Role};
use super::members;
use super::object::{Object, is_uuid, shown};
use super::place::Place;
use super::unsigned::Subject;

pub(super) fn check(subject: &Subject<'_>, found: &mut Findings) {
    let top = &subject.top;
    if top.has("redacted") && top.has("amended") {
        found.violation(14, &Place::ROOT.name("amended"), "`redacted` and `amended` exclude each other");
    }
    if let Some(redacted) = top.get("redacted") {
        let place = Place::ROOT.name("redacted");
        match Object::of(redacted) {
            None => found.violation(15, &place, format!("`redacted` is {}, not an object", shown(redacted))),
            Some(object) => {
                if object.text("type").is_none() {
                    found.violation(15, &place, "`redacted` does not say in `type` what was redacted");
                }
                if !object.has("uuid") {
                    found.advice(16, &place, "`redacted` does not say from which vCon, by its `uuid`");
                }
                reference(subject, &object, "redacted", found);
            }
        }
    }
    if let Some(amended) = top.get("amended") {
        let place = Place::ROOT.name("amended");
        match Object::of(amended) {
            None => found.violation(17, &place, format!("`amended` is {}, not an object", shown(amended))),
            Some(object) => {
                if !object.has("uuid") && !object.has("url") {
                    found.violation(17, &place, "`amended` says neither by `uuid` nor by `url` what was amended");
                }
                reference(subject, &object, "amended", found);
            }
        }
    }
}

/// Check 19 and those of the content that is referred to.
fn reference(subject: &Subject<'_>, object: &Object<'_>, name: &str, found: &mut Findings) {
    let place = Place::ROOT.name(name);
    if let Some(uuid) = object.get("uuid")
        && !uuid.as_str().is_some_and(|text| is_uuid(&text))
    {
        found.violation(19, &place.name("uuid"), format!("`uuid` is {}, no UUID", shown(uuid)));
    }
    content::check(object, Role::Reference, &place, found);
    members::reference(subject, object, &place, found);
}
