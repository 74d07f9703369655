//! How fast runs are put back.

use std::str::FromStr;
use std::time::Duration;

/// Runs per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate(f64);

impl Rate {
    /// The time that so many runs take.
    pub(crate) fn time(self, runs: u64) -> Duration {
        Duration::try_from_secs_f64(runs as f64 / self.0).unwrap_or(Duration::MAX)
    }

    /// How many are put back at once, so that the rate is even.
    pub(crate) fn batch(self) -> usize {
        (self.0 / 4.0).ceil().clamp(1.0, 64.0) as usize
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err("write runs per s, m or h, for example 50/s or 600/m".to_owned()),
        };
        match number.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number > 0.0 => Ok(Rate(number / seconds)),
            _ => Err("write a number above 0, for example 50/s or 600/m".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_a_unit_or_are_per_second() {
        assert_eq!("50".parse(), Ok(Rate(50.0)));
        assert_eq!("50/s".parse(), Ok(Rate(50.0)));
        assert_eq!("600/m".parse(), Ok(Rate(10.0)));
        for wrong in ["", "0", "-1/s", "nan", "5/d", "inf"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_rate_is_kept_in_small_batches() {
        let rate: Rate = "100/s".parse().unwrap();
        assert_eq!((rate.batch(), rate.time(50)), (25, Duration::from_millis(500)));
        assert_eq!("1/h".parse::<Rate>().unwrap().batch(), 1);
    }
}
