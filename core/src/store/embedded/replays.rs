//! Commands that may be stopped and go on: cursors, and waiting runs that begin otherwise.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::operation::Needs;
use super::row::to_json;
use super::tx::Tx;
use super::vcons::{self, millis};
use super::{EmbeddedStore, check};
use crate::error::Result;
use crate::run::{Ledger, RunId};
use crate::store::replays::key;
use crate::store::{Advance, NewVcon, Replays, Retaken};

/// A waiting run that has not begun.
const FRESH: &str = "state = 0 AND ledger IS NULL AND resumption IS NULL AND attempts = 0 AND crashes = 0";

#[async_trait]
impl Replays for EmbeddedStore {
    async fn cursor(&self, name: &str) -> Result<Option<String>> {
        let (key, now) = (key(name), self.settings.clock.now());
        self.readers
            .query(move |db| {
                db.prepare_cached("SELECT mark FROM deliveries WHERE key = ?1 AND expires_at > ?2")?
                    .query_row(params![key, now], |row| row.get(0))
                    .optional()
            })
            .await
    }

    async fn advance(&self, advance: &Advance, vcons: Vec<NewVcon>, ledger: Option<&Ledger>) -> Result<bool> {
        let needs = Needs { durable: true, bytes: check(&vcons)? };
        let (key, advance, vcons) = (key(&advance.name), advance.clone(), vcons::prepared(vcons));
        let ledger = ledger.cloned();
        self.writer
            .call(needs, move |tx| {
                let known: Option<String> = tx.first(
                    "SELECT mark FROM deliveries WHERE key = ?1 AND expires_at > ?2",
                    params![key, tx.now],
                    |row| row.get(0),
                )?;
                if known != advance.from {
                    return Ok(Ok(false));
                }
                let ledger = ledger.as_ref().map(to_json).transpose()?;
                if let Err(refused) = vcons::ingest(tx, &vcons, ledger.as_deref())? {
                    return Ok(Err(refused));
                }
                tx.run(
                    "INSERT OR REPLACE INTO deliveries (key, mark, expires_at) VALUES (?1, ?2, ?3)",
                    params![key, advance.to, tx.now + millis(advance.keep)],
                )?;
                Ok(Ok(true))
            })
            .await?
    }

    async fn forget_cursor(&self, name: &str) -> Result<bool> {
        let key = key(name);
        self.write(move |tx| Ok(tx.run("DELETE FROM deliveries WHERE key = ?1", [&key])? > 0)).await
    }

    async fn waiting(&self, list: &str, skip: usize, limit: usize) -> Result<Vec<String>> {
        let list = list.to_owned();
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (skip, limit) = (whole(skip), whole(limit));
        self.readers
            .query(move |db| {
                db.prepare_cached(&format!(
                    "SELECT uuid FROM runs WHERE list = ?1 AND {FRESH} ORDER BY entry LIMIT ?2 OFFSET ?3"
                ))?
                .query_map(params![list, limit, skip], |row| row.get(0))?
                .collect()
            })
            .await
    }

    async fn retake(&self, from: &str, to: &str, uuids: &[String], ledger: Option<&Ledger>) -> Result<Vec<Retaken>> {
        let (from, to, uuids, ledger) = (from.to_owned(), to.to_owned(), uuids.to_vec(), ledger.cloned());
        self.write(move |tx| {
            let ledger = ledger.as_ref().map(to_json).transpose()?;
            uuids.iter().map(|uuid| retake(tx, &from, &to, uuid, ledger.as_deref())).collect()
        })
        .await
    }
}

fn retake(tx: &mut Tx<'_>, from: &str, to: &str, uuid: &str, ledger: Option<&str>) -> rusqlite::Result<Retaken> {
    let entry = tx.first(
        &format!("SELECT entry FROM runs WHERE uuid = ?1 AND list = ?2 AND {FRESH} ORDER BY entry LIMIT 1"),
        [uuid, from],
        |row| row.get::<_, i64>(0),
    )?;
    let Some(entry) = entry else {
        let stays = tx.any("SELECT 1 FROM runs WHERE uuid = ?1 AND list = ?2 AND state = 0", [uuid, from])?;
        return Ok(if stays { Retaken::Stays } else { Retaken::Gone });
    };
    tx.run(
        "INSERT INTO runs (run, list, uuid, enqueued_at, context, ledger)
         SELECT ?2, ?3, uuid, ?4, context, ?5 FROM runs WHERE entry = ?1",
        params![entry, RunId::new().0.as_bytes(), to, tx.now, ledger],
    )?;
    tx.run("DELETE FROM runs WHERE entry = ?1", [entry])?;
    tx.signals.ring(to);
    Ok(Retaken::Moved)
}
