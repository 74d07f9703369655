//! What is inside of a signed vCon, without asking whether the signature is right.

use super::{Inflation, Limits, inflated};
use crate::document::{Document, Kind, View};
use crate::vcon::{BASE64_URL, Form, Vcon};
use crate::{Error, Result};
use base64::Engine as _;

/// The payload of a signed vCon. Nobody has verified it: say so wherever it is shown.
#[derive(Debug, Clone)]
pub struct Payload {
    /// The text inside, which should be an unsigned vCon or, in archives, another signed one.
    pub document: Document,
    /// What was noticed when the payload was inflated, when it is compressed.
    pub inflation: Option<Inflation>,
}

/// The vCon inside of a signed one, however often it was signed. Nobody has verified it.
///
/// # Errors
/// Permanent: a payload that cannot be opened or is no vCon, or more signatures in each other than `limits` allow.
pub fn unverified(vcon: &Vcon, limits: &Limits) -> Result<Vcon> {
    let mut inside = vcon.clone();
    for _ in 0..=limits.nesting {
        if inside.form() != Form::Signed {
            return Ok(inside);
        }
        inside = Vcon::from_document(payload(inside.document().root(), limits)?.document)?;
    }
    Err(Error::permanent(format!("more than {} signed vCons lie inside of each other", limits.nesting)))
}

/// Opens the payload of a JWS (core-04, section 5.2), which may be compressed.
///
/// # Errors
/// Permanent: no base64url string, broken gzip, larger than `limits` allow, no JSON.
pub fn payload(jws: View<'_>, limits: &Limits) -> Result<Payload> {
    let text = match jws.get("payload") {
        Some(payload) if payload.kind() == Kind::String => payload.as_str().unwrap_or_default(),
        Some(payload) => {
            return Err(Error::permanent(format!("`payload` is {}, not a string", payload.kind().as_str())));
        }
        None => return Err(Error::permanent("`payload` is missing")),
    };
    let decoded = BASE64_URL
        .decode(text.as_bytes())
        .map_err(|error| Error::permanent("`payload` is not base64url").caused_by(error))?;
    let text = inflated(decoded.into(), limits)?;
    if let Some(inflation) = text.inflation.filter(|inflation| inflation.too_large) {
        return Err(Error::permanent(inflation.fault(limits).unwrap_or_default()));
    }
    Ok(Payload { document: Document::parse(text.bytes)?, inflation: text.inflation })
}
