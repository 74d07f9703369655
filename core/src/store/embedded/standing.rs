//! How a list stands in detail: who holds its runs, what they wait for, and which are next.

use rusqlite::{Connection, params};

use super::row::{json, number, run_id};
use crate::store::{Holder, ProcessId, Queued, Standing, Waits};

/// Who holds runs of a list, and what others of it wait for. Both questions read partial indexes.
pub(super) fn standing(db: &Connection, list: &str) -> rusqlite::Result<Standing> {
    let holders = db
        .prepare_cached(
            "SELECT process, count(*), (SELECT lease_until FROM processes WHERE id = process)
             FROM runs WHERE state = 1 AND list = ?1 GROUP BY process ORDER BY process",
        )?
        .query_map([list], |row| {
            Ok(Holder { process: ProcessId(row.get(0)?), runs: number(row, 1)?, lease_until: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut waits: Vec<Waits> = db
        .prepare_cached(
            "SELECT waiting_for, count(*) FROM runs
             WHERE due IS NOT NULL AND state = 2 AND list = ?1 AND waiting_for IS NOT NULL GROUP BY waiting_for",
        )?
        .query_map([list], |row| {
            Ok(Waits { reason: json(row, 0)?.ok_or(rusqlite::Error::InvalidQuery)?, runs: number(row, 1)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    waits.sort_by_key(|waits| waits.reason);
    Ok(Standing { holders, waits })
}

/// The runs at the head of a list.
pub(super) fn peek(db: &Connection, list: &str, limit: usize) -> rusqlite::Result<Vec<Queued>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare_cached(
        "SELECT uuid, run, enqueued_at, attempts FROM runs WHERE state = 0 AND list = ?1 ORDER BY entry LIMIT ?2",
    )?
    .query_map(params![list, limit], |row| {
        Ok(Queued {
            uuid: row.get(0)?,
            run: Some(run_id(row, 1)?),
            enqueued_at: Some(row.get(2)?),
            attempts: row.get(3)?,
        })
    })?
    .collect()
}
