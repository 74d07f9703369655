//! What was found, and how it is told.

use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::output::{self, BAD, DIM, GOOD, HELP, STRONG, WARN, styled};
use crate::cli::paragraphs::wrapped;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Work stands still, or something may be lost.
    Critical,
    /// Work goes on, but not as it should.
    Warning,
    /// Worth knowing; nothing to do at night.
    Note,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Finding {
    /// How bad it is.
    pub(super) severity: Severity,
    /// What kind of finding it is, for programs: `list-paused`.
    pub(super) code: &'static str,
    /// What is wrong, in one line.
    pub(super) what: String,
    /// Why it matters, or what caused it.
    pub(super) why: String,
    /// What mends it: commands, or what to do where no command can.
    pub(super) fix: Vec<String>,
    /// For the headline, where work stands still because of it: one whole sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stops: Option<String>,
    /// Of several that stop work the lowest is told first: what is nearer to the ground.
    #[serde(skip)]
    pub(super) rank: u8,
}

impl Finding {
    pub(super) fn new(severity: Severity, code: &'static str, what: impl Into<String>, why: impl Into<String>) -> Self {
        Finding { severity, code, what: what.into(), why: why.into(), fix: Vec::new(), stops: None, rank: u8::MAX }
    }

    /// Adds what mends it.
    pub(super) fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix.push(command.into());
        self
    }

    /// Work stands still because of it.
    pub(super) fn stops(mut self, rank: u8, sentence: impl Into<String>) -> Self {
        (self.rank, self.stops) = (rank, Some(sentence.into()));
        self
    }

    /// Whether it is more than a note.
    pub(super) fn counts(&self) -> bool {
        self.severity < Severity::Note
    }
}

/// Something that was looked at and found right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Right {
    /// What.
    pub(super) about: &'static str,
    /// How it is.
    pub(super) how: String,
}

/// Everything that is told.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    store: String,
    headline: String,
    findings: Vec<Finding>,
    looked_at: Vec<Right>,
    #[serde(skip)]
    exit: Exit,
}

impl Report {
    pub(super) fn new(
        store: &str,
        headline: String,
        mut findings: Vec<Finding>,
        looked_at: Vec<Right>,
        exit: Exit,
    ) -> Self {
        findings.sort_by_key(|finding| (finding.severity, finding.rank));
        Report { store: store.to_owned(), headline, findings, looked_at, exit }
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let worst = self.findings.first().map(|finding| finding.severity);
        let style = match worst {
            Some(Severity::Critical) => BAD,
            Some(Severity::Warning) => WARN,
            Some(Severity::Note) | None => GOOD,
        };
        let mut text = String::new();
        for line in wrapped(&self.headline, 0, 0).lines() {
            text.push_str(&format!("{}\n", styled(style, line)));
        }
        for finding in &self.findings {
            text.push('\n');
            text.push_str(&of_finding(finding));
        }
        if !self.looked_at.is_empty() {
            text.push_str(&format!("\n{}\n", styled(STRONG, "Looked at and found right")));
        }
        for right in &self.looked_at {
            let lines = wrapped(&right.how, 0, 14);
            text.push_str(&format!("  {} {lines}", styled(DIM, format_args!("{:<11}", right.about))));
        }
        text
    }
}

fn of_finding(finding: &Finding) -> String {
    let style = match finding.severity {
        Severity::Critical => BAD,
        Severity::Warning => WARN,
        Severity::Note => DIM,
    };
    let head = format!("{}: {}", finding.severity.as_str(), finding.what);
    let mut text = String::new();
    for (index, line) in wrapped(&head, 0, 2).lines().enumerate() {
        match line.split_once(": ").filter(|_| index == 0) {
            Some((severity, rest)) => {
                text.push_str(&format!("{}: {}\n", styled(style, severity), styled(STRONG, rest)));
            }
            None => text.push_str(&format!("  {}\n", styled(STRONG, line.trim_start()))),
        }
    }
    if !finding.why.is_empty() {
        text.push_str(&wrapped(&finding.why, 2, 2));
    }
    for fix in &finding.fix {
        // A command is copied: it is not wrapped.
        text.push_str(&format!("  {} {}\n", styled(DIM, "fix:"), styled(HELP, output::plain(fix))));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_commands_stay_whole() {
        let long = format!("vconductor queue resume {}", "x".repeat(120));
        let findings = vec![
            Finding::new(Severity::Note, "n", "a note", "because"),
            Finding::new(Severity::Critical, "b", "second", "").stops(9, "B."),
            Finding::new(Severity::Critical, "a", "first", "").stops(1, "A.").fix(long.clone()),
        ];
        let right = vec![Right { about: "lists", how: "none".to_owned() }];
        let report = Report::new("embedded:x", "A.".to_owned(), findings, right, Exit::Findings);
        assert_eq!(report.findings().iter().map(|finding| finding.code).collect::<Vec<_>>(), ["a", "b", "n"]);
        let text = anstream::adapter::strip_str(&report.text()).to_string();
        assert!(text.starts_with("A.\n\ncritical: first\n"), "{text}");
        assert!(text.contains(&format!("  fix: {long}\n")), "{text}");
        assert!(text.ends_with("Looked at and found right\n  lists       none\n"), "{text}");
        let value = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&value["findings"][0]["code"], &value["findings"][0]["severity"]),
            (&"a".into(), &"critical".into())
        );
        assert_eq!(value["findings"][2]["stops"], serde_json::Value::Null);
    }
}
