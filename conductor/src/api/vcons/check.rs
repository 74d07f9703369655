//! What a posted vCon must be like. The rules and the shape of the refusals are vcon-server's, without those that refuse
//! what the draft allows; signed and encrypted vCons are let through as they are.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Value, json};
use vconductor_core::document::{Document, Kind, View};
use vconductor_core::store::seconds;
use vconductor_core::vcon::{Form, Vcon};

use crate::api::answer::{Invalid, Refusal, Result};
use crate::api::query::uuid;

/// Longest value that a refusal repeats, in characters.
const SHOWN: usize = 200;
/// The most findings that one refusal tells.
const MOST: usize = 50;

/// A vCon that may be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checked {
    /// Lower-case with hyphens.
    pub(super) uuid: String,
    /// Byte for byte as it came.
    pub(super) text: Bytes,
}

/// Checks a body.
pub(super) fn check(body: Bytes) -> Result<Checked> {
    let document = Document::parse(body).map_err(|error| {
        let message = format!("JSON decode error: {}", error.message());
        Invalid::new("json_invalid", json!(["body"]), message, json!({}))
    })?;
    if document.root().kind() != Kind::Object {
        let message = "Input should be a valid dictionary or object to extract fields from";
        return Err(Invalid::new("model_attributes_type", json!(["body"]), message, shown(document.root())).into());
    }
    let mut findings = Findings::default();
    // Where it is neither signed nor encrypted, it is judged as unsigned: then it is said what is missing.
    let sealed = Vcon::from_document(document.clone()).ok().filter(|vcon| vcon.form() != Form::Unsigned);
    let uuid = match &sealed {
        Some(vcon) => findings.sealed(vcon),
        None => findings.unsigned(document.root()),
    };
    match uuid {
        Some(uuid) if findings.0.is_empty() => Ok(Checked { uuid, text: document.to_bytes() }),
        _ => Err(Refusal::invalid(findings.0)),
    }
}

/// A value as a refusal repeats it: a strange vCon may be large.
fn shown(view: View<'_>) -> Value {
    let text = view.text();
    match text.char_indices().nth(SHOWN) {
        None => view.to_value(),
        Some((end, _)) => Value::String(format!("{}…", &text[..end])),
    }
}

#[derive(Default)]
struct Findings(Vec<Invalid>);

impl Findings {
    fn add(&mut self, kind: &str, place: Value, message: &str, input: Value) {
        if self.0.len() < MOST {
            self.0.push(Invalid::new(kind, place, message, input));
        }
    }

    fn sealed(&mut self, vcon: &Vcon) -> Option<String> {
        let found = vcon.uuid().map(|uuid| uuid.to_string());
        if found.is_none() {
            let message = "A signed or encrypted vCon must say its uuid in a header that can be read";
            self.add("missing", json!(["body", "uuid"]), message, Value::Null);
        }
        found
    }

    fn unsigned(&mut self, root: View<'_>) -> Option<String> {
        let field = |name: &str| (root.get(name), json!(["body", name]));
        self.kind(field("vcon"), &[Kind::String], "string_type", "Input should be a valid string");
        let found = self.uuid(root);
        self.created_at(root);
        let texts = [Kind::String, Kind::Null];
        self.kind(field("subject"), &texts, "string_type", "Input should be a valid string");
        let object = "Input should be a valid dictionary";
        self.kind(field("redacted"), &[Kind::Object], "dict_type", object);
        self.kind(field("appended"), &[Kind::Object, Kind::Null], "dict_type", object);
        for name in ["group", "parties", "dialog", "analysis", "attachments"] {
            self.objects(name, root);
        }
        let parties = root.get("parties").map_or(0, |parties| parties.elements().count());
        for (index, party) in of(root, "parties") {
            self.tel(party.get("tel"), json!(["body", "parties", index, "tel"]));
        }
        for (index, dialog) in of(root, "dialog") {
            self.dialog(index, dialog, parties);
        }
        found
    }

    fn kind(&mut self, (value, place): (Option<View<'_>>, Value), kinds: &[Kind], kind: &str, message: &str) {
        if let Some(value) = value.filter(|value| !kinds.contains(&value.kind())) {
            self.add(kind, place, message, shown(value));
        }
    }

    fn uuid(&mut self, root: View<'_>) -> Option<String> {
        let place = json!(["body", "uuid"]);
        let Some(value) = root.get("uuid") else {
            self.add("missing", place, "Field required", Value::Null);
            return None;
        };
        let Some(text) = value.as_str() else {
            self.add("uuid_type", place, "UUID input should be a string, bytes or UUID object", shown(value));
            return None;
        };
        uuid(&text, place).map_err(|invalid| self.0.push(invalid)).ok()
    }

    fn created_at(&mut self, root: View<'_>) {
        let place = json!(["body", "created_at"]);
        match root.get("created_at") {
            None => self.add("missing", place, "Field required", Value::Null),
            Some(value) if seconds(&value.to_value()).is_none() => {
                self.add("datetime_parsing", place, "Input should be a valid datetime", shown(value));
            }
            Some(_) => {}
        }
    }

    fn objects(&mut self, name: &str, root: View<'_>) {
        let Some(list) = root.get(name) else { return };
        if list.kind() != Kind::Array {
            return self.add("list_type", json!(["body", name]), "Input should be a valid list", shown(list));
        }
        for (index, element) in list.elements().enumerate().filter(|(_, element)| element.kind() != Kind::Object) {
            let message = "Input should be a valid dictionary";
            self.add("dict_type", json!(["body", name, index]), message, shown(element));
        }
    }

    fn tel(&mut self, value: Option<View<'_>>, place: Value) {
        let Some(value) = value.filter(|value| !value.is_null()) else { return };
        match value.as_str() {
            Some(text) if is_tel(&text) => {}
            Some(_) => self.add("value_error", place, "Value error, not a telephone number or tel URI", shown(value)),
            None => self.add("string_type", place, "Input should be a valid string", shown(value)),
        }
    }

    fn dialog(&mut self, index: usize, dialog: View<'_>, parties: usize) {
        let place = |name: &str| json!(["body", "dialog", index, name]);
        let given = |name: &str| dialog.get(name).filter(|value| !value.is_null());
        if let Some(duration) = given("duration") {
            match number(duration) {
                None => self.add("float_parsing", place("duration"), "Input should be a valid number", shown(duration)),
                Some(seconds) if seconds < 0.0 => {
                    let message = "Input should be greater than or equal to 0";
                    self.add("greater_than_equal", place("duration"), message, shown(duration));
                }
                Some(_) => {}
            }
        }
        self.text(given("start"), place("start"), |_| true, "");
        let message = "Value error, url must be absolute: scheme://...";
        self.text(given("url"), place("url"), is_absolute_url, message);
        let message = "Value error, not a media type: type/subtype";
        self.text(given("mimetype"), place("mimetype"), is_media_type, message);
        self.text(given("alg"), place("alg"), is_algorithm, "Value error, unknown algorithm");
        if let Some(indices) = given("parties") {
            self.parties(indices, place("parties"), parties, 0);
        }
    }

    fn text(&mut self, value: Option<View<'_>>, place: Value, fits: fn(&str) -> bool, message: &str) {
        let Some(value) = value else { return };
        match value.as_str() {
            None => self.add("string_type", place, "Input should be a valid string", shown(value)),
            Some(text) if !fits(&text) => self.add("value_error", place, message, shown(value)),
            Some(_) => {}
        }
    }

    /// One index, or lists of them; null stands for a channel that nobody is on.
    fn parties(&mut self, value: View<'_>, place: Value, parties: usize, depth: usize) {
        match value.kind() {
            Kind::Array if depth < 2 => {
                for element in value.elements() {
                    self.parties(element, place.clone(), parties, depth + 1);
                }
            }
            Kind::Null if depth > 0 => {}
            Kind::Number => match value.as_i64() {
                Some(index) if usize::try_from(index).is_ok_and(|index| index < parties) => {}
                _ => {
                    let message = format!("Value error, there is no party of this index: there are {parties}");
                    self.add("value_error", place, &message, shown(value));
                }
            },
            _ => self.add("int_type", place, "Input should be a valid integer", shown(value)),
        }
    }
}

fn of<'a>(root: View<'a>, name: &str) -> impl Iterator<Item = (usize, View<'a>)> {
    let elements = root.get(name).into_iter().flat_map(|list| list.elements());
    elements.enumerate().filter(|(_, element)| element.kind() == Kind::Object)
}

/// A number, also one in a text, as vcon-server takes it.
fn number(value: View<'_>) -> Option<f64> {
    let read = |text: Cow<'_, str>| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    value.as_f64().or_else(|| value.as_str().and_then(read))
}

/// A tel URI, or what people write: short numbers too, of which there are many.
fn is_tel(text: &str) -> bool {
    let number = text.strip_prefix("tel:").unwrap_or(text);
    let number = number.split(';').next().unwrap_or_default();
    let of_number = |c: char| c.is_ascii_digit() || " -().+xX#*".contains(c);
    number.starts_with(|c: char| c.is_ascii_digit() || "+(*#".contains(c)) && number.chars().all(of_number)
}

fn is_absolute_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(in_scheme) && !rest.is_empty()
}

fn is_media_type(text: &str) -> bool {
    let part = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(allowed)
    };
    let plain = text.split(';').next().unwrap_or_default().trim_end();
    plain.split_once('/').is_some_and(|(kind, subtype)| part(kind) && part(subtype))
}

fn is_algorithm(text: &str) -> bool {
    let sizes = ["256", "384", "512"];
    ["SHA-", "HS", "RS", "ES", "PS"].iter().any(|family| text.strip_prefix(family).is_some_and(|n| sizes.contains(&n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "018f2b7c-5e1a-8c33-9d2b-2f5b6f1f7a10";

    fn with(members: impl Into<Value>) -> Result<Checked> {
        let mut vcon = json!({"vcon": "0.0.1", "uuid": UUID, "created_at": "2026-01-02T03:04:05Z",
            "parties": [{"tel": "+12025550123"}, {}], "dialog": []});
        for (name, value) in members.into().as_object().unwrap() {
            vcon[name] = value.clone();
        }
        check(Bytes::from(vcon.to_string()))
    }

    #[test]
    fn what_is_let_in_is_not_touched() {
        let text = format!("{{ \"uuid\":\"{}\" ,\"created_at\":1767323045,\"n\":1e3 }}", UUID.to_uppercase());
        let checked = check(Bytes::from(text.clone())).unwrap();
        assert_eq!((checked.uuid.as_str(), checked.text), (UUID, Bytes::from(text)));
    }

    #[test]
    fn what_the_draft_allows_is_let_in() {
        for dialog in [
            json!({"parties": 1}),
            json!({"parties": [0, [1, null]]}),
            json!({"duration": 0}),
            json!({"duration": "12.5"}),
            json!({"duration": null, "url": null, "mimetype": null, "parties": null}),
            json!({"url": "s3://bucket/recording.wav", "mimetype": "audio/x-wav", "alg": "SHA-512"}),
            json!({"mimetype": "audio/ogg; codecs=opus"}),
        ] {
            assert!(with(json!({"dialog": [dialog]})).is_ok(), "{dialog}");
        }
        for tel in ["tel:+1-202-555-0123", "112", "+12025550123", "(202) 555", "*100#", "tel:911;phone-context=+1"] {
            assert!(with(json!({"parties": [{"tel": tel}]})).is_ok(), "{tel}");
        }
        assert!(with(json!({"vcon": "0.4.0", "subject": null, "appended": {}, "group": [], "x": {"y": null}})).is_ok());
    }

    #[test]
    fn what_vcon_server_refuses_is_refused() {
        for members in [
            json!({"uuid": ""}),
            json!({"uuid": 7}),
            json!({"created_at": ""}),
            json!({"created_at": null}),
            json!({"vcon": 4}),
            json!({"subject": 1}),
            json!({"redacted": null}),
            json!({"appended": []}),
            json!({"parties": null}),
            json!({"analysis": "none"}),
            json!({"dialog": [null]}),
            json!({"dialog": [{"duration": -30}]}),
            json!({"dialog": [{"duration": "long"}]}),
            json!({"dialog": [{"mimetype": 12345}]}),
            json!({"dialog": [{"mimetype": "audio x wav"}]}),
            json!({"dialog": [{"parties": [0, 99]}]}),
            json!({"dialog": [{"parties": [-1]}]}),
            json!({"dialog": [{"parties": ["0"]}]}),
            json!({"dialog": [{"url": "not-a-url"}]}),
            json!({"dialog": [{"url": ""}]}),
            json!({"dialog": [{"alg": "MD5"}]}),
            json!({"parties": [{"tel": "sip:ann@example.com"}]}),
            json!({"parties": [{"tel": 1}]}),
        ] {
            assert!(with(members.clone()).is_err(), "{members}");
        }
        for text in ["", "{", "[]", "null", "\"x\"", "{}"] {
            assert!(check(Bytes::from_static(text.as_bytes())).is_err(), "{text}");
        }
    }

    #[test]
    fn sealed_ones_are_let_through_when_they_say_who_they_are() {
        let sealed = json!({"payload": "e30", "signatures": [{"header": {"uuid": UUID}}]});
        assert_eq!(check(Bytes::from(sealed.to_string())).unwrap().uuid, UUID);
        let unknown = json!({"payload": "e30", "signatures": [{}]});
        assert!(check(Bytes::from(unknown.to_string())).is_err());
    }
}
