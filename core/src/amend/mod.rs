//! A version with more in it: a deep copy with a uuid of its own that names the version before (core-04, 4.1.9).
//!
//! This is how something is added to a signed vCon: the signed one stays as it is.

#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::document::Edit;
use crate::prior::Prior;
use crate::vcon::{Form, Vcon};
use crate::{Error, Result};

/// Members that make a version what it is; an amendment does not touch them.
const OWN: [&str; 4] = ["/uuid", "/created_at", "/amended", "/redacted"];

/// A new version of `vcon` with `changes`, named `uuid` and made at `now`. Returns it and all edits that made it.
///
/// # Errors
/// Permanent: the vCon is signed or encrypted (hand in its payload), a change cannot be made, or it changes uuid,
/// `created_at` or the references to other versions.
pub fn amend(vcon: &Vcon, prior: &Prior, changes: &[Edit], uuid: &str, now: Timestamp) -> Result<(Vcon, Vec<Edit>)> {
    if vcon.form() != Form::Unsigned {
        return Err(Error::permanent("a signed or encrypted vCon cannot be amended as it is")
            .help("amend what is inside: the new version refers to the signed one"));
    }
    if let Some(pointer) = changes.iter().find_map(forbidden) {
        return Err(Error::permanent(format!("`{pointer}` belongs to the version and is written by itself"))
            .help("leave it out of the changes"));
    }
    let mut edits = prior.edits("amended", None, vcon.document().root(), uuid, now);
    edits.extend_from_slice(changes);
    let mut amended = vcon.clone();
    for edit in &edits {
        amended.apply(edit)?;
    }
    Ok((amended, edits))
}

/// Whether an edit changes what makes a version what it is: its uuid, its time of creation, its references.
pub fn belongs_to_version(edit: &Edit) -> bool {
    forbidden(edit).is_some()
}

fn forbidden(edit: &Edit) -> Option<&str> {
    match edit {
        Edit::Set { pointer, .. } | Edit::Remove { pointer } | Edit::Append { pointer, .. } => {
            let at_or_in =
                |own: &&str| pointer.strip_prefix(*own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            (pointer.is_empty() || OWN.iter().any(at_or_in)).then_some(pointer)
        }
        Edit::Replace(_) | Edit::Rewrap(_) => Some(""),
        Edit::AddAnalysis(_) | Edit::AddTag { .. } => None,
    }
}
