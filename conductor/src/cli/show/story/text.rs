//! Making other people's text fit to be shown.

use jiff::Timestamp;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use serde_json::Value;
use vconductor_core::vcon::Date;

/// Whether a character only steers: control characters, and marks that turn the direction of text around or hide in it.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// In one line, without anything that steers.
pub(in crate::cli::show) fn line(text: &str) -> String {
    let visible: String = text
        .chars()
        .filter(|character| !steers(*character) || character.is_control())
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// In lines, without anything that steers, and with no more than one empty line in a row.
pub(in crate::cli::show) fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut empty = 1;
    for line in text.replace("\r\n", "\n").replace('\t', "    ").lines() {
        let line: String = line.chars().filter(|character| !steers(*character)).collect();
        let line = line.trim_end();
        empty = if line.trim().is_empty() { empty + 1 } else { 0 };
        if empty < 2 {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    shown.truncate(shown.trim_end().len());
    shown
}

/// The beginning of a text, when it is longer than `most` characters.
pub(in crate::cli::show) fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A date with its day and minute, in the offset that it is written with; as it came when it cannot be read.
pub(in crate::cli::show) fn date(written: &str) -> String {
    match zoned(written) {
        Some((time, offset)) => {
            let civil = offset.to_datetime(time);
            let zone = if offset == Offset::UTC { "UTC".to_owned() } else { offset.to_string() };
            format!("{} {zone}", civil.strftime("%a %-d %b %Y %H:%M"))
        }
        None => line(written),
    }
}

/// The day of a date, in its own offset.
pub(in crate::cli::show) fn day(written: &str) -> Option<String> {
    let (time, offset) = zoned(written)?;
    Some(offset.to_datetime(time).strftime("%A %-d %B %Y").to_string())
}

/// The time of day of a date, in its own offset.
pub(in crate::cli::show) fn time_of_day(written: &str) -> Option<String> {
    let (time, offset) = zoned(written)?;
    Some(offset.to_datetime(time).strftime("%H:%M:%S").to_string())
}

fn zoned(written: &str) -> Option<(Timestamp, Offset)> {
    let time = Date::parse(written)?.timestamp();
    let offset = Pieces::parse(written.trim()).ok().and_then(|pieces| pieces.to_numeric_offset());
    Some((time, offset.unwrap_or(Offset::UTC)))
}

/// Seconds for people: `33 s`, `5 min 12 s`, `1 h 5 min`.
pub(in crate::cli::show) fn duration(seconds: f64) -> String {
    let whole = seconds.round().clamp(0.0, 1e12) as u64;
    match whole {
        0 if seconds > 0.0 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ if whole % 3600 < 60 => format!("{} h", whole / 3600),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// An offset into a recording: `0:07`, `12:34`, `1:02:03`.
pub(in crate::cli::show) fn offset(seconds: f64) -> String {
    let whole = seconds.clamp(0.0, 1e12) as u64;
    match whole {
        0..3600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3600, whole % 3600 / 60, whole % 60),
    }
}

/// Bytes for people.
pub(in crate::cli::show) fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// JSON as lines of names and values, where it is flat enough for that.
pub(in crate::cli::show) fn json(value: &Value) -> String {
    let simple = |value: &Value| match value {
        Value::String(text) => line(text),
        Value::Array(items) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            let items: Vec<String> =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), line)).collect();
            items.join(", ")
        }
        other => line(&other.to_string()),
    };
    match value {
        Value::Object(members) if members.len() <= 40 => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", line(name), simple(value)));
            members.collect::<Vec<_>>().join("\n")
        }
        other => simple(other),
    }
}

/// A URL without its query and fragment: presigned ones carry their secret there.
pub(in crate::cli::show) fn without_query(url: &str) -> String {
    line(url.split(['?', '#']).next().unwrap_or(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_comes_through() {
        assert_eq!(line("a\u{1b}[31m\tb\u{202e}c\u{200b}\r\nd"), "a [31m bc d");
        assert_eq!(lines("\n\na\u{7}\n\n\n\tb \u{2066}x\n\n"), "a\n\n    b x");
        assert_eq!(without_query("https://a.example/x.wav?Signature=s#y"), "https://a.example/x.wav");
    }

    #[test]
    fn dates_and_lengths_are_for_people() {
        assert_eq!(date("2026-03-02T10:01:00+01:00"), "Mon 2 Mar 2026 10:01 +01");
        assert_eq!(date("2026-03-02T10:01:00.5Z"), "Mon 2 Mar 2026 10:01 UTC");
        assert_eq!(date("soon\n"), "soon");
        assert_eq!(day("2026-03-02T23:30:00-05:00").unwrap(), "Monday 2 March 2026");
        for (seconds, shown) in
            [(0.2, "0.2 s"), (33.12, "33 s"), (60.0, "1 min"), (312.0, "5 min 12 s"), (3900.0, "1 h 5 min")]
        {
            assert_eq!(duration(seconds), shown);
        }
        assert_eq!([offset(7.9), offset(754.0), offset(3723.0)], ["0:07", "12:34", "1:02:03"]);
        assert_eq!(beginning("äöü", 2), "äö…");
    }
}
