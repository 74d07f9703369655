//! Dead letters: listing them, and what operators do with them.

use rusqlite::{Connection, params};

use super::commit::let_go;
use super::row::{json, number, run_id, to_json};
use super::tx::Tx;
use crate::clock::Millis;
use crate::run::RunId;
use crate::store::{DeadLetter, DeadLetterQueue, Revival};

/// The queues that hold dead letters, by name; reads one partial index only.
pub(super) fn queues(db: &Connection) -> rusqlite::Result<Vec<DeadLetterQueue>> {
    db.prepare_cached("SELECT queue, count(*) FROM runs WHERE state = 4 GROUP BY queue ORDER BY queue")?
        .query_map([], |row| Ok(DeadLetterQueue { queue: row.get(0)?, letters: number(row, 1)? }))?
        .collect()
}

/// Dead letters of a queue by run (runs sort by age), after `cursor`.
pub(super) fn letters(
    db: &Connection,
    queue: &str,
    cursor: Option<RunId>,
    limit: usize,
) -> rusqlite::Result<Vec<DeadLetter>> {
    let after = cursor.map_or([0; 16], |run| *run.0.as_bytes());
    db.prepare_cached(
        "SELECT run, uuid, list, queue, failure, ledger FROM runs
         WHERE state = 4 AND queue = ?1 AND run > ?2 ORDER BY run LIMIT ?3",
    )?
    .query_map(params![queue, after, limit as i64], |row| {
        Ok(DeadLetter {
            run: run_id(row, 0)?,
            uuid: row.get(1)?,
            list: row.get(2)?,
            queue: row.get(3)?,
            failure: json(row, 4)?.ok_or(rusqlite::Error::InvalidQuery)?,
            ledger: json(row, 5)?,
        })
    })?
    .collect()
}

/// Puts a dead run back at the tail of its list, as a new entry of the same run.
pub(super) fn revive(tx: &mut Tx<'_>, run: RunId) -> rusqlite::Result<bool> {
    let revived = tx.first(
        "INSERT INTO runs (run, list, uuid, target, enqueued_at, context, resumption, ledger)
         SELECT run, list, uuid, target, ?2, context, resumption, ledger FROM runs WHERE state = 4 AND run = ?1
         RETURNING list",
        params![run.0.as_bytes(), tx.now],
        |row| row.get::<_, String>(0),
    )?;
    let Some(list) = revived else { return Ok(false) };
    tx.run("DELETE FROM runs WHERE state = 4 AND run = ?1", params![run.0.as_bytes()])?;
    tx.signals.ring(&list);
    Ok(true)
}

/// Puts a dead run back with another id, list or ledger; false if it is not dead, or did not die at `died_at`.
pub(super) fn revive_as(tx: &mut Tx<'_>, run: RunId, died_at: Millis, revival: &Revival) -> rusqlite::Result<bool> {
    let ledger = revival.ledger.as_ref().map(to_json).transpose()?;
    let dead = tx.first(
        "SELECT entry, uuid, target FROM runs WHERE state = 4 AND run = ?1 AND failure ->> '$.at' = ?2",
        params![run.0.as_bytes(), died_at],
        |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?)),
    )?;
    let Some((entry, uuid, target)) = dead else { return Ok(false) };
    tx.run(
        "INSERT INTO runs (run, list, uuid, target, enqueued_at, context, resumption, ledger)
         SELECT ?2, ?3, uuid, ?5 ->> '$.switched_to', ?4, context,
             CASE WHEN ?5 -> '$.parked' IS NOT NULL THEN resumption END, ?5
         FROM runs WHERE entry = ?1",
        params![entry, revival.run.0.as_bytes(), revival.list, tx.now, ledger],
    )?;
    tx.run("DELETE FROM runs WHERE entry = ?1", [entry])?;
    // A vCon that the run had switched to may be free now.
    for freed in std::iter::once(uuid).chain(target) {
        let_go(tx, &freed)?;
    }
    tx.signals.ring(&revival.list);
    Ok(true)
}

/// Forgets a dead run.
pub(super) fn bury(tx: &mut Tx<'_>, run: RunId) -> rusqlite::Result<bool> {
    let buried = tx.all(
        "DELETE FROM runs WHERE state = 4 AND run = ?1 RETURNING uuid, target",
        params![run.0.as_bytes()],
        |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)),
    )?;
    for (uuid, target) in &buried {
        let_go(tx, uuid)?;
        if let Some(target) = target {
            let_go(tx, target)?;
        }
    }
    Ok(!buried.is_empty())
}
