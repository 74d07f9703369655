//! Values that nobody knows yet: of variables and files that are taken as set, because here they are not.

use std::io;

use super::code::Code;
use super::finding::Finding;
use super::interpolate::{Environment, ProcessEnvironment};
use super::node::{Node, Value};
use super::source::Span;

/// The environment of this process, in which what is not set counts as set to something: for a machine that must not have
/// the secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct AssumedEnvironment;

impl Environment for AssumedEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        ProcessEnvironment.variable(name)
    }

    fn file(&self, path: &str) -> io::Result<String> {
        ProcessEnvironment.file(path)
    }

    fn assumes(&self) -> bool {
        true
    }
}

/// Leaves out what was found in values that nobody knows.
pub fn without_unknown(mut findings: Vec<Finding>, written: &Node) -> Vec<Finding> {
    let mut unknown = Unknown::default();
    unknown.collect(written);
    findings.retain(|finding| {
        let is_in_it = unknown.values.contains(&finding.span);
        // A plugin that does not say which of its options it means may mean that one.
        let is_about_all = finding.code == Code::BadValue && unknown.around.contains(&finding.span);
        !is_in_it && !is_about_all
    });
    findings
}

#[derive(Default)]
struct Unknown {
    values: Vec<Span>,
    around: Vec<Span>,
}

impl Unknown {
    /// Whether there is one in the node.
    fn collect(&mut self, node: &Node) -> bool {
        let mut found = false;
        match &node.value {
            Value::Sequence(items) => items.iter().for_each(|item| found |= self.collect(item)),
            Value::Mapping(entries) => entries.iter().for_each(|(_, node)| found |= self.collect(node)),
            _ => {
                if node.unknown {
                    self.values.push(node.span.clone());
                }
                return node.unknown;
            }
        }
        if found {
            self.around.push(node.span.clone());
        }
        found
    }
}
