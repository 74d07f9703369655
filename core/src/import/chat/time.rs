//! Times in chats.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use crate::vcon::Date;

/// Unix times before 2001 and after 2100 are something else.
const UNIX: std::ops::RangeInclusive<f64> = 978_307_200.0..=4_102_444_800.0;

/// A date as RFC 3339 or RFC 2822, or a Unix time in seconds, milliseconds or microseconds. A date without an offset
/// has `offset`, or UTC.
pub(super) fn read(text: &str, offset: Option<Offset>) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return [1.0, 1e3, 1e6].into_iter().find_map(|unit| {
            let seconds = number / unit;
            UNIX.contains(&seconds).then(|| Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok())?
        });
    }
    if let Some(offset) = offset
        && let Ok(pieces) = jiff::fmt::temporal::Pieces::parse(text)
        && pieces.offset().is_none()
    {
        return offset.to_timestamp(pieces.date().to_datetime(pieces.time().unwrap_or_default())).ok();
    }
    Some(Date::parse(text)?.timestamp())
}

/// A civil time at `offset`, or in UTC.
pub(super) fn at(time: DateTime, offset: Option<Offset>) -> Option<Timestamp> {
    offset.unwrap_or(Offset::UTC).to_timestamp(time).ok()
}
