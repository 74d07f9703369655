//! Warnings that somebody has looked at and allows, by a comment: `# check: allow VC0405`.

use super::code::Code;
use super::finding::{Finding, share_secrets};

const MARK: &str = "# check: allow ";

/// Leaves out warnings whose line, or the comment line right above it, allows their code. Errors cannot be allowed.
pub fn without_allowed(mut findings: Vec<Finding>) -> Vec<Finding> {
    // A secret stays one when the warning about it is allowed.
    share_secrets(&mut findings);
    findings.retain(|finding| finding.is_error() || !is_allowed(finding));
    findings
}

fn is_allowed(finding: &Finding) -> bool {
    let line = finding.span.line();
    let source = finding.span.source();
    let own = source.line(line);
    let above = (line > 1).then(|| source.line(line - 1)).filter(|above| above.trim_start().starts_with('#'));
    [Some(own), above].into_iter().flatten().any(|line| codes(line).any(|code| code == finding.code))
}

/// The codes that a line allows.
fn codes(line: &str) -> impl Iterator<Item = Code> {
    let rest = line.split_once(MARK).map_or("", |(_, rest)| rest);
    rest.split([' ', ',']).filter(|word| !word.is_empty()).map_while(Code::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::{Source, Span};

    #[test]
    fn a_comment_allows_a_warning_of_its_line_or_the_next() {
        for (text, left) in [
            ("a: 1   # check: allow VC0405\n", 0),
            ("a: 1   # check: allow VC0205, vc0405 it is only read\n", 0),
            ("# check: allow VC0405\na: 1\n", 0),
            ("b: 2   # check: allow VC0405\na: 1\n", 1),
            ("a: 1   # check: allow VC0205\n", 1),
            ("a: 1   # allow VC0405\n", 1),
        ] {
            let source = Source::new("a.yml", text);
            let at = text.find("a: 1").unwrap();
            let span = Span::new(&source, at..at + 1);
            let findings = [
                Finding::warning(Code::Unused, &span, "not used"),
                Finding::error(Code::UnknownLink, &span, "an error stays"),
            ];
            assert_eq!(without_allowed(findings.to_vec()).len(), left + 1, "{text}");
        }
    }
}
