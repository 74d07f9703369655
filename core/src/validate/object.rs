//! Objects whose members are found once, and what single values are.

use std::borrow::Cow;

use jiff::civil::Date;

use crate::document::{Kind, View};

/// The members of an object, in order.
#[derive(Debug)]
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, View<'a>)>,
}

impl<'a> Object<'a> {
    /// The object that `view` is, if it is one.
    pub(super) fn of(view: View<'a>) -> Option<Object<'a>> {
        (view.kind() == Kind::Object).then(|| Object { members: view.members().collect() })
    }

    /// The member of that name, the last one where there are several.
    pub(super) fn get(&self, name: &str) -> Option<View<'a>> {
        self.members.iter().rfind(|(found, _)| found == name).map(|(_, view)| *view)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The member, when it is a string.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    /// All members, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, View<'a>)> {
        self.members.iter().map(|(name, view)| (&**name, *view))
    }
}

/// Whether `view` is an index into an array of `length`.
pub(super) fn is_index(view: View<'_>, length: usize) -> bool {
    view.as_usize().is_some_and(|index| index < length)
}

/// Whether `view` is one index or an array of them.
pub(super) fn is_index_or_list(view: View<'_>, length: usize) -> bool {
    match view.kind() {
        Kind::Array => view.elements().all(|element| is_index(element, length)),
        _ => is_index(view, length),
    }
}

/// Whether `text` is a UUID with hyphens (RFC 9562, section 4).
pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Whether `text` is a Date of JMAP: RFC 3339 with upper-case `T` and `Z` and an offset (RFC 8620, section 1.4), on a day
/// that exists. A fraction of zeros, which JMAP forbids, is accepted: all examples of the drafts have it.
pub(super) fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |from: usize, count: usize| -> Option<i16> {
        let part = text.get(from..from + count)?;
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let two = |from: usize| digits(from, 2).and_then(|number| i8::try_from(number).ok());
    let at = |index: usize, byte: u8| bytes.get(index) == Some(&byte);
    let (Some(year), Some(month), Some(day)) = (digits(0, 4), two(5), two(8)) else { return false };
    let (Some(hour), Some(minute), Some(second)) = (two(11), two(14), two(17)) else { return false };
    let separated = at(4, b'-') && at(7, b'-') && at(10, b'T') && at(13, b':') && at(16, b':');
    // A leap second has a place in RFC 3339, at the end of a minute.
    if !separated || Date::new(year, month, day).is_err() || hour > 23 || minute > 59 || second > 60 {
        return false;
    }
    let mut rest = &text[19..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    match rest.as_bytes() {
        [b'Z'] => true,
        [b'+' | b'-', _, _, b':', _, _] => {
            let offset = |from: usize, most: i8| {
                rest.get(from..from + 2)
                    .filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|part| part.parse::<i8>().ok())
                    .is_some_and(|number| number <= most)
            };
            offset(1, 23) && offset(4, 59)
        }
        _ => false,
    }
}

/// Whether `text` is of the alphabet of base64url (RFC 7515, section 2), without padding, and of a length that decodes.
pub(super) fn is_base64url(text: &str) -> bool {
    text.len() % 4 != 1 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A value as it stands in a message: short, in one line, and without the query of a URL, which may hold a secret.
pub(super) fn shown(view: View<'_>) -> String {
    const LONGEST: usize = 60;
    match view.kind() {
        Kind::Array if view.is_empty() => "[]".to_owned(),
        Kind::Object if view.is_empty() => "{}".to_owned(),
        Kind::Array | Kind::Object => view.kind().as_str().to_owned(),
        _ => {
            let text = view.text();
            let text = match text.split_once('?') {
                Some((front, _)) if front.contains("://") => format!("{front}?...\""),
                _ => text.into_owned(),
            };
            match text.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_jmap() {
        for right in [
            "2026-09-10T14:00:00Z",
            "2026-09-10T14:00:00.000+00:00",
            "2024-02-29T23:59:60-00:00",
            "2026-09-10T14:00:00.123456789+05:30",
        ] {
            assert!(is_date(right), "{right}");
        }
        for wrong in [
            "",
            "2026-09-10",
            "2026-09-10T14:00:00",
            "2026-09-10t14:00:00Z",
            "2026-09-10T14:00:00z",
            "2026-09-10 14:00:00Z",
            "2026-02-30T14:00:00Z",
            "2025-02-29T14:00:00Z",
            "2026-09-10T24:00:00Z",
            "2026-09-10T14:60:00Z",
            "2026-09-10T14:00:00.Z",
            "2026-09-10T14:00:00+0530",
            "2026-09-10T14:00:00+24:00",
            "2026-09-10T14:00:00+00:60",
            "2026-9-10T14:00:00Z",
            "+026-09-10T14:00:00Z",
            "2026-09-10T14:00:00Zx",
            "Thu, 10 Sep 2026 14:00:00 GMT",
            "2026-09-10T14:0\u{e9}:00Z",
        ] {
            assert!(!is_date(wrong), "{wrong}");
        }
    }

    #[test]
    fn base64url_has_its_own_alphabet_and_no_padding() {
        for right in ["", "QQ", "QUI", "QUJD", "-_-_"] {
            assert!(is_base64url(right), "{right}");
        }
        for wrong in ["Q", "QQ==", "+/+/", "QU JD", "QUJDQ", "Q\u{e9}"] {
            assert!(!is_base64url(wrong), "{wrong}");
        }
    }
}
