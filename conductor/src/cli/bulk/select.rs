//! Which vCons: by time and by a jq condition.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};
use vconductor_core::clock::Millis;
use vconductor_core::config::parse_duration;
use vconductor_core::error::Error;
use vconductor_core::jq::Program;
use vconductor_core::vcon::Vcon;

use crate::cli::exit::{Exit, Failure, Result};

/// Which vCons, as it is asked for.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Select {
    /// Only vCons of which this jq condition is true, for example '.dialog | length > 0'
    #[arg(long = "where", value_name = "JQ")]
    condition: Option<String>,
    /// Not before: a time (RFC 3339) or an age such as 7d; of the vCon (created_at), or of a dead letter's failure
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Before: a time or an age
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
}

/// A point in time as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    text: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    At(Millis),
    /// So many milliseconds ago.
    Ago(Millis),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
        let time = text.parse::<Timestamp>().ok().or_else(|| Some(day()?.timestamp()));
        // A number alone may be meant as anything.
        let age = parse_duration(text).filter(|_| text.ends_with(|last: char| last.is_ascii_alphabetic()));
        let kind = match (time, age) {
            (Some(time), _) => Kind::At(time.as_millisecond()),
            (None, Some(age)) => Kind::Ago(Millis::try_from(age.as_millis()).unwrap_or(Millis::MAX / 4)),
            (None, None) => {
                return Err("write a time such as 2026-01-31T00:00:00Z, a day (UTC) or an age such as 7d".to_owned());
            }
        };
        Ok(Moment { text: text.to_owned(), kind })
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Moment {
    /// The point in time, seen from `now`.
    fn at(&self, now: Millis) -> Millis {
        match self.kind {
            Kind::At(at) => at,
            Kind::Ago(age) => now.saturating_sub(age),
        }
    }
}

impl Select {
    /// What is asked for, as far as a cursor is named by it.
    pub(crate) fn asked(&self) -> Value {
        json!([self.condition, self.since.as_ref().map(Moment::to_string), self.until.as_ref().map(Moment::to_string)])
    }

    /// Reads the condition, and ages as they are at `now`.
    pub(crate) fn compile(&self, now: Millis) -> Result<Selection> {
        let program = self.condition.as_deref().map(Program::compile).transpose().map_err(|error| {
            let condition = self.condition.as_deref().unwrap_or_default();
            Failure::new(Exit::Usage, format!("--where is no jq: {error} (byte {} of `{condition}`)", error.offset))
                .help("a condition is true of a vCon, for example '.parties[0].tel == \"+15550100\"'")
        })?;
        let (since, until) = (self.since.as_ref().map(|at| at.at(now)), self.until.as_ref().map(|at| at.at(now)));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::new(Exit::Usage, "--since is not before --until, so nothing is between them"));
        }
        Ok(Selection { program, since, until })
    }
}

/// Which vCons.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    program: Option<Program>,
    /// Not before.
    pub(crate) since: Option<Millis>,
    /// Before.
    pub(crate) until: Option<Millis>,
}

impl Selection {
    /// Whether documents must be looked at.
    pub(crate) fn has_condition(&self) -> bool {
        self.program.is_some()
    }

    /// Whether a time is among those asked for; what has none is not, once times are asked for.
    pub(crate) fn holds(&self, at: Option<Millis>) -> bool {
        match at {
            Some(at) => self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until),
            None => self.since.is_none() && self.until.is_none(),
        }
    }

    /// Whether the condition is true of a vCon.
    ///
    /// # Errors
    /// Permanent: the program failed on it.
    pub(crate) fn takes(&self, vcon: &Vcon) -> Result<bool, Error> {
        self.program.as_ref().map_or(Ok(true), |program| program.matches(&vcon.normalised()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_days_or_ages() {
        let at = |text: &str| text.parse::<Moment>().unwrap().at(1_000_000_000);
        assert_eq!(at("1970-01-01T00:00:01Z"), 1000);
        assert_eq!(at("1970-01-02"), 86_400_000);
        assert_eq!(at("1970-01-01T01:00:00+01:00"), 0);
        assert_eq!(at("7d"), 1_000_000_000 - 7 * 86_400_000);
        for wrong in ["", "yesterday", "7", "2026-13-01"] {
            assert!(wrong.parse::<Moment>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_end_does_not_belong_to_it() {
        let selection = Selection { since: Some(10), until: Some(20), ..Selection::default() };
        assert_eq!([9, 10, 19, 20].map(|at| selection.holds(Some(at))), [false, true, true, false]);
        assert!(!selection.holds(None) && Selection::default().holds(None));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_before_the_start() {
        let select = |condition: Option<&str>, since: &str, until: &str| Select {
            condition: condition.map(str::to_owned),
            since: Some(since.parse().unwrap()),
            until: Some(until.parse().unwrap()),
        };
        assert!(select(Some(".a |"), "2d", "1d").compile(0).is_err());
        assert!(select(None, "1d", "2d").compile(0).is_err());
        assert!(select(Some(".a"), "2d", "1d").compile(0).is_ok());
    }
}
