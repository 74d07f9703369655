//! What operators ask and do with lists.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::row::number;
use super::tx::Tx;
use crate::clock::Millis;
use crate::store::{ListStatus, Pending};

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

/// Moves waiting runs that have not begun from one list to the tail of another, as new entries of the same runs.
pub(super) fn transfer(tx: &mut Tx<'_>, from: &str, to: &str, limit: usize) -> rusqlite::Result<usize> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let entries = tx.all(
        "SELECT entry FROM runs
         WHERE state = 0 AND list = ?1 AND ledger IS NULL AND resumption IS NULL AND attempts = 0 AND crashes = 0
         ORDER BY entry LIMIT ?2",
        params![from, limit],
        |row| row.get::<_, i64>(0),
    )?;
    for entry in &entries {
        tx.run(
            "INSERT INTO runs (run, list, uuid, enqueued_at, context)
             SELECT run, ?2, uuid, enqueued_at, context FROM runs WHERE entry = ?1",
            params![entry, to],
        )?;
        tx.run("DELETE FROM runs WHERE entry = ?1", [entry])?;
    }
    if !entries.is_empty() {
        tx.signals.ring(to);
    }
    Ok(entries.len())
}
