//! Content of dialogs, analyses and attachments.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::Entry;
use crate::document::{Document, Kind, View};
use crate::{Error, Result};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// The alphabet that the draft demands; padding is tolerated.
pub(crate) const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
/// The alphabet that producers use all the same.
const BASE64_STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// Inline content after decoding.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'a> {
    /// There is no inline content, or an empty string.
    None,
    /// Text.
    Text(Cow<'a, str>),
    /// A JSON value, whether it was written as such or as JSON text in a string.
    Json(Value),
    /// Bytes that were written in base64.
    Bytes(Vec<u8>),
}

/// Decodes `body` of an entry by its `encoding` and `mediatype`, and by what is really there (format digest, section 3
/// and 11).
///
/// # Errors
/// Permanent, when the body should be base64 and is not.
pub(super) fn read<'a>(entry: &Entry<'a>, name: &str) -> Result<Body<'a>> {
    let Some(body) = entry.get(name) else { return Ok(Body::None) };
    let text = match body.kind() {
        Kind::Null => return Ok(Body::None),
        Kind::String => body.as_str().unwrap_or_default(),
        // Whatever the encoding says: objects under `none` are common.
        _ => return Ok(Body::Json(body.to_value())),
    };
    if text.is_empty() {
        return Ok(Body::None);
    }
    let encoding = entry.text("encoding").map(|encoding| encoding.to_ascii_lowercase());
    match encoding.as_deref() {
        Some("base64url" | "base64") => base64(&text).map(Body::Bytes),
        Some("json") => Ok(json(text)),
        None if is_binary(entry) => Ok(base64(&text).map_or(Body::Text(text), Body::Bytes)),
        None => Ok(json(text)),
        Some(_) => Ok(Body::Text(text)),
    }
}

/// The object or array that `text` holds; other text stays text.
fn json(text: Cow<'_, str>) -> Body<'_> {
    let starts_container = text.trim_start().starts_with(['{', '[']);
    match starts_container.then(|| Document::parse(text.to_string())) {
        Some(Ok(document)) => Body::Json(document.root().to_value()),
        _ => Body::Text(text),
    }
}

/// Whether a body without encoding must be base64, by its media type.
fn is_binary(entry: &Entry<'_>) -> bool {
    entry.text("mediatype").is_some_and(|mediatype| {
        let mediatype = mediatype.to_ascii_lowercase();
        ["audio/", "video/", "image/", "application/pdf"].iter().any(|start| mediatype.starts_with(start))
    })
}

/// The bytes of base64 in either alphabet, padded or not, also in broken lines.
///
/// # Errors
/// Permanent, when it is not base64.
pub(crate) fn base64(text: &str) -> Result<Vec<u8>> {
    let standard = memchr::memchr2(b'+', b'/', text.as_bytes()).is_some();
    let engine = if standard { &BASE64_STANDARD } else { &BASE64_URL };
    let decoded = engine.decode(text.as_bytes()).or_else(|_| {
        // Lines broken as in mail.
        let compact: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        engine.decode(compact)
    });
    decoded.map_err(|error| Error::permanent("the body is not base64url").caused_by(error))
}

/// The indices that `view` holds: one, or all in a list, however deep.
pub(super) fn indices(view: View<'_>, all: &mut Vec<usize>) {
    match view.as_usize() {
        Some(index) => all.push(index),
        None => view.elements().for_each(|element| indices(element, all)),
    }
}
