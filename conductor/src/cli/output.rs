//! What goes to stdout (data) and to stderr (talk): tables, JSON, notices, errors.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use super::exit::{Failure, Result};
use super::progress;

/// The form of the data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document per line.
    Jsonl,
}

/// Errors.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Warnings.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// What went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// What to do.
pub(crate) const HELP: Style = AnsiColor::Cyan.on_default();
/// Headings and names.
pub(crate) const STRONG: Style = Style::new().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();

/// Whether notices are held back (`--quiet`). Errors and data are not.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Holds notices back.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether notices are held back.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// `text` in a style; what does not want colour strips it on the way out.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// In one line and without control characters: a vCon is other people's data and must not steer the terminal.
pub(crate) fn plain(text: &str) -> String {
    let visible = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    visible.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A name as the shell takes it, for commands that are copied.
pub(crate) fn quoted(name: &str) -> String {
    let plain = |part: char| part.is_alphanumeric() || matches!(part, '-' | '_' | ':' | '.' | '/');
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

/// Writes data to stdout.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes bytes to stdout as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Writes one JSON document, indented.
pub(crate) fn print_json(value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
    text.push('\n');
    print_bytes(text.as_bytes())
}

/// Writes one JSON document per line.
pub(crate) fn print_jsonl<T: Serialize>(values: impl IntoIterator<Item = T>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for value in values {
        serde_json::to_writer(&mut out, &value).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Says something on stderr, unless `--quiet`.
pub(crate) fn say(text: impl Display) {
    if !is_quiet() {
        talk(&text.to_string());
    }
}

/// Complains on stderr, also when quiet.
pub(crate) fn complain(style: Style, kind: &str, message: impl Display, help: Option<&str>) {
    let mut text = format!("{}{} {message}", styled(style, kind), styled(STRONG, ":"));
    if let Some(help) = help {
        text.push_str(&format!("\n  {} {help}", styled(HELP, "help:")));
    }
    talk(&text);
}

/// Complains about what ends the command.
pub(crate) fn complain_of(failure: &Failure) {
    if let Failure::Told { message, help, .. } = failure {
        complain(BAD, "error", message, help.as_deref());
    }
}

/// Writes to stderr, above the live lines. A closed stderr is nobody's failure: there is no one left to tell.
pub(crate) fn talk(text: &str) {
    progress::aside(|| drop(writeln!(anstream::stderr().lock(), "{text}")));
}

/// Whether people look at stderr as it grows.
pub(crate) fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stdout gets colour.
pub(crate) fn stdout_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether stderr gets colour.
pub(crate) fn stderr_has_colour() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// The width for text on stdout: the terminal's, 100 columns where there is none.
pub(crate) fn width() -> usize {
    Table::new().width().map_or(100, usize::from)
}

/// An empty table with a heading; as wide as the terminal at most, unlimited elsewhere.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let heading = headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold));
    table.set_header(heading.collect::<Vec<_>>());
    if table.is_tty() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // What wants no colour is told below that it is no terminal; it is as wide as one all the same.
        if let Some(width) = table.width() {
            table.set_width(width);
        }
    }
    if stdout_has_colour() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A cell with a number: on the right.
pub(crate) fn number(value: impl Display) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}

/// The table's text, without blanks at the ends of lines.
pub(crate) fn table_text(table: &Table) -> String {
    table.lines().fold(String::new(), |mut text, line| {
        text.push_str(line.trim_end());
        text.push('\n');
        text
    })
}
