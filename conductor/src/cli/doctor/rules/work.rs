//! Runs that are stuck or wait, and what is held.

use std::collections::BTreeMap;

use vconductor_core::store::{Hold, RunRecord, RunState, WaitReason};

use super::lists::stops;
use super::{Findings, Rights, named, quoted, rank, right, runs_wait};
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::report::{Finding, Severity};
use crate::cli::output::plain;
use crate::cli::runs::judge::{Judgement, Stuck, when};

pub(in crate::cli::doctor) fn all(facts: &Facts, findings: &mut Findings, rights: &mut Rights) {
    let before = findings.len();
    for hold in &facts.look.holds {
        findings.push(held(facts, hold));
    }
    if facts.look.holds.is_empty() {
        right(rights, "held", "no link, chain or key is held");
    }
    stuck(facts, findings);
    if facts.runs.iter().all(|(_, judged)| judged.stuck.is_none()) {
        right(rights, "runs", format!("{} begun, none is stuck", counted(facts.runs.len() as u64, "run")));
    }
    waiting(facts, findings);
    retried(facts, findings);
    if findings.len() == before && facts.runs.iter().any(|(run, _)| run.state == RunState::Parked) {
        let parked = facts.runs.iter().filter(|(run, _)| run.state == RunState::Parked).count() as u64;
        right(rights, "parked", format!("{} for something outside, none beyond its time", runs_wait(parked)));
    }
}

fn held(facts: &Facts, hold: &Hold) -> Finding {
    let (what, now) = (plain(&hold.what), facts.look.at);
    let kind = what.split_once(':').map_or("", |(kind, _)| kind);
    let reason = plain(&hold.reason);
    let mend = |finding: Finding| match &hold.help {
        Some(help) => finding.fix(plain(help)),
        None => finding,
    };
    let release =
        format!("vconductor queue release {}   # once it is mended; it is tried again by itself, too", quoted(&what));
    let times =
        format!("refused {} in a row, first {} ago", counted(u64::from(hold.times), "time"), age::age(hold.since));
    if kind == "key" {
        let line = format!("a provider refuses one of its keys ({what})");
        let why = format!("{reason}; {times}. Other keys, where there are any, are used meanwhile");
        return mend(Finding::new(Severity::Warning, "key-rejected", line, why)).fix(release);
    }
    let mut chains: Vec<String> = facts
        .look
        .cards()
        .flat_map(|card| &card.chains)
        .filter(|chain| stops(hold, &chain.name, &chain.external_links))
        .map(|chain| plain(&chain.name))
        .collect();
    chains.sort();
    chains.dedup();
    let stopped =
        if chains.is_empty() { String::new() } else { format!("; nothing is taken for chain {}", named(&chains)) };
    let again = when(Some(hold.until), now);
    let why = if kind == "chain" {
        format!(
            "{reason}. Nothing is taken for it {}",
            if again == "now" { "until it is tried again" } else { "until its time is over" }
        )
    } else {
        format!("{reason}; {times}. Its runs wait, no dead letters are written{stopped}")
    };
    let code = if kind == "chain" { "chain-held" } else { "link-held" };
    let line = format!("{what} is held, tried again {again}");
    let finding = mend(Finding::new(Severity::Critical, code, line, why)).fix(release);
    let sentence = match chains.as_slice() {
        [] => format!("{what} is held: {reason}."),
        chains => format!("Chain {} does not move: {what} is held ({reason}).", named(chains)),
    };
    finding.stops(rank::HELD, sentence)
}

/// A run and how it was judged.
type Judged<'a> = (&'a RunRecord, &'a Judgement);

fn stuck(facts: &Facts, findings: &mut Findings) {
    let mut by_cause: BTreeMap<(Stuck, Option<&str>), Vec<Judged<'_>>> = BTreeMap::new();
    for (run, judged) in &facts.runs {
        // The dead and the silent are told as conductors.
        if let Some(cause) = judged.stuck.filter(|cause| matches!(cause, Stuck::Late | Stuck::Overdue)) {
            by_cause.entry((cause, judged.step.as_deref())).or_default().push((run, judged));
        }
    }
    for ((cause, step), members) in by_cause {
        let (run, judged) = members[0];
        let count = members.len() as u64;
        let step = step.map(|step| format!(" in {}", plain(step))).unwrap_or_default();
        let is = if count == 1 { "is" } else { "are" };
        let what = format!("{} {is} stuck{step}", counted(count, "run"));
        let why = format!("for example {}: {}", plain(&run.uuid), judged.reason.clone().unwrap_or_default());
        let mut finding =
            Finding::new(Severity::Critical, "run-stuck", what.clone(), why).fix("vconductor runs --state stuck");
        if cause == Stuck::Late {
            finding.fix.extend(judged.fix.clone());
            finding = finding.fix("give the step a `timeout`, so that it is cut off and tried again by itself");
        }
        findings.push(finding.stops(rank::STUCK, format!("{}{}.", what[..1].to_uppercase(), &what[1..])));
    }
}

fn waiting(facts: &Facts, findings: &mut Findings) {
    let mut reasons: BTreeMap<WaitReason, u64> = BTreeMap::new();
    for (run, _) in facts.runs.iter().filter(|(_, judged)| judged.stuck.is_none()) {
        if let Some((reason, _)) = run.waits {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    for (reason, count) in reasons {
        let (severity, code, text, why, fix) = match reason {
            WaitReason::MissingDocument => (
                Severity::Warning,
                "document-missing",
                "for a document that is not stored",
                "a producer pushed the uuid before the vCon, or the vCon has expired; it is a dead letter after a while",
                "vconductor runs --state waiting",
            ),
            WaitReason::Writer => (
                Severity::Note,
                "writer-waited",
                "for another run that works on the same vCon",
                "one vCon has one writer at a time; they go on one after the other",
                "vconductor runs --state waiting",
            ),
            WaitReason::Bytes => (
                Severity::Note,
                "memory-waited",
                "for memory beside what is at work",
                "large documents are not loaded all at once",
                "vconductor runs --state running",
            ),
            WaitReason::Storage => (
                Severity::Warning,
                "storage-waited",
                "for a storage",
                "their links are done; they go on when it answers again",
                "vconductor dlq list",
            ),
            // The hold itself is told.
            WaitReason::Held => continue,
        };
        findings.push(Finding::new(severity, code, format!("{} {text}", runs_wait(count)), why).fix(fix));
    }
}

/// Runs that are tried again, by the step that failed.
fn retried(facts: &Facts, findings: &mut Findings) {
    let mut steps: BTreeMap<&str, Vec<&RunRecord>> = BTreeMap::new();
    for (run, judged) in &facts.runs {
        if let Some(failure) = run
            .failure
            .as_ref()
            .filter(|_| run.state == RunState::Scheduled && run.waits.is_none() && judged.stuck.is_none())
        {
            steps.entry(&failure.step).or_default().push(run);
        }
    }
    for (step, runs) in steps {
        let Some(failure) = runs.iter().filter_map(|run| run.failure.as_ref()).max_by_key(|failure| failure.at) else {
            continue;
        };
        let next = runs.iter().filter_map(|run| run.due).min();
        let count = counted(runs.len() as u64, "run");
        let is = if runs.len() == 1 { "is" } else { "are" };
        let what =
            format!("{count} failed in {} and {is} tried again, the next {}", plain(step), when(next, facts.look.at));
        let mut finding = Finding::new(Severity::Warning, "step-failing", what, plain(&failure.message));
        finding.fix.extend(failure.help.as_deref().map(plain));
        findings.push(finding.fix("vconductor runs --state waiting"));
    }
}
