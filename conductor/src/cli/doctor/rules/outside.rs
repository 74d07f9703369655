//! What the configuration names: storages as they answered, budgets, the files themselves.

use std::collections::BTreeMap;

use vconductor_core::config::OnExceed;

use super::{Findings, Rights, named, rank, right};
use crate::cli::configuration::counted;
use crate::cli::doctor::outside::{Outside, Tried};
use crate::cli::doctor::report::{Finding, Severity};
use crate::cli::output::plain;

/// From this part of a budget on people should know.
const NEARLY: f64 = 0.9;

/// Storages as they answered. One for which runs wait is told with them.
pub(in crate::cli::doctor) fn storages(outside: &Outside, findings: &mut Findings, rights: &mut Rights) {
    let mut well = Vec::new();
    for tried in &outside.storages {
        match &tried.result {
            Ok(()) => well.push(format!("{} in {} ms", plain(&tried.name), tried.took.as_millis())),
            Err(_) if is_told(findings, &tried.name) => {}
            Err(error) => {
                let help = error.help_text().map(plain);
                findings.push(away(tried, &plain(&error.chain_text()), help));
            }
        }
    }
    if !well.is_empty() {
        right(rights, "storages", format!("{} answered: {}", well.len(), well.join(", ")));
    }
}

/// Whether it is told already that runs wait for the storage.
fn is_told(findings: &Findings, storage: &str) -> bool {
    let missing = format!("storage {} is missing: ", plain(storage));
    findings.iter().any(|finding| finding.code == "storage-missing" && finding.what.starts_with(&missing))
}

fn away(tried: &Tried, why: &str, help: Option<String>) -> Finding {
    let name = plain(&tried.name);
    let what = format!("storage {name} does not answer as it should");
    let chains: Vec<String> = tried.required_by.iter().map(|chain| plain(chain)).collect();
    let severity = if chains.is_empty() { Severity::Warning } else { Severity::Critical };
    let matter = match (chains.as_slice(), tried.optional_for.as_slice()) {
        ([], []) => "No chain uses it".to_owned(),
        ([], _) => "It is optional: chains go on without it".to_owned(),
        (chains, _) => format!("Runs of chain {} wait for it once their links are done", named(chains)),
    };
    let mut finding = Finding::new(severity, "storage-away", what, format!("{why}. {matter}"));
    finding.fix.extend(help);
    if chains.is_empty() {
        return finding;
    }
    let sentence = format!("Chain {} cannot finish: storage {name} does not answer as it should.", named(&chains));
    finding.stops(rank::STORAGE, sentence)
}

pub(in crate::cli::doctor) fn files(outside: &Outside, findings: &mut Findings, rights: &mut Rights) {
    let files = outside.files.join(" ");
    if outside.errors == 0 {
        return right(rights, "files", format!("{files}: no errors"));
    }
    let what = format!("{files}: {}", counted(outside.errors, "error"));
    let why = "a conductor refuses it: one that starts does not start, one that runs works on by the old one";
    let finding = Finding::new(Severity::Warning, "configuration-wrong", what, why);
    findings.push(finding.fix(format!("vconductor check {files}")));
}

pub(in crate::cli::doctor) fn budgets(
    outside: &Outside,
    spent: &BTreeMap<String, f64>,
    findings: &mut Findings,
    rights: &mut Rights,
) {
    let mut within = Vec::new();
    for (chain, budget) in &outside.budgets {
        let (name, limit) = (plain(chain), budget.usd_per_day);
        let sum = spent.get(chain).copied().unwrap_or(0.0);
        let told = format!("{name}: ${sum:.2} of ${limit:.2} today (UTC)");
        if sum <= limit * NEARLY {
            within.push(told);
            continue;
        }
        let over = sum > limit;
        let why = match (over, budget.on_exceed) {
            (false, _) => "the rest of it is spent soon",
            // What pauses is held, and told as that.
            (true, OnExceed::Pause) => "no more vCons are taken until tomorrow",
            (true, OnExceed::Skip) => "links that cost money are skipped until tomorrow",
            (true, OnExceed::Warn) => "nothing is stopped",
        };
        let what = format!("the budget of chain {told} is {}", if over { "used up" } else { "nearly used up" });
        let severity = if over { Severity::Warning } else { Severity::Note };
        let finding = Finding::new(severity, "budget", what, why);
        findings.push(
            finding.fix(format!("raise budget.usd_per_day of chain {name}, then: kill -HUP PID of its conductor")),
        );
    }
    if !within.is_empty() {
        right(rights, "budgets", within.join(", "));
    }
}
