//! What a check found, and the list of it.

use std::fmt::Display;

use super::place::Place;
use super::table::{self, Check};

/// How bad a finding is in the mode that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The file fails.
    Error,
    /// Worth mending.
    Warning,
    /// Worth a thought: the draft advises it without demanding it, or with exceptions that no program can decide.
    Hint,
}

impl Level {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Hint => "hint",
        }
    }
}

/// How much is let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Everything that the newest draft says MUST is an error, as for who writes vCons.
    Strict,
    /// Only what no reader can or should work with is an error, as for who takes them in. Everything else is a warning.
    #[default]
    Tolerant,
}

/// What stands behind a finding, whatever the mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Unreadable, unsafe or unidentifiable: an error in every mode.
    Refused,
    /// A MUST of the draft is broken.
    Violation,
    /// A SHOULD of the draft is not followed, or an older revision was.
    Advice,
    /// Advice without a requirement word, or with exceptions that no program can decide.
    Hint,
}

/// One thing that a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The number of the check.
    pub check: u16,
    /// What stands behind it.
    pub severity: Severity,
    /// Where, as a JSON pointer; in a bundle the name of the entry.
    pub pointer: String,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
}

impl Finding {
    /// The level in a mode.
    pub fn level(&self, mode: Mode) -> Level {
        match (self.severity, mode) {
            (Severity::Refused, _) | (Severity::Violation, Mode::Strict) => Level::Error,
            (Severity::Violation, Mode::Tolerant) | (Severity::Advice, _) => Level::Warning,
            (Severity::Hint, _) => Level::Hint,
        }
    }

    /// The row of the check in the table: its title, its source in the draft and what to do.
    pub fn rule(&self) -> &'static Check {
        table::check(self.check)
    }
}

/// Findings of one document, in the order in which they were found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    all: Vec<Finding>,
    counts: std::collections::HashMap<(u16, Severity), usize>,
}

impl Findings {
    /// How many findings of one check and severity are kept. The rest is only counted: a document of a million bad entries must not
    /// cost a million messages.
    pub const KEPT_PER_CHECK: usize = 1000;

    /// Adds what no reader should work with.
    pub(super) fn refused(&mut self, check: u16, place: &Place<'_>, message: impl Display) {
        self.add(check, Severity::Refused, place, message);
    }

    /// Adds a broken MUST.
    pub(super) fn violation(&mut self, check: u16, place: &Place<'_>, message: impl Display) {
        self.add(check, Severity::Violation, place, message);
    }

    /// Adds a broken SHOULD.
    pub(super) fn advice(&mut self, check: u16, place: &Place<'_>, message: impl Display) {
        self.add(check, Severity::Advice, place, message);
    }

    /// Adds advice that may be left alone for a good reason.
    pub(super) fn hint(&mut self, check: u16, place: &Place<'_>, message: impl Display) {
        self.add(check, Severity::Hint, place, message);
    }

    fn add(&mut self, check: u16, severity: Severity, place: &Place<'_>, message: impl Display) {
        if self.count(check, severity) {
            self.all.push(Finding { check, severity, pointer: place.to_string(), message: message.to_string() });
        }
    }

    /// Adds a finding that was made elsewhere.
    pub fn push(&mut self, finding: Finding) {
        if self.count(finding.check, finding.severity) {
            self.all.push(finding);
        }
    }

    /// Makes what a check found refuse the document: it turned out that it cannot be read. Whether it found anything.
    pub fn refuse(&mut self, check: u16) -> bool {
        let mut any = false;
        for finding in self.all.iter_mut().filter(|finding| finding.check == check) {
            any = true;
            if finding.severity != Severity::Refused {
                *self.counts.entry((check, finding.severity)).or_default() -= 1;
                *self.counts.entry((check, Severity::Refused)).or_default() += 1;
                finding.severity = Severity::Refused;
            }
        }
        any
    }

    /// Counts one more; whether it is kept.
    fn count(&mut self, check: u16, severity: Severity) -> bool {
        let count = self.counts.entry((check, severity)).or_default();
        *count += 1;
        *count <= Self::KEPT_PER_CHECK
    }

    /// Those that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.all.iter()
    }

    /// How many there were beyond those that are kept.
    pub fn omitted(&self) -> usize {
        self.counts.values().sum::<usize>() - self.all.len()
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}
