//! From every older vCon to core-04, and to the two forms that vcon-server writes.
//!
//! [`migrate`] finds what is older than core-04 and answers with [`Change`]s: recorded edits, each with its reason and the
//! section of the draft. It moves a member only where its new place can hold it; what has no place stays and is named
//! ([`Kept`]). Nothing is lost: a value that is replaced by one that says more is kept in `meta.original` of its object.
//!
//! [`write`] gives a vCon in the form that a [`Target`] asks for. Signed and encrypted vCons are never rewritten.

mod analysis;
mod attachment;
mod content;
pub(crate) mod content_hash;
mod date;
mod dialog;
mod egress;
mod era;
mod object;
mod party;
#[cfg(test)]
mod properties;
mod server;
mod session_id;
#[cfg(test)]
mod tests;
mod top;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;

use crate::document::{Document, Edit, Kind, View, child_pointer};
use crate::vcon::{Form, Vcon, uuid8};
use crate::{Error, Result};

pub use egress::Egress;
pub use era::{Era, Evidence, Shape, shape};

use dialog::Surroundings;
use object::{Log, Object};

/// One step of a migration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The member it is about, as it was called before.
    pub pointer: String,
    /// Why.
    pub reason: Cow<'static, str>,
    /// The section of core-04 that asks for it; of vcon-server's forms, the rule.
    pub section: &'static str,
    /// What was done, in order.
    pub edits: Vec<Edit>,
}

/// A member that stays as it was though core-04 has no place for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// The member.
    pub pointer: String,
    /// Why it stays.
    pub reason: Cow<'static, str>,
}

/// What a vCon may be given that it lacks. By default nothing is made up but what its own content shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Gives a uuid to a vCon without one.
    pub generator: Option<&'a uuid8::Generator>,
    /// The time of creation of a vCon without one and without a dialog that began.
    pub now: Option<Timestamp>,
}

/// In which form a vCon is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The newest draft, JSON bodies as JSON.
    Core04,
    /// What vcon-server writes into its store: newer names, `vcon` 0.4.0, JSON bodies of analyses and attachments as
    /// text in a string (vcon-server contract, 8.2).
    StringBodies,
    /// What vcon-server hands out with `EGRESS_FORMAT_VERSION=0.0.1` (vcon-server contract, 8.3).
    V0_0_1,
}

/// A vCon in another form.
#[derive(Debug, Clone)]
pub struct Written {
    /// The vCon.
    pub vcon: Vcon,
    /// What was done for it.
    pub changes: Vec<Change>,
    /// What has no place in the form and stays.
    pub kept: Vec<Kept>,
}

/// The changes that make a vCon of any version one of core-04, and what stays as it is.
///
/// Of a vCon that was migrated before there is none.
///
/// # Errors
/// Permanent, when the vCon is signed or encrypted.
pub fn migrate(vcon: &Vcon, options: &Options<'_>) -> Result<(Vec<Change>, Vec<Kept>)> {
    let written = to_core_04(vcon, options)?;
    Ok((written.changes, written.kept))
}

/// The vCon in the form of `target`, with what was done.
///
/// # Errors
/// Permanent, when the vCon is signed or encrypted.
pub fn write(vcon: &Vcon, target: Target, options: &Options<'_>) -> Result<Written> {
    match target {
        Target::Core04 => to_core_04(vcon, options),
        Target::StringBodies => written(vcon, server::string_bodies(vcon.document().root())),
        Target::V0_0_1 => written(vcon, server::legacy(vcon.document().root())),
    }
}

fn written(vcon: &Vcon, changes: Vec<Change>) -> Result<Written> {
    refuse_sealed(vcon)?;
    let mut written = Written { vcon: vcon.clone(), changes: Vec::new(), kept: Vec::new() };
    written.make(changes)?;
    Ok(written)
}

fn refuse_sealed(vcon: &Vcon) -> Result<()> {
    let form = match vcon.form() {
        Form::Unsigned => return Ok(()),
        Form::Signed => "signed",
        Form::Encrypted => "encrypted",
    };
    Err(Error::permanent(format!("the vCon is {form}, and such a vCon is never rewritten"))
        .help("take its content out first (`vconductor vcon verify` or `decrypt`), and sign the result anew"))
}

fn to_core_04(vcon: &Vcon, options: &Options<'_>) -> Result<Written> {
    refuse_sealed(vcon)?;
    let mut written = Written { vcon: vcon.clone(), changes: Vec::new(), kept: Vec::new() };
    let mut log = Log::default();
    parts(vcon.document().root(), options, &mut log);
    written.take(log)?;
    // These were given their names just now.
    let mut log = Log::default();
    for name in ["redacted", "amended"] {
        if let Some(view) = written.vcon.document().root().get(name) {
            top::reference(&child_pointer("", name), view, &mut log);
        }
    }
    written.take(log)?;
    Ok(written)
}

/// All objects of the vCon, then its top level.
fn parts(root: View<'_>, options: &Options<'_>, log: &mut Log) {
    let around = Surroundings::of(root);
    for (pointer, view) in objects(root, "parties") {
        party::migrate(Object::new(pointer, view, log));
    }
    for (pointer, view) in objects(root, "dialog") {
        dialog::history(&pointer, view, log);
        dialog::migrate(Object::new(pointer, view, log), &around);
    }
    for (pointer, view) in objects(root, "analysis") {
        analysis::migrate(Object::new(pointer, view, log));
    }
    for (pointer, view) in objects(root, "attachments") {
        attachment::migrate(Object::new(pointer, view, log));
    }
    top::migrate(Object::new(String::new(), root, log), root, options);
}

/// The elements of an array that are objects, with their pointers.
fn objects<'a>(root: View<'a>, list: &'static str) -> impl Iterator<Item = (String, View<'a>)> {
    let elements = root.get(list).into_iter().flat_map(|view| view.elements()).enumerate();
    let objects = elements.filter(|(_, view)| view.kind() == Kind::Object);
    objects.map(move |(index, view)| (format!("/{list}/{index}"), view))
}

impl Written {
    fn take(&mut self, log: Log) -> Result<()> {
        self.kept.extend(log.kept);
        self.make(log.changes)
    }

    fn make(&mut self, changes: Vec<Change>) -> Result<()> {
        let mut document: Document = self.vcon.document().clone();
        for edit in changes.iter().flat_map(|change| &change.edits) {
            document.apply(edit)?;
        }
        self.vcon = Vcon::from_document(document)?;
        self.changes.extend(changes);
        Ok(())
    }
}
