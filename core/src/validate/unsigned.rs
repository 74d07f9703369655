//! The checks of an unsigned vCon, group by group.

use std::borrow::Cow;
use std::collections::HashSet;

use super::object::{Object, shown};
use super::place::Place;
use super::{Findings, Validator};
use super::{analysis, attachment, dialog, extension, head, lineage, members, party};
use crate::document::{Kind, View};

/// The four arrays.
pub(super) const ARRAYS: [&str; 4] = ["parties", "dialog", "analysis", "attachments"];

/// What the checks of one object must know of the others.
pub(super) struct Subject<'a> {
    pub(super) top: Object<'a>,
    pub(super) parties: usize,
    /// `None` for an element that is no object.
    pub(super) dialog: Vec<Option<Object<'a>>>,
    pub(super) attachments: usize,
    /// Which recording-set lists which recording.
    pub(super) recordings: HashSet<(usize, usize)>,
    /// The names in `extensions`.
    pub(super) extensions: Vec<Cow<'a, str>>,
    /// Whether content may be missing because it was redacted.
    pub(super) is_redacted: bool,
}

impl<'a> Subject<'a> {
    fn new(top: Object<'a>) -> Self {
        let count = |name: &str| match top.get(name) {
            Some(view) if view.kind() == Kind::Array => view.len(),
            _ => 0,
        };
        let dialog: Vec<_> = elements(&top, "dialog").map(Object::of).collect();
        Subject {
            parties: count("parties"),
            attachments: count("attachments"),
            recordings: recordings(&dialog),
            dialog,
            extensions: extension::listed(&top, "extensions"),
            // An empty object is what libraries of 0.0.1 wrote when nothing was redacted.
            is_redacted: top.get("redacted").is_some_and(|view| view.kind() == Kind::Object && !view.is_empty()),
            top,
        }
    }

    /// The `type` of the dialog at `index`.
    pub(super) fn dialog_type(&self, index: usize) -> Option<Cow<'a, str>> {
        self.dialog.get(index)?.as_ref()?.text("type")
    }
}

/// All pairs of a recording-set and a recording that it lists.
fn recordings(dialog: &[Option<Object<'_>>]) -> HashSet<(usize, usize)> {
    let sets = dialog.iter().enumerate().filter_map(|(index, one)| Some((index, one.as_ref()?.get("recordings")?)));
    sets.flat_map(|(set, list)| list.elements().filter_map(move |one| Some((set, one.as_usize()?)))).collect()
}

/// The elements of the array `name`, none when it is something else.
fn elements<'a>(top: &Object<'a>, name: &str) -> impl Iterator<Item = View<'a>> + use<'a> {
    top.get(name).into_iter().flat_map(|view| view.elements())
}

/// Checks 4 to 89.
pub(super) fn check(validator: &Validator<'_>, root: View<'_>, found: &mut Findings) {
    let Some(top) = Object::of(root) else { return };
    let subject = Subject::new(top);
    head::check(validator, &subject, found);
    lineage::check(&subject, found);
    arrays(&subject, found);
    members::top_level(&subject, found);
    let parties = Place::ROOT.name("parties");
    for (index, view) in elements(&subject.top, "parties").enumerate() {
        if let Some(object) = Object::of(view) {
            party::check(&subject, &object, &parties.index(index), found);
        }
    }
    let dialogs = Place::ROOT.name("dialog");
    for (index, object) in subject.dialog.iter().enumerate() {
        if let Some(object) = object {
            dialog::check(&subject, index, object, &dialogs.index(index), found);
        }
    }
    let analyses = Place::ROOT.name("analysis");
    for (index, view) in elements(&subject.top, "analysis").enumerate() {
        if let Some(object) = Object::of(view) {
            analysis::check(&subject, &object, &analyses.index(index), found);
        }
    }
    let attachments = Place::ROOT.name("attachments");
    for (index, view) in elements(&subject.top, "attachments").enumerate() {
        if let Some(object) = Object::of(view) {
            attachment::check(&subject, &object, &attachments.index(index), found);
        }
    }
}

/// Checks 21 to 23.
fn arrays(subject: &Subject<'_>, found: &mut Findings) {
    if !ARRAYS.iter().any(|name| subject.top.has(name)) {
        found.advice(22, &Place::ROOT, "none of `parties`, `dialog`, `analysis` and `attachments` is there");
    }
    for name in ARRAYS {
        let place = Place::ROOT.name(name);
        match subject.top.get(name) {
            None => {}
            Some(view) if view.is_null() => found.violation(21, &place, format!("`{name}` is null, not an array")),
            Some(view) if view.kind() == Kind::Array => {
                for (index, element) in view.elements().enumerate() {
                    if element.kind() != Kind::Object {
                        let message = format!("the element is {}, not an object", shown(element));
                        found.refused(23, &place.index(index), message);
                    }
                }
            }
            Some(view) => found.refused(21, &place, format!("`{name}` is {}, not an array", view.kind().as_str())),
        }
    }
}
