//! One option of one link as it is written on a command line: `LINK.options.NAME=VALUE`.

use super::finding::{Finding, has_errors};
use super::interpolate::{Environment, interpolate};
use super::node::{Key, Node, Value};
use super::source::{Source, Span};
use super::yaml;
use crate::error::{Error, Result};

/// What stands between the link and its option.
const OPTIONS: &str = ".options.";

/// An option of a link that is to be put over those of the configuration.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The link's name.
    pub link: String,
    /// The option, and the way into it where it is a map.
    pub path: Vec<String>,
    /// The value as it was written, before placeholders in it are replaced.
    pub value: Node,
    /// The name as it was written.
    name: Span,
}

impl Setting {
    /// Reads a setting. Its value means what it means in a configuration: `3` is a number, `[a, b]` a list.
    ///
    /// # Errors
    /// Permanent: it has another form, or its value is no YAML.
    pub fn parse(text: &str) -> Result<Setting> {
        let form = |message: String| {
            Error::permanent(message).help("write LINK.options.NAME=VALUE, for example transcribe.options.model=nova-3")
        };
        let Some((name, value)) = text.split_once('=') else {
            return Err(form(format!("`{text}` names no value")));
        };
        let Some((link, path)) = name.split_once(OPTIONS).filter(|(link, _)| !link.is_empty()) else {
            return Err(form(format!("`{name}` names no option of a link")));
        };
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if path.iter().any(String::is_empty) {
            return Err(form(format!("`{name}` names no option of a link")));
        }
        let source = Source::new(format!("--set {name}"), value);
        let mut findings = Vec::new();
        let read = yaml::parse(&source, &mut findings).filter(|_| !has_errors(&findings));
        let Some(value) = read else {
            let why = findings.first().map(|finding| finding.message.clone()).unwrap_or_default();
            return Err(form(format!("the value of `{name}` is no YAML: {why}")));
        };
        let whole = Source::new("--set", text);
        Ok(Setting { link: link.to_owned(), path, value, name: Span::new(&whole, 0..name.len()) })
    }

    /// The options that it stands for, with placeholders replaced, to be put over a link's own.
    pub fn options(&self, environment: &dyn Environment, findings: &mut Vec<Finding>) -> Node {
        let mut value = self.value.clone();
        interpolate(&mut value, environment, findings);
        let mut end = self.name.range().end;
        for name in self.path.iter().rev() {
            let span = Span::new(self.name.source(), end - name.len()..end);
            end -= name.len() + 1;
            let key = Key { name: name.clone(), span: span.clone() };
            value = Node::collection(Value::Mapping(vec![(key, value)]), &span);
        }
        value
    }

    /// The setting as it was written.
    pub fn text(&self) -> &str {
        self.name.source().text()
    }

    /// Whether a finding is about what is written here.
    pub fn is_at(&self, finding: &Finding) -> bool {
        finding.span.source() == self.name.source() || finding.span.source() == self.value.span.source()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::ProcessEnvironment;

    fn read(text: &str) -> serde_json::Value {
        let setting = Setting::parse(text).unwrap();
        setting.options(&ProcessEnvironment, &mut Vec::new()).to_json()
    }

    #[test]
    fn values_mean_what_they_mean_in_a_configuration() {
        assert_eq!(read("a.options.model=nova-3"), json!({"model": "nova-3"}));
        assert_eq!(read("a.options.n=3"), json!({"n": 3}));
        assert_eq!(read("a.options.n='3'"), json!({"n": "3"}));
        assert_eq!(read("a.options.tags=[x, y]"), json!({"tags": ["x", "y"]}));
        assert_eq!(read("a.b.options.deep.er=on"), json!({"deep": {"er": true}}));
        assert_eq!(read("a.options.url=http://h/?a=b"), json!({"url": "http://h/?a=b"}));
        assert_eq!(read("a.options.n="), json!({"n": null}));
        let setting = Setting::parse("a.b.options.deep.er=on").unwrap();
        assert_eq!((setting.link.as_str(), setting.path.join("/").as_str()), ("a.b", "deep/er"));
    }

    #[test]
    fn other_forms_are_refused() {
        for wrong in ["a.options.x", "a.x=1", ".options.x=1", "a.options.=1", "a.options..x=1", "a.options.x=[1"] {
            assert!(Setting::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_are_those_of_the_text() {
        let setting = Setting::parse("link.options.deep.er=1").unwrap();
        let node = setting.options(&ProcessEnvironment, &mut Vec::new());
        let (deep, inner) = node.entry("deep").unwrap();
        let (er, _) = inner.entry("er").unwrap();
        assert_eq!((deep.span.text(), er.span.text(), er.span.column()), ("deep", "er", 19));
    }
}
