//! What `check` says, in each of its forms.

use comfy_table::{Cell, Color};
use serde_json::{Value, json};
use vconductor_core::config::markdown::Extent;
use vconductor_core::config::{self, Config, Finding, compat_effects};

use super::super::configuration::{self, Configuration, counted};
use super::super::exit::Exit;
use super::super::output::{self, BAD, DIM, GOOD, STRONG, WARN, styled};
use super::online::{Outcome, Tried};
use super::{Check, Checked};

/// For people.
pub(super) fn text(checked: &Checked, check: &Check) -> String {
    let mut text = config::render(&checked.findings(), output::stdout_has_colour(), output::width());
    if let Some(config) = checked.configuration.as_ref().and_then(|all| all.config.as_ref()) {
        text.push_str(&format!("{}\n", styled(DIM, configuration::mode(&config.mode))));
        push_effects(&mut text, config);
    }
    push_tried(&mut text, &checked.tried);
    if check.online && checked.errors() > 0 {
        text.push_str(&format!("{}\n", styled(DIM, "nothing was tried online: the configuration has errors")));
    }
    push_explain(&mut text, checked);
    let style = match check.exit(checked) {
        Exit::Done if checked.warnings() > 0 => WARN,
        Exit::Done => GOOD,
        _ => BAD,
    };
    text.push_str(&format!("{}\n", styled(style, verdict(checked))));
    text
}

/// `2 chains, 5 links, 1 storage; 3 blocks in 2 Markdown files: no errors, 1 warning; 9 of 10 answer`.
fn verdict(checked: &Checked) -> String {
    let mut parts = Vec::new();
    parts.extend(checked.configuration.as_ref().and_then(Configuration::contents));
    if !checked.blocks.is_empty() || checked.configuration.is_none() {
        let mut files: Vec<&str> = checked.blocks.iter().map(|block| block.file.as_str()).collect();
        files.dedup();
        let blocks = counted(checked.blocks.len() as u64, "configuration");
        parts.push(match files.len() {
            0 => format!("{blocks} in Markdown"),
            files => format!("{blocks} in {}", counted(files as u64, "Markdown file")),
        });
    }
    let found = format!("{}, {}", counted(checked.errors(), "error"), counted(checked.warnings(), "warning"));
    let mut verdict = if parts.is_empty() { found } else { format!("{}: {found}", parts.join("; ")) };
    let tried: Vec<&Tried> = checked.tried.iter().filter(|tried| tried.outcome != Outcome::NotTried).collect();
    if !tried.is_empty() {
        let good = tried.iter().filter(|tried| tried.outcome == Outcome::Ok).count();
        verdict.push_str(&format!("; {good} of {} answer and accept us", tried.len()));
    }
    verdict
}

fn push_effects(text: &mut String, config: &Config) {
    let effects = compat_effects(config);
    if effects.is_empty() {
        return;
    }
    text.push_str(&format!(
        "{}\n",
        styled(STRONG, "Ignored as in vcon-server; leaving compatibility mode gives it effect:")
    ));
    for effect in effects {
        text.push_str(&format!("  {}: {}\n", effect.span, effect.message));
    }
}

fn push_tried(text: &mut String, tried: &[Tried]) {
    if tried.is_empty() {
        return;
    }
    let mut table = output::table(&["TRIED", "NAME", "WHAT", "TIME", "RESULT"]);
    for one in tried {
        let colour = match one.outcome {
            Outcome::Ok => Some(Color::Green),
            Outcome::Refused | Outcome::NoAnswer => Some(Color::Red),
            Outcome::NotTried => None,
        };
        let mut result = Cell::new(&one.says);
        if let Some(colour) = colour {
            result = result.fg(colour);
        }
        let time = match one.outcome {
            Outcome::NotTried => "-".to_owned(),
            _ => format!("{} ms", one.time.as_millis()),
        };
        table.add_row([
            Cell::new(one.kind),
            Cell::new(&one.name),
            Cell::new(&one.target),
            output::number(time),
            result,
        ]);
    }
    text.push_str(&output::table_text(&table));
}

/// How to learn more about the codes, where this program can tell.
fn push_explain(text: &mut String, checked: &Checked) {
    let findings = checked.findings();
    let Some(first) = findings.iter().find(|finding| finding.is_error()).or_else(|| findings.first()) else { return };
    if super::super::command().find_subcommand("explain").is_some() {
        text.push_str(&format!("{}\n", styled(DIM, format_args!("`vconductor explain {}` says more", first.code))));
    }
}

/// One document.
pub(super) fn document(checked: &Checked, check: &Check) -> Value {
    let config = checked.configuration.as_ref().and_then(|all| all.config.as_ref());
    let mode = |config: &Config| if config.mode.is_native() { "native" } else { "compatibility" };
    let blocks = checked.blocks.iter().map(|block| {
        json!({
            "file": block.file,
            "line": block.line,
            "extent": if block.extent == Extent::Whole { "whole" } else { "part" },
            "mode": block.configuration.config.as_ref().map(mode),
        })
    });
    let mut document = json!({
        "files": checked.configuration.as_ref().map(Configuration::files).unwrap_or_default(),
        "mode": config.map(mode),
        "generation": config.map(|config| &config.hash),
        "errors": checked.errors(),
        "warnings": checked.warnings(),
        "findings": checked.findings(),
        "leaving_compatibility_mode": config.map(compat_effects).unwrap_or_default(),
        "blocks": blocks.collect::<Vec<_>>(),
    });
    if check.online {
        document["online"] = checked.tried.iter().map(tried).collect();
    }
    document
}

/// A line per finding, then one for each thing that was tried.
pub(super) fn lines(checked: &Checked) -> Vec<Value> {
    let findings = checked.written().map(|finding: &Finding| json!(finding));
    findings.chain(checked.tried.iter().map(tried)).collect()
}

fn tried(tried: &Tried) -> Value {
    let mut value = json!({
        "tried": tried.kind,
        "name": tried.name,
        "target": tried.target,
        "outcome": tried.outcome,
        "milliseconds": tried.time.as_millis() as u64,
        "says": tried.says,
    });
    if let Some(finding) = &tried.finding {
        value["finding"] = json!(finding);
    }
    value
}
