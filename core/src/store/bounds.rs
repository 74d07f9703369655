//! The bounds of what conductors share, the same in every store.

use std::time::Duration;

use bytes::Bytes;

use super::Want;
use crate::error::{Error, Result};

/// The longest that a call counts as under way.
pub(super) const FLIGHT: Duration = Duration::from_secs(3600);

/// The wait for room that only calls under way can make: nobody knows when they end.
pub(super) const UNKNOWN: Duration = Duration::from_millis(250);

/// How long a hold is remembered after its time.
pub(super) const REMEMBERED: Duration = Duration::from_secs(3600);

/// The largest result that is kept, in bytes.
const RESULT_MAX: usize = 256 << 20;

/// An amount as the stores keep it: in whole thousandths, so that sums stay exact however many come and go.
pub(super) fn thousandths(amount: f64) -> i64 {
    // Far below 2^53, up to which a script can count.
    const MOST: f64 = 1e15;
    (amount * 1000.0).round().clamp(0.0, MOST) as i64
}

/// A window's length as the stores keep it, in milliseconds.
pub(super) fn length(window: Duration) -> i64 {
    i64::try_from(window.as_micros().div_ceil(1000)).unwrap_or(i64::MAX).min(1 << 42)
}

/// Refuses alternatives that mean nothing.
pub(super) fn check(alternatives: &[Vec<Want>]) -> Result<()> {
    if alternatives.is_empty() {
        return Err(Error::permanent("a permit was asked for without an alternative")
            .help("ask with an empty list of wants for what has no limit"));
    }
    for wants in alternatives {
        for (index, want) in wants.iter().enumerate() {
            if wants[..index].iter().any(|other| other.limit == want.limit) {
                return Err(Error::permanent(format!("the limit {} stands twice in one alternative", want.limit))
                    .help("add both amounts up"));
            }
        }
    }
    Ok(())
}

/// Refuses a result that is too large to be kept.
pub(super) fn check_size(value: &Bytes) -> Result<()> {
    if value.len() > RESULT_MAX {
        return Err(Error::permanent(format!("a result of {} bytes is too large to be kept", value.len()))
            .help("results of up to 256 MiB are kept; go on without keeping it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_whole_thousandths_of_a_bounded_size() {
        let cases = [
            (1.0, 1000),
            (0.1 + 0.2, 300),
            (1.1, 1100),
            (-5.0, 0),
            (f64::NAN, 0),
            (f64::INFINITY, 1_000_000_000_000_000),
            (f64::NEG_INFINITY, 0),
        ];
        for (amount, kept) in cases {
            assert_eq!(thousandths(amount), kept, "{amount}");
        }
        assert_eq!(length(Duration::from_micros(1)), 1, "a window is never shorter than it was asked for");
        assert_eq!(length(Duration::MAX), 1 << 42);
    }
}
