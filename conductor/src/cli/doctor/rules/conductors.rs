//! Who works, who died, and whether all work by one configuration.

use std::collections::BTreeMap;

use vconductor_core::store::{Card, Conductor};

use super::{Findings, Rights, named, rank, right, runs_wait};
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::doctor::facts::Facts;
use crate::cli::doctor::report::{Finding, Severity};
use crate::cli::look::{is_main, name};
use crate::cli::output::plain;
use crate::cli::runs::judge::short;

/// A difference of clocks that people should know of, in milliseconds.
const CLOCKS_DIFFER: i64 = 1_000;

pub(in crate::cli::doctor) fn all(facts: &Facts, findings: &mut Findings, rights: &mut Rights) {
    let alive: Vec<&Conductor> = facts.look.alive().collect();
    let before = findings.len();
    if alive.is_empty() {
        nobody(facts, findings);
    }
    dead(facts, alive.is_empty(), findings);
    silent(facts, &alive, findings);
    configurations(facts, &alive, findings);
    clocks(&alive, findings);
    if !alive.is_empty() {
        let names: Vec<String> = alive.iter().map(|conductor| name(conductor)).collect();
        right(rights, "conductors", format!("{} alive: {}", alive.len(), named(&names)));
    }
    if alive.len() > 1 && findings.len() == before {
        right(rights, "generation", "all work by one configuration");
    }
}

/// How a conductor is started on this store.
fn start(facts: &Facts) -> String {
    let files = facts.outside.as_ref().map(|outside| outside.files.join(" ")).filter(|files| !files.is_empty());
    format!("vconductor run {} --store {}", files.as_deref().unwrap_or("CONFIG"), plain(&facts.store))
}

fn nobody(facts: &Facts, findings: &mut Findings) {
    let lists = &facts.look.lists;
    let wait = lists.iter().filter(|status| !status.paused && !facts.is_handed_on(&status.list));
    let waiting: u64 = wait.map(|status| status.waiting).sum();
    let begun: u64 = lists.iter().map(|status| status.claimed + status.scheduled + status.parked).sum();
    let what = "no conductor runs on this store";
    let why = match (waiting, begun) {
        (0, 0) => "nothing waits for one, either".to_owned(),
        (0, begun) => format!("{} that were begun go on when one runs", counted(begun, "run")),
        (waiting, 0) => format!("{} for one", runs_wait(waiting)),
        (waiting, begun) => {
            format!("{} for one, and {begun} more that were begun go on when one runs", runs_wait(waiting))
        }
    };
    let idle = waiting + begun == 0;
    let severity = if idle { Severity::Note } else { Severity::Critical };
    let mut finding = Finding::new(severity, "no-conductor", what, why).fix(start(facts));
    if !idle {
        finding = finding.stops(rank::NO_CONDUCTOR, "Nothing moves: no conductor runs on this store.");
    }
    findings.push(finding);
}

fn dead(facts: &Facts, all: bool, findings: &mut Findings) {
    let living: Vec<&Card> = facts.look.cards().collect();
    for conductor in facts.look.conductors.iter().filter(|conductor| !conductor.alive) {
        if !is_main(conductor) && conductor.holds == 0 {
            continue;
        }
        let card = conductor.card.as_ref();
        let heard = card.map(|card| format!(", last heard of {} ago", age::age(card.told_at))).unwrap_or_default();
        let what = format!("conductor {} died without a farewell{heard}", name(conductor));
        let holds = conductor.holds;
        let taken_over = conductor.lease_until.is_none() && holds == 0;
        let why = match (taken_over, all) {
            (true, _) => "killed, crashed or cut off; what it held was taken over by another one".to_owned(),
            (false, false) => format!("what it holds ({}) is taken over within seconds", counted(holds, "run")),
            (false, true) => format!("it holds {}, taken over by the next conductor that runs", counted(holds, "run")),
        };
        // Somebody has started it again.
        let again =
            card.is_some_and(|card| living.iter().any(|one| one.host == card.host && one.started_at > card.told_at));
        let severity = if taken_over && again { Severity::Note } else { Severity::Warning };
        let mut finding = Finding::new(severity, "conductor-dead", what, why);
        if let Some(card) = card.filter(|_| !again) {
            finding = finding.fix(format!(
                "journalctl -u vconductor -n 50   # on {}; and `dmesg | grep -i oom`: was memory short?",
                plain(&card.host)
            ));
        }
        if !again && !all {
            finding = finding.fix(start(facts));
        }
        findings.push(finding);
    }
}

fn silent(facts: &Facts, alive: &[&Conductor], findings: &mut Findings) {
    for conductor in alive {
        if let (Some(silent), Some(card)) = (facts.look.silence(conductor), &conductor.card) {
            let what =
                format!("conductor {} renews its lease but has told nothing for {}", name(conductor), short(silent));
            let why = "its runtime does not move: its runs stand still until its lease ends or it is started again";
            let finding = Finding::new(Severity::Critical, "conductor-silent", what, why).fix(format!(
                "kill -TERM {}   # on {}; -KILL if it stays; nothing is lost",
                card.pid,
                plain(&card.host)
            ));
            let sentence = format!("Conductor {} does not move.", name(conductor));
            findings.push(finding.stops(rank::SILENT, sentence));
        }
    }
}

fn configurations(facts: &Facts, alive: &[&Conductor], findings: &mut Findings) {
    let cards: Vec<(&Conductor, &Card)> =
        alive.iter().filter_map(|conductor| Some((*conductor, conductor.card.as_ref()?))).collect();
    let mut by_hash: BTreeMap<&str, Vec<&(&Conductor, &Card)>> = BTreeMap::new();
    for pair in &cards {
        by_hash.entry(&pair.1.hash).or_default().push(pair);
    }
    if by_hash.len() > 1 {
        let groups = by_hash.iter().map(|(hash, members)| {
            let names: Vec<String> = members.iter().map(|(conductor, _)| name(conductor)).collect();
            format!("{}: {}", brief(hash), named(&names))
        });
        let why = format!("a run may be begun by one and go on by another; {}", groups.collect::<Vec<_>>().join("; "));
        let what = format!("conductors work by {} different configurations", by_hash.len());
        let mut finding = Finding::new(Severity::Warning, "configurations-differ", what, why);
        for (_, card) in cards.iter().take(4) {
            finding =
                finding.fix(format!("kill -HUP {}   # on {}: reads its files again", card.pid, plain(&card.host)));
        }
        findings.push(finding);
    }
    for (conductor, card) in &cards {
        let Some(refused) = &card.refused else { continue };
        let what = format!("conductor {} refused its new configuration and works on by the old one", name(conductor));
        let finding = Finding::new(Severity::Warning, "reload-refused", what, plain(refused))
            .fix("vconductor check CONFIG")
            .fix(format!("kill -HUP {}   # on {}, once it is mended", card.pid, plain(&card.host)));
        findings.push(finding);
    }
    if let Some(outside) = facts.outside.as_ref().filter(|outside| outside.errors == 0)
        && let Some((_, card)) = cards.iter().find(|(_, card)| card.hash != outside.hash)
        && by_hash.len() == 1
    {
        let what = format!("{} is not what conductors work by", outside.files.join(", "));
        let why = format!(
            "they work by {}, the files with this environment are {}: changed since, or the variables differ",
            brief(&card.hash),
            brief(&outside.hash)
        );
        let finding = Finding::new(Severity::Note, "configuration-other", what, why);
        findings.push(finding.fix(format!(
            "kill -HUP {}   # on {}: reads its files again",
            card.pid,
            plain(&card.host)
        )));
    }
    let mut versions: Vec<&str> = cards.iter().map(|(_, card)| card.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        let what = format!("conductors of {} versions work together: {}", versions.len(), versions.join(", "));
        findings.push(Finding::new(Severity::Note, "versions-differ", what, "right during an upgrade, odd otherwise"));
    }
}

fn clocks(alive: &[&Conductor], findings: &mut Findings) {
    for conductor in alive.iter().filter(|conductor| conductor.clock_behind_ms.abs() >= CLOCKS_DIFFER) {
        let seconds = conductor.clock_behind_ms.abs() as f64 / 1000.0;
        let how = if conductor.clock_behind_ms > 0 { "behind" } else { "ahead of" };
        let what = format!("the clock of conductor {} is {seconds:.1} s {how} the store's", name(conductor));
        let why = "the store's clock counts for leases and retries; the times of its log do not fit together";
        let finding = Finding::new(Severity::Warning, "clock-differs", what, why);
        let host = conductor.card.as_ref().map(|card| plain(&card.host)).unwrap_or_default();
        findings.push(finding.fix(format!("timedatectl status   # on {host}: is the clock synchronised?")));
    }
}

fn brief(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
