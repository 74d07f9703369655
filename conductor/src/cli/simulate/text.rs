//! What a simulation prints for people.

use std::collections::BTreeSet;

use comfy_table::{Cell, Color};
use serde_json::Value;
use vconductor_core::compare::{Difference, Seen, compare};

use crate::cli::output::{self, BAD, GOOD, STRONG, plain, styled};
use crate::cli::vcon::diff;
use crate::offline::{Ended, Executed, Execution, Rehearsed};

/// The longest text in a value that is shown, in characters.
const TEXT: usize = 160;
/// So many lines of a value are shown.
const LINES: usize = 30;

/// What became of the vCon; with `trace`, what every link changed.
pub(super) fn of(rehearsed: &Rehearsed, trace: bool) -> String {
    let mut table = output::table(&["LINK", "WHAT IT DOES", "CHANGES", "TIME", "COST"]);
    for execution in &rehearsed.executions {
        let (colour, what) = what(execution);
        let changes = changes(execution);
        let counted = if changes.is_empty() { "-".to_owned() } else { changes.len().to_string() };
        let cost = execution.cost.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.4}"));
        table.add_row([
            Cell::new(plain(&execution.link)),
            Cell::new(plain(&what)).fg(colour),
            Cell::new(counted),
            output::number(format_args!("{:.1} ms", execution.took.as_secs_f64() * 1000.0)),
            output::number(cost),
        ]);
    }
    let passed = rehearsed.links.iter().filter(|link| !rehearsed.executions.iter().any(|done| done.link == **link));
    for link in passed {
        table.add_row([Cell::new(plain(link)), Cell::new("not executed").fg(Color::DarkGrey)]);
    }
    let mut text = output::table_text(&table);
    if trace {
        for execution in &rehearsed.executions {
            text.push_str(&traced(execution));
        }
    }
    text.push_str(&ending(rehearsed));
    text
}

/// What an execution did, and its colour.
pub(super) fn what(execution: &Execution) -> (Color, String) {
    let mocked = if execution.mocked { " (mocked)" } else { "" };
    match &execution.executed {
        Executed::Continue => (Color::Green, format!("goes on{mocked}")),
        Executed::Stop => (Color::Yellow, format!("stops the chain{mocked}")),
        Executed::Switch(uuid) => (Color::Green, format!("goes on with {uuid}")),
        Executed::Park => (Color::Yellow, "waits".to_owned()),
        Executed::WouldCall(call) => (Color::Yellow, format!("would call {call}")),
        Executed::Failed(_, message, _) => (Color::Red, format!("fails: {message}{mocked}")),
    }
}

fn changes(execution: &Execution) -> Vec<String> {
    let Ok(after) = execution.after() else { return Vec::new() };
    compare(execution.before.document(), &after).iter().map(diff::line).collect()
}

/// The edits of a link, its pushes and what it said.
fn traced(execution: &Execution) -> String {
    let mut text = format!("\n{}\n", styled(STRONG, plain(&execution.link)));
    let lines = match execution.after() {
        Ok(after) => compare(execution.before.document(), &after).iter().flat_map(written_out).collect(),
        Err(_) => Vec::new(),
    };
    lines.iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    for list in &execution.pushes {
        text.push_str(&format!("  to list {}\n", plain(list)));
    }
    for note in &execution.notes {
        text.push_str(&format!("  {}\n", plain(note)));
    }
    if let Executed::Failed(_, _, Some(help)) = &execution.executed {
        text.push_str(&format!("  help: {}\n", plain(help)));
    }
    if lines.is_empty() && execution.pushes.is_empty() && execution.notes.is_empty() {
        text.push_str("  changes nothing\n");
    }
    text
}

fn ending(rehearsed: &Rehearsed) -> String {
    let (style, mut text) = match &rehearsed.ended {
        Ended::Done => (GOOD, "done".to_owned()),
        Ended::Stopped => (GOOD, "stopped by a link: no storages, no egress".to_owned()),
        Ended::Failed(failure) => (BAD, format!("failed at `{}`: {}", failure.step, failure.message)),
        Ended::Held(link, why) => (BAD, format!("link `{link}` would be held until it is mended: {why}")),
    };
    text = format!("\n{}\n", styled(style, plain(&text)));
    if let Ended::Failed(failure) = &rehearsed.ended
        && let Some(help) = &failure.help
    {
        text.push_str(&format!("  help: {}\n", plain(help)));
    }
    let saved: BTreeSet<&str> = rehearsed.saved.iter().map(|(storage, ..)| storage.as_str()).collect();
    if !saved.is_empty() {
        text.push_str(&format!("  storages  {}\n", Vec::from_iter(saved).join(", ")));
    }
    if !rehearsed.pushed.is_empty() {
        let lists: Vec<&str> = rehearsed.pushed.keys().map(String::as_str).collect();
        text.push_str(&format!("  lists     {}\n", lists.join(", ")));
    }
    if rehearsed.waited.as_secs() > 0 {
        text.push_str(&format!("  waited    {} s\n", rehearsed.waited.as_secs()));
    }
    text
}

/// A difference; what was added is shown whole, as far as a person reads.
fn written_out(difference: &Difference<'_>) -> Vec<String> {
    let Some(Seen::Value(view)) = difference.after.as_ref().filter(|_| difference.before.is_none()) else {
        return vec![diff::line(difference)];
    };
    let value = shortened(view.to_value());
    if !(value.is_object() || value.is_array()) {
        return vec![diff::line(difference)];
    }
    let mut lines = vec![format!("+ {}", plain(&difference.pointer))];
    let written = serde_yaml::to_string(&value).unwrap_or_default();
    let mut members = written.lines();
    let indented = |line: &str| {
        let text = line.trim_start();
        format!("    {:indent$}{}", "", plain(text), indent = line.len() - text.len())
    };
    lines.extend(members.by_ref().take(LINES).map(indented));
    match members.count() {
        0 => {}
        more => lines.push(format!("    … {more} more lines")),
    }
    lines
}

/// The value with long texts cut off.
fn shortened(mut value: Value) -> Value {
    match &mut value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(TEXT) {
                let size = text.len();
                text.truncate(end);
                text.push_str(&format!("… ({size} bytes)"));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = shortened(item.take())),
        Value::Object(members) => members.values_mut().for_each(|member| *member = shortened(member.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    value
}
