//! Session identifiers (RFC 7989): up to 0.3.0 a string, since 0.4.0 the pair of both ends (core-04, 4.3.12).

use serde_json::{Value, json};
use uuid::Uuid;

use super::object::Object;
use crate::document::{Kind, View};

/// Makes pairs of strings. One UUID alone is that of the local end; the other end has the nil UUID then, and the string
/// is kept, since it did not say that.
pub(super) fn migrate(object: &mut Object<'_>) {
    let Some(present) = object.value("session_id") else { return };
    let mut found = Found::default();
    let Some(new) = pairs(present, &mut found) else { return };
    if !found.strings || (found.one_ended && !object.keep_original("session_id")) {
        return;
    }
    object.set("session_id", new.into());
    let reason = match found.one_ended {
        true => "a session identifier names both ends since 0.4.0; the string is in `meta.original`",
        false => "a session identifier is an object with both ends since 0.4.0",
    };
    object.because("session_id", "4.3.12", reason);
}

#[derive(Default)]
struct Found {
    strings: bool,
    one_ended: bool,
}

/// The same structure with pairs for strings; `None` when a string is no session identifier.
fn pairs(view: View<'_>, found: &mut Found) -> Option<Value> {
    match view.kind() {
        Kind::String => {
            found.strings = true;
            pair(&view.as_str()?, found)
        }
        Kind::Array => view.elements().map(|element| pairs(element, found)).collect(),
        _ => Some(view.to_value()),
    }
}

/// `ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2`, as in the SIP header.
fn pair(text: &str, found: &mut Found) -> Option<Value> {
    let mut parts = text.split(';').map(str::trim);
    let local = uuid(parts.next()?)?;
    let remote = match parts.find_map(|part| part.strip_prefix("remote=")) {
        Some(remote) => uuid(remote)?,
        None => {
            found.one_ended = true;
            Uuid::nil().simple().to_string()
        }
    };
    Some(json!({"local": local, "remote": remote}))
}

/// As it is written, when it is a UUID.
fn uuid(text: &str) -> Option<String> {
    let text = text.trim();
    (Uuid::parse_str(text).is_ok() && matches!(text.len(), 32 | 36)).then(|| text.to_owned())
}
