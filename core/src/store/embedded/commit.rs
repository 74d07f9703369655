//! Commits: what ends or saves a claim.

use std::time::Duration;

use rusqlite::params;

use super::claim::is_leased;
use super::park;
use super::row::to_json;
use super::tx::Tx;
use super::vcons::{self, enqueue, millis};
use crate::clock::Millis;
use crate::error::Error;
use crate::store::{Claim, Claimed, Commit, Committed, End, Failure, ProcessId, Stored, WaitReason};

/// First back-off of a run whose vCon another run is writing; it doubles up to [`WRITER_BACKOFF_MAX`].
const WRITER_BACKOFF: Duration = Duration::from_millis(250);

/// Longest back-off of such a run.
const WRITER_BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What a run that is still held knows about itself.
struct Held {
    uuid: String,
    target: Option<String>,
    context: Option<String>,
}

/// The fence: the run, if the process of the claim still holds it and has not been declared dead.
///
/// Not the clock decides but the rows: declaring a process dead removes its row and frees its claims in
/// one transaction, so a late commit of a process that lives on can never interleave with its successor.
fn held(tx: &Tx<'_>, claim: &Claim) -> rusqlite::Result<Option<Held>> {
    tx.first(
        "SELECT uuid, target, context FROM runs
         WHERE entry = ?1 AND state = 1 AND process = ?2 AND run = ?3
             AND EXISTS (SELECT 1 FROM processes WHERE id = ?2)",
        params![claim.entry, claim.process.0, claim.run.0.as_bytes()],
        |row| Ok(Held { uuid: row.get(0)?, target: row.get(1)?, context: row.get(2)? }),
    )
}

/// Applies one commit, or nothing of it when the claim is not held any more.
pub(super) fn apply(tx: &mut Tx<'_>, commit: &Commit) -> rusqlite::Result<Committed> {
    let entry = commit.claim.entry;
    let Some(held) = held(tx, &commit.claim)? else { return Ok(Committed::Lost) };
    if let Some(save) = &commit.save {
        vcons::save(tx, &save.uuid, &save.document, Millis::try_from(save.revision).unwrap_or(Millis::MAX))?;
    }
    if let Some(keep) = commit.keep {
        vcons::set_keep(tx, held.target.as_deref().unwrap_or(&held.uuid), keep)?;
    }
    // The ledger of a run that is done dies with it.
    if let Some(ledger) = commit.ledger.as_ref().filter(|_| !matches!(commit.end, End::Done)) {
        tx.run("UPDATE runs SET ledger = ?2 WHERE entry = ?1", params![entry, to_json(ledger)?])?;
    }
    let context = commit.context.as_deref().or(held.context.as_deref());
    for made in &commit.made {
        vcons::take_in(tx, made, &held.uuid, context)?;
    }
    for push in &commit.pushes {
        enqueue(tx, &push.list, &push.uuid, context, None)?;
    }
    end(tx, &commit.claim, &commit.end)?;
    if !matches!(commit.end, End::Continue) {
        let_go(tx, &held.uuid)?;
        if let Some(target) = &held.target {
            let_go(tx, target)?;
        }
        if std::mem::take(&mut tx.rota.blocked) {
            tx.signals.ring_all();
        }
    }
    Ok(Committed::Done)
}

/// Releases claims whose caller was cancelled before it got them.
pub(super) fn give_back(tx: &mut Tx<'_>, claimed: &[Claimed]) -> rusqlite::Result<()> {
    for claimed in claimed {
        let claim = claimed.claim.clone();
        apply(tx, &Commit::ending(claim, End::Release))?;
    }
    Ok(())
}

fn end(tx: &mut Tx<'_>, claim: &Claim, end: &End) -> rusqlite::Result<()> {
    let entry = claim.entry;
    match end {
        End::Continue => Ok(()),
        End::Done => tx.run("DELETE FROM runs WHERE entry = ?1", [entry]).map(drop),
        End::Release => release(tx, entry, &claim.list),
        End::Retry { due, failure } => tx
            .run(
                "UPDATE runs SET state = 2, process = NULL, due = ?2, failure = ?3, attempts = attempts + 1,
                     waits = 0, waiting_for = NULL, waiting_since = NULL, target = ledger ->> '$.switched_to'
                 WHERE entry = ?1",
                params![entry, due, to_json(failure)?],
            )
            .map(drop),
        End::Wait { due, reason } => wait(tx, entry, *due, *reason),
        End::Park { token, until } => park::park(tx, entry, &claim.list, token, *until),
        End::Dead { queue, failure } => bury(tx, entry, queue, failure),
    }
}

/// Gives a claimed run back to its list as if it had not been claimed.
pub(super) fn release(tx: &mut Tx<'_>, entry: i64, list: &str) -> rusqlite::Result<()> {
    tx.run("UPDATE runs SET state = 0, process = NULL, target = ledger ->> '$.switched_to' WHERE entry = ?1", [entry])?;
    tx.signals.ring(list);
    Ok(())
}

/// Makes a run a dead letter.
pub(super) fn bury(tx: &Tx<'_>, entry: i64, queue: &str, failure: &Failure) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE runs SET state = 4, process = NULL, due = NULL, queue = ?2, failure = ?3, died_at = ?4,
             waits = 0, waiting_for = NULL, waiting_since = NULL, target = ledger ->> '$.switched_to'
         WHERE entry = ?1",
        params![entry, queue, to_json(failure)?, tx.now],
    )
    .map(drop)
}

fn wait(tx: &Tx<'_>, entry: i64, due: Millis, reason: WaitReason) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE runs SET state = 2, process = NULL, due = ?2, waiting_for = ?3,
             waits = iif(waiting_for IS ?3, waits + 1, 1),
             waiting_since = iif(waiting_for IS ?3, waiting_since, ?4),
             target = ledger ->> '$.switched_to'
         WHERE entry = ?1",
        params![entry, due, to_json(&reason)?, tx.now],
    )
    .map(drop)
}

/// Sets a run aside until the writer of its vCon is done; [`let_go`] wakes it, the back-off is for safety.
pub(super) fn wait_for_writer(tx: &Tx<'_>, entry: i64) -> rusqlite::Result<()> {
    let waits = tx
        .first(
            "SELECT waits FROM runs WHERE entry = ?1 AND waiting_for = ?2",
            params![entry, to_json(&WaitReason::Writer)?],
            |row| row.get::<_, u32>(0),
        )?
        .unwrap_or(0);
    let pause = WRITER_BACKOFF.saturating_mul(1 << waits.min(16)).min(WRITER_BACKOFF_MAX);
    wait(tx, entry, tx.now + millis(pause), WaitReason::Writer)
}

/// A run does not write this vCon any more: the next one that waited for that goes on at once, and the
/// vCon's time to live starts if this was the last run.
pub(super) fn let_go(tx: &mut Tx<'_>, uuid: &str) -> rusqlite::Result<()> {
    let next = tx.first(
        "SELECT entry, list FROM runs WHERE uuid = ?1 AND state = 2 AND waiting_for = '\"writer\"'
         ORDER BY entry LIMIT 1",
        [uuid],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
    )?;
    let Some((entry, list)) = next else { return vcons::expire_if_free(tx, uuid) };
    tx.run("UPDATE runs SET state = 0, due = NULL WHERE entry = ?1", [entry])?;
    tx.signals.ring(&list);
    Ok(())
}

/// Why a switch was refused.
#[derive(Debug)]
pub(super) enum Refused {
    /// The claim is not held any more.
    Lost,
    /// Another run writes the vCon.
    Busy,
}

impl Refused {
    /// The error that the engine sees.
    pub(super) fn explain(&self, process: &ProcessId, uuid: &str) -> Error {
        match self {
            Refused::Lost => Error::retryable(format!("process {process} was declared dead and its claim is lost"))
                .help("another conductor goes on with the run"),
            Refused::Busy => Error::retryable(format!("another run is working on vCon {uuid}"))
                .help("it is tried again when that run is done"),
        }
    }
}

/// Takes the writer lease of another vCon for a claimed run and loads it.
pub(super) fn switch(
    tx: &mut Tx<'_>,
    claim: &Claim,
    uuid: &str,
) -> rusqlite::Result<std::result::Result<Option<Stored>, Refused>> {
    let Some(held) = held(tx, claim)? else { return Ok(Err(Refused::Lost)) };
    if is_leased(tx, uuid, claim.entry)? {
        return Ok(Err(Refused::Busy));
    }
    let stored = tx.load(uuid)?;
    if stored.is_some() && held.target.as_deref() != Some(uuid) {
        let target = Some(uuid).filter(|uuid| *uuid != held.uuid);
        tx.run("UPDATE runs SET target = ?2 WHERE entry = ?1", params![claim.entry, target])?;
        tx.run("UPDATE vcons SET expires_at = NULL WHERE uuid = ?1 AND expires_at IS NOT NULL", [uuid])?;
        if let Some(former) = held.target {
            let_go(tx, &former)?;
        }
    }
    Ok(Ok(stored))
}
