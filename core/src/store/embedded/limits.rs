//! Limits in sliding windows: a row per permit and limit, and the sum of them beside.

use std::time::Duration;

use rusqlite::params;

use super::tx::Tx;
use super::vcons::millis;
use crate::clock::Millis;
use crate::store::bounds::{FLIGHT, UNKNOWN, length, thousandths};
use crate::store::{Permit, ProcessId, Taken, Want};

/// Takes a permit out of the first alternative that has room.
pub(super) fn take(
    tx: &Tx<'_>,
    id: &str,
    process: Option<&ProcessId>,
    alternatives: &[Vec<Want>],
) -> rusqlite::Result<Taken> {
    let mut shortest = None;
    for (index, wants) in alternatives.iter().enumerate() {
        let mut longest = Duration::ZERO;
        for want in wants {
            longest = longest.max(wait(tx, want)?);
        }
        if longest.is_zero() {
            for want in wants {
                enter(tx, id, process, want)?;
            }
            let limits = wants.iter().map(|want| want.limit.clone()).collect();
            return Ok(Taken::Granted { index, permit: Permit { id: id.to_owned(), limits } });
        }
        shortest = Some(shortest.map_or(longest, |shortest: Duration| shortest.min(longest)));
    }
    Ok(Taken::Wait(shortest.unwrap_or(UNKNOWN)))
}

/// How long until a limit has room; zero if it has.
fn wait(tx: &Tx<'_>, want: &Want) -> rusqlite::Result<Duration> {
    let (most, window) = (thousandths(want.most), length(want.window));
    leave(tx, &want.limit)?;
    // When the clock was turned back nothing counts longer than if it had begun now.
    tx.run(
        "UPDATE permits SET leaves = ?2 WHERE \"limit\" = ?1 AND leaves > ?2 AND flying = 0",
        params![want.limit, tx.now + window + 1],
    )?;
    tx.run(
        "UPDATE permits SET leaves = ?2 WHERE \"limit\" = ?1 AND leaves > ?2 AND flying = 1",
        params![want.limit, tx.now + millis(FLIGHT)],
    )?;
    if most == 0 {
        return Ok(want.window.max(UNKNOWN));
    }
    let used = tx.first("SELECT used FROM limits WHERE name = ?1", [&want.limit], |row| row.get(0))?.unwrap_or(0_i64);
    let mut missing = used + thousandths(want.amount).min(most) - most;
    if missing <= 0 {
        return Ok(Duration::ZERO);
    }
    let mut ended = tx
        .db
        .prepare_cached("SELECT leaves, amount FROM permits WHERE \"limit\" = ?1 AND flying = 0 ORDER BY leaves")?;
    let mut rows = ended.query([&want.limit])?;
    while let Some(row) = rows.next()? {
        missing -= row.get::<_, i64>(1)?;
        if missing <= 0 {
            let left: Millis = row.get::<_, Millis>(0)? - tx.now;
            return Ok(Duration::from_millis(left.max(1).unsigned_abs()));
        }
    }
    Ok(UNKNOWN)
}

/// Forgets what has left a limit's window.
fn leave(tx: &Tx<'_>, limit: &str) -> rusqlite::Result<()> {
    let gone = tx.first(
        "SELECT sum(amount) FROM permits WHERE \"limit\" = ?1 AND leaves <= ?2",
        params![limit, tx.now],
        |row| row.get::<_, Option<i64>>(0),
    )?;
    if let Some(gone) = gone.flatten() {
        tx.run("DELETE FROM permits WHERE \"limit\" = ?1 AND leaves <= ?2", params![limit, tx.now])?;
        count(tx, limit, -gone)?;
    }
    Ok(())
}

/// Changes the sum of a limit.
fn count(tx: &Tx<'_>, limit: &str, by: i64) -> rusqlite::Result<()> {
    tx.run(
        "INSERT INTO limits (name, used) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET used = used + ?2",
        params![limit, by],
    )?;
    tx.run("DELETE FROM limits WHERE name = ?1 AND used <= 0", [limit]).map(drop)
}

fn enter(tx: &Tx<'_>, id: &str, process: Option<&ProcessId>, want: &Want) -> rusqlite::Result<()> {
    let amount = thousandths(want.amount).min(thousandths(want.most));
    // A process that was declared dead meanwhile has nobody who would end its permits.
    tx.run(
        "INSERT INTO permits (permit, \"limit\", process, amount, span, leaves)
         VALUES (?1, ?2, (SELECT id FROM processes WHERE id = ?3), ?4, ?5, ?6)",
        params![
            id,
            want.limit,
            process.map(|process| &process.0),
            amount,
            length(want.window),
            tx.now + millis(FLIGHT)
        ],
    )?;
    count(tx, &want.limit, amount)
}

/// Ends the call of a permit: from now on it counts as long as its windows are.
pub(super) fn settle(tx: &Tx<'_>, id: &str, used: &[(String, f64)]) -> rusqlite::Result<()> {
    let flying =
        tx.all("SELECT \"limit\", amount, span FROM permits WHERE permit = ?1 AND flying = 1", [id], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
    for (limit, estimate, span) in flying {
        let known = used.iter().find(|(known, _)| *known == limit);
        let amount = known.map_or(estimate, |(_, amount)| thousandths(*amount));
        // The millisecond that has begun counts whole.
        tx.run(
            "UPDATE permits SET flying = 0, process = NULL, amount = ?3, leaves = ?4 WHERE permit = ?1 AND \"limit\" = ?2",
            params![id, limit, amount, tx.now + 1 + span],
        )?;
        count(tx, &limit, amount - estimate)?;
    }
    Ok(())
}

/// Ends the calls of a process that is over.
pub(super) fn end_all_of(tx: &Tx<'_>, process: &ProcessId) -> rusqlite::Result<()> {
    let permits =
        tx.all("SELECT DISTINCT permit FROM permits WHERE process = ?1", [&process.0], |row| row.get::<_, String>(0))?;
    permits.iter().try_for_each(|permit| settle(tx, permit, &[]))
}

/// Forgets what has left the windows of limits that nobody asks for any more.
pub(super) fn sweep(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let limits =
        tx.all("SELECT DISTINCT \"limit\" FROM permits WHERE leaves <= ?1", [tx.now], |row| row.get::<_, String>(0))?;
    limits.iter().try_for_each(|limit| leave(tx, limit))
}
