//! Dates in the one spelling that the draft allows (core-04, 2.2; RFC 3339).

use jiff::fmt::rfc2822;

use super::object::Object;
use crate::document::Json;
use crate::vcon::Date;

const SECTION: &str = "2.2";

/// A date in the right spelling.
#[derive(Debug, PartialEq, Eq)]
struct Respelled {
    text: String,
    /// Whether the new text says more than the old one did, so that the old one must be kept.
    says_more: bool,
}

/// Writes the date in the member `name` as RFC 3339 demands. What cannot be read as a date stays.
pub(super) fn respell(object: &mut Object<'_>, name: &'static str) {
    let Some(respelled) = object.text(name).and_then(|text| respelled(&text)) else { return };
    if respelled.says_more && !object.keep_original(name) {
        object.keep(name, "the date has no offset, and there is no place to keep it as it was");
        return;
    }
    object.set(name, Json::string(&respelled.text));
    let reason = match respelled.says_more {
        true => "a date has a time and an offset; without them it is taken as UTC, the original is in `meta.original`",
        false => "a date is written as in RFC 3339, with capital T and Z and a colon in the offset",
    };
    object.because(name, SECTION, reason);
}

/// `None` when the text is right already or is no date.
fn respelled(text: &str) -> Option<Respelled> {
    let date = Date::parse(text)?;
    let trimmed = text.trim();
    if let Some(respelled) = iso(trimmed) {
        return (respelled.text != text).then_some(respelled);
    }
    if let Ok(zoned) = rfc2822::parse(trimmed) {
        let text = zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        return Some(Respelled { text, says_more: false });
    }
    Some(Respelled { text: date.timestamp().to_string(), says_more: true })
}

/// Reads `2026-09-10[T 14:00[:00[.5]]][offset]` and keeps its digits. The calendar was checked before.
fn iso(text: &str) -> Option<Respelled> {
    let (day, rest) = text.split_at_checked(10)?;
    let is_day = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    if !is_day {
        return None;
    }
    if rest.is_empty() {
        return Some(Respelled { text: format!("{day}T00:00:00Z"), says_more: true });
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let end = rest.find(|character: char| !matches!(character, '0'..='9' | ':' | '.' | ',')).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(end);
    let time = clock(time)?;
    let offset = offset.trim_start();
    let text = match offset {
        "" => return Some(Respelled { text: format!("{day}T{time}Z"), says_more: true }),
        "Z" | "z" => format!("{day}T{time}Z"),
        _ => format!("{day}T{time}{}", colon(offset)?),
    };
    Some(Respelled { text, says_more: false })
}

/// Hours, minutes and seconds, with the fraction as it is.
fn clock(time: &str) -> Option<String> {
    let (whole, fraction) = match time.find(['.', ',']) {
        Some(at) => (&time[..at], format!(".{}", &time[at + 1..])),
        None => (time, String::new()),
    };
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<_> = whole.split(':').collect();
    if !parts.iter().all(|part| two_digits(part)) || fraction.len() == 1 {
        return None;
    }
    match parts.len() {
        2 if fraction.is_empty() => Some(format!("{whole}:00")),
        3 => Some(format!("{whole}{fraction}")),
        _ => None,
    }
}

/// `+0200`, `+02` and `+02:00` as the last.
fn colon(offset: &str) -> Option<String> {
    let (sign, digits) = offset.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let digits = if digits.len() == 2 { format!("{digits}00") } else { digits };
    let right = matches!(sign, "+" | "-") && digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| format!("{sign}{}:{}", &digits[..2], &digits[2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_rfc_3339_and_keeps_its_digits() {
        for (text, expected, says_more) in [
            ("2026-09-10 14:00:00.000+00:00", "2026-09-10T14:00:00.000+00:00", false),
            ("2026-09-10t14:00:00z", "2026-09-10T14:00:00Z", false),
            ("2026-09-10T14:00:00+0530", "2026-09-10T14:00:00+05:30", false),
            ("2026-09-10T14:00:00.25-05", "2026-09-10T14:00:00.25-05:00", false),
            ("2026-09-10T14:00Z", "2026-09-10T14:00:00Z", false),
            (" 2026-09-10T14:00:00Z ", "2026-09-10T14:00:00Z", false),
            ("2026-09-10T14:00:00.123456", "2026-09-10T14:00:00.123456Z", true),
            ("2026-09-10", "2026-09-10T00:00:00Z", true),
            ("Wed, 18 May 2022 23:05:05 -0000", "2022-05-18T23:05:05+00:00", false),
            ("Thu, 10 Sep 2026 23:30:00 -0500", "2026-09-10T23:30:00-05:00", false),
            ("20260910T140000Z", "2026-09-10T14:00:00Z", true),
        ] {
            let found = respelled(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(found, Respelled { text: expected.to_owned(), says_more }, "{text}");
            assert_eq!(respelled(expected), None, "{expected}");
            assert_eq!(Date::parse(text).map(Date::timestamp), Date::parse(expected).map(Date::timestamp), "{text}");
        }
    }

    #[test]
    fn what_is_right_or_no_date_stays() {
        for text in ["2026-09-10T14:00:00.000+00:00", "2026-09-10T14:00:00Z", "yesterday", "2026-02-30T00:00:00", ""] {
            assert_eq!(respelled(text), None, "{text}");
        }
    }
}
