//! `runs` without a subcommand: a line per run, and below it why it does not move.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use comfy_table::{Cell, Color};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use vconductor_core::clock::Millis;

use super::gather::{Row, Rows, Wanted};
use super::judge::State;
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::desk::{Common, Desk};
use crate::cli::dlq::canonical;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, BAD, DIM, Format, GOOD, HELP, WARN, plain, styled};
use crate::cli::paragraphs::wrapped;

/// How often is looked again.
const AGAIN: Duration = Duration::from_secs(2);

/// Which runs are shown.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Only runs of this chain
    #[arg(long, value_name = "CHAIN")]
    chain: Option<String>,
    /// Only runs that stand so; may be given several times
    #[arg(long, value_name = "STATE", value_enum)]
    state: Vec<State>,
    /// Only runs of this vCon, those that wait for their turn too
    #[arg(long, value_name = "UUID")]
    uuid: Option<String>,
    /// Only what began, failed or was done within this time, for example 15m
    #[arg(long, value_name = "TIME", value_parser = age::duration)]
    since: Option<Duration>,
    /// At most so many of each state
    #[arg(long, value_name = "N", default_value_t = 10)]
    limit: usize,
    /// Look again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    common: Common,
}

impl List {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        if !self.watch {
            self.once(&desk).await?;
            return Ok(Exit::Done);
        }
        // Listened to from the start: a Ctrl-C that comes during a look counts as well.
        let mut interrupt = signal(SignalKind::interrupt())
            .map_err(|error| Failure::new(Exit::Findings, format!("cannot listen to signals: {error}")))?;
        loop {
            if std::io::stdout().is_terminal() && self.common.output == Format::Table {
                // The cursor goes home, and what was below it goes away.
                output::print("\u{1b}[H\u{1b}[2J")?;
            }
            self.once(&desk).await?;
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                _ = interrupt.recv() => return Ok(Exit::Done),
            }
        }
    }

    async fn once(&self, desk: &Desk) -> Result<()> {
        let back = |since: Duration| age::now() - Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX / 2);
        let wanted = Wanted {
            chain: self.chain.clone(),
            uuid: self.uuid.as_deref().map(canonical),
            states: self.state.clone(),
            since: self.since.map(back),
            limit: self.limit,
        };
        let rows = wanted.gather(&*desk.store, desk.configured.as_ref()).await?;
        match self.common.output {
            Format::Table => output::print(&text(&rows, &desk.store.describe())),
            Format::Json => output::print_json(&json!({
                "runs": rows.shown, "more": rows.more, "queued": rows.queued,
            })),
            Format::Jsonl => output::print_jsonl(&rows.shown),
        }
    }
}

/// For people.
fn text(rows: &Rows, store: &str) -> String {
    let mut text = String::new();
    if rows.shown.is_empty() {
        text.push_str(&format!("no runs to show in {}\n", plain(store)));
    } else {
        text.push_str(&lines(&rows.shown));
    }
    let mut notes = Vec::new();
    if rows.more {
        notes.push("there are more; show them with --limit, or choose with --state and --chain".to_owned());
    }
    if rows.queued > 0 {
        let help = styled(HELP, "vconductor queue");
        notes.push(format!("{} for a turn on a list; {help}", waits(rows.queued)));
    }
    if rows.shown.iter().any(|row| row.state == State::Stuck) {
        notes.push(format!("why nothing moves: {}", styled(HELP, "vconductor doctor")));
    }
    if !notes.is_empty() {
        text.push('\n');
        notes.iter().for_each(|note| text.push_str(&format!("{note}\n")));
    }
    text
}

fn waits(count: u64) -> String {
    format!("{} {}", counted(count, "run"), if count == 1 { "waits" } else { "wait" })
}

/// The table, with the reason of each run below its line: uuids are there to be copied, and reasons to be read.
fn lines(rows: &[Row]) -> String {
    let paid = rows.iter().any(|row| row.cost_usd.is_some());
    let mut head = vec!["STATE", "SINCE", "CHAIN", "STEP", "TRIES"];
    if paid {
        head.push("COST");
    }
    head.push("UUID");
    let mut table = output::table(&head);
    for row in rows {
        let mut cells = vec![
            Cell::new(row.state.as_str()).fg(cell_colour(row.state)),
            output::number(age::age_or_dash(row.since)),
            Cell::new(row.chain.as_deref().map_or_else(|| "-".to_owned(), plain)),
            Cell::new(step(row)),
            output::number(row.attempts),
        ];
        if paid {
            cells.push(output::number(row.cost_usd.map_or_else(|| "-".to_owned(), |cost| format!("${cost:.4}"))));
        }
        cells.push(Cell::new(plain(&row.uuid)));
        table.add_row(cells);
    }
    // A uuid that is broken cannot be copied.
    if let Some(column) = table.column_mut(head.len() - 1) {
        column.set_constraint(comfy_table::ColumnConstraint::LowerBoundary(comfy_table::Width::Fixed(36)));
    }
    let mut text = output::table_text(&table);
    // What is true of many is said once, with the times of the first.
    let mut reasons: Vec<(&Row, &str, u64)> = Vec::new();
    for row in rows {
        let Some(reason) = row.reason.as_deref() else { continue };
        match reasons.iter_mut().find(|(first, ..)| (first.state, first.cause()) == (row.state, row.cause())) {
            Some((.., count)) => *count += 1,
            None => reasons.push((row, reason, 1)),
        }
    }
    if !reasons.is_empty() {
        text.push('\n');
    }
    for (row, reason, count) in reasons {
        let state = row.state;
        let who = if count == 1 { plain(&row.uuid) } else { counted(count, "run") };
        text.push_str(&wrapped(&format!("{} {who}: {reason}", state.as_str()), 0, 2));
        if let Some(fix) = row.fix.as_deref().filter(|_| state == State::Stuck || state == State::Failed) {
            text.push_str(&format!("  {} {}\n", styled(DIM, "do:"), styled(HELP, fix)));
        }
    }
    text
}

fn step(row: &Row) -> String {
    match (row.took_ms, &row.step) {
        (Some(took), _) => format!("took {}", span(took)),
        (None, Some(step)) => plain(step),
        (None, None) => "-".to_owned(),
    }
}

/// A duration as it is read: `12 ms`, `3.4 s`, `12 min`.
pub(super) fn span(millis: u64) -> String {
    match millis {
        0..1000 => format!("{millis} ms"),
        1000..10_000 => format!("{:.1} s", millis as f64 / 1000.0),
        _ => age::short(Duration::from_millis(millis)),
    }
}

/// The same for a cell, which must know how wide its text is.
fn cell_colour(state: State) -> Color {
    match state {
        State::Stuck | State::Failed => Color::Red,
        State::Waiting | State::Parked => Color::Yellow,
        State::Running | State::Done => Color::Green,
    }
}

pub(super) fn colour(state: State) -> anstyle::Style {
    match state {
        State::Stuck | State::Failed => BAD,
        State::Waiting | State::Parked => WARN,
        State::Running | State::Done => GOOD,
    }
}
