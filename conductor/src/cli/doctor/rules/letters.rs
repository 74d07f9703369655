//! Dead letters: what failed for good, what waits for a storage, what killed its conductors, what will be forgotten.

use std::time::Duration;

use super::{Findings, Rights, quoted, rank, right, runs_wait};
use crate::cli::age;
use crate::cli::configuration::counted;
use crate::cli::doctor::facts::{Facts, Letters};
use crate::cli::doctor::outside::Tried;
use crate::cli::doctor::report::{Finding, Severity};
use crate::cli::output::plain;
use crate::cli::runs::judge::short;
use crate::cli::store;

/// What storages' queues of dead letters start with.
const STORAGE: &str = "DLQ:storage:";
/// A letter that will be forgotten within this time is told of, in milliseconds.
const SOON: i64 = 86_400_000;

pub(in crate::cli::doctor) fn all(facts: &Facts, findings: &mut Findings, rights: &mut Rights) {
    if facts.letters.iter().all(|letters| letters.count == 0) {
        return right(rights, "failed", "no dead letters");
    }
    let keep = store::dead_letter_keep().ok().flatten();
    for letters in &facts.letters {
        match letters.queue.strip_prefix(STORAGE) {
            Some(storage) => {
                let tried = facts.outside.as_ref().and_then(|outside| outside.tried(storage));
                findings.push(missing(letters, &plain(storage), tried));
            }
            None => findings.push(failed(letters)),
        }
        findings.extend(poison(letters));
        findings.extend(old(letters, keep, facts.look.at));
    }
}

/// How the queue is named on the command line.
fn short_name(letters: &Letters) -> String {
    plain(letters.queue.strip_prefix("DLQ:").unwrap_or(&letters.queue))
}

fn cause(letters: &Letters) -> String {
    match &letters.cause {
        None => String::new(),
        Some((step, message, count)) if *count == letters.count => format!("{}: {}", plain(step), plain(message)),
        Some((step, message, count)) => {
            format!("{count} of {} in {}: {}", letters.seen, plain(step), plain(message))
        }
    }
}

/// `tried`: how the storage answered just now, where that was looked at.
fn missing(letters: &Letters, storage: &str, tried: Option<&Tried>) -> Finding {
    let (wait, name) = (runs_wait(letters.count), quoted(&short_name(letters)));
    let list = format!("vconductor dlq list {name} --group");
    let what = format!("storage {storage} is missing: {wait} for it with their links done");
    match tried.map(|tried| &tried.result) {
        Some(Ok(())) => {
            let why = format!("{}. It answers now: what may be tried again goes on within a minute", cause(letters));
            Finding::new(Severity::Warning, "storage-missing", what, why)
                .fix(list)
                .fix(format!("vconductor dlq retry {name}   # also what it refused for good"))
        }
        other => {
            let why =
                format!("{}. Nothing is handed on before; they go on by themselves when it answers", cause(letters));
            let mut finding = Finding::new(Severity::Critical, "storage-missing", what, why);
            match other {
                Some(Err(error)) => finding.fix.extend(error.help_text().map(plain)),
                _ => finding = finding.fix("vconductor doctor --config CONFIG   # tries each storage now"),
            }
            let sentence = format!("Storage {storage} does not take vCons, and {wait}.");
            finding.fix(list).stops(rank::STORAGE, sentence)
        }
    }
}

fn failed(letters: &Letters) -> Finding {
    let (name, count) = (quoted(&short_name(letters)), counted(letters.count, "run"));
    let last = letters.newest.map(|at| format!(", the last {} ago", age::age(at))).unwrap_or_default();
    let what = format!("{count} of list {name} failed for good{last}");
    Finding::new(Severity::Warning, "dead-letters", what, cause(letters))
        .fix(format!("vconductor dlq list {name} --group"))
        .fix(format!("vconductor dlq retry {name}   # once the cause is mended"))
}

fn poison(letters: &Letters) -> Option<Finding> {
    if letters.poison == 0 {
        return None;
    }
    let name = short_name(letters);
    let what = format!("{} of list {name} killed their conductors again and again", counted(letters.poison, "vCon"));
    let why = "the process died each time while it worked on them: most often memory was short";
    let finding = Finding::new(Severity::Warning, "poison", what, why);
    Some(
        finding
            .fix("dmesg | grep -i oom")
            .fix(format!("vconductor dlq list {name}   # class poison; then dlq show RUN")),
    )
}

fn old(letters: &Letters, keep: Option<Duration>, now: i64) -> Option<Finding> {
    let keep = i64::try_from(keep?.as_millis()).ok()?;
    let left = letters.oldest?.saturating_add(keep) - now;
    if left > SOON || keep <= SOON {
        return None;
    }
    let name = short_name(letters);
    let what = match left {
        ..=0 => format!("dead letters of {name} are being forgotten"),
        left => format!("the oldest dead letters of {name} are forgotten in {}", short(left)),
    };
    let why = format!("they are kept for {} (VCON_DLQ_EXPIRY), with their vCons", short(keep));
    let finding = Finding::new(Severity::Warning, "dead-letters-old", what, why);
    Some(finding.fix(format!("vconductor dlq list {name} --group")).fix(format!("vconductor dlq retry {name}")))
}
