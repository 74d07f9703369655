//! What was measured, as a table for people or as JSON.

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::load::{Measured, Outcome, median};

/// Everything of one run of the program.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// Median time of a durable 4 KB write, in milliseconds.
    pub(crate) fsync_ms: f64,
    pub(crate) processors: usize,
    pub(crate) redis: String,
    pub(crate) lines: Vec<Line>,
}

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    /// What was done.
    pub(crate) case: String,
    /// Who did it, or what was looked at.
    pub(crate) subject: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The figure over the one of the same rounds that it is compared with: the median of the rounds.
    pub(crate) ratio: Option<f64>,
    /// What the project asks of it.
    pub(crate) goal: Option<&'static str>,
    /// CPU time per vCon in microseconds: of whoever did it, and of the server.
    pub(crate) cpu_own_us: Option<f64>,
    pub(crate) cpu_redis_us: Option<f64>,
}

impl Line {
    pub(crate) fn new(case: &str, subject: &str, value: f64, unit: &'static str) -> Line {
        Line {
            case: case.to_owned(),
            subject: subject.to_owned(),
            value,
            unit,
            ratio: None,
            goal: None,
            cpu_own_us: None,
            cpu_redis_us: None,
        }
    }

    pub(crate) fn goal(self, goal: &'static str) -> Line {
        Line { goal: Some(goal), ..self }
    }

    pub(crate) fn ratio(self, ratio: f64) -> Line {
        Line { ratio: Some(ratio), ..self }
    }
}

/// Rounds of one kind.
#[derive(Debug, Default)]
pub(crate) struct Rounds(pub(crate) Vec<Measured>);

impl Rounds {
    /// Median of this kind's rates over those of another kind in the same rounds.
    pub(crate) fn over(&self, other: &Rounds) -> f64 {
        median(self.0.iter().zip(&other.0).map(|(this, other)| this.rate / other.rate).collect())
    }

    pub(crate) fn line(&self, case: &str, subject: &str) -> Line {
        let of = |part: fn(&Measured) -> f64| median(self.0.iter().map(part).collect());
        Line {
            cpu_own_us: Some(of(|round| round.cost.own)),
            cpu_redis_us: Some(of(|round| round.cost.redis)),
            ..Line::new(case, subject, of(|round| round.rate), "vCons/s")
        }
    }
}

impl Report {
    pub(crate) fn print(&self, json: bool) -> Outcome {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!(
            "{}, AOF everysec, documents as strings; {} processors; fsync of 4 KB {:.2} ms",
            self.redis, self.processors, self.fsync_ms
        );
        println!("{}", self.table());
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["case", "who", "figure", "", "ratio", "goal", "CPU us/vCon", "of Redis"]);
        let mut last = "";
        for line in &self.lines {
            let case = if line.case == last { "" } else { &line.case };
            last = &line.case;
            let two = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
            let one = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.1}"));
            let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
            table.add_row([
                Cell::new(case),
                Cell::new(&line.subject),
                right(figure(line.value)),
                Cell::new(line.unit),
                right(two(line.ratio)),
                Cell::new(line.goal.unwrap_or_default()),
                right(one(line.cpu_own_us)),
                right(one(line.cpu_redis_us)),
            ]);
        }
        table
    }
}

/// Three digits that matter, thousands apart.
fn figure(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
