//! A vCon as a BSON document, and what BSON cannot tell of it.
//!
//! `created_at` and the `start` of dialogs are dates, as vcon-server has them. What comes back from BSON in another
//! spelling, or does not fit in, is kept as JSON text in [`SIDE`]: `exact` has values by their JSON pointer, `members` has
//! members of an object that stand there alone.

use std::borrow::Cow;
use std::collections::HashMap;

use mongodb::bson::DateTime;
use mongodb::bson::raw::{CStr, RawArrayBuf, RawBson, RawDocumentBuf, cstr};
use vconductor_core::document::{Kind, View};
use vconductor_core::plugin::SaveItem;
use vconductor_core::vcon::Date;
use vconductor_core::{Error, Result};

use super::decode::{date_text, number_text};

/// Our member of the document.
pub(super) const SIDE: &str = "_vconductor";
/// The largest document, <https://www.mongodb.com/docs/manual/reference/limits/#mongodb-limit-BSON-Document-Size>.
const LARGEST: usize = 16 << 20;
/// Levels of nesting that are put in; MongoDB takes 100.
const DEEPEST: usize = 90;

/// The whole document of a vCon.
///
/// # Errors
/// Permanent: it is larger than MongoDB takes, or the revision is out of range.
pub(super) fn encode(item: &SaveItem) -> Result<RawDocumentBuf> {
    let revision = i64::try_from(item.revision)
        .map_err(|error| Error::permanent(format!("revision {} is out of range", item.revision)).caused_by(error))?;
    let mut document = RawDocumentBuf::new();
    document.append(cstr!("_id"), item.uuid.as_str());
    let mut encoder = Encoder::default();
    encoder.members(&mut document, item.vcon.document().root(), 1);
    let mut side = RawDocumentBuf::new();
    side.append(cstr!("revision"), revision);
    if !matches!(document.get("created_at"), Ok(Some(value)) if value.as_datetime().is_some()) {
        let time = item.vcon.created_at().unwrap_or_else(jiff::Timestamp::now);
        side.append(cstr!("created_at"), DateTime::from_millis(time.as_millisecond()));
    }
    if !encoder.exact.is_empty() {
        side.append(cstr!("exact"), encoder.exact.into_iter().collect::<RawArrayBuf>());
    }
    if !encoder.alone.is_empty() {
        side.append(cstr!("members"), encoder.alone.into_iter().collect::<RawArrayBuf>());
    }
    document.append(cstr!("_vconductor"), side);
    let size = document.as_bytes().len();
    if size > LARGEST {
        return Err(Error::permanent(format!(
            "vCon `{}` has {size} bytes as BSON, MongoDB takes {LARGEST} in a document",
            item.uuid
        ))
        .help(
            "take recordings out of the document (link `diet`, or `media` with its offload), or use another storage",
        ));
    }
    Ok(document)
}

/// Whether a value at this pointer is a date.
pub(super) fn is_date_place(pointer: &str) -> bool {
    let is_start =
        |rest: &str| rest.strip_suffix("/start").is_some_and(|index| index.bytes().all(|byte| byte.is_ascii_digit()));
    pointer == "/created_at" || pointer.strip_prefix("/dialog/").is_some_and(is_start)
}

/// A value that is neither object nor array; and whether it comes back as it is spelled.
pub(super) fn scalar(value: View<'_>, pointer: &str) -> (RawBson, bool) {
    match value.kind() {
        Kind::Null | Kind::Object | Kind::Array => (RawBson::Null, value.is_null()),
        Kind::Bool => (RawBson::Boolean(value.as_bool() == Some(true)), true),
        Kind::Number => number(value),
        Kind::String => {
            let text = value.as_str().unwrap_or_default();
            if is_date_place(pointer)
                && let Some(date) = Date::parse(&text)
            {
                let date = DateTime::from_millis(date.timestamp().as_millisecond());
                let same = date_text(date) == text;
                return (RawBson::DateTime(date), same);
            }
            // Surrogates without a partner became U+FFFD.
            let same = !text.contains('\u{fffd}') || !value.text().contains("\\u");
            (RawBson::String(text.into_owned()), same)
        }
    }
}

/// Integers as vcon-server's driver has them: 32 bits where that is enough, else 64; beyond that a double.
fn number(value: View<'_>) -> (RawBson, bool) {
    let bson = match value.as_i64() {
        Some(integer) => i32::try_from(integer).map_or(RawBson::Int64(integer), RawBson::Int32),
        None => RawBson::Double(value.as_f64().unwrap_or_default().clamp(f64::MIN, f64::MAX)),
    };
    let same = number_text(&bson.as_raw_bson_ref()).is_some_and(|text| text == value.text());
    (bson, same)
}

#[derive(Default)]
struct Encoder {
    pointer: String,
    exact: Vec<RawDocumentBuf>,
    alone: Vec<RawDocumentBuf>,
}

impl Encoder {
    fn members(&mut self, out: &mut RawDocumentBuf, object: View<'_>, depth: usize) {
        let members: Vec<(Cow<'_, str>, View<'_>)> = object.members().collect();
        // Of several members with one name the last one counts, as for every reader of JSON.
        let last: HashMap<&str, usize> =
            members.iter().enumerate().map(|(number, (name, _))| (name.as_ref(), number)).collect();
        for (number, (name, value)) in members.iter().enumerate() {
            if last.get(name.as_ref()) != Some(&number) {
                continue;
            }
            match key(name, depth) {
                Some(key) => {
                    let before = self.enter(name);
                    let value = self.value(*value, depth);
                    out.append(key, value);
                    self.pointer.truncate(before);
                }
                None => {
                    let mut alone = RawDocumentBuf::new();
                    alone.append(cstr!("of"), self.pointer.as_str());
                    alone.append(cstr!("name"), name.as_ref());
                    alone.append(cstr!("json"), value.text().as_ref());
                    self.alone.push(alone);
                }
            }
        }
    }

    fn value(&mut self, value: View<'_>, depth: usize) -> RawBson {
        match value.kind() {
            Kind::Object if depth < DEEPEST => {
                let mut object = RawDocumentBuf::new();
                self.members(&mut object, value, depth + 1);
                RawBson::Document(object)
            }
            Kind::Array if depth < DEEPEST => {
                let mut array = RawArrayBuf::new();
                for (number, element) in value.elements().enumerate() {
                    let before = self.enter(&number.to_string());
                    array.push(self.value(element, depth + 1));
                    self.pointer.truncate(before);
                }
                RawBson::Array(array)
            }
            _ => {
                let (bson, same) = scalar(value, &self.pointer);
                if !same {
                    let mut exact = RawDocumentBuf::new();
                    exact.append(cstr!("at"), self.pointer.as_str());
                    exact.append(cstr!("json"), value.text().as_ref());
                    self.exact.push(exact);
                }
                bson
            }
        }
    }

    /// Goes one step down; answers where to come back to.
    fn enter(&mut self, name: &str) -> usize {
        let before = self.pointer.len();
        step(&mut self.pointer, name);
        before
    }
}

/// Adds a step to a JSON pointer (RFC 6901).
pub(super) fn step(pointer: &mut String, name: &str) {
    pointer.push('/');
    for character in name.chars() {
        match character {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            _ => pointer.push(character),
        }
    }
}

/// The name of a member, where the server takes it as such everywhere.
fn key(name: &str, depth: usize) -> Option<&CStr> {
    let ours = depth == 1 && (name == "_id" || name == SIDE);
    if ours || name.starts_with('$') || name.contains('.') { None } else { name.try_into().ok() }
}
