//! What differs between two vCons, for people: parties, dialogs, analyses, attachments, tags and other members.
//!
//! The edits that make one document of another are [`document::diff`](crate::document::diff).

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Serialize;

use crate::document::{Document, Kind, Tag, View, child_pointer, tags};

/// To what a difference belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A member of the top level.
    Member,
    /// A party or something of it.
    Party,
    /// A dialog or something of it.
    Dialog,
    /// An analysis or something of it.
    Analysis,
    /// An attachment or something of it.
    Attachment,
    /// A tag.
    Tag,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is only in the second vCon.
    Added,
    /// It is only in the first vCon.
    Removed,
    /// It is in both with different values.
    Changed,
}

/// One difference.
#[derive(Debug, Clone)]
pub struct Difference<'a> {
    /// To what it belongs.
    pub part: Part,
    /// What became of it.
    pub change: Change,
    /// Where it is: in the first vCon, or in the second when it was added. Of a tag, its attachment list.
    pub pointer: String,
    /// What was there.
    pub before: Option<Seen<'a>>,
    /// What is there now.
    pub after: Option<Seen<'a>>,
}

/// A value as it is seen in a difference.
#[derive(Debug, Clone)]
pub enum Seen<'a> {
    /// A value of the document.
    Value(View<'a>),
    /// A tag.
    Tag(Tag),
}

/// The lists of a vCon.
const LISTS: [(&str, Part); 4] = [
    ("parties", Part::Party),
    ("dialog", Part::Dialog),
    ("analysis", Part::Analysis),
    ("attachments", Part::Attachment),
];

/// All differences in the order of the first document, what was added behind. None for documents that are equal as JSON.
pub fn compare<'a>(before: &'a Document, after: &'a Document) -> Vec<Difference<'a>> {
    let mut found = Found { part: Part::Member, all: Vec::new(), tags_differ: false };
    found.tags_differ = found.tags(&tags(before), &tags(after));
    found.values("", before.root(), after.root());
    found.all
}

struct Found<'a> {
    part: Part,
    all: Vec<Difference<'a>>,
    /// Then the bodies that hold tags differ, and need not be shown.
    tags_differ: bool,
}

impl<'a> Found<'a> {
    fn add(&mut self, pointer: String, before: Option<View<'a>>, after: Option<View<'a>>) {
        let change = match (before.is_some(), after.is_some()) {
            (false, _) => Change::Added,
            (true, false) => Change::Removed,
            (true, true) => Change::Changed,
        };
        let [before, after] = [before, after].map(|view| view.map(Seen::Value));
        self.all.push(Difference { part: self.part, change, pointer, before, after });
    }

    fn tags(&mut self, before: &[Tag], after: &[Tag]) -> bool {
        let mut one_sided = |mine: &[Tag], others: &[Tag], change| {
            for tag in mine.iter().filter(|tag| !others.contains(tag)) {
                let seen = Some(Seen::Tag(tag.clone()));
                let (before, after) = if change == Change::Removed { (seen, None) } else { (None, seen) };
                let pointer = "/attachments".to_owned();
                self.all.push(Difference { part: Part::Tag, change, pointer, before, after });
            }
        };
        one_sided(before, after, Change::Removed);
        one_sided(after, before, Change::Added);
        !self.all.is_empty()
    }

    /// Recurses no deeper than `MAX_DEPTH`.
    fn values(&mut self, at: &str, before: View<'a>, after: View<'a>) {
        match (before.kind(), after.kind()) {
            (Kind::Object, Kind::Object) => self.members(at, before, after),
            (Kind::Array, Kind::Array) => self.elements(at, before, after),
            _ if before.equals(after) => {}
            _ => self.add(at.to_owned(), Some(before), Some(after)),
        }
    }

    fn members(&mut self, at: &str, before: View<'a>, after: View<'a>) {
        let hides_body = self.part == Part::Attachment && self.tags_differ && is_tags(before) && is_tags(after);
        let (old, new) = (last_of_each_name(before), last_of_each_name(after));
        for (name, value) in &old {
            self.enter(at, name);
            let pointer = child_pointer(at, name);
            match new.iter().find(|(found, _)| found == name) {
                Some(_) if hides_body && name == "body" => {}
                Some((_, other)) => self.values(&pointer, *value, *other),
                None => self.add(pointer, Some(*value), None),
            }
        }
        for (name, value) in new.iter().filter(|(name, _)| old.iter().all(|(found, _)| found != name)) {
            self.enter(at, name);
            self.add(child_pointer(at, name), None, Some(*value));
        }
    }

    /// Below the top level the part stays that of its list.
    fn enter(&mut self, at: &str, name: &str) {
        if at.is_empty() {
            self.part = LISTS.iter().find(|(list, _)| *list == name).map_or(Part::Member, |(_, part)| *part);
        }
    }

    /// Equal elements at both ends belong together; between them, those with the same index.
    fn elements(&mut self, at: &str, before: View<'a>, after: View<'a>) {
        let (old, new): (Vec<_>, Vec<_>) = (before.elements().collect(), after.elements().collect());
        let same = |(one, two): &(&View<'_>, &View<'_>)| one.equals(**two);
        let start = old.iter().zip(&new).take_while(same).count();
        let (old_rest, new_rest) = (&old[start..], &new[start..]);
        let end = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(same).count();
        let (old_rest, new_rest) = (&old_rest[..old_rest.len() - end], &new_rest[..new_rest.len() - end]);
        for offset in 0..old_rest.len().max(new_rest.len()) {
            let pointer = format!("{at}/{}", start + offset);
            match (old_rest.get(offset), new_rest.get(offset)) {
                (Some(old), Some(new)) => self.values(&pointer, *old, *new),
                (old, new) => self.add(pointer, old.copied(), new.copied()),
            }
        }
    }
}

fn last_of_each_name(view: View<'_>) -> Vec<(Cow<'_, str>, View<'_>)> {
    let mut all: Vec<(Cow<'_, str>, View<'_>)> = Vec::new();
    for (name, value) in view.members() {
        match all.iter_mut().find(|(found, _)| *found == name) {
            Some((_, last)) => *last = value,
            None => all.push((name, value)),
        }
    }
    all
}

fn is_tags(attachment: View<'_>) -> bool {
    ["purpose", "type"]
        .into_iter()
        .any(|name| attachment.get(name).and_then(|value| value.as_str()).is_some_and(|text| text == "tags"))
}
