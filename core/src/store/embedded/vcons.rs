//! Documents: taking in, saving, keeping and expiring.
//!
//! `expires_at` is only set while no run refers to the vCon, so nothing that is queued, claimed,
//! scheduled, parked or dead can expire.

use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use super::catalogue::index;
use super::row::number;
use super::tx::Tx;
use super::{coordination, oversight};
use crate::clock::Millis;
use crate::error::Error;
use crate::run::RunId;
use crate::store::indexed::Indexed;
use crate::store::tenant::{self, may_take};
use crate::store::{Made, NewVcon, Stored, Tenant, TenantScope};

/// So many rows are deleted in one transaction of a sweep.
const SWEEP: i64 = 500;

/// vCons with what they are found by, which is read before the writer is asked.
pub(super) fn prepared(vcons: Vec<NewVcon>) -> Vec<(NewVcon, Indexed)> {
    let indexed = |vcon: &NewVcon| vcon.document.as_ref().map(|document| Indexed::of(document)).unwrap_or_default();
    vcons
        .into_iter()
        .map(|vcon| {
            let found = indexed(&vcon);
            (vcon, found)
        })
        .collect()
}

/// Stores and enqueues vCons, all or none: the inner error says which one is somebody else's. Their runs begin with this
/// ledger (JSON).
pub(super) fn ingest(
    tx: &mut Tx<'_>,
    vcons: &[(NewVcon, Indexed)],
    ledger: Option<&str>,
) -> rusqlite::Result<Result<(), Error>> {
    for (vcon, _) in vcons {
        let Some(tenant) = &vcon.tenant else { continue };
        let owner = owner(tx.db, &vcon.uuid, tx.now)?;
        if !may_take(vcon, tenant, owner.as_ref().map(Option::as_deref)) {
            return Ok(Err(tenant::refused(&vcon.uuid, tenant)));
        }
    }
    vcons.iter().try_for_each(|(vcon, indexed)| ingest_one(tx, vcon, indexed, ledger)).map(Ok)
}

fn ingest_one(tx: &mut Tx<'_>, vcon: &NewVcon, indexed: &Indexed, ledger: Option<&str>) -> rusqlite::Result<()> {
    if let Some(document) = &vcon.document {
        let id = save(tx, &vcon.uuid, document, tx.now)?;
        index(tx.db, id, indexed, tx.now)?;
        if let Some(tenant) = &vcon.tenant {
            tx.run("UPDATE vcons SET tenant = ?2 WHERE id = ?1 AND tenant IS NOT ?2", params![id, tenant.as_str()])?;
        }
    }
    if vcon.document.is_some() || vcon.keep.is_some() {
        tx.run("UPDATE vcons SET keep = ?2 WHERE uuid = ?1", params![vcon.uuid, vcon.keep.map(millis)])?;
    }
    for list in &vcon.lists {
        enqueue(tx, list, &vcon.uuid, vcon.context.as_deref(), ledger)?;
    }
    expire_if_free(tx, &vcon.uuid)
}

/// Stores and enqueues a vCon that a run of the vCon `parent` made; it is kept as long as that one, and a new one is of the
/// same tenant.
pub(super) fn take_in(tx: &mut Tx<'_>, made: &Made, parent: &str, context: Option<&str>) -> rusqlite::Result<()> {
    let is_new = !tx.any("SELECT 1 FROM vcons WHERE uuid = ?1", [&made.uuid])?;
    let id = save(tx, &made.uuid, &made.document, tx.now)?;
    index(tx.db, id, &Indexed::of(&made.document), tx.now)?;
    tx.run(
        "UPDATE vcons SET keep = (SELECT keep FROM vcons WHERE uuid = ?2),
             tenant = iif(?3, (SELECT tenant FROM vcons WHERE uuid = ?2), tenant)
         WHERE uuid = ?1",
        params![made.uuid, parent, is_new],
    )?;
    for list in &made.lists {
        enqueue(tx, list, &made.uuid, context, None)?;
    }
    expire_if_free(tx, &made.uuid)
}

/// Puts a new run at the tail of a list, with a ledger (JSON) where it does not begin from nothing.
pub(super) fn enqueue(
    tx: &mut Tx<'_>,
    list: &str,
    uuid: &str,
    context: Option<&str>,
    ledger: Option<&str>,
) -> rusqlite::Result<()> {
    // The run's id is made here and handed out at the first claim: a claim that is lost in a power failure
    // then comes back under the same id, so receivers of its effects can tell.
    tx.run(
        "INSERT INTO runs (run, list, uuid, enqueued_at, context, ledger) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![RunId::new().0.as_bytes(), list, uuid, tx.now, context, ledger],
    )?;
    tx.run("UPDATE vcons SET expires_at = NULL WHERE uuid = ?1 AND expires_at IS NOT NULL", [uuid])?;
    tx.signals.ring(list);
    Ok(())
}

/// Writes a document; its revision becomes `revision` or one more than the stored one, whichever is greater. Answers its
/// row.
pub(super) fn save(tx: &Tx<'_>, uuid: &str, document: &Bytes, revision: Millis) -> rusqlite::Result<i64> {
    let size = document.len() as i64;
    let known = tx.first("SELECT id FROM vcons WHERE uuid = ?1", [uuid], |row| row.get::<_, i64>(0))?;
    let body: &[u8] = document;
    if let Some(id) = known {
        tx.run(
            "UPDATE vcons SET revision = max(?2, revision + 1), bytes = ?3 WHERE id = ?1",
            params![id, revision, size],
        )?;
        tx.run("UPDATE documents SET body = ?2 WHERE id = ?1", params![id, body])?;
        return Ok(id);
    }
    tx.run(
        "INSERT INTO vcons (uuid, revision, bytes, created) VALUES (?1, ?2, ?3, ?4)",
        params![uuid, revision, size, tx.now / 1000],
    )?;
    let id = tx.last_key();
    tx.run("INSERT INTO documents (id, body) VALUES (?1, ?2)", params![id, body])?;
    Ok(id)
}

/// Changes how long a vCon is kept after its last run.
pub(super) fn set_keep(tx: &Tx<'_>, uuid: &str, keep: Duration) -> rusqlite::Result<()> {
    tx.run("UPDATE vcons SET keep = ?2 WHERE uuid = ?1", params![uuid, millis(keep)]).map(drop)
}

/// Starts the time to live of a vCon if it has one and no run refers to it any more.
pub(super) fn expire_if_free(tx: &Tx<'_>, uuid: &str) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE vcons SET expires_at = ?2 + keep WHERE uuid = ?1 AND keep IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM runs WHERE uuid = ?1)
             AND NOT EXISTS (SELECT 1 FROM runs WHERE target = ?1)",
        params![uuid, tx.now],
    )
    .map(drop)
}

/// Whose a stored vCon is; the outer `None`: there is none, or its time is over.
fn owner(db: &Connection, uuid: &str, now: Millis) -> rusqlite::Result<Option<Option<String>>> {
    db.prepare_cached("SELECT tenant FROM vcons WHERE uuid = ?1 AND (expires_at IS NULL OR expires_at > ?2)")?
        .query_row(params![uuid, now], |row| row.get(0))
        .optional()
}

/// Whether a query of this scope sees a vCon, if it is there. Nothing is asked for the scope that sees all.
pub(super) fn sees(db: &Connection, scope: &TenantScope, uuid: &str, now: Millis) -> rusqlite::Result<bool> {
    let Some(tenant) = scope.tenant() else { return Ok(true) };
    Ok(owner(db, uuid, now)?.flatten().as_deref() == Some(tenant.as_str()))
}

/// The condition of a scope on `vcons`. `place` is the parameter of the tenant's name, null where it sees all.
pub(super) fn condition(scope: &TenantScope, place: &str) -> String {
    match scope {
        TenantScope::Everything => format!("{place} IS NULL"),
        TenantScope::One(_) => format!("tenant = {place}"),
    }
}

/// The size of a document in bytes, without loading it.
pub(super) fn size(tx: &Tx<'_>, uuid: &str) -> rusqlite::Result<Option<u64>> {
    tx.first("SELECT bytes FROM vcons WHERE uuid = ?1", [uuid], |row| number(row, 0))
}

/// Loads a document. One whose time is over counts as gone.
pub(super) fn load(db: &Connection, uuid: &str, now: Millis) -> rusqlite::Result<Option<Stored>> {
    db.prepare_cached(
        "SELECT revision, body FROM vcons JOIN documents USING (id)
         WHERE uuid = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
    )?
    .query_row(params![uuid, now], |row| {
        Ok(Stored { revision: number(row, 0)?, document: Bytes::from(row.get::<_, Vec<u8>>(1)?) })
    })
    .optional()
}

/// Deletes a document, and the results that were kept for it; false if there was none.
pub(super) fn delete(tx: &Tx<'_>, uuid: &str) -> rusqlite::Result<bool> {
    tx.run("DELETE FROM results WHERE uuid = ?1", [uuid])?;
    tx.run("DELETE FROM documents WHERE id = (SELECT id FROM vcons WHERE uuid = ?1)", [uuid])?;
    tx.run("DELETE FROM terms WHERE vcon = (SELECT id FROM vcons WHERE uuid = ?1)", [uuid])?;
    Ok(tx.run("DELETE FROM vcons WHERE uuid = ?1", [uuid])? > 0)
}

/// Uuids in order of arrival after `cursor`; `None` if the vCon of the cursor is gone, so that its place
/// is not known: an empty page would look like the end.
pub(super) fn page(
    db: &Connection,
    scope: &TenantScope,
    cursor: Option<&str>,
    limit: usize,
    now: Millis,
) -> rusqlite::Result<Option<Vec<String>>> {
    let tenant = scope.tenant().map(Tenant::as_str);
    let after = match cursor {
        None => Some(0_i64),
        Some(uuid) => db
            .prepare_cached(&format!("SELECT id FROM vcons WHERE uuid = ?1 AND {}", condition(scope, "?2")))?
            .query_row(params![uuid, tenant], |row| row.get(0))
            .optional()?,
    };
    let Some(after) = after else { return Ok(None) };
    db.prepare_cached(&format!(
        "SELECT uuid FROM vcons WHERE (expires_at IS NULL OR expires_at > ?3)
             AND id > ?1 AND {}
         ORDER BY id LIMIT ?2",
        condition(scope, "?4")
    ))?
    .query_map(params![after, limit as i64, now, tenant], |row| row.get(0))?
    .collect::<rusqlite::Result<_>>()
    .map(Some)
}

/// What one transaction of a sweep deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Swept {
    /// Documents.
    pub(super) documents: usize,
    /// Whether more may be left.
    pub(super) more: bool,
}

/// Deletes what is over: early resumptions, dead letters, and documents that no run refers to.
pub(super) fn sweep(tx: &mut Tx<'_>) -> rusqlite::Result<Swept> {
    tx.run("DELETE FROM early_resumptions WHERE expires_at <= ?1", [tx.now])?;
    tx.run("DELETE FROM deliveries WHERE expires_at <= ?1", [tx.now])?;
    coordination::sweep(tx)?;
    oversight::sweep(tx)?;
    let mut letters = 0;
    if let Some(keep) = tx.settings.dead_letter_keep.filter(|keep| !keep.is_zero()) {
        let over = tx.all(
            "SELECT entry, uuid, target FROM runs WHERE state = 4 AND died_at <= ?1 ORDER BY died_at LIMIT ?2",
            params![tx.now - millis(keep), SWEEP],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, Option<String>>(2)?)),
        )?;
        letters = over.len();
        for (entry, uuid, target) in over {
            tx.run("DELETE FROM runs WHERE entry = ?1", [entry])?;
            for freed in std::iter::once(uuid).chain(target) {
                expire_if_free(tx, &freed)?;
            }
        }
    }
    let uuids = tx.all(
        "SELECT uuid FROM vcons WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        params![tx.now, SWEEP],
        |row| row.get::<_, String>(0),
    )?;
    for uuid in &uuids {
        delete(tx, uuid)?;
    }
    let full = SWEEP as usize;
    Ok(Swept { documents: uuids.len(), more: uuids.len() == full || letters == full })
}

/// A duration as the tables keep it.
pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX / 4)
}
