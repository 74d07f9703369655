//! The judgements, one file for each subject. A rule reads the facts and adds what it finds, or what it found right.

pub(super) mod conductors;
pub(super) mod letters;
pub(super) mod lists;
pub(super) mod outside;
pub(super) mod store;
#[cfg(test)]
mod tests;
pub(super) mod work;

use super::report::{Finding, Right};
use crate::cli::output::quoted;

/// What stops work, in the order in which it is told: what is nearer to the ground comes first.
mod rank {
    pub(super) const STORE: u8 = 0;
    pub(super) const STORE_FULL: u8 = 1;
    pub(super) const NO_CONDUCTOR: u8 = 2;
    pub(super) const SILENT: u8 = 3;
    pub(super) const PAUSED: u8 = 4;
    pub(super) const HELD: u8 = 5;
    pub(super) const STORAGE: u8 = 6;
    pub(super) const NOBODY_TAKES: u8 = 7;
    pub(super) const STUCK: u8 = 8;
    pub(super) const STILL: u8 = 9;
}

/// Notes what is right.
fn right(all: &mut Vec<Right>, about: &'static str, how: impl Into<String>) {
    all.push(Right { about, how: how.into() });
}

/// `no run waits`, `1 run waits`, `2 runs wait`.
fn runs_wait(count: u64) -> String {
    match count {
        0 => "no run waits".to_owned(),
        1 => "1 run waits".to_owned(),
        count => format!("{count} runs wait"),
    }
}

/// A number of bytes as people write it.
fn bytes(count: u64) -> String {
    const STEP: f64 = 1024.0;
    let mut size = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if size < STEP {
            break;
        }
        (size, unit) = (size / STEP, next);
    }
    if unit == "B" || size >= 100.0 { format!("{size:.0} {unit}") } else { format!("{size:.1} {unit}") }
}

/// Joins names: `a`, `a and b`, `a, b and 3 more`.
fn named(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [one, other, rest @ ..] => format!("{one}, {other} and {} more", rest.len()),
    }
}

type Findings = Vec<Finding>;
type Rights = Vec<Right>;
