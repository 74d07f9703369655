//! `queue` without a subcommand: how the lists stand, and why runs do not move.

use std::time::Duration;

use clap::Args;
use comfy_table::Cell;
use serde::Serialize;
use serde_json::json;
use vconductor_core::store::{Hold, Holder, ListStatus, Standing, Store, WaitReason, Waits};

use super::{holds, warn_of_unknown};
use crate::cli::age;
use crate::cli::configuration::{Configured, counted};
use crate::cli::desk::{self, Common};
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format, HELP, WARN, number, styled};

/// What storages' queues of dead letters start with.
const STORAGE: &str = "DLQ:storage:";

#[derive(Debug, Args)]
pub(super) struct Status {
    /// Only these lists
    #[arg(value_name = "LIST")]
    lists: Vec<String>,
    #[command(flatten)]
    common: Common,
}

/// A list with all that is known of it.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    status: ListStatus,
    oldest_age_seconds: Option<u64>,
    #[serde(flatten)]
    standing: Standing,
    /// Whether a chain of the configuration takes from it; not known without one.
    taken: Option<bool>,
}

/// A storage that runs wait for.
#[derive(Debug, Serialize)]
struct Missing {
    storage: String,
    runs: u64,
}

impl Status {
    pub(super) async fn run(&self) -> Result<Exit> {
        let desk = self.common.open().await?;
        let rows = self.rows(&*desk.store, desk.configured.as_ref()).await?;
        let missing = missing(&*desk.store).await?;
        let held = desk.store.holds().await?;
        match self.common.output {
            Format::Table if rows.is_empty() => {
                let queued = format!("nothing is queued in {}\n", desk.store.describe());
                output::print(&(queued + &holds::text(&held)))?;
            }
            Format::Table => output::print(&text(&rows, &missing, &held))?,
            Format::Json => {
                let held: Vec<_> = held.iter().map(holds::value).collect();
                output::print_json(&json!({"lists": rows, "storages": missing, "holds": held}))?;
            }
            Format::Jsonl => output::print_jsonl(&rows)?,
        }
        Ok(Exit::Done)
    }

    async fn rows(&self, store: &dyn Store, configured: Option<&Configured>) -> Result<Vec<Row>> {
        let mut statuses = store.lists().await?;
        let named = if self.lists.is_empty() { configured.map_or(&[][..], Configured::lists) } else { &self.lists[..] };
        for list in named {
            if !statuses.iter().any(|status| status.list == *list) {
                statuses.extend(unheard_of(store, list).await?);
            }
        }
        statuses.sort_by(|one, other| one.list.cmp(&other.list));
        if !self.lists.is_empty() {
            let mut found = Vec::with_capacity(self.lists.len());
            for list in &self.lists {
                match statuses.iter().find(|status| status.list == *list) {
                    Some(status) => found.push(status.clone()),
                    None => {
                        warn_of_unknown(list, store, configured).await?;
                        found.push(ListStatus { list: list.clone(), ..ListStatus::default() });
                    }
                }
            }
            statuses = found;
        }
        let mut rows = Vec::with_capacity(statuses.len());
        for status in statuses {
            rows.push(Row {
                oldest_age_seconds: status.oldest.map(|at| age::since(at).as_secs()),
                standing: store.standing(&status.list).await?,
                taken: configured.map(|all| all.takes_from(&status.list)),
                status,
            });
        }
        Ok(rows)
    }
}

/// How a list stands that the store does not know of: another program may have put something there, or on its queue of dead
/// letters. None: there is nothing.
async fn unheard_of(store: &dyn Store, list: &str) -> Result<Option<ListStatus>> {
    if let Some(status) = desk::meet(store, list).await? {
        return Ok(Some(status));
    }
    let waiting = store.pending(&[list.to_owned()], Duration::ZERO).await?.waiting;
    Ok((waiting > 0).then(|| ListStatus { list: list.to_owned(), waiting, ..ListStatus::default() }))
}

async fn missing(store: &dyn Store) -> Result<Vec<Missing>> {
    let queues = store.dead_letter_queues().await?.into_iter();
    Ok(queues
        .filter_map(|queue| {
            Some(Missing { storage: queue.queue.strip_prefix(STORAGE)?.to_owned(), runs: queue.letters })
        })
        .collect())
}

fn text(rows: &[Row], missing: &[Missing], held: &[Hold]) -> String {
    let mut table = output::table(&["LIST", "WAITING", "OLDEST", "IN FLIGHT", "SCHEDULED", "PARKED", "DEAD", "STATE"]);
    for Row { status, .. } in rows {
        table.add_row([
            Cell::new(output::plain(&status.list)),
            number(status.waiting),
            number(age::age_or_dash(status.oldest)),
            number(status.claimed),
            number(status.scheduled),
            number(status.parked),
            number(status.dead),
            Cell::new(if status.paused { "paused" } else { "open" }),
        ]);
    }
    let mut text = output::table_text(&table);
    text.push_str(&holds::text(held));
    let is_held = held.iter().any(|hold| holds::stops(hold, age::now()));
    let remarks: Vec<String> =
        rows.iter().flat_map(|row| remarks(row, is_held)).chain(missing.iter().map(absent)).collect();
    if !remarks.is_empty() {
        text.push('\n');
    }
    for remark in remarks {
        text.push_str(&format!("{remark}\n"));
    }
    text
}

/// Why runs of a list do not move, and what to do. `is_held`: something is held, which may be why nothing is at work.
fn remarks(row: &Row, is_held: bool) -> Vec<String> {
    let Row { status, standing, taken, .. } = row;
    let list = output::plain(&status.list);
    let mut remarks: Vec<String> = standing.holders.iter().map(|holder| held(&list, holder)).collect();
    remarks.extend(standing.waits.iter().map(|waits| waiting(&list, waits)));
    if status.paused {
        let help = styled(HELP, format_args!("vconductor queue resume {list}"));
        remarks.push(format!("{list}: {}, nothing is taken from it; go on with {help}", styled(WARN, "paused")));
    } else if status.waiting > 0 && status.claimed == 0 && *taken == Some(true) && !is_held {
        let help = styled(HELP, "vconductor run");
        remarks.push(format!("{list}: nothing of it is at work; is a conductor running? {help}"));
    }
    let attempts = status.scheduled.saturating_sub(standing.waits.iter().map(|waits| waits.runs).sum());
    if attempts > 0 {
        remarks.push(format!("{list}: {} failed and will be tried again", counted(attempts, "run")));
    }
    let own = status.dead;
    if own > 0 {
        let help = styled(HELP, "vconductor dlq list");
        remarks.push(format!("{list}: {} failed for good; {help} shows why", counted(own, "run")));
    }
    remarks
}

fn held(list: &str, holder: &Holder) -> String {
    let lease = match holder.lease_until {
        Some(until) if until > age::now() => String::new(),
        Some(until) => format!("; its lease ended {} ago: the next conductor takes its runs over", age::age(until)),
        None => "; it is gone: the next conductor takes its runs over".to_owned(),
    };
    format!("{list}: {} at work in {}{lease}", holder.runs, holder.process)
}

fn waiting(list: &str, waits: &Waits) -> String {
    let what = match waits.reason {
        WaitReason::Writer => "another run that works on the same vCon",
        WaitReason::MissingDocument => "a document that is not stored yet",
        WaitReason::Bytes => "memory: the document does not fit beside what is at work",
        WaitReason::Storage => "a storage",
        WaitReason::Held => "a link that is held",
    };
    let wait = if waits.runs == 1 { "waits" } else { "wait" };
    format!("{list}: {} {wait} for {what}", waits.runs)
}

fn absent(missing: &Missing) -> String {
    let Missing { storage, runs } = missing;
    let storage = output::plain(storage);
    let wait = if *runs == 1 { "waits" } else { "wait" };
    let help = styled(HELP, format_args!("vconductor dlq list storage:{storage}"));
    format!("storage {storage}: {} {wait} for it with their links done; {help} shows why", counted(*runs, "run"))
}

#[cfg(test)]
mod tests {
    use vconductor_core::store::ProcessId;

    use super::*;

    fn row(status: &ListStatus, standing: Standing, taken: Option<bool>) -> Row {
        Row {
            status: ListStatus { list: "calls".to_owned(), ..status.clone() },
            oldest_age_seconds: None,
            standing,
            taken,
        }
    }

    #[test]
    fn a_list_that_moves_needs_no_remark() {
        assert!(
            remarks(&row(&ListStatus { waiting: 3, ..ListStatus::default() }, Standing::default(), None), false)
                .is_empty()
        );
        let idle = row(&ListStatus { waiting: 3, ..ListStatus::default() }, Standing::default(), Some(true));
        assert!(remarks(&idle, false)[0].contains("is a conductor running?"));
        assert!(remarks(&idle, true).is_empty(), "what is held is told already");
    }

    #[test]
    fn a_dead_holder_and_every_reason_are_told() {
        let holder = |lease_until| Holder { process: ProcessId("77-x".to_owned()), runs: 2, lease_until };
        assert_eq!(held("calls", &holder(Some(age::now() + 60_000))), "calls: 2 at work in 77-x");
        assert!(held("calls", &holder(Some(0))).contains("its lease ended"));
        assert!(held("calls", &holder(None)).contains("it is gone"));
        let waits = |reason, runs| waiting("calls", &Waits { reason, runs });
        assert_eq!(waits(WaitReason::Writer, 1), "calls: 1 waits for another run that works on the same vCon");
        assert_eq!(waits(WaitReason::Held, 2), "calls: 2 wait for a link that is held");
        assert!(waits(WaitReason::Bytes, 2).starts_with("calls: 2 wait for memory"));
        let later = row(
            &ListStatus { scheduled: 5, ..ListStatus::default() },
            Standing { holders: Vec::new(), waits: vec![Waits { reason: WaitReason::Storage, runs: 2 }] },
            None,
        );
        assert_eq!(remarks(&later, false)[1], "calls: 3 runs failed and will be tried again");
    }

    #[test]
    fn json_is_flat() {
        let value: serde_json::Value =
            serde_json::to_value(row(&ListStatus::default(), Standing::default(), None)).unwrap();
        assert_eq!((&value["list"], &value["holders"], &value["paused"]), (&json!("calls"), &json!([]), &json!(false)));
    }
}
