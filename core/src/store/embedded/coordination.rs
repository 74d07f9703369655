//! What conductors share besides the queue: limits, counters, holds, results.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{OptionalExtension, params};
use uuid::Uuid;

use super::operation::Needs;
use super::row::{json, to_json};
use super::tx::Tx;
use super::vcons::millis;
use super::{EmbeddedStore, limits};
use crate::error::Result;
use crate::store::bounds::{REMEMBERED, check, check_size};
use crate::store::{Coordination, Hold, Permit, Taken, Want};

#[async_trait]
impl Coordination for EmbeddedStore {
    async fn take(&self, alternatives: &[Vec<Want>]) -> Result<Taken> {
        check(alternatives)?;
        let (wanted, process) = (alternatives.to_vec(), self.locks.own());
        let id = Uuid::new_v4().simple().to_string();
        // A power failure lasts longer than most windows, so nothing waits for the disk.
        let work = move |tx: &mut Tx<'_>| limits::take(tx, &id, process.as_ref(), &wanted);
        self.writer.give(Needs::VOLATILE, work, give_back).await
    }

    async fn settle(&self, permit: &Permit, used: &[(String, f64)]) -> Result<()> {
        let (id, used) = (permit.id.clone(), used.to_vec());
        self.writer.call(Needs::VOLATILE, move |tx| limits::settle(tx, &id, &used)).await
    }

    async fn add(&self, counter: &str, amount: f64, keep: Duration) -> Result<f64> {
        let (name, keep) = (counter.to_owned(), millis(keep));
        self.write(move |tx| add(tx, &name, amount, keep)).await
    }

    async fn hold(&self, hold: &Hold) -> Result<()> {
        let hold = hold.clone();
        self.write(move |tx| {
            tx.run(
                "INSERT OR REPLACE INTO holds (what, until, hold) VALUES (?1, ?2, ?3)",
                params![hold.what, hold.until, to_json(&hold)?],
            )
            .map(drop)
        })
        .await
    }

    async fn holds(&self) -> Result<Vec<Hold>> {
        let over = self.settings.clock.now() - millis(REMEMBERED);
        self.readers
            .query(move |db| {
                let mut holds = db.prepare_cached("SELECT hold FROM holds WHERE until > ?1 ORDER BY what")?;
                let rows = holds.query_map([over], |row| json(row, 0))?;
                rows.filter_map(rusqlite::Result::transpose).collect()
            })
            .await
    }

    async fn release(&self, what: &str) -> Result<bool> {
        let what = what.to_owned();
        self.write(move |tx| {
            let over = tx.now - millis(REMEMBERED);
            Ok(tx.run("DELETE FROM holds WHERE what = ?1 AND until > ?2", params![what, over])? > 0)
        })
        .await
    }

    async fn result(&self, key: &str) -> Result<Option<Bytes>> {
        let (key, now) = (key.to_owned(), self.settings.clock.now());
        self.readers
            .query(move |db| {
                db.prepare_cached("SELECT body FROM results WHERE key = ?1 AND expires_at > ?2")?
                    .query_row(params![key, now], |row| row.get::<_, Vec<u8>>(0))
                    .optional()
            })
            .await
            .map(|body| body.map(Bytes::from))
    }

    async fn keep_result(&self, key: &str, uuid: &str, value: Bytes, keep: Duration) -> Result<()> {
        check_size(&value)?;
        let (key, uuid, keep) = (key.to_owned(), uuid.to_owned(), millis(keep));
        let needs = Needs { durable: true, bytes: value.len() };
        let work = move |tx: &mut Tx<'_>| {
            tx.run(
                "INSERT OR REPLACE INTO results (key, uuid, expires_at, body) VALUES (?1, ?2, ?3, ?4)",
                params![key, uuid, tx.now + keep, &value[..]],
            )
            .map(drop)
        };
        self.writer.call(needs, work).await
    }
}

/// Whoever asked for a permit went away before the answer.
fn give_back(tx: &mut Tx<'_>, taken: &Taken) -> rusqlite::Result<()> {
    let Taken::Granted { permit, .. } = taken else { return Ok(()) };
    let nothing: Vec<(String, f64)> = permit.limits.iter().map(|limit| (limit.clone(), 0.0)).collect();
    limits::settle(tx, &permit.id, &nothing)
}

fn add(tx: &Tx<'_>, name: &str, amount: f64, keep: i64) -> rusqlite::Result<f64> {
    tx.run("DELETE FROM counters WHERE name = ?1 AND expires_at <= ?2", params![name, tx.now])?;
    tx.run(
        "INSERT INTO counters (name, sum, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET sum = sum + ?2, expires_at = ?3",
        params![name, amount, tx.now + keep],
    )?;
    Ok(tx.first("SELECT sum FROM counters WHERE name = ?1", [name], |row| row.get(0))?.unwrap_or(amount))
}

/// Forgets what is over.
pub(super) fn sweep(tx: &Tx<'_>) -> rusqlite::Result<()> {
    limits::sweep(tx)?;
    tx.run("DELETE FROM counters WHERE expires_at <= ?1", [tx.now])?;
    tx.run("DELETE FROM holds WHERE until <= ?1", [tx.now - millis(REMEMBERED)])?;
    tx.run("DELETE FROM results WHERE expires_at <= ?1", [tx.now]).map(drop)
}
