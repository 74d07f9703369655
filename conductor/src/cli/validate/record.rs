//! The output for programs.

use serde::Serialize;
use vconductor_core::validate::{Finding, Level, Report};

/// A document and what was found.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    file: String,
    valid: bool,
    #[serde(flatten)]
    judged: Judged,
}

/// What was found in a document, or in what its seal holds.
#[derive(Debug, Serialize)]
struct Judged {
    form: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    errors: Vec<Row>,
    warnings: Vec<Row>,
    hints: Vec<Row>,
    /// Findings beyond those that are listed.
    #[serde(skip_serializing_if = "is_zero")]
    omitted: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<Judged>>,
}

#[derive(Debug, Serialize)]
struct Row {
    check: u16,
    pointer: String,
    message: String,
    fix: &'static str,
    section: &'static str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Record {
    pub(super) fn of(file: &str, report: &Report) -> Self {
        Record { file: file.to_owned(), valid: !report.fails(), judged: Judged::of(report) }
    }
}

impl Judged {
    fn of(report: &Report) -> Self {
        let rows = |level: Level| report.of_level(level).map(Row::of).collect();
        Judged {
            form: report.form.as_str(),
            version: report.version.map(|version| version.as_str()),
            errors: rows(Level::Error),
            warnings: rows(Level::Warning),
            hints: rows(Level::Hint),
            omitted: report.found.omitted(),
            notes: report.notes.clone(),
            payload: report.payload.as_deref().map(|inside| Box::new(Judged::of(inside))),
        }
    }
}

impl Row {
    fn of(finding: &Finding) -> Self {
        let rule = finding.rule();
        Row {
            check: finding.check,
            pointer: finding.pointer.clone(),
            message: finding.message.clone(),
            fix: rule.fix,
            section: rule.section,
        }
    }
}
