//! What a run did, in the order in which it did it: passages that ended, what is at work now, and what only the ledger knows.

use comfy_table::Cell;
use serde::Serialize;
use vconductor_core::clock::Millis;
use vconductor_core::run::{Ledger, Recorded, StepEntry, Usage};
use vconductor_core::store::{AtWork, PastRun, StepEnd, StepTime};

use super::gather::moment;
use super::judge::short;
use super::list::span;
use crate::cli::age;
use crate::cli::output::{self, STRONG, number, plain, styled};
use crate::cli::paragraphs::wrapped;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Event {
    #[serde(serialize_with = "told")]
    at: Millis,
    /// The step; `None`: the end of a passage.
    step: Option<String>,
    attempt: u32,
    took_ms: Option<u64>,
    outcome: String,
    error: Option<String>,
    usage: Option<Usage>,
}

fn told<S: serde::Serializer>(at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    moment(&Some(*at), serializer)
}

impl Event {
    fn of(step: &StepTime) -> Self {
        Event {
            at: step.began,
            step: Some(step.name.clone()),
            attempt: step.attempt,
            took_ms: step.took_ms,
            outcome: step.end.map_or("at work", StepEnd::as_str).to_owned(),
            error: step.error.clone(),
            usage: step.usage.clone(),
        }
    }

    fn end_of(past: &PastRun) -> Self {
        let outcome = match (past.outcome.as_str(), past.until) {
            ("retried", Some(until)) => format!("passage {} failed; goes on at {}", past.attempt, clock(until)),
            ("parked", Some(until)) => format!("parked until {} at the longest", clock(until)),
            ("dead", _) => "failed for good".to_owned(),
            ("stopped", _) => "done: a link stopped the chain".to_owned(),
            (outcome, _) => match past.pushed.as_slice() {
                [] => outcome.to_owned(),
                lists => format!("{outcome}, handed on to {}", lists.join(", ")),
            },
        };
        Event {
            at: past.ended,
            step: None,
            attempt: past.attempt,
            took_ms: u64::try_from(past.ended - past.began).ok(),
            outcome,
            error: past.failure.as_ref().map(|failure| format!("{}: {}", failure.step, failure.message)),
            usage: None,
        }
    }

    /// What the ledger says of a step whose time nobody has noted.
    fn recorded(entry: &StepEntry) -> Self {
        let outcome = match &entry.outcome {
            Recorded::Unfinished => "not finished".to_owned(),
            Recorded::Continue => "done".to_owned(),
            Recorded::Stop => "stopped the chain".to_owned(),
            Recorded::Switch(uuid) => format!("switched to {uuid}"),
            Recorded::Failed(_) => "failed, the chain went on".to_owned(),
        };
        let error = match &entry.outcome {
            Recorded::Failed(why) => Some(why.clone()),
            _ => None,
        };
        Event {
            at: entry.finished_at,
            step: Some(entry.key.link.clone()),
            attempt: entry.attempts.max(1),
            took_ms: None,
            outcome,
            error,
            usage: entry.usage.clone(),
        }
    }
}

/// All that is known of a run's course, the oldest first.
pub(super) fn events(past: &[PastRun], at_work: Option<&AtWork>, ledger: Option<&Ledger>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for passage in past.iter().rev() {
        events.extend(passage.steps.iter().map(Event::of));
        events.push(Event::end_of(passage));
    }
    events.extend(at_work.into_iter().flat_map(|run| run.steps.iter().map(Event::of)));
    let known = |entry: &StepEntry| events.iter().any(|event| event.step.as_ref() == Some(&entry.key.link));
    // The engine's own entries count tries of what is no step.
    let entries = ledger.into_iter().flat_map(|ledger| &ledger.steps);
    let unknown: Vec<Event> =
        entries.filter(|entry| !entry.key.link.starts_with("engine:") && !known(entry)).map(Event::recorded).collect();
    events.extend(unknown);
    events.sort_by_key(|event| event.at);
    events
}

/// For people; empty where nothing is known.
pub(super) fn text(events: &[Event], now: Millis) -> String {
    if events.is_empty() {
        return String::new();
    }
    let paid = events.iter().any(|event| event.usage.is_some());
    let mut head = vec!["AT (UTC)", "STEP", "TRY", "TOOK", "OUTCOME"];
    if paid {
        head.extend(["USED", "COST"]);
    }
    let mut table = output::table(&head);
    for event in events {
        let took = match (event.took_ms, event.outcome.as_str()) {
            (Some(took), _) => span(took),
            (None, "at work") => short(now - event.at),
            (None, _) => "-".to_owned(),
        };
        let mut cells = vec![
            Cell::new(clock(event.at)),
            Cell::new(event.step.as_deref().map_or_else(String::new, plain)),
            number(event.step.as_ref().map_or_else(String::new, |_| event.attempt.to_string())),
            number(took),
            Cell::new(plain(&event.outcome)),
        ];
        if paid {
            let cost = event.usage.as_ref().and_then(|usage| usage.cost);
            cells.push(Cell::new(event.usage.as_ref().map(used).unwrap_or_default()));
            cells.push(number(cost.map(|cost| format!("${cost:.4}")).unwrap_or_default()));
        }
        table.add_row(cells);
    }
    let mut text = format!("{}\n{}", styled(STRONG, "What it did"), output::table_text(&table));
    for event in events {
        let (Some(error), Some(step)) = (&event.error, &event.step) else { continue };
        text.push_str(&wrapped(&format!("{}, try {}: {}", plain(step), event.attempt, plain(error)), 0, 2));
    }
    text
}

fn used(usage: &Usage) -> String {
    let units = usage.units.iter().map(|(unit, amount)| format!("{} {}", (amount * 10.0).round() / 10.0, plain(unit)));
    units.collect::<Vec<_>>().join(", ")
}

/// The time of the day, with the day where that is not today.
fn clock(at: Millis) -> String {
    let (moment, today) = (age::moment(at), age::moment(age::now()));
    match (moment.split_once('T'), today.split_once('T')) {
        (Some((day, time)), Some((today, _))) if day == today => time.trim_end_matches('Z').to_owned(),
        _ => moment.trim_end_matches('Z').replace('T', " "),
    }
}

#[cfg(test)]
mod tests {
    use vconductor_core::run::{RunId, StepKey};
    use vconductor_core::store::ProcessId;

    use super::*;

    fn step(name: &str, began: Millis, end: Option<StepEnd>, error: Option<&str>) -> StepTime {
        StepTime {
            name: name.to_owned(),
            began,
            took_ms: end.map(|_| 5),
            limit_ms: None,
            attempt: 1,
            end,
            error: error.map(str::to_owned),
            usage: None,
        }
    }

    fn entry(link: &str, at: Millis) -> StepEntry {
        StepEntry {
            key: StepKey { link: link.to_owned(), occurrence: 0, options: String::new() },
            outcome: Recorded::Continue,
            pushes: Vec::new(),
            parts: Default::default(),
            attempts: 1,
            usage: Some(Usage { units: [("input_tokens".to_owned(), 12.0)].into(), cost: Some(0.5) }),
            finished_at: at,
            generation: String::new(),
        }
    }

    #[test]
    fn passages_what_is_at_work_and_what_only_the_ledger_knows_are_one_story() {
        let run = RunId::new();
        let past = PastRun {
            run,
            uuid: "u".to_owned(),
            list: "calls".to_owned(),
            chain: "support".to_owned(),
            process: ProcessId("p".to_owned()),
            began: 1000,
            ended: 3000,
            attempt: 1,
            outcome: "retried".to_owned(),
            until: Some(4000),
            failure: None,
            steps: vec![
                step("tell", 1000, Some(StepEnd::Done), None),
                step("ask", 2000, Some(StepEnd::Failed), Some("503")),
            ],
            pushed: Vec::new(),
        };
        let at_work = AtWork {
            run,
            uuid: "u".to_owned(),
            list: "calls".to_owned(),
            chain: "support".to_owned(),
            attempt: 2,
            began: 4000,
            limit_ms: None,
            steps: vec![step("ask", 4000, None, None)],
        };
        let ledger = Ledger {
            steps: vec![entry("tell", 1005), entry("old", 500), entry("engine:timeout", 700)],
            ..Ledger::default()
        };
        let events = events(&[past], Some(&at_work), Some(&ledger));
        let told: Vec<_> = events.iter().map(|event| (event.step.as_deref(), event.outcome.as_str())).collect();
        let end = events[3].outcome.clone();
        let expected = [
            (Some("old"), "done"),
            (Some("tell"), "done"),
            (Some("ask"), "failed"),
            (None, end.as_str()),
            (Some("ask"), "at work"),
        ];
        assert_eq!(told, expected);
        assert!(end.starts_with("passage 1 failed; goes on at 1970-01-01 00:00:04"), "{end}");
        let text = text(&events, 9000);
        for part in ["12 input_tokens", "$0.5000", "ask, try 1: 503", "5 s"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(super::text(&[], 0), "");
    }
}
