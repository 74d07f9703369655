//! The lines that are shown while an engine runs.

use std::time::Duration;

use crate::cli::progress::rate;
use crate::engine::report::{ChainFigures, Figures, RunOutcome};

/// One line per chain that has done anything, and the rate over all of them.
pub(super) fn lines(figures: &Figures, elapsed: Duration, working: usize) -> Vec<String> {
    let finished = figures.total(RunOutcome::Done) + figures.total(RunOutcome::Stopped);
    let mut lines: Vec<_> = figures.chains.iter().map(|(name, chain)| format!("{name}: {}", line(chain))).collect();
    let cost = Some(figures.cost()).filter(|cost| *cost > 0.0).map(|cost| format!(", ${cost:.2}")).unwrap_or_default();
    lines.push(format!("{working} at work, {finished} done, {}{cost}", rate(finished, elapsed)));
    lines
}

fn line(chain: &ChainFigures) -> String {
    let count = |outcome| chain.outcomes.get(&outcome).copied().unwrap_or(0);
    let mut text = format!("{} done", count(RunOutcome::Done));
    let rest = [
        (RunOutcome::Stopped, "stopped"),
        (RunOutcome::Retried, "retried"),
        (RunOutcome::Parked, "parked"),
        (RunOutcome::Dead, "failed"),
    ];
    for (outcome, name) in rest {
        if count(outcome) > 0 {
            text.push_str(&format!(", {} {name}", count(outcome)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::report::Report;

    #[test]
    fn a_line_tells_what_happened_and_no_more() {
        let mut figures = Figures::default();
        let chain = figures.chains.entry("calls".to_owned()).or_default();
        chain.outcomes.extend([(RunOutcome::Done, 12), (RunOutcome::Dead, 1)]);
        let lines = lines(&figures, Duration::from_secs(4), 3);
        assert_eq!(lines, ["calls: 12 done, 1 failed", "3 at work, 12 done, 3.0/s"]);
        let report = Report::default();
        report.paid("calls", "transcribe", 1.234);
        assert_eq!(
            super::lines(&report.figures(), Duration::from_secs(4), 0),
            ["calls: 0 done", "0 at work, 0 done, 0.0/s, $1.23"]
        );
    }
}
