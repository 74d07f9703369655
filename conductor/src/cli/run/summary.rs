//! The figures at the end: chains, links, storages, time, and what is left.

use std::sync::Arc;
use std::time::Duration;

use comfy_table::{Cell, Table};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use vconductor_core::store::{Hold, ListStatus, Store};

use super::watch::End;
use crate::cli::configuration::counted;
use crate::cli::exit::Result;
use crate::cli::output::{self, STRONG, number, styled};
use crate::cli::progress::rate;
use crate::cli::queue::hold_remarks;
use crate::engine::report::{Calls, ChainFigures, Figures, RunOutcome};
use crate::follow::{Counts, State};

/// What is left when a run ends.
pub(super) struct Left {
    /// Lists that still hold something.
    lists: Vec<ListStatus>,
    /// What is held.
    holds: Vec<Hold>,
}

impl Left {
    /// Whether something stops runs until somebody mends it or its time is over.
    pub(super) fn is_held(&self) -> bool {
        !hold_remarks(&self.holds).is_empty()
    }
}

pub(super) async fn left(store: &dyn Store) -> Result<Left> {
    let lists = store.lists().await?.into_iter();
    let lists = lists.filter(|list| list.waiting + list.scheduled + list.parked + list.dead > 0).collect();
    Ok(Left { lists, holds: store.holds().await? })
}

/// For people.
pub(super) fn text(figures: &Figures, followers: &[Arc<State>], elapsed: Duration, left: &Left, end: &End) -> String {
    let mut text = String::new();
    for table in [self::followers(followers), chains(figures), links(figures), storages(figures), lists(&left.lists)]
        .into_iter()
        .flatten()
    {
        text.push_str(&output::table_text(&table));
        text.push('\n');
    }
    let finished = figures.total(RunOutcome::Done) + figures.total(RunOutcome::Stopped);
    let dead = figures.total(RunOutcome::Dead);
    let how = match end {
        End::Idle => "nothing is left to do",
        End::Stopped => "stopped",
    };
    text.push_str(&format!(
        "{}: {finished} done, {dead} failed for good, in {:.1} s ({})\n",
        styled(STRONG, how),
        elapsed.as_secs_f64(),
        rate(finished, elapsed)
    ));
    if figures.cost() > 0.0 {
        text.push_str(&format!("paid services cost {} by the prices that are known\n", dollars(figures.cost())));
    }
    for remark in remarks(figures, &left.lists).into_iter().chain(hold_remarks(&left.holds)) {
        text.push_str(&format!("{remark}\n"));
    }
    text
}

/// What deserves a sentence.
fn remarks(figures: &Figures, left: &[ListStatus]) -> Vec<String> {
    let sum = |count: fn(&ListStatus) -> u64| left.iter().map(count).sum::<u64>();
    let mut remarks = Vec::new();
    let mut remark = |count: u64, text: &str| {
        if count > 0 {
            remarks.push(format!("{} {text}", counted(count, "vCon")));
        }
    };
    remark(sum(|list| list.scheduled), "will be tried again later, by the next `run`");
    remark(sum(|list| list.parked), "parked: waiting for something outside");
    remark(sum(|list| if list.paused { list.waiting } else { 0 }), "on paused lists");
    remark(figures.recovered, "taken over from a process that died");
    remark(figures.lost, "given up because this process was declared dead");
    remarks
}

fn followers(states: &[Arc<State>]) -> Option<Table> {
    let mut table =
        output::table(&["FOLLOWER", "PULLS", "NO ANSWER", "TAKEN", "STORED", "REPEATED", "RETRIED", "FAILED"]);
    for state in states {
        let Counts { pulls, failed_pulls, taken, stored, repeated, retried, dead } = state.counts();
        let [pulls, failed_pulls, taken, stored] = [pulls, failed_pulls, taken, stored].map(number);
        let [repeated, retried, dead] = [repeated, retried, dead].map(number);
        let name = Cell::new(state.name());
        table.add_row([name, pulls, failed_pulls, taken, stored, repeated, retried, dead]);
    }
    filled(table)
}

fn chains(figures: &Figures) -> Option<Table> {
    let mut head = vec!["CHAIN", "DONE", "STOPPED", "RETRIED", "PARKED", "FAILED", "P50", "P95"];
    let is_paid = figures.cost() > 0.0;
    if is_paid {
        head.extend(["COST", "PER VCON"]);
    }
    let mut table = output::table(&head);
    for (name, chain) in &figures.chains {
        let count = |outcome| number(outcomes(chain, outcome));
        let [p50, p95] = percentiles(&chain.times).map(number);
        let mut row = vec![
            Cell::new(name),
            count(RunOutcome::Done),
            count(RunOutcome::Stopped),
            count(RunOutcome::Retried),
            count(RunOutcome::Parked),
            count(RunOutcome::Dead),
            p50,
            p95,
        ];
        if is_paid {
            let one = chain.cost_of_one().map_or_else(|| "-".to_owned(), dollars);
            row.extend([dollars(chain.cost()), one].map(number));
        }
        table.add_row(row);
    }
    filled(table)
}

fn links(figures: &Figures) -> Option<Table> {
    let mut head = vec!["LINK", "CHAIN", "CALLS", "FAILED", "SKIPPED", "P50", "P95"];
    let is_paid = figures.cost() > 0.0;
    if is_paid {
        head.push("COST");
    }
    let mut table = output::table(&head);
    for (chain, figures) in &figures.chains {
        for (link, calls) in &figures.links {
            let [count, failed, skipped] = [calls.succeeded + calls.failed, calls.failed, calls.skipped].map(number);
            let [p50, p95] = percentiles(&calls.times).map(number);
            let mut row = vec![Cell::new(link), Cell::new(chain), count, failed, skipped, p50, p95];
            if is_paid {
                row.push(number(dollars(calls.cost)));
            }
            table.add_row(row);
        }
    }
    filled(table)
}

fn storages(figures: &Figures) -> Option<Table> {
    let mut table = output::table(&["STORAGE", "WRITES", "FAILED", "P50", "P95"]);
    for (name, calls) in &figures.storages {
        let [count, failed] = [calls.succeeded + calls.failed, calls.failed].map(number);
        let [p50, p95] = percentiles(&calls.times).map(number);
        table.add_row([Cell::new(name), count, failed, p50, p95]);
    }
    filled(table)
}

fn lists(left: &[ListStatus]) -> Option<Table> {
    let mut table = output::table(&["STILL ON LIST", "WAITING", "SCHEDULED", "PARKED", "DEAD LETTERS", ""]);
    for list in left {
        let counts = [list.waiting, list.scheduled, list.parked, list.dead].map(number);
        let [waiting, scheduled, parked, dead] = counts;
        let paused = Cell::new(if list.paused { "paused" } else { "" });
        table.add_row([Cell::new(&list.list), waiting, scheduled, parked, dead, paused]);
    }
    filled(table)
}

fn filled(table: Table) -> Option<Table> {
    (!table.is_empty()).then_some(table)
}

fn outcomes(chain: &ChainFigures, outcome: RunOutcome) -> u64 {
    chain.outcomes.get(&outcome).copied().unwrap_or(0)
}

/// Money for people: cents, and fractions of a cent where there is nothing else.
fn dollars(amount: f64) -> String {
    match amount {
        0.0 => "-".to_owned(),
        1.0.. => format!("${amount:.2}"),
        _ => format!("${amount:.4}"),
    }
}

/// p50 and p95 for people.
fn percentiles(times: &Histogram<u64>) -> [String; 2] {
    [0.5, 0.95].map(|quantile| match times.is_empty() {
        true => "-".to_owned(),
        false => time(times.value_at_quantile(quantile)),
    })
}

fn time(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.1} s", micros as f64 / 1e6),
    }
}

/// For programs.
pub(super) fn document(
    figures: &Figures,
    followers: &[Arc<State>],
    elapsed: Duration,
    left: &Left,
    end: &End,
) -> Value {
    let followers = followers.iter().map(|state| {
        let Counts { pulls, failed_pulls, taken, stored, repeated, retried, dead } = state.counts();
        json!({
            "follower": state.name(), "pulls": pulls, "failed_pulls": failed_pulls, "taken": taken, "stored": stored,
            "repeated": repeated, "retried": retried, "failed": dead,
        })
    });
    let chains = figures.chains.iter().map(|(name, chain)| {
        let links = chain.links.iter().map(|(link, calls)| {
            let mut link = named("link", link, calls);
            link["cost_usd"] = json!(calls.cost);
            link
        });
        json!({
            "chain": name,
            "done": outcomes(chain, RunOutcome::Done),
            "stopped": outcomes(chain, RunOutcome::Stopped),
            "retried": outcomes(chain, RunOutcome::Retried),
            "parked": outcomes(chain, RunOutcome::Parked),
            "failed": outcomes(chain, RunOutcome::Dead),
            "p50_seconds": seconds(&chain.times, 0.5),
            "p95_seconds": seconds(&chain.times, 0.95),
            "cost_usd": chain.cost(),
            "cost_usd_per_vcon": chain.cost_of_one(),
            "links": links.collect::<Vec<_>>(),
        })
    });
    let storages = figures.storages.iter().map(|(name, calls)| named("storage", name, calls));
    json!({
        "end": match end { End::Idle => "idle", End::Stopped => "stopped" },
        "seconds": elapsed.as_secs_f64(),
        "followers": followers.collect::<Vec<_>>(),
        "cost_usd": figures.cost(),
        "chains": chains.collect::<Vec<_>>(),
        "storages": storages.collect::<Vec<_>>(),
        "recovered": figures.recovered,
        "lost": figures.lost,
        "left": left.lists,
        "holds": left.holds,
    })
}

fn named(kind: &str, name: &str, calls: &Calls) -> Value {
    json!({
        kind: name,
        "succeeded": calls.succeeded,
        "failed": calls.failed,
        "skipped": calls.skipped,
        "p50_seconds": seconds(&calls.times, 0.5),
        "p95_seconds": seconds(&calls.times, 0.95),
    })
}

fn seconds(times: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!times.is_empty()).then(|| times.value_at_quantile(quantile) as f64 / 1e6)
}
