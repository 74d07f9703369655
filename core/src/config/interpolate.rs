//! Placeholders in text values: `${env:NAME:-default}`, `${file:PATH}`, and plain `${NAME}`.

use std::io::{self, Read as _};

use super::code::Code;
use super::finding::Finding;
use super::node::{Node, Value};
use super::source::Span;

/// Largest file that `${file:PATH}` reads, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Where placeholders take their values from.
pub trait Environment {
    /// The value of an environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file.
    ///
    /// # Errors
    /// Whatever keeps the file from being read as UTF-8 text.
    fn file(&self, path: &str) -> io::Result<String>;

    /// Whether what is not set counts as set, to something that nobody knows.
    fn assumes(&self) -> bool {
        false
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(io::Error::other("larger than 1 MB"));
        }
        Ok(text)
    }
}

/// Replaces the placeholders in all text values of a tree; keys stay as they are.
pub(crate) fn interpolate(node: &mut Node, environment: &dyn Environment, findings: &mut Vec<Finding>) {
    match &mut node.value {
        Value::Sequence(items) => items.iter_mut().for_each(|item| interpolate(item, environment, findings)),
        Value::Mapping(entries) => {
            entries.iter_mut().for_each(|(_, value)| interpolate(value, environment, findings));
        }
        Value::String(text) if text.contains("${") => {
            let mut text = Text {
                rest: text,
                out: String::new(),
                span: &node.span,
                searched: 0,
                substituted: false,
                unknown: false,
            };
            text.replace(environment, findings);
            let Text { out, substituted, unknown, .. } = text;
            node.value = Value::String(out);
            node.substituted = substituted || unknown;
            node.unknown = unknown;
        }
        _ => {}
    }
}

/// One text value on its way through the replacement.
struct Text<'a> {
    rest: &'a str,
    out: String,
    span: &'a Span,
    /// How far the source text has been searched for placeholders.
    searched: usize,
    substituted: bool,
    unknown: bool,
}

impl Text<'_> {
    fn replace(&mut self, environment: &dyn Environment, findings: &mut Vec<Finding>) {
        while let Some(at) = self.rest.find("${") {
            let before = &self.rest[..at];
            let start = &self.rest[at..];
            if let Some(literal) = before.strip_suffix('$') {
                self.out.push_str(literal);
                self.out.push_str("${");
                self.rest = &start[2..];
                continue;
            }
            self.out.push_str(before);
            let end = start.find('}').map_or(start.len(), |end| end + 1);
            let placeholder = &start[..end];
            self.rest = &start[end..];
            let place = self.place(placeholder);
            match value(placeholder, environment, &place) {
                Ok(value) => {
                    self.out.push_str(&value);
                    self.substituted = true;
                }
                Err(finding) => {
                    self.out.push_str(placeholder);
                    let is_missing =
                        |finding: &Finding| matches!(finding.code, Code::VariableMissing | Code::FileMissing);
                    if environment.assumes() && finding.as_deref().is_some_and(is_missing) {
                        self.unknown = true;
                    } else {
                        findings.extend(finding.map(|finding| *finding));
                    }
                }
            }
        }
        self.out.push_str(self.rest);
    }

    /// Where the placeholder stands in the source; the whole value if escapes hide it.
    fn place(&mut self, placeholder: &str) -> Span {
        let source = &self.span.source().text()[self.span.range()];
        match source[self.searched..].find(placeholder) {
            Some(offset) => {
                let start = self.searched + offset;
                self.searched = start + placeholder.len();
                self.span.part(start..self.searched)
            }
            None => self.span.clone(),
        }
    }
}

/// The value of a placeholder such as `${env:NAME}`. An error without a finding: it is no placeholder of ours.
fn value(placeholder: &str, environment: &dyn Environment, place: &Span) -> Result<String, Option<Box<Finding>>> {
    let closed = placeholder.strip_suffix('}');
    let inner = &closed.unwrap_or(placeholder)[2..];
    if let Some(variable) = inner.strip_prefix("env:") {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        if closed.is_none() || !is_name(name) {
            return Err(Some(Box::new(malformed(placeholder, "write `${env:NAME}` or `${env:NAME:-default}`", place))));
        }
        // As in a shell, `:-` also stands in for a variable that is empty.
        let set = environment.variable(name).filter(|value| default.is_none() || !value.is_empty());
        return set.or_else(|| default.map(str::to_owned)).ok_or_else(|| Some(Box::new(missing(name, place))));
    }
    if let Some(path) = inner.strip_prefix("file:") {
        if closed.is_none() || path.trim().is_empty() {
            return Err(Some(Box::new(malformed(placeholder, "write `${file:/path/to/file}`", place))));
        }
        return match environment.file(path) {
            Ok(text) => Ok(text.trim_end_matches(['\n', '\r']).to_owned()),
            Err(error) => Err(Some(Box::new(
                Finding::error(Code::FileMissing, place, format!("cannot read the file `{path}`: {error}"))
                    .help("the user that runs vConductor must be able to read it"),
            ))),
        };
    }
    if closed.is_none() {
        return Err(None);
    }
    let upper = is_name(inner) && !inner.contains(|letter: char| letter.is_ascii_lowercase());
    if let (true, Some(value)) = (upper, environment.variable(inner)) {
        return Ok(value);
    }
    Err(Some(Box::new(left_alone(inner, upper, place))))
}

fn missing(name: &str, place: &Span) -> Finding {
    Finding::error(Code::VariableMissing, place, format!("the environment variable `{name}` is not set"))
        .help(format!("set it, or give a default: `${{env:{name}:-default}}`"))
}

fn malformed(placeholder: &str, help: &str, place: &Span) -> Finding {
    let shown = placeholder.lines().next().unwrap_or_default();
    Finding::error(Code::BadPlaceholder, place, format!("`{shown}` is not a complete placeholder")).help(help)
}

fn left_alone(inner: &str, upper: bool, place: &Span) -> Finding {
    let (why, name) = match inner.split_once(":-") {
        Some((name, _)) => ("a default needs the prefix `env:`", name),
        None if upper => ("no such variable is set", inner),
        None => ("it is no upper-case variable name", inner),
    };
    let finding = Finding::warning(Code::NotReplaced, place, format!("`${{{inner}}}` is left as it is: {why}"));
    if is_name(name) {
        return finding
            .help(format!("write `${{env:{inner}}}` for the variable, or `$${{{inner}}}` for the text itself"));
    }
    finding.help(format!("write `$${{{inner}}}` if this text is meant"))
}

/// `[A-Za-z_][A-Za-z0-9_]*`
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;
    use crate::config::yaml::parse;

    struct Fake;

    impl Environment for Fake {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "KEY" | "key" => Some("s3cret".into()),
                "EMPTY" => Some(String::new()),
                "NESTED" => Some("${env:KEY}".into()),
                _ => None,
            }
        }

        fn file(&self, path: &str) -> io::Result<String> {
            match path {
                "/run/secrets/x" => Ok("from file\r\n".into()),
                _ => Err(io::Error::from(io::ErrorKind::NotFound)),
            }
        }
    }

    fn read(value: &str) -> (Node, Vec<Finding>) {
        let mut findings = Vec::new();
        let source = Source::new("t.yml", format!("a: {value}\n"));
        let mut root = parse(&source, &mut findings).unwrap();
        interpolate(&mut root, &Fake, &mut findings);
        (root.get("a").unwrap().clone(), findings)
    }

    #[test]
    fn placeholders_take_their_values() {
        let cases = [
            ("${env:KEY}", "s3cret", true),
            ("x-${env:KEY}-${env:KEY}-y", "x-s3cret-s3cret-y", true),
            ("${env:key}", "s3cret", true),
            ("${env:NO:-fall back}", "fall back", true),
            ("${env:NO:-}", "", true),
            ("${env:EMPTY:-d}", "d", true),
            ("${env:EMPTY}", "", true),
            ("${file:/run/secrets/x}", "from file", true),
            ("${KEY}", "s3cret", true),
            ("$${KEY} ${KEY}", "${KEY} s3cret", true),
            ("$${env:KEY}", "${env:KEY}", false),
            ("'$KEY {KEY} $ {'", "$KEY {KEY} $ {", false),
            // What was put in is not looked at again.
            ("${env:NESTED}", "${env:KEY}", true),
            ("'${'", "${", false),
        ];
        for (text, expected, substituted) in cases {
            let (node, findings) = read(text);
            assert!(findings.is_empty(), "{text}: {findings:?}");
            assert_eq!((node.as_str(), node.substituted), (Some(expected), substituted), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_reported_at_its_place() {
        let cases = [
            ("x ${env:NO}", Code::VariableMissing, "t.yml:1:6", true),
            ("\"é ${env:KEY} ${env:NO}\"", Code::VariableMissing, "t.yml:1:18", true),
            ("${file:/nowhere}", Code::FileMissing, "t.yml:1:4", true),
            ("${env:}", Code::BadPlaceholder, "t.yml:1:4", true),
            ("${env:A-B}", Code::BadPlaceholder, "t.yml:1:4", true),
            ("'${env:KEY'", Code::BadPlaceholder, "t.yml:1:5", true),
            ("'${file: }'", Code::BadPlaceholder, "t.yml:1:5", true),
            ("${NO}", Code::NotReplaced, "t.yml:1:4", false),
            ("${key}", Code::NotReplaced, "t.yml:1:4", false),
            ("${KEY:-x}", Code::NotReplaced, "t.yml:1:4", false),
        ];
        for (text, code, place, error) in cases {
            let (node, findings) = read(text);
            assert_eq!(findings.len(), 1, "{text}: {findings:?}");
            let finding = &findings[0];
            assert_eq!((finding.code, finding.is_error()), (code, error), "{text}");
            assert_eq!(finding.span.to_string(), place, "{text}");
            if !error {
                assert_eq!(node.as_str(), Some(text));
            }
            assert!(!format!("{finding:?}").contains("s3cret"));
        }
    }

    #[test]
    fn keys_are_never_touched() {
        let (node, findings) = read("{\"${env:KEY}\": 1}");
        assert!(findings.is_empty());
        assert_eq!(node.entries()[0].0.name, "${env:KEY}");
    }

    #[test]
    fn the_process_environment_reads_files_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "x\n").unwrap();
        assert_eq!(ProcessEnvironment.file(path.to_str().unwrap()).unwrap(), "x\n");
        std::fs::write(&path, vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        assert!(ProcessEnvironment.file(path.to_str().unwrap()).is_err());
    }
}
