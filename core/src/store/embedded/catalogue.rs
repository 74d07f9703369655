//! Taking in once, replacing, finding.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::operation::Needs;
use super::row::number;
use super::tx::Tx;
use super::vcons::{self, millis};
use super::{EmbeddedStore, check};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::indexed::Indexed;
use crate::store::{Catalogue, NewVcon, Once, Replaced, Tenant, TenantScope, Term, TimeRange};

/// Documents that are indexed in one transaction.
const PAGE: i64 = 200;

#[async_trait]
impl Catalogue for EmbeddedStore {
    async fn ingest_once(&self, scope: &TenantScope, once: &Once, vcons: Vec<NewVcon>) -> Result<Option<String>> {
        let needs = Needs { durable: true, bytes: check(&vcons)? };
        let (key, once, vcons) = (scope.key(&once.key).into_owned(), once.clone(), vcons::prepared(vcons));
        self.writer
            .call(needs, move |tx| {
                tx.run("DELETE FROM deliveries WHERE key = ?1 AND expires_at <= ?2", params![key, tx.now])?;
                let known = tx.first("SELECT mark FROM deliveries WHERE key = ?1", [&key], |row| row.get(0))?;
                if known.is_some() {
                    return Ok(Ok(known));
                }
                if let Err(refused) = vcons::ingest(tx, &vcons, None)? {
                    return Ok(Err(refused));
                }
                tx.run(
                    "INSERT INTO deliveries (key, mark, expires_at) VALUES (?1, ?2, ?3)",
                    params![key, once.mark, tx.now + millis(once.keep)],
                )?;
                Ok(Ok(None))
            })
            .await?
    }

    async fn replace(
        &self,
        scope: &TenantScope,
        uuid: &str,
        document: Bytes,
        expected: Option<u64>,
    ) -> Result<Replaced> {
        let (scope, uuid, indexed) = (scope.clone(), uuid.to_owned(), Indexed::of(&document));
        let needs = Needs { durable: true, bytes: document.len() };
        self.writer
            .call(needs, move |tx| match vcons::sees(tx.db, &scope, &uuid, tx.now)? {
                true => replace(tx, &uuid, &document, expected, &indexed),
                false => Ok(Replaced::Missing),
            })
            .await
    }

    async fn revisions(&self, scope: &TenantScope, uuids: &[String]) -> Result<Vec<Option<u64>>> {
        let (scope, uuids, now) = (scope.clone(), uuids.to_vec(), self.settings.clock.now());
        let one = move |db: &Connection, uuid: &String| match vcons::sees(db, &scope, uuid, now)? {
            true => revision(db, uuid, now),
            false => Ok(None),
        };
        self.readers.query(move |db| uuids.iter().map(|uuid| one(db, uuid)).collect()).await
    }

    async fn by_time(&self, scope: &TenantScope, range: TimeRange, skip: usize, limit: usize) -> Result<Vec<String>> {
        let (since, until) = (range.since.unwrap_or(i64::MIN), range.until.unwrap_or(i64::MAX));
        let (now, skip, limit) = (self.settings.clock.now(), whole(skip), whole(limit));
        let scope = scope.clone();
        self.readers
            .query(move |db| {
                db.prepare_cached(&format!(
                    "SELECT uuid FROM vcons
                     WHERE created >= ?1 AND created <= ?2 AND (expires_at IS NULL OR expires_at > ?3) AND {}
                     ORDER BY created DESC, id DESC LIMIT ?4 OFFSET ?5",
                    vcons::condition(&scope, "?6")
                ))?
                .query_map(params![since, until, now, limit, skip, scope.tenant().map(Tenant::as_str)], |row| {
                    row.get(0)
                })?
                .collect()
            })
            .await
    }

    async fn search(&self, scope: &TenantScope, terms: &[Term]) -> Result<Vec<String>> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let (scope, terms, now) = (scope.clone(), terms.to_vec(), self.settings.clock.now());
        self.readers.query(move |db| search(db, &scope, &terms, now)).await
    }

    async fn reindex(&self) -> Result<u64> {
        let (mut after, mut indexed) = (0, 0);
        loop {
            let page = self.writer.call(Needs::VOLATILE, move |tx| reindex(tx.db, after, tx.now)).await?;
            let Some((last, count)) = page else { return Ok(indexed) };
            (after, indexed) = (last, indexed + count);
        }
    }
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn revision(db: &Connection, uuid: &str, now: Millis) -> rusqlite::Result<Option<u64>> {
    db.prepare_cached("SELECT revision FROM vcons WHERE uuid = ?1 AND (expires_at IS NULL OR expires_at > ?2)")?
        .query_row(params![uuid, now], |row| number(row, 0))
        .optional()
}

fn replace(
    tx: &Tx<'_>,
    uuid: &str,
    document: &Bytes,
    expected: Option<u64>,
    indexed: &Indexed,
) -> rusqlite::Result<Replaced> {
    let Some(known) = revision(tx.db, uuid, tx.now)? else { return Ok(Replaced::Missing) };
    if expected.is_some_and(|expected| expected != known) {
        return Ok(Replaced::Changed(known));
    }
    let held = "SELECT 1 FROM runs WHERE state = 1 AND uuid = ?1";
    let held_as_target = "SELECT 1 FROM runs WHERE target = ?1 AND state = 1";
    if tx.any(held, [uuid])? || tx.any(held_as_target, [uuid])? {
        return Ok(Replaced::Busy);
    }
    let id = vcons::save(tx, uuid, document, tx.now)?;
    index(tx.db, id, indexed, tx.now)?;
    Ok(revision(tx.db, uuid, tx.now)?.map_or(Replaced::Missing, Replaced::Done))
}

fn search(db: &Connection, scope: &TenantScope, terms: &[Term], now: Millis) -> rusqlite::Result<Vec<String>> {
    let mut sql = "SELECT v.uuid FROM vcons v WHERE (v.expires_at IS NULL OR v.expires_at > ?)".to_owned();
    let mut values = vec![Value::from(now)];
    for (place, term) in terms.iter().enumerate() {
        // The first term finds, the others choose among what it has found.
        sql.push_str(match place {
            0 => " AND v.id IN (SELECT vcon FROM terms WHERE kind = ? AND value = ?)",
            _ => " AND EXISTS (SELECT 1 FROM terms t WHERE t.kind = ? AND t.value = ? AND t.vcon = v.id)",
        });
        values.push(Value::from(term.kind.as_str().to_owned()));
        values.push(Value::from(term.value.clone()));
    }
    if let Some(tenant) = scope.tenant() {
        sql.push_str(" AND v.tenant = ?");
        values.push(Value::from(tenant.to_string()));
    }
    sql.push_str(" ORDER BY v.uuid");
    db.prepare(&sql)?.query_map(params_from_iter(values), |row| row.get(0))?.collect()
}

/// Writes what a document is found by.
pub(super) fn index(db: &Connection, id: i64, indexed: &Indexed, now: Millis) -> rusqlite::Result<()> {
    let created = indexed.created.unwrap_or(now / 1000);
    db.prepare_cached("UPDATE vcons SET created = ?2 WHERE id = ?1")?.execute(params![id, created])?;
    db.prepare_cached("DELETE FROM terms WHERE vcon = ?1")?.execute([id])?;
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO terms (kind, value, vcon) VALUES (?1, ?2, ?3)")?;
    for term in &indexed.terms {
        insert.execute(params![term.kind.as_str(), term.value, id])?;
    }
    Ok(())
}

/// Indexes a page of documents after row `after`; the last row and how many there were, `None` behind the end.
pub(super) fn reindex(db: &Connection, after: i64, now: Millis) -> rusqlite::Result<Option<(i64, u64)>> {
    let ids: Vec<i64> = db
        .prepare_cached("SELECT id FROM vcons WHERE id > ?1 ORDER BY id LIMIT ?2")?
        .query_map(params![after, PAGE], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut indexed = 0;
    for id in &ids {
        let body: Option<Vec<u8>> = db
            .prepare_cached("SELECT body FROM documents WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        if let Some(body) = body {
            index(db, *id, &Indexed::of(&body), now)?;
            indexed += 1;
        }
    }
    Ok(ids.last().map(|last| (*last, indexed)))
}
