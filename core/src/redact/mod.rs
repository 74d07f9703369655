//! A version with less in it: what must not be seen is taken out of a copy that names the less redacted version
//! (core-04, 4.1.8).
//!
//! Elements of the four lists leave a placeholder, so that no index changes. A placeholder holds only what the draft
//! demands of its object; unknown members, `meta` and hashes of the removed content go with it. What was made *from*
//! removed content (an analysis of a dialog, the name of a party in a text) is removed too when that is asked for, and
//! named as a [`Warning`] when not.

mod dependents;
mod placeholder;
mod rule;
mod strings;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use crate::document::{Document, Edit};
use crate::prior::Prior;
use crate::vcon::{Form, Vcon};
use crate::{Error, Result};

pub use rule::Rule;
pub use target::Target;

/// Extensions whose members are known here: what they hold lies in objects that are redacted as a whole.
const KNOWN_EXTENSIONS: [&str; 4] = ["CC", "wtf_transcription", "lawful_basis", "mcp_session"];

/// What is to be taken out.
#[derive(Debug, Clone)]
pub struct Redaction {
    /// The kind of information, for the member `type` of the reference: `PII` for example.
    pub kind: String,
    /// Parts that are removed.
    pub targets: Vec<Target>,
    /// Patterns that are replaced by their mark in all texts.
    pub rules: Vec<Rule>,
    /// Whether what was made from removed parts is removed as well.
    pub with_dependents: bool,
    /// Extensions, besides those known here, of which the caller knows that nothing in them needs redaction.
    pub accepted_extensions: Vec<String>,
}

impl Redaction {
    /// A redaction of `kind` that removes nothing yet.
    pub fn new(kind: impl Into<String>) -> Self {
        Redaction {
            kind: kind.into(),
            targets: Vec::new(),
            rules: Vec::new(),
            with_dependents: false,
            accepted_extensions: Vec::new(),
        }
    }
}

/// Something that still tells, or may tell, what was removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// Where it is.
    pub pointer: String,
    /// Why it may tell.
    pub message: String,
}

/// The redacted version.
#[derive(Debug, Clone)]
pub struct Redacted {
    /// The vCon.
    pub vcon: Vcon,
    /// All edits that made it.
    pub edits: Vec<Edit>,
    /// What to look at before it is given away.
    pub warnings: Vec<Warning>,
}

/// Makes a redacted version of `vcon`, named `uuid` and made at `now`.
///
/// # Errors
/// Permanent: the vCon is signed or encrypted (hand in its payload), uses an extension that is not known here or to the
/// caller (a redactor cannot tell what is in it: core-04, 2.5), or a target does not exist or must not be removed.
pub fn redact(vcon: &Vcon, prior: &Prior, redaction: &Redaction, uuid: &str, now: Timestamp) -> Result<Redacted> {
    if vcon.form() != Form::Unsigned {
        return Err(Error::permanent("a signed or encrypted vCon cannot be redacted as it is")
            .help("redact what is inside, and sign the redacted version anew"));
    }
    refuse_unknown_extensions(vcon, redaction)?;
    let before = vcon.document();
    let mut targets = target::resolved(&redaction.targets, before)?;
    let mut warnings = BTreeSet::new();
    dependents::follow(before, &mut targets, redaction.with_dependents, &mut warnings);

    let mut work = Work { document: before.clone(), edits: Vec::new() };
    for edit in prior.edits("redacted", Some(&redaction.kind), before.root(), uuid, now) {
        work.make(edit)?;
    }
    let mut removed = strings::Removed::default();
    for target in &targets {
        removed.take(target, before);
        for edit in placeholder::edits(target, before) {
            work.make(edit)?;
        }
    }
    let mut rules = redaction.rules.clone();
    if redaction.with_dependents {
        rules.extend(removed.party_rules());
    }
    for edit in rule::edits(&rules, &work.document, &mut warnings) {
        work.make(edit)?;
    }
    removed.find(&work.document, &mut warnings);
    dependents::unknown_members(&work.document, &mut warnings);
    Ok(Redacted {
        vcon: Vcon::from_document(work.document)?,
        edits: work.edits,
        warnings: warnings.into_iter().collect(),
    })
}

struct Work {
    document: Document,
    edits: Vec<Edit>,
}

impl Work {
    fn make(&mut self, edit: Edit) -> Result<()> {
        self.document.apply(&edit)?;
        self.edits.push(edit);
        Ok(())
    }
}

fn refuse_unknown_extensions(vcon: &Vcon, redaction: &Redaction) -> Result<()> {
    for list in ["critical", "extensions"] {
        let names =
            vcon.entry().get(list).into_iter().flat_map(|view| view.elements()).filter_map(|name| name.as_str());
        for name in names {
            let accepted = redaction.accepted_extensions.iter().any(|accepted| *accepted == name);
            if !accepted && !KNOWN_EXTENSIONS.contains(&name.as_ref()) {
                return Err(Error::permanent(format!(
                    "the vCon uses the extension `{name}`, of which a redactor cannot know what it holds"
                ))
                .help("look at its members, and accept the extension by name when they may be seen"));
            }
        }
    }
    Ok(())
}
