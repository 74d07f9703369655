//! A BSON document as a vCon: the way back from [`encode`](super::encode).

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use jiff::Timestamp;
use mongodb::bson::DateTime;
use mongodb::bson::raw::{RawArray, RawBsonRef, RawDocument};
use vconductor_core::document::Json;
use vconductor_core::{Error, Result};

use super::encode::{SIDE, scalar, step};

/// The document without `_id` and [`SIDE`], as JSON text.
///
/// # Errors
/// Permanent: it is no BSON document.
pub(super) fn decode(document: &RawDocument) -> Result<Bytes> {
    let mut decoder = Decoder::default();
    if let Ok(side) = document.get_document(SIDE) {
        for entry in entries(side, "exact") {
            if let (Ok(at), Ok(json)) = (entry.get_str("at"), entry.get_str("json")) {
                decoder.exact.insert(at, json);
            }
        }
        for entry in entries(side, "members") {
            if let (Ok(of), Ok(name), Ok(json)) = (entry.get_str("of"), entry.get_str("name"), entry.get_str("json")) {
                decoder.alone.entry(of).or_default().push((name, json));
            }
        }
    }
    decoder.object(document).map_err(|error| {
        Error::permanent("the document in MongoDB cannot be read")
            .caused_by(error)
            .help("look at it with mongosh; another program may have written it")
    })?;
    Ok(Bytes::from(decoder.out))
}

fn entries<'a>(side: &'a RawDocument, name: &str) -> impl Iterator<Item = &'a RawDocument> {
    let list = side.get_array(name).ok().into_iter();
    list.flat_map(|array| array.into_iter()).filter_map(|entry| entry.ok()?.as_document())
}

/// A date as text.
pub(super) fn date_text(date: DateTime) -> String {
    let nearest = if date.timestamp_millis() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(date.timestamp_millis()).unwrap_or(nearest).to_string()
}

/// A number as text; `None` for what is none, or none that JSON can say.
pub(super) fn number_text(value: &RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::Int32(number) => Some(number.to_string()),
        RawBsonRef::Int64(number) => Some(number.to_string()),
        RawBsonRef::Double(number) => serde_json::Number::from_f64(*number).map(|number| number.to_string()),
        _ => None,
    }
}

#[derive(Default)]
struct Decoder<'a> {
    out: Vec<u8>,
    pointer: String,
    /// JSON texts by pointer.
    exact: HashMap<&'a str, &'a str>,
    /// Names and JSON texts by the pointer of their object.
    alone: HashMap<&'a str, Vec<(&'a str, &'a str)>>,
}

impl<'a> Decoder<'a> {
    fn object(&mut self, object: &'a RawDocument) -> Result<(), mongodb::bson::error::Error> {
        let top = self.pointer.is_empty();
        self.out.push(b'{');
        let mut first = true;
        for member in object {
            let (name, value) = member?;
            let name = name.as_str();
            if top && (name == "_id" || name == SIDE) {
                continue;
            }
            self.name(name, std::mem::take(&mut first));
            let before = self.pointer.len();
            step(&mut self.pointer, name);
            self.value(value)?;
            self.pointer.truncate(before);
        }
        for (name, json) in self.alone.remove(self.pointer.as_str()).unwrap_or_default() {
            // Whatever stands there is text that we wrote, unless somebody changed it.
            if Json::parse(json.to_owned()).is_ok() {
                self.name(name, std::mem::take(&mut first));
                self.out.extend_from_slice(json.as_bytes());
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    fn name(&mut self, name: &str, first: bool) {
        if !first {
            self.out.push(b',');
        }
        self.out.extend_from_slice(Json::string(name).bytes());
        self.out.push(b':');
    }

    fn value(&mut self, value: RawBsonRef<'a>) -> Result<(), mongodb::bson::error::Error> {
        if let Some(json) = self.exact.get(self.pointer.as_str())
            && self.says(json, &value)
        {
            self.out.extend_from_slice(json.as_bytes());
            return Ok(());
        }
        let text: Cow<'static, str> = match value {
            RawBsonRef::Document(object) => return self.object(object),
            RawBsonRef::Array(array) => return self.array(array),
            RawBsonRef::Null | RawBsonRef::Undefined => "null".into(),
            RawBsonRef::Boolean(true) => "true".into(),
            RawBsonRef::Boolean(false) => "false".into(),
            RawBsonRef::String(text) => {
                self.out.extend_from_slice(Json::string(text).bytes());
                return Ok(());
            }
            RawBsonRef::DateTime(date) => format!("\"{}\"", date_text(date)).into(),
            number => match number_text(&number) {
                Some(text) => text.into(),
                // What another program put there, in MongoDB's own words for it.
                None => serde_json::to_string(&number).unwrap_or_else(|_| "null".to_owned()).into(),
            },
        };
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn array(&mut self, array: &'a RawArray) -> Result<(), mongodb::bson::error::Error> {
        self.out.push(b'[');
        for (number, element) in array.into_iter().enumerate() {
            if number > 0 {
                self.out.push(b',');
            }
            let before = self.pointer.len();
            step(&mut self.pointer, &number.to_string());
            self.value(element?)?;
            self.pointer.truncate(before);
        }
        self.out.push(b']');
        Ok(())
    }

    /// Whether a text still says what stands in its place: another program may have changed that.
    fn says(&self, json: &str, value: &RawBsonRef<'_>) -> bool {
        let Ok(json) = Json::parse(json.to_owned()) else { return false };
        let (expected, _) = scalar(json.view(), &self.pointer);
        expected.as_raw_bson_ref() == *value
    }
}
