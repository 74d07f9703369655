//! Dates as producers write them.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;

/// A point in time with the calendar day it was written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    timestamp: Timestamp,
    day: (i16, i8, i8),
}

impl Date {
    /// Reads RFC 3339 (also with a space instead of `T`, or without an offset, which means UTC), a bare date, and
    /// RFC 2822, which libraries wrote before 0.0.1.
    pub fn parse(text: &str) -> Option<Date> {
        let text = text.trim();
        if let Ok(pieces) = Pieces::parse(text) {
            let time = pieces.time().unwrap_or_default();
            let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
            let timestamp = offset.to_timestamp(pieces.date().to_datetime(time)).ok()?;
            let day = pieces.date();
            return Some(Date { timestamp, day: (day.year(), day.month(), day.day()) });
        }
        let zoned = rfc2822::parse(text).ok()?;
        let day = zoned.date();
        Some(Date { timestamp: zoned.timestamp(), day: (day.year(), day.month(), day.day()) })
    }

    /// The point in time.
    pub fn timestamp(self) -> Timestamp {
        self.timestamp
    }

    /// Year, month and day in the offset that the date is written with.
    pub fn written(self) -> (i16, i8, i8) {
        self.day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read() {
        for (text, timestamp, day) in [
            ("2026-09-10T14:00:00Z", "2026-09-10T14:00:00Z", (2026, 9, 10)),
            ("2026-09-10T23:30:00.000-05:00", "2026-09-11T04:30:00Z", (2026, 9, 10)),
            ("2026-09-10T14:00:00.25", "2026-09-10T14:00:00.25Z", (2026, 9, 10)),
            ("2026-09-10 14:00:00+0200", "2026-09-10T12:00:00Z", (2026, 9, 10)),
            ("2026-09-10", "2026-09-10T00:00:00Z", (2026, 9, 10)),
            ("Thu, 10 Sep 2026 23:30:00 -0500", "2026-09-11T04:30:00Z", (2026, 9, 10)),
            ("Thu, 10 Sep 2026 14:00:00 GMT", "2026-09-10T14:00:00Z", (2026, 9, 10)),
        ] {
            let date = Date::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((date.timestamp(), date.written()), (timestamp.parse().unwrap(), day), "{text}");
        }
        for wrong in ["", "yesterday", "2026-02-30T00:00:00Z", "1757512800", "2026-09-10T25:00:00Z"] {
            assert_eq!(Date::parse(wrong), None, "{wrong}");
        }
    }
}
