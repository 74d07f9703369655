//! Single runs, conductors and what has ended lately, for operators.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};

use super::operation::Needs;
use super::row::{json, number, run_id, to_json};
use super::tx::Tx;
use super::vcons::millis;
use super::{EmbeddedStore, operate, vitals};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::oversight::KEPT;
use crate::store::{Card, Conductor, Oversight, PastQuery, PastRun, ProcessId, RunQuery, RunRecord, RunState, Vitals};

/// What is read of a run.
const COLUMNS: &str = "run, uuid, list, state, enqueued_at, attempts, crashes, process, due, waiting_for, waiting_since, \
                       queue, failure";

/// By state, in the order of its number: which rows, by an index that has no others, and their order.
const STATES: [(RunState, &str, &str); 5] = [
    (RunState::Waiting, "state = 0", "entry"),
    (RunState::Claimed, "state = 1", "entry"),
    (RunState::Scheduled, "due IS NOT NULL AND state = 2", "due"),
    (RunState::Parked, "due IS NOT NULL AND state = 3", "due"),
    (RunState::Dead, "state = 4", "died_at DESC"),
];

#[async_trait]
impl Oversight for EmbeddedStore {
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunRecord>> {
        let query = query.clone();
        self.readers.query(move |db| runs(db, &query)).await
    }

    async fn announce(&self, process: &ProcessId, card: &Card) -> Result<()> {
        let (process, card) = (process.clone(), card.clone());
        let work = move |tx: &mut Tx<'_>| {
            tx.run(
                "INSERT OR REPLACE INTO conductors (process, told_at, card) VALUES (?1, ?2, ?3)",
                params![process.0, tx.now, to_json(&card)?],
            )
            .map(drop)
        };
        self.writer.call(Needs::VOLATILE, work).await
    }

    async fn withdraw(&self, process: &ProcessId) -> Result<()> {
        let process = process.clone();
        self.writer.call(Needs::VOLATILE, move |tx| forget(tx, &process)).await
    }

    async fn conductors(&self) -> Result<Vec<Conductor>> {
        let now = self.settings.clock.now();
        let mut found = self.readers.query(move |db| conductors(db, now)).await?;
        for conductor in found.iter_mut().filter(|conductor| conductor.alive) {
            conductor.alive = !self.locks.is_free(&conductor.process);
        }
        Ok(found)
    }

    async fn note(&self, past: &[PastRun], most: usize) -> Result<()> {
        let past = past.to_vec();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let work = move |tx: &mut Tx<'_>| {
            for one in &past {
                tx.run(
                    "INSERT INTO past_runs (run, uuid, ended, record) VALUES (?1, ?2, ?3, ?4)",
                    params![one.run.0.as_bytes(), one.uuid, one.ended, to_json(one)?],
                )?;
            }
            tx.run("DELETE FROM past_runs WHERE id <= (SELECT max(id) FROM past_runs) - ?1", [most]).map(drop)
        };
        self.writer.call(Needs::VOLATILE, work).await
    }

    async fn past(&self, query: &PastQuery) -> Result<Vec<PastRun>> {
        let (query, over) = (query.clone(), self.settings.clock.now() - millis(KEPT));
        self.readers.query(move |db| past(db, &query, over)).await
    }

    async fn vitals(&self, patience: Duration) -> Result<Vitals> {
        vitals::look(self, patience).await.map(Vitals::Embedded)
    }
}

fn runs(db: &Connection, query: &RunQuery) -> rusqlite::Result<Vec<RunRecord>> {
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    // A ledger may be large, and is read only where it is wanted.
    let columns = format!("{COLUMNS}, {}", if query.ledgers { "ledger" } else { "NULL" });
    if query.is_narrow() {
        return narrow(db, query, &columns, limit);
    }
    let lists = match query.lists.is_empty() {
        true => operate::lists(db)?.into_iter().map(|status| status.list).collect(),
        false => query.lists.clone(),
    };
    let mut found = Vec::new();
    for list in lists {
        for (_, which, order) in STATES.iter().filter(|(state, ..)| query.wants(*state)) {
            let sql = format!("SELECT {columns} FROM runs WHERE {which} AND list = ?1 ORDER BY {order} LIMIT ?2");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map(params![list, limit], record)?;
            found.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
        }
    }
    Ok(found)
}

/// Runs of one vCon by its index; one run by a look at all, since it is seldom asked for and needs no index at every step.
fn narrow(db: &Connection, query: &RunQuery, columns: &str, limit: i64) -> rusqlite::Result<Vec<RunRecord>> {
    let wanted = |found: &RunRecord| {
        query.wants(found.state)
            && query.names(found.run, &found.uuid)
            && (query.lists.is_empty() || query.lists.contains(&found.list))
    };
    let rows: Vec<RunRecord> = match (&query.uuid, query.run) {
        (Some(uuid), _) => {
            let sql = format!("SELECT {columns} FROM runs WHERE uuid = ?1 ORDER BY list, state, entry LIMIT ?2");
            db.prepare_cached(&sql)?.query_map(params![uuid, limit], record)?.collect::<rusqlite::Result<_>>()?
        }
        (None, Some(run)) => {
            let sql = format!("SELECT {columns} FROM runs WHERE run = ?1 LIMIT ?2");
            let bytes = run.0.as_bytes();
            db.prepare_cached(&sql)?.query_map(params![bytes, limit], record)?.collect::<rusqlite::Result<_>>()?
        }
        (None, None) => Vec::new(),
    };
    Ok(rows.into_iter().filter(wanted).collect())
}

fn record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    let state = usize::try_from(row.get::<_, i64>(3)?).ok().and_then(|state| STATES.get(state));
    let (state, ..) = *state.ok_or(rusqlite::Error::InvalidQuery)?;
    let process: Option<String> = row.get(7)?;
    let since: Option<Millis> = row.get(10)?;
    Ok(RunRecord {
        run: Some(run_id(row, 0)?),
        uuid: row.get(1)?,
        list: row.get(2)?,
        state,
        enqueued_at: Some(row.get(4)?),
        attempts: row.get(5)?,
        crashes: row.get(6)?,
        process: process.map(ProcessId).filter(|_| state == RunState::Claimed),
        due: row.get(8)?,
        waits: json(row, 9)?.zip(since).filter(|_| state == RunState::Scheduled),
        queue: row.get(11)?,
        failure: json(row, 12)?,
        ledger: json(row, 13)?,
    })
}

fn conductors(db: &Connection, now: Millis) -> rusqlite::Result<Vec<Conductor>> {
    let mut found: BTreeMap<String, Conductor> = BTreeMap::new();
    let mut leases = db.prepare_cached("SELECT id, lease_until FROM processes")?;
    let mut rows = leases.query([])?;
    while let Some(row) = rows.next()? {
        let (id, until): (String, Millis) = (row.get(0)?, row.get(1)?);
        let conductor = found.entry(id.clone()).or_insert_with(|| Conductor::unknown(&id));
        (conductor.lease_until, conductor.alive) = (Some(until), until > now);
    }
    let mut held = db.prepare_cached("SELECT process, count(*) FROM runs WHERE state = 1 GROUP BY process")?;
    let mut rows = held.query([])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        found.entry(id.clone()).or_insert_with(|| Conductor::unknown(&id)).holds = number(row, 1)?;
    }
    let mut cards = db.prepare_cached("SELECT process, card FROM conductors WHERE told_at > ?1")?;
    let mut rows = cards.query([now - millis(KEPT)])?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        // Another version may tell what this one cannot read.
        let card = json(row, 1).unwrap_or(None);
        found.entry(id.clone()).or_insert_with(|| Conductor::unknown(&id)).card = card;
    }
    Ok(found.into_values().collect())
}

fn past(db: &Connection, query: &PastQuery, over: Millis) -> rusqlite::Result<Vec<PastRun>> {
    let (which, wanted): (&str, Vec<Box<dyn rusqlite::ToSql>>) = match (query.run, &query.uuid) {
        (Some(run), _) => ("WHERE run = ?1", vec![Box::new(run.0.as_bytes().to_vec())]),
        (None, Some(uuid)) => ("WHERE uuid = ?1", vec![Box::new(uuid.clone())]),
        (None, None) => ("", Vec::new()),
    };
    let mut statement = db.prepare_cached(&format!("SELECT record FROM past_runs {which} ORDER BY id DESC"))?;
    let mut rows = statement.query(rusqlite::params_from_iter(wanted))?;
    let mut found = Vec::new();
    while found.len() < query.limit
        && let Some(row) = rows.next()?
    {
        let one: Option<PastRun> = json(row, 0).unwrap_or(None);
        found.extend(one.filter(|past| past.ended > over && query.wants(past)));
    }
    Ok(found)
}

/// Forgets what a process told.
pub(super) fn forget(tx: &mut Tx<'_>, process: &ProcessId) -> rusqlite::Result<()> {
    tx.run("DELETE FROM conductors WHERE process = ?1", [&process.0]).map(drop)
}

/// Forgets what is over.
pub(super) fn sweep(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let over = tx.now - millis(KEPT);
    tx.run("DELETE FROM conductors WHERE told_at <= ?1", [over])?;
    tx.run("DELETE FROM past_runs WHERE ended <= ?1", [over]).map(drop)
}
