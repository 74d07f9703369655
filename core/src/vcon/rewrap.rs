//! One vCon in another form: what is signed, encrypted or opened must stay the same conversation.

use super::{Form, Vcon};
use crate::document::{Document, Json};
use crate::jose::Payload;
use crate::{Error, Result};

/// Puts another form of the vCon in its place. Returns whether anything changed.
///
/// What can be compared is compared byte for byte: a signed form must hold this vCon, an opened one must be what this one
/// holds. Into an encrypted form nobody can look; there the uuids must agree.
///
/// # Errors
/// Permanent: it is another vCon, or the step from the one form to the other is none that the draft knows.
pub(super) fn rewrap(vcon: &mut Vcon, document: &Json) -> Result<bool> {
    if document.bytes()[..] == vcon.to_bytes()[..] {
        return Ok(false);
    }
    let new = Vcon::from_document(Document::parse(document.bytes().clone())?)?;
    let same = match (vcon.form, new.form) {
        (Form::Unsigned, Form::Signed) => holds(&new, vcon),
        (Form::Signed, Form::Signed) => holds(&new, vcon) || holds(vcon, &new),
        (Form::Signed, Form::Unsigned) => {
            let inside = Payload::of(&vcon.document).and_then(Payload::innermost);
            inside.is_ok_and(|inside| inside.to_bytes() == new.to_bytes())
        }
        (Form::Signed, Form::Encrypted) | (Form::Encrypted, Form::Signed) => match (vcon.id(), new.id()) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        },
        _ => {
            return Err(Error::permanent("a vCon is signed first and encrypted then, and opened in the other order"));
        }
    };
    if !same {
        return Err(Error::permanent("the other form holds another vCon than this one"));
    }
    *vcon = new;
    Ok(true)
}

/// Whether the payload of `signed` is `inner`, byte for byte.
fn holds(signed: &Vcon, inner: &Vcon) -> bool {
    Payload::of(&signed.document).is_ok_and(|payload| payload.to_bytes() == inner.to_bytes())
}
