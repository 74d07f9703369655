//! Times and ages for people.

use std::time::Duration;

use jiff::Timestamp;
use vconductor_core::clock::{Clock, Millis, SystemClock};
use vconductor_core::config::parse_duration;

/// The machine's time.
pub(crate) fn now() -> Millis {
    SystemClock.now()
}

/// The time since `then`; none if it lies ahead.
pub(crate) fn since(then: Millis) -> Duration {
    Duration::from_millis(u64::try_from(now().saturating_sub(then)).unwrap_or(0))
}

/// The time since `then` in one unit: `12 s`, `3 min`, `5 h`, `9 d`.
pub(crate) fn age(then: Millis) -> String {
    short(since(then))
}

/// [`age`], or a dash where the time is not known.
pub(crate) fn age_or_dash(then: Option<Millis>) -> String {
    then.map_or_else(|| "-".to_owned(), age)
}

/// A duration in one unit.
pub(crate) fn short(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// A point in time as RFC 3339, to the second.
pub(crate) fn moment(at: Millis) -> String {
    let time = Timestamp::from_second(at.div_euclid(1000));
    time.map_or_else(|_| format!("{at} ms"), |time| time.to_string())
}

/// Reads a duration of the command line.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number with a unit, for example 90s, 5m, 2h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let of = |seconds| short(Duration::from_secs(seconds));
        assert_eq!([of(0), of(119), of(120), of(7_199)], ["0 s", "119 s", "2 min", "119 min"]);
        assert_eq!([of(7_200), of(172_800)], ["2 h", "2 d"]);
        assert_eq!(since(now() + 60_000), Duration::ZERO);
    }

    #[test]
    fn moments_are_written_to_the_second() {
        assert_eq!(moment(1_700_000_000_999), "2023-11-14T22:13:20Z");
        assert_eq!(moment(i64::MAX), format!("{} ms", i64::MAX));
    }
}
