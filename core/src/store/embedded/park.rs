//! Parked runs, and what is due.
//!
//! A callback may be faster than the commit that parks the run it is for. A payload that finds no run
//! under its token is therefore kept for a while; a park under that token then goes on at once.

use std::time::Duration;

use rusqlite::params;
use serde_json::Value;

use super::row::to_json;
use super::tx::Tx;
use super::vcons::millis;
use crate::clock::Millis;
use crate::store::Resumption;

/// How long an early payload is kept.
const EARLY: Duration = Duration::from_secs(600);

/// At most so many early payloads are kept, the latest; whoever sends unknown tokens cannot fill the disk.
const EARLY_MAX: i64 = 10_000;

/// So many due runs are put back in one transaction.
pub(super) const PUMP: usize = 5000;

/// Parks a claimed run, or puts it right back on its list when its payload has come already.
pub(super) fn park(tx: &mut Tx<'_>, entry: i64, list: &str, token: &str, until: Millis) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE runs SET state = 3, process = NULL, due = ?2, token = ?3, resumption = NULL, waits = 0,
             waiting_for = NULL, waiting_since = NULL, target = ledger ->> '$.switched_to'
         WHERE entry = ?1",
        params![entry, until, token],
    )?;
    let early = tx.first(
        "SELECT payload FROM early_resumptions WHERE token = ?1 AND expires_at > ?2",
        params![token, tx.now],
        |row| row.get::<_, String>(0),
    )?;
    let Some(resumption) = early else { return Ok(()) };
    tx.run("DELETE FROM early_resumptions WHERE token = ?1", [token])?;
    wake(tx, entry, list, &resumption)
}

/// Resumes the run that is parked under a token; false if there is none (yet).
pub(super) fn resume(tx: &mut Tx<'_>, token: &str, payload: &Value) -> rusqlite::Result<bool> {
    let resumption = to_json(&Resumption::Called(payload.clone()))?;
    let parked = tx.first("SELECT entry, list FROM runs WHERE state = 3 AND token = ?1", [token], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    if let Some((entry, list)) = parked {
        wake(tx, entry, &list, &resumption)?;
        return Ok(true);
    }
    tx.run(
        "INSERT OR REPLACE INTO early_resumptions (token, payload, expires_at) VALUES (?1, ?2, ?3)",
        params![token, resumption, tx.now + millis(EARLY)],
    )?;
    tx.run("DELETE FROM early_resumptions WHERE rowid <= ?1", [tx.last_key() - EARLY_MAX])?;
    Ok(false)
}

fn wake(tx: &mut Tx<'_>, entry: i64, list: &str, resumption: &str) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE runs SET state = 0, due = NULL, token = NULL, resumption = ?2 WHERE entry = ?1",
        params![entry, resumption],
    )?;
    tx.signals.ring(list);
    Ok(())
}

/// Puts due retries and parked runs whose time is over back on their lists; at most [`PUMP`] at once.
pub(super) fn pump(tx: &mut Tx<'_>) -> rusqlite::Result<usize> {
    let due = tx.all(
        "SELECT entry, state, list FROM runs WHERE due <= ?1 ORDER BY due LIMIT ?2",
        params![tx.now, PUMP as i64],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)? == 3, row.get::<_, String>(2)?)),
    )?;
    let timed_out = to_json(&Resumption::TimedOut)?;
    for (entry, parked, list) in &due {
        if *parked {
            wake(tx, *entry, list, &timed_out)?;
        } else {
            tx.run("UPDATE runs SET state = 0, due = NULL WHERE entry = ?1", [entry])?;
            tx.signals.ring(list);
        }
    }
    Ok(due.len())
}
