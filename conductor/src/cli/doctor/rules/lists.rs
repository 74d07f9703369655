//! Lists: paused ones, those from which nobody takes, those that do not move.

use vconductor_core::config::nearest;
use vconductor_core::store::{Hold, ListStatus};

use super::{Findings, Rights, quoted, rank, right, runs_wait};
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::report::{Finding, Severity};
use crate::cli::output::plain;

pub(in crate::cli::doctor) fn all(facts: &Facts, findings: &mut Findings, rights: &mut Rights) {
    let before = findings.len();
    for status in &facts.look.lists {
        if status.paused {
            findings.push(paused(status));
        } else if status.waiting > 0 {
            findings.extend(unpaused(facts, status));
        }
    }
    if findings[before..].iter().all(|finding| !finding.counts()) {
        let lists = facts.look.lists.len() as u64;
        let waiting: u64 = facts.look.lists.iter().map(|status| status.waiting).sum();
        let how = match lists {
            0 => "none is in use".to_owned(),
            lists => format!("{} in use, none is paused, {}", counted(lists, "list"), runs_wait(waiting)),
        };
        right(rights, "lists", how);
    }
}

fn oldest(status: &ListStatus) -> String {
    status.oldest.map(|at| format!(", the oldest for {}", age::age(at))).unwrap_or_default()
}

fn paused(status: &ListStatus) -> Finding {
    let list = plain(&status.list);
    let fix = format!("vconductor queue resume {}", quoted(&list));
    let waiting = status.waiting + status.scheduled;
    if waiting == 0 {
        let what = format!("list {list} is paused, and nothing waits on it");
        return Finding::new(Severity::Note, "list-paused", what, "somebody paused it").fix(fix);
    }
    let what = format!("list {list} is paused; {}{}", runs_wait(waiting), oldest(status));
    let why = "somebody paused it: nothing is taken from it until it is resumed; what comes in waits safely";
    let sentence = format!("List {list} does not move: it is paused, and {}.", runs_wait(waiting));
    Finding::new(Severity::Critical, "list-paused", what, why).fix(fix).stops(rank::PAUSED, sentence)
}

fn unpaused(facts: &Facts, status: &ListStatus) -> Option<Finding> {
    // Without any conductor that is the finding.
    facts.look.alive().next()?;
    let list = plain(&status.list);
    if facts.look.chain_of(&status.list).is_some() {
        return still(facts, status, &list);
    }
    if facts.look.alive().any(|conductor| conductor.card.is_none()) {
        let what = format!("whether a conductor takes from list {list} is not known; {}", runs_wait(status.waiting));
        let why = "a conductor of an older version runs, which tells nothing of itself";
        return Some(Finding::new(Severity::Note, "list-unknown", what, why).fix("vconductor queue"));
    }
    if facts.is_handed_on(&status.list) {
        let what = format!("{} on list {list} for another program{}", runs_wait(status.waiting), oldest(status));
        let why = "chains hand on to it, and none takes from it";
        return Some(
            Finding::new(Severity::Note, "list-handed-on", what, why)
                .fix(format!("vconductor queue peek {}", quoted(&list))),
        );
    }
    let what = format!("no running conductor takes from list {list}; {}{}", runs_wait(status.waiting), oldest(status));
    let chains = facts.look.cards().flat_map(|card| &card.chains);
    let taken: Vec<String> = chains.flat_map(|chain| chain.ingress_lists.iter().cloned()).collect();
    let configured = facts.outside.as_ref().is_some();
    let why = match nearest(&status.list, &taken) {
        Some(near) => format!("a producer may have mistyped `{}`", plain(near)),
        None if configured => "no chain of the conductors that run has it under `ingress_lists`".to_owned(),
        None => "no chain has it under `ingress_lists`, or its conductor is not started".to_owned(),
    };
    let mut finding = Finding::new(Severity::Critical, "list-unserved", what, why);
    if let Some(near) = nearest(&status.list, &taken) {
        finding = finding.fix(format!(
            "vconductor queue move {} {}   # if that was meant",
            quoted(&list),
            quoted(&plain(near))
        ));
    }
    finding = finding.fix(format!("add {list} to a chain's ingress_lists, then: kill -HUP PID of its conductor"));
    let sentence = format!("List {list} does not move: no running conductor takes from it.");
    Some(finding.stops(rank::NOBODY_TAKES, sentence))
}

/// A list that a living conductor takes from, and that does not move all the same.
fn still(facts: &Facts, status: &ListStatus, list: &str) -> Option<Finding> {
    let later = facts.later.as_ref()?.iter().find(|later| later.list == status.list)?;
    let stands = status.claimed == 0 && later.claimed == 0 && later.waiting >= status.waiting && !later.paused;
    // What is held is told already, and is why.
    let held = facts.look.holds.iter().any(|hold| touches(facts, hold, &status.list));
    if !stands || held {
        return None;
    }
    let what = format!(
        "list {list} does not move although a conductor takes from it; {}{}",
        runs_wait(status.waiting),
        oldest(status)
    );
    let why =
        "all places of the process may be taken by other chains, or a run that killed its process goes alone first";
    let finding = Finding::new(Severity::Critical, "list-still", what, why)
        .fix("vconductor runs --state running")
        .fix(format!("vconductor queue peek {}", quoted(list)));
    Some(finding.stops(rank::STILL, format!("List {list} does not move although a conductor takes from it.")))
}

/// Whether a hold stops claims from a list.
pub(super) fn touches(facts: &Facts, hold: &Hold, list: &str) -> bool {
    let mut chains = facts.look.cards().flat_map(|card| &card.chains);
    chains.any(|chain| {
        chain.ingress_lists.iter().any(|own| own == list) && stops(hold, &chain.name, &chain.external_links)
    })
}

/// Whether a hold stops a chain with these links.
pub(super) fn stops(hold: &Hold, chain: &str, links: &[String]) -> bool {
    match hold.what.split_once(':') {
        Some(("link", link)) => links.iter().any(|own| own == link),
        Some(("chain", name)) => name == chain,
        _ => false,
    }
}
