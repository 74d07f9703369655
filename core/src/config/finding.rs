//! Findings: what is wrong with a configuration, where, and what to do about it.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::code::Code;
use super::source::Span;

/// Whether a finding keeps the configuration from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The configuration does not run.
    Error,
    /// The configuration runs; probably not as its author meant.
    Warning,
}

impl Level {
    /// `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
        }
    }
}

/// One thing that is wrong with a configuration. It quotes source text only, never an interpolated value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub code: Code,
    /// Whether it keeps the configuration from running.
    pub level: Level,
    /// The offending text.
    pub span: Span,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The valid name that is nearest to the offending one.
    pub nearest: Option<String>,
    /// Other places that belong to it, each with a short note.
    pub related: Vec<(Span, String)>,
    /// Places whose text is a secret: no output shows them.
    pub hidden: Vec<Span>,
}

impl Finding {
    /// A finding of the given level.
    pub fn new(level: Level, code: Code, span: &Span, message: impl Into<String>) -> Self {
        Finding {
            code,
            level,
            span: span.clone(),
            message: message.into(),
            help: None,
            nearest: None,
            related: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// A finding that keeps the configuration from running.
    pub fn error(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self::new(Level::Error, code, span, message)
    }

    /// A finding that lets the configuration run.
    pub fn warning(code: Code, span: &Span, message: impl Into<String>) -> Self {
        Self::new(Level::Warning, code, span, message)
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the nearest valid name, if there is one; it becomes the help where none was given.
    #[must_use]
    pub fn nearest(mut self, name: Option<&str>) -> Self {
        self.nearest = name.map(str::to_owned);
        self
    }

    /// Adds another place with a note.
    #[must_use]
    pub fn related(mut self, span: &Span, note: impl Into<String>) -> Self {
        self.related.push((span.clone(), note.into()));
        self
    }

    /// Adds a place whose text is a secret.
    #[must_use]
    pub(crate) fn hiding(mut self, span: &Span) -> Self {
        self.hidden.push(span.clone());
        self
    }

    /// What to do: "did you mean" and the help, as far as known.
    pub fn advice(&self) -> Option<String> {
        let guess = self.nearest.as_ref().map(|name| format!("did you mean `{name}`?"));
        match (guess, &self.help) {
            (Some(guess), Some(help)) => Some(format!("{guess} {help}")),
            (guess, help) => guess.or_else(|| help.clone()),
        }
    }

    /// Whether it keeps the configuration from running.
    pub fn is_error(&self) -> bool {
        self.level == Level::Error
    }

    /// The offending text as it stands in the source, cut to 120 characters.
    pub fn text(&self) -> String {
        let own = self.span.first_line();
        let is_secret = |hidden: &Span| {
            let hidden = hidden.range();
            hidden.start < own.end && own.start < hidden.end
        };
        if self.hidden.iter().any(is_secret) {
            return "****".to_owned();
        }
        self.span.text().chars().take(120).collect()
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Place<'a> {
            file: &'a str,
            line: usize,
            column: usize,
            note: &'a str,
        }
        let related: Vec<_> = self
            .related
            .iter()
            .map(|(span, note)| Place { file: span.source().name(), line: span.line(), column: span.column(), note })
            .collect();
        let mut out = serializer.serialize_struct("Finding", 11)?;
        out.serialize_field("code", &self.code)?;
        out.serialize_field("level", &self.level)?;
        out.serialize_field("file", self.span.source().name())?;
        out.serialize_field("line", &self.span.line())?;
        out.serialize_field("column", &self.span.column())?;
        out.serialize_field("end_column", &self.span.end_column())?;
        out.serialize_field("message", &self.message)?;
        out.serialize_field("help", &self.advice())?;
        out.serialize_field("text", &self.text())?;
        out.serialize_field("nearest", &self.nearest)?;
        out.serialize_field("related", &related)?;
        out.end()
    }
}

/// Makes what one finding knows to be secret a secret to all of them.
pub(crate) fn share_secrets(findings: &mut [Finding]) {
    let hidden: Vec<Span> = findings.iter().flat_map(|finding| finding.hidden.clone()).collect();
    for finding in findings {
        let same = |span: &&Span| std::sync::Arc::ptr_eq(span.source(), finding.span.source());
        finding.hidden = hidden.iter().filter(same).cloned().collect();
    }
}

/// Whether any of the findings keeps the configuration from running.
pub fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(Finding::is_error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;

    #[test]
    fn a_finding_becomes_one_json_object() {
        let source = Source::new("a.yml", "links:\n  tag: {modul: x}\n");
        let span = Span::new(&source, 15..20);
        let finding = Finding::error(Code::UnknownKey, &span, "unknown key `modul`")
            .nearest(Some("module"))
            .related(&Span::new(&source, 9..12), "in this link");
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            r#"{"code":"VC0301","level":"error","file":"a.yml","line":2,"column":9,"end_column":14,"message":"unknown key `modul`","help":"did you mean `module`?","text":"modul","nearest":"module","related":[{"file":"a.yml","line":2,"column":3,"note":"in this link"}]}"#
        );
    }
}
