//! Patterns that are replaced in texts.

use std::borrow::Cow;
use std::collections::BTreeSet;

use regex::{Captures, Regex};

use super::Warning;
use super::strings::{is_base64, is_structural};
use crate::document::{Document, Edit, Json, Kind, View, child_pointer};
use crate::{Error, Result};

/// What identifies a party is removed as a whole: with a mark in it, it would be no address.
const ADDRESSES: [&str; 6] = ["tel", "sip", "mailto", "email", "did", "stir"];

/// A pattern and the mark that stands for what it matched: `{{EMAIL}}`.
#[derive(Debug, Clone)]
pub struct Rule {
    name: String,
    pattern: Regex,
    /// Digits are a card number only with the right check digit.
    luhn: bool,
}

/// The patterns that have names.
const NAMED: [(&str, &str); 7] = [
    ("email", r"[\p{L}0-9._%+\-]+@[\p{L}0-9](?:[\p{L}0-9\-]*[\p{L}0-9])?(?:\.[\p{L}0-9\-]+)+"),
    ("url", r#"(?i)\bhttps?://[^\s"'<>]+"#),
    ("card", r"\b\d(?:[ \-]?\d){12,18}\b"),
    ("iban", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    ("ssn", r"\b\d{3}-\d{2}-\d{4}\b"),
    ("ip", r"\b(?:\d{1,3}\.){3}\d{1,3}\b"),
    ("phone", r"(?:\+|\b)\d{1,4}(?:[ ()./\-]{0,2}\d{2,4}){2,5}\b"),
];

impl Rule {
    /// A rule by its name (`email`, `url`, `card`, `iban`, `ssn`, `ip`, `phone`), or `NAME=REGEX`.
    ///
    /// # Errors
    /// Permanent: an unknown name, or a pattern that is none (syntax of the crate `regex`).
    pub fn parse(text: &str) -> Result<Rule> {
        if let Some((name, pattern)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Rule::new(name, pattern);
        }
        match text.split_once('=') {
            Some((name, pattern)) if !name.is_empty() => Rule::new(name, pattern),
            _ => {
                let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
                Err(Error::permanent(format!("`{text}` is no rule"))
                    .help(format!("write one of {}, or NAME=REGEX", names.join(", "))))
            }
        }
    }

    fn new(name: &str, pattern: &str) -> Result<Rule> {
        let compiled = Regex::new(pattern).map_err(|error| {
            Error::permanent(format!("the pattern of the rule `{name}` is not valid")).caused_by(error)
        })?;
        if compiled.is_match("") {
            return Err(Error::permanent(format!("the pattern of the rule `{name}` matches the empty text"))
                .help("it would put its mark between all letters"));
        }
        Ok(Rule { name: name.to_ascii_uppercase(), pattern: compiled, luhn: name == "card" })
    }

    /// A rule for the very words of `text`.
    pub(super) fn literal(name: &str, text: &str) -> Option<Rule> {
        let (first, last) = (text.chars().next()?, text.chars().last()?);
        let edge = |character: char| if character.is_alphanumeric() { r"\b" } else { "" };
        Rule::new(name, &format!("(?i){}{}{}", edge(first), regex::escape(text), edge(last))).ok()
    }

    fn replaced<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.pattern.replace_all(text, |found: &Captures<'_>| {
            if self.luhn && !has_check_digit(&found[0]) {
                found[0].to_owned()
            } else {
                format!("{{{{{}}}}}", self.name)
            }
        })
    }
}

/// ISO/IEC 7812.
fn has_check_digit(text: &str) -> bool {
    let digits = text.chars().rev().filter_map(|digit| digit.to_digit(10));
    let sum: u32 = digits
        .enumerate()
        .map(|(at, digit)| if at % 2 == 1 { digit * 2 - 9 * u32::from(digit > 4) } else { digit })
        .sum();
    sum.is_multiple_of(10)
}

/// The edits that put marks into all texts of the document.
pub(super) fn edits(rules: &[Rule], document: &Document, warnings: &mut BTreeSet<Warning>) -> Vec<Edit> {
    let mut walk = Walk { rules, edits: Vec::new(), warnings };
    if !rules.is_empty() {
        walk.value("", "", document.root(), false);
    }
    walk.edits
}

struct Walk<'a> {
    rules: &'a [Rule],
    edits: Vec<Edit>,
    warnings: &'a mut BTreeSet<Warning>,
}

impl Walk<'_> {
    /// Recurses no deeper than `MAX_DEPTH`. In a body no member name has a meaning.
    fn value(&mut self, pointer: &str, name: &str, view: View<'_>, in_body: bool) {
        match view.kind() {
            Kind::Object => {
                let binary = !in_body && is_base64(view);
                for (name, value) in view.members() {
                    let inner = child_pointer(pointer, &name);
                    if self.marked(&name).is_some() {
                        self.warn(&inner, "a member name matches a rule, and stays");
                    }
                    if !in_body && name == "body" && binary {
                        self.warn(&inner, "this binary content was not searched");
                    } else if in_body || !is_structural(pointer, &name) {
                        self.value(&inner, &name, value, in_body || name == "body");
                    }
                }
            }
            Kind::Array => {
                for (index, element) in view.elements().enumerate() {
                    self.value(&format!("{pointer}/{index}"), name, element, in_body);
                }
            }
            Kind::String => self.text(pointer, name, &view.as_str().unwrap_or_default(), in_body),
            _ => {}
        }
    }

    fn text(&mut self, pointer: &str, name: &str, text: &str, in_body: bool) {
        let inside = (in_body && text.trim_start().starts_with(['{', '['])).then(|| self.inside(text)).flatten();
        let new = match inside {
            Some(new) => new,
            None => self.marked(text),
        };
        let Some(new) = new else { return };
        if !in_body && name == "url" {
            self.warn(pointer, "this URL matches a rule, and stays");
        } else if pointer.starts_with("/parties/") && ADDRESSES.contains(&name) {
            self.edits.push(Edit::remove(pointer));
        } else {
            self.edits.push(Edit::set(pointer, Json::string(&new)));
        }
    }

    /// The rules applied within JSON that is written as text; the outer `None` when it is no JSON.
    #[expect(clippy::option_option, reason = "no JSON, and JSON in which nothing matched")]
    fn inside(&mut self, text: &str) -> Option<Option<String>> {
        let mut inner = Document::parse(text.to_owned()).ok()?;
        let mut walk = Walk { rules: self.rules, edits: Vec::new(), warnings: &mut *self.warnings };
        walk.value("", "", inner.root(), true);
        let edits = walk.edits;
        for edit in &edits {
            inner.apply(edit).ok()?;
        }
        Some((!edits.is_empty()).then(|| inner.to_json().text().to_owned()))
    }

    /// The text with marks, when any rule matches.
    fn marked(&self, text: &str) -> Option<String> {
        let mut marked = Cow::Borrowed(text);
        for rule in self.rules {
            if let Cow::Owned(new) = rule.replaced(&marked) {
                marked = Cow::Owned(new);
            }
        }
        match marked {
            Cow::Owned(new) if new != text => Some(new),
            _ => None,
        }
    }

    fn warn(&mut self, pointer: &str, message: &str) {
        self.warnings.insert(Warning { pointer: pointer.to_owned(), message: message.to_owned() });
    }
}
