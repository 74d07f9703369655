//! An object of a vCon while it is migrated: later rules see what earlier ones did, and every step becomes an edit.

use std::borrow::Cow;

use super::{Change, Kept};
use crate::document::{Document, Edit, Json, Kind, View, child_pointer};

/// What was found and made so far, over all objects of a vCon.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) changes: Vec<Change>,
    pub(super) kept: Vec<Kept>,
}

/// One object: its members as they are by now.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pointer: String,
    members: Vec<(Cow<'a, str>, Slot<'a>)>,
    /// Edits that wait for their reason.
    pending: Vec<Edit>,
    log: &'a mut Log,
}

#[derive(Debug)]
enum Slot<'a> {
    Old(View<'a>),
    New(Json),
}

impl<'a> Object<'a> {
    /// Of members with one name the last one counts, as for every reader.
    pub(super) fn new(pointer: String, view: View<'a>, log: &'a mut Log) -> Self {
        let mut members: Vec<(Cow<'a, str>, Slot<'a>)> = Vec::new();
        for (name, value) in view.members() {
            match members.iter_mut().find(|(found, _)| *found == name) {
                Some((_, slot)) => *slot = Slot::Old(value),
                None => members.push((name, Slot::Old(value))),
            }
        }
        Object { pointer, members, pending: Vec::new(), log }
    }

    pub(super) fn get(&self, name: &str) -> Option<View<'_>> {
        self.members.iter().find(|(found, _)| found == name).map(|(_, slot)| match slot {
            Slot::Old(view) => *view,
            Slot::New(json) => json.view(),
        })
    }

    /// The member, unless it is absent or null, which mean the same.
    pub(super) fn value(&self, name: &str) -> Option<View<'_>> {
        self.get(name).filter(|view| !view.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name)?.as_str()
    }

    /// The pointer to a member.
    pub(super) fn at(&self, name: &str) -> String {
        child_pointer(&self.pointer, name)
    }

    pub(super) fn set(&mut self, name: &str, value: Json) {
        self.pending.push(Edit::set(self.at(name), value.clone()));
        match self.members.iter_mut().find(|(found, _)| found == name) {
            Some((_, slot)) => *slot = Slot::New(value),
            None => self.members.push((Cow::Owned(name.to_owned()), Slot::New(value))),
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.members.retain(|(found, _)| found != name);
        self.pending.push(Edit::remove(self.at(name)));
    }

    pub(super) fn rename(&mut self, old: &str, new: &str) {
        if let Some(value) = self.get(old).map(|view| view.to_json()) {
            self.set(new, value);
            self.remove(old);
        }
    }

    /// Records what was done since the last call as one change of the member `name`.
    pub(super) fn because(&mut self, name: &str, section: &'static str, reason: impl Into<Cow<'static, str>>) {
        let edits = std::mem::take(&mut self.pending);
        if !edits.is_empty() {
            let pointer = self.at(name);
            self.log.changes.push(Change { pointer, reason: reason.into(), section, edits });
        }
    }

    /// Says that a member stays though the draft has no place for it.
    pub(super) fn keep(&mut self, name: &str, reason: impl Into<Cow<'static, str>>) {
        let pointer = self.at(name);
        self.log.kept.push(Kept { pointer, reason: reason.into() });
    }

    /// Gives a member its newer name. With both names there: an equal one goes, a different one stays.
    pub(super) fn renamed(&mut self, old: &'static str, new: &'static str, section: &'static str, since: &str) {
        let Some(value) = self.value(old) else { return };
        match self.value(new) {
            None => {
                self.rename(old, new);
                self.because(old, section, format!("`{old}` is called `{new}` since {since}"));
            }
            Some(newer) if newer.equals(value) => {
                self.remove(old);
                self.because(old, section, format!("`{new}` says the same; `{old}` is its name before {since}"));
            }
            Some(_) => self.keep(old, format!("`{new}` is there with another value")),
        }
    }

    /// Removes those of the named members that are null: null and absent are the same (2.2).
    pub(super) fn drop_nulls(&mut self, names: &[&'static str]) {
        for name in names {
            if self.get(name).is_some_and(|view| view.is_null()) {
                self.remove(name);
                self.because(name, "2.2", "null is the same as absent, and this member has another type");
            }
        }
    }

    /// Moves a member into `meta`. Returns whether that was possible: nothing else may be lost by it.
    pub(super) fn move_to_meta(&mut self, name: &'static str) -> bool {
        let kept = self.put_into_meta(&format!("/{name}"), name);
        if kept {
            self.remove(name);
        }
        kept
    }

    /// Keeps the present value of a member in `meta.original`, before it is replaced. Returns whether that was possible.
    pub(super) fn keep_original(&mut self, name: &'static str) -> bool {
        self.put_into_meta(&format!("/original/{name}"), name)
    }

    fn put_into_meta(&mut self, place: &str, name: &str) -> bool {
        let Some(value) = self.get(name).map(|view| view.to_json()) else { return false };
        self.put_json_into_meta(place, value)
    }

    /// Puts `value` into `meta` at the pointer `place`.
    pub(super) fn put_json_into_meta(&mut self, place: &str, value: Json) -> bool {
        let text = match self.value("meta") {
            Some(meta) if meta.kind() == Kind::Object => meta.text().into_owned(),
            Some(_) => return false,
            None => "{}".to_owned(),
        };
        let Ok(mut meta) = Document::parse(text) else { return false };
        if let Some(present) = meta.get(place) {
            return present.equals(value.view());
        }
        let original = place.strip_prefix("/original/").is_some() && meta.get("/original").is_none();
        if original && meta.set("/original", Json::empty_object()).is_err() {
            return false;
        }
        if meta.set(place, value).is_err() {
            return false;
        }
        self.set("meta", meta.to_json());
        true
    }
}
