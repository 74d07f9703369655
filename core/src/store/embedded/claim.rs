//! Claims: which runs a process gets next.

use std::collections::VecDeque;

use rusqlite::params;

use super::commit;
use super::row::{json, run_id};
use super::tx::Tx;
use super::vcons;
use crate::store::{Claim, ClaimRequest, Claimed, ProcessId, Quota};

/// So many runs are looked at ahead of a list's head at once.
const AHEAD: usize = 64;

/// At most so many runs are set aside in one claim because another run writes their vCon.
const SET_ASIDE: usize = 256;

/// Whose turn it is: the next claim goes on where the last one stopped, so that weights hold over many
/// small claims and a busy list starves no other.
#[derive(Debug, Default)]
pub(super) struct Rota {
    list: String,
    credit: u32,
    /// The last claim left something that did not fit or must run alone; it can be had when a claim ends.
    pub(super) blocked: bool,
}

/// What is needed to decide about a run without loading it.
struct Candidate {
    entry: i64,
    uuid: String,
    target: Option<String>,
    crashes: u32,
}

/// The head of a list during one claim.
struct Lane<'a> {
    quota: &'a Quota,
    left: usize,
    ahead: VecDeque<Candidate>,
    seen: i64,
}

impl Lane<'_> {
    fn peek(&mut self, tx: &Tx<'_>) -> rusqlite::Result<Option<&Candidate>> {
        if self.left > 0 && self.ahead.is_empty() {
            let wanted = self.left.min(AHEAD) as i64;
            self.ahead = tx
                .all(
                    "SELECT entry, uuid, target, crashes FROM runs
                     WHERE state = 0 AND list = ?1 AND entry > ?2 ORDER BY entry LIMIT ?3",
                    params![self.quota.list, self.seen, wanted],
                    |row| {
                        Ok(Candidate {
                            entry: row.get(0)?,
                            uuid: row.get(1)?,
                            target: row.get(2)?,
                            crashes: row.get(3)?,
                        })
                    },
                )?
                .into();
            if let Some(last) = self.ahead.back() {
                self.seen = last.entry;
            } else {
                self.left = 0;
            }
        }
        Ok(self.ahead.front())
    }
}

/// What a process holds already.
struct Held {
    any: bool,
    solo: bool,
}

/// Claims runs for a living process, in the order of the lists' turns.
pub(super) fn claim(tx: &mut Tx<'_>, process: &ProcessId, request: &ClaimRequest) -> rusqlite::Result<Vec<Claimed>> {
    if request.limit == 0 || !tx.any("SELECT 1 FROM processes WHERE id = ?1", [&process.0])? {
        return Ok(Vec::new());
    }
    let solo_at = tx.settings.poison_at.saturating_sub(1).max(1);
    let held = tx
        .first(
            "SELECT crashes FROM runs WHERE state = 1 AND process = ?1 ORDER BY crashes DESC LIMIT 1",
            [&process.0],
            |row| row.get::<_, u32>(0),
        )?
        .map_or(Held { any: false, solo: false }, |most| Held { any: true, solo: most >= solo_at });
    let mut lanes = open_lanes(tx, request)?;
    let taken = if held.solo {
        tx.rota.blocked = true;
        Vec::new()
    } else {
        take(tx, process, request, &mut lanes, &held, solo_at)?
    };
    // A list rings on only if this claim stopped before its end for want of places.
    for lane in &mut lanes {
        if tx.rota.blocked || lane.peek(tx)?.is_none() {
            tx.signals.quiet(&lane.quota.list);
        }
    }
    Ok(taken)
}

fn open_lanes<'a>(tx: &mut Tx<'_>, request: &'a ClaimRequest) -> rusqlite::Result<Vec<Lane<'a>>> {
    let mut lanes = Vec::with_capacity(request.quotas.len());
    for quota in &request.quotas {
        let paused = tx.any("SELECT 1 FROM paused WHERE list = ?1", [&quota.list])?;
        let left = if paused { 0 } else { quota.limit };
        lanes.push(Lane { quota, left, ahead: VecDeque::new(), seen: 0 });
    }
    Ok(lanes)
}

fn take(
    tx: &mut Tx<'_>,
    process: &ProcessId,
    request: &ClaimRequest,
    lanes: &mut [Lane<'_>],
    held: &Held,
    solo_at: u32,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut taken: Vec<Claimed> = Vec::new();
    let mut bytes = 0_u64;
    let mut set_aside = 0;
    let mut turn = lanes.iter().position(|lane| lane.quota.list == tx.rota.list).unwrap_or(0);
    let mut credit = std::mem::take(&mut tx.rota.credit);
    tx.rota.blocked = false;

    // A run that must go alone is never overtaken for ever: from any list's head it stops the others.
    for (index, lane) in lanes.iter_mut().enumerate() {
        if lane.peek(tx)?.is_some_and(|head| head.crashes >= solo_at) {
            if held.any {
                tx.rota.blocked = true;
                return Ok(taken);
            }
            (turn, credit) = (index, 1);
            break;
        }
    }

    while taken.len() < request.limit && set_aside < SET_ASIDE {
        let Some((next, left)) = next_turn(tx, lanes, turn, credit)? else { break };
        (turn, credit) = (next, left);
        let lane = &mut lanes[turn];
        let Some(candidate) = lane.ahead.pop_front() else { break };
        let alone = candidate.crashes >= solo_at;
        let first = !held.any && taken.is_empty();
        if alone && !first {
            tx.rota.blocked = true;
            break;
        }
        if is_written(tx, &candidate)? {
            commit::wait_for_writer(tx, candidate.entry)?;
            set_aside += 1;
            continue;
        }
        let size = vcons::size(tx, &candidate.uuid)?.unwrap_or(0);
        if !first && bytes + size > request.bytes {
            // The turn stays here, so that smaller documents of other lists cannot keep it out for ever.
            tx.rota.blocked = true;
            credit = credit.max(1);
            break;
        }
        bytes += size;
        lane.left -= 1;
        credit -= 1;
        taken.push(hand_out(tx, process, &lane.quota.list, candidate)?);
        if alone {
            tx.rota.blocked = true;
            break;
        }
    }
    if let Some(lane) = lanes.get(turn) {
        lane.quota.list.clone_into(&mut tx.rota.list);
        tx.rota.credit = credit;
    }
    Ok(taken)
}

/// The list whose turn it is and what is left of its share; `None` when all are exhausted.
fn next_turn(tx: &Tx<'_>, lanes: &mut [Lane<'_>], turn: usize, credit: u32) -> rusqlite::Result<Option<(usize, u32)>> {
    for step in 0..=lanes.len() {
        let index = (turn + step) % lanes.len().max(1);
        let credit = if step == 0 { credit } else { lanes[index].quota.weight.max(1) };
        if credit > 0 && lanes[index].left > 0 && lanes[index].peek(tx)?.is_some() {
            return Ok(Some((index, credit)));
        }
    }
    Ok(None)
}

/// Whether a claimed run writes one of the vCons of this run.
fn is_written(tx: &Tx<'_>, candidate: &Candidate) -> rusqlite::Result<bool> {
    if is_leased(tx, &candidate.uuid, candidate.entry)? {
        return Ok(true);
    }
    candidate.target.as_deref().map_or(Ok(false), |target| is_leased(tx, target, candidate.entry))
}

/// Whether a claimed run other than `entry` holds the writer lease of a vCon.
pub(super) fn is_leased(tx: &Tx<'_>, uuid: &str, entry: i64) -> rusqlite::Result<bool> {
    Ok(tx.any("SELECT 1 FROM runs WHERE state = 1 AND uuid = ?1 AND entry <> ?2", params![uuid, entry])?
        || tx.any(
            "SELECT 1 FROM runs INDEXED BY runs_target WHERE target = ?1 AND state = 1 AND entry <> ?2",
            params![uuid, entry],
        )?)
}

fn hand_out(tx: &Tx<'_>, process: &ProcessId, list: &str, candidate: Candidate) -> rusqlite::Result<Claimed> {
    let entry = candidate.entry;
    tx.run("UPDATE runs SET state = 1, process = ?2 WHERE entry = ?1", params![entry, process.0])?;
    let stored = tx.load(&candidate.uuid)?;
    let claimed = tx.first(
        "SELECT run, attempts, enqueued_at, waiting_for, waiting_since, resumption, context, ledger
         FROM runs WHERE entry = ?1",
        [entry],
        |row| {
            let waited_for_writer = row.get_ref(3)?.as_str_or_null()? == Some("\"writer\"");
            Ok(Claimed {
                claim: Claim {
                    entry,
                    process: process.clone(),
                    list: list.to_owned(),
                    uuid: candidate.uuid,
                    run: run_id(row, 0)?,
                },
                ledger: json(row, 7)?,
                attempts: row.get(1)?,
                crashes: candidate.crashes,
                enqueued_at: row.get(2)?,
                // Having waited for another writer says nothing about how long the document has been missing.
                waiting_since: if stored.is_none() && waited_for_writer { None } else { row.get(4)? },
                resumption: json(row, 5)?,
                context: row.get(6)?,
                stored,
            })
        },
    )?;
    claimed.ok_or(rusqlite::Error::QueryReturnedNoRows)
}
