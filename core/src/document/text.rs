//! JSON text: shared pieces of it, new values, and what strings mean.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::scan::Trusting;
use super::{Document, View};
use crate::{Error, Result};

/// A piece of checked JSON text: a value, or a member name with its quotes.
#[derive(Debug, Clone)]
pub(super) enum Text {
    /// It lies in the document's source.
    Source(Range<usize>),
    /// It was written by an edit.
    New(Bytes),
}

impl Text {
    pub(super) fn bytes<'a>(&'a self, source: &'a [u8]) -> &'a [u8] {
        match self {
            Text::Source(range) => &source[range.clone()],
            Text::New(bytes) => bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Text::Source(range) => range.len(),
            Text::New(bytes) => bytes.len(),
        }
    }

    /// The piece of this piece at `range`; nothing is copied.
    pub(super) fn part(&self, range: Range<usize>) -> Text {
        match self {
            Text::Source(whole) => Text::Source(whole.start + range.start..whole.start + range.end),
            Text::New(bytes) => Text::New(bytes.slice(range)),
        }
    }

    /// The JSON text of a member name.
    pub(super) fn name(name: &str) -> Text {
        Text::New(quoted(name).into())
    }
}

/// A value to write into a document: JSON text that was checked, so that numbers keep their spelling.
///
/// Serialised, it is the value itself. It can be deserialised by `serde_json` only, and not inside of types that serde
/// buffers (`flatten`, `untagged`, internally tagged enums).
#[derive(Clone, PartialEq, Eq)]
pub struct Json(Bytes);

impl Json {
    /// Takes JSON text.
    ///
    /// # Errors
    /// Permanent, as [`Document::parse`].
    pub fn parse(text: impl Into<Bytes>) -> Result<Json> {
        Ok(Document::parse(text)?.to_json())
    }

    /// The JSON form of anything that serde can write.
    ///
    /// # Errors
    /// Permanent, when `value` has no JSON form (for example a map whose keys are not strings).
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Json> {
        match serde_json::to_vec(value) {
            Ok(text) => Ok(Json(text.into())),
            Err(error) => Err(Error::permanent("the value has no JSON form").caused_by(error)),
        }
    }

    /// The value, for reading.
    pub fn view(&self) -> View<'_> {
        View::of_text(&self.0)
    }

    /// `{}`
    pub fn empty_object() -> Json {
        Json(Bytes::from_static(b"{}"))
    }

    /// The JSON string `text`.
    pub fn string(text: &str) -> Json {
        Json(quoted(text).into())
    }

    /// The text of a value that the scanner accepted.
    pub(super) fn checked(text: impl Into<Bytes>) -> Json {
        let mut text = text.into();
        let mut scanner = Trusting::new(&text);
        scanner.skip_whitespace();
        let value = scanner.at..text.trim_ascii_end().len();
        if value != (0..text.len()) {
            text = text.slice(value);
        }
        Json(text)
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        trusted(&self.0)
    }

    /// The JSON text as shared bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value; see [`View::to_value`] for what is replaced.
    pub fn to_value(&self) -> Value {
        self.view().to_value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl From<&Value> for Json {
    fn from(value: &Value) -> Json {
        // A `Value` prints itself as compact JSON and cannot fail to.
        Json(value.to_string().into())
    }
}

impl From<Value> for Json {
    fn from(value: Value) -> Json {
        Json::from(&value)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Json {
        Json(number.to_string().into())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_slice::<&RawValue>(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Json::parse(String::from(Box::<str>::from(raw))).map_err(D::Error::custom)
    }
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    // A text always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

/// Checked bytes as text.
pub(super) fn trusted(bytes: &[u8]) -> &str {
    // Whoever made the bytes has checked them; what was cut out of them was cut at ASCII characters.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// What the JSON string `text` (with its quotes) means. Lone surrogates become U+FFFD.
pub(super) fn decoded(text: &[u8]) -> Cow<'_, str> {
    let inner = trusted(&text[1..text.len() - 1]);
    match memchr::memchr(b'\\', inner.as_bytes()) {
        None => Cow::Borrowed(inner),
        Some(first) => Cow::Owned(unescaped(inner, first)),
    }
}

fn unescaped(inner: &str, first: usize) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    let mut next = Some(first);
    while let Some(backslash) = next {
        out.push_str(&rest[..backslash]);
        let escape = &rest[backslash..];
        let (character, length) = unescape(escape);
        out.push(character);
        rest = &escape[length..];
        next = memchr::memchr(b'\\', rest.as_bytes());
    }
    out.push_str(rest);
    out
}

/// The character of the escape at the start of `escape`, and how many bytes it takes.
fn unescape(escape: &str) -> (char, usize) {
    let character = match escape.as_bytes()[1] {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = hexadecimal(escape, 2);
            let low = if escape[6..].starts_with("\\u") { hexadecimal(escape, 8) } else { 0 };
            if (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low) {
                let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
            }
            return (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6);
        }
        itself => char::from(itself),
    };
    (character, 2)
}

fn hexadecimal(text: &str, at: usize) -> u32 {
    text.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// Whether the JSON string `text` (with its quotes) means `name`.
pub(super) fn means(text: &[u8], name: &str) -> bool {
    let inner = &text[1..text.len() - 1];
    if inner == name.as_bytes() {
        return !name.contains('\\');
    }
    // Escapes only lengthen.
    inner.len() > name.len() && memchr::memchr(b'\\', inner).is_some() && decoded(text) == name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_decoded() {
        assert_eq!(decoded(br#""plain""#), "plain");
        assert_eq!(decoded(br#""\"\\\/\b\f\n\r\t\u00e4\ud83d\ude00""#), "\"\\/\u{8}\u{c}\n\r\tä😀");
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character() {
        assert_eq!(decoded(br#""a\ud800b""#), "a\u{fffd}b");
        assert_eq!(decoded(br#""\udc00\ud800\ud83d\ude00""#), "\u{fffd}\u{fffd}😀");
        assert_eq!(decoded(br#""\ud800\n""#), "\u{fffd}\n");
    }

    #[test]
    fn names_are_compared_by_meaning() {
        assert!(means(br#""type""#, "type"));
        assert!(means(br#""t\u0079pe""#, "type"));
        assert!(!means(br#""typ""#, "type"));
        assert!(!means(br#""a\n""#, "a\\n"));
        assert!(means(br#""a\\n""#, "a\\n"));
    }

    #[test]
    fn json_keeps_the_spelling_of_numbers_through_serde() {
        let json: Json = serde_json::from_str(r#" {"a": 1e3, "b": 1.0} "#).unwrap();
        assert_eq!(serde_json::to_string(&json).unwrap(), r#"{"a": 1e3, "b": 1.0}"#);
        let lone = Json::parse(r#"["\ud800"]"#).unwrap();
        assert_eq!(serde_json::to_string(&lone).unwrap(), r#"["\ud800"]"#);
    }
}
