//! What operators ask and do: lists, pausing, dead letters.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::commit::let_go;
use super::row::{json, number, run_id};
use super::tx::Tx;
use crate::clock::Millis;
use crate::run::RunId;
use crate::store::{DeadLetter, ListStatus, Pending};

/// All lists that hold anything or are paused. Every query reads one partial index only, so a backlog of
/// millions costs milliseconds and no document page is touched.
pub(super) fn lists(db: &Connection) -> rusqlite::Result<Vec<ListStatus>> {
    let mut found: BTreeMap<String, ListStatus> = BTreeMap::new();
    let mut add = |sql: &str, set: fn(&mut ListStatus, u64)| -> rusqlite::Result<()> {
        let mut statement = db.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            set(found.entry(row.get(0)?).or_default(), number(row, 1)?);
        }
        Ok(())
    };
    add("SELECT list, count(*) FROM runs WHERE state = 0 GROUP BY list", |status, n| status.waiting = n)?;
    add("SELECT list, count(*) FROM runs WHERE state = 1 GROUP BY list", |status, n| status.claimed = n)?;
    add("SELECT list, count(*) FROM runs WHERE due IS NOT NULL AND state = 2 GROUP BY list", |status, n| {
        status.scheduled = n;
    })?;
    add("SELECT list, count(*) FROM runs WHERE due IS NOT NULL AND state = 3 GROUP BY list", |status, n| {
        status.parked = n;
    })?;
    add("SELECT list, count(*) FROM runs WHERE state = 4 GROUP BY list", |status, n| status.dead = n)?;
    add("SELECT list, 1 FROM paused", |status, _| status.paused = true)?;
    let mut oldest =
        db.prepare_cached("SELECT enqueued_at FROM runs WHERE state = 0 AND list = ?1 ORDER BY entry LIMIT 1")?;
    let mut lists = Vec::with_capacity(found.len());
    for (list, status) in found {
        let head = if status.waiting > 0 { Some(oldest.query_row([&list], |row| row.get(0))?) } else { None };
        lists.push(ListStatus { oldest: head, list, ..status });
    }
    Ok(lists)
}

/// What keeps a conductor of these lists busy. What is due on a paused list counts as paused: it would
/// only wait there.
pub(super) fn pending(db: &Connection, lists: &[String], until: Millis) -> rusqlite::Result<Pending> {
    let mut pending = Pending::default();
    for list in lists {
        let count = |sql: &str| -> rusqlite::Result<u64> {
            db.prepare_cached(sql)?.query_row(params![list], |row| number(row, 0))
        };
        let paused = db.prepare_cached("SELECT 1 FROM paused WHERE list = ?1")?.exists([list])?;
        let waiting = count("SELECT count(*) FROM runs WHERE state = 0 AND list = ?1")?;
        pending.claimed += count("SELECT count(*) FROM runs WHERE state = 1 AND list = ?1")?;
        let (due, scheduled, parked): (u64, u64, u64) = db
            .prepare_cached(
                "SELECT count(*) FILTER (WHERE due <= ?2), count(*) FILTER (WHERE due > ?2 AND state = 2),
                     count(*) FILTER (WHERE due > ?2 AND state = 3)
                 FROM runs WHERE due IS NOT NULL AND list = ?1",
            )?
            .query_row(params![list, until], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?;
        if paused {
            pending.paused += waiting + due;
        } else {
            pending.waiting += waiting;
            pending.due += due;
        }
        pending.scheduled += scheduled;
        pending.parked += parked;
    }
    Ok(pending)
}

/// Stops or allows claims from a list.
pub(super) fn pause(tx: &mut Tx<'_>, list: &str, paused: bool) -> rusqlite::Result<()> {
    if paused {
        tx.run("INSERT OR IGNORE INTO paused (list) VALUES (?1)", [list])?;
    } else {
        tx.run("DELETE FROM paused WHERE list = ?1", [list])?;
        tx.signals.ring(list);
    }
    Ok(())
}

/// Dead letters of a queue by run (runs sort by age), after `cursor`.
pub(super) fn dead_letters(
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
