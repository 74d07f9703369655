//! Plain values that YAML 1.1 reads otherwise than they look, where that changes what they mean.

use super::code::Code;
use super::described::{Leaf, Written};
use super::finding::Finding;
use super::node::{Node, Style, Value};
use super::typed::push_once;

/// Reports them in the options of all plugins.
pub(crate) fn check(written: &[Written], findings: &mut Vec<Finding>) {
    for Written { place, described, .. } in written {
        described.leaves(&mut |leaf| {
            if let Some(read) = surprise(leaf) {
                let text = &leaf.node.text;
                let message = format!("`{}`: YAML 1.1 reads `{text}` as {read}", leaf.path(place));
                let value = read.rsplit(' ').next().unwrap_or_default();
                let help = match leaf.takes("string") {
                    true => format!("write \"{text}\" if the text is meant, or `{value}`"),
                    false => format!("write `{value}` if that is meant"),
                };
                push_once(findings, Finding::warning(Code::Surprise, &leaf.node.span, message).help(help));
            }
        });
    }
}

/// What is made of the value, if that surprises.
fn surprise(leaf: &Leaf<'_>) -> Option<String> {
    let Node { value, text, style: Style::Plain, substituted: false, .. } = leaf.node else { return None };
    let (text_fits, number_fits) = (leaf.takes("string"), leaf.takes("number") || leaf.takes("integer"));
    // A text that is wanted is taken as it is written, and a number of this form that is wanted is none to write down.
    let either = text_fits && (number_fits || leaf.takes("boolean"));
    match value {
        Value::Bool(flag) if text_fits && !matches!(text.to_lowercase().as_str(), "true" | "false") => {
            leaf.takes("boolean").then(|| format!("the truth value {flag}"))
        }
        // Hours and minutes, or minutes and seconds? YAML takes sixtieths.
        Value::Int(number) if text.contains(':') && (either || !text_fits) => Some(format!("the number {number}")),
        Value::Int(number) if either && text.trim_start_matches('+') != number.to_string() => {
            Some(format!("the number {number}"))
        }
        Value::Float(number) if text.contains(':') && (either || !text_fits) => Some(format!("the number {number}")),
        Value::Float(number) if either && *text != number.to_string() => Some(format!("the number {number}")),
        _ => None,
    }
}
