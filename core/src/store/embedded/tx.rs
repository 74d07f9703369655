//! The transaction that operations of the writer work in.

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::bell::Signals;
use super::claim::Rota;
use super::{Settings, vcons};
use crate::clock::Millis;
use crate::store::Stored;

/// What an operation sees: the open transaction, the time, and what is remembered between transactions.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    /// The time of the transaction.
    pub(super) now: Millis,
    /// How the store was opened.
    pub(super) settings: &'a Settings,
    /// Whose turn it is among the lists.
    pub(super) rota: &'a mut Rota,
    /// What the doorbell hears when the transaction is committed.
    pub(super) signals: Signals,
}

impl Tx<'_> {
    /// Runs a statement; returns how many rows it changed.
    pub(super) fn run(&self, sql: &str, params: impl Params) -> rusqlite::Result<usize> {
        self.db.prepare_cached(sql)?.execute(params)
    }

    /// The first row of a query.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.db.prepare_cached(sql)?.query_row(params, read).optional()
    }

    /// All rows of a query.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.db.prepare_cached(sql)?.query_map(params, read)?.collect()
    }

    /// Whether a query has any row.
    pub(super) fn any(&self, sql: &str, params: impl Params) -> rusqlite::Result<bool> {
        self.db.prepare_cached(sql)?.exists(params)
    }

    /// The document of a uuid as this transaction sees it.
    pub(super) fn load(&self, uuid: &str) -> rusqlite::Result<Option<Stored>> {
        vcons::load(self.db, uuid, self.now)
    }

    /// Lets the file grow by `spare` pages at most; 0 lifts the bound.
    pub(super) fn bound_pages(&self, spare: u32) -> rusqlite::Result<()> {
        let pages: u32 = self.db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        let bound = if spare == 0 { u32::MAX - 1 } else { pages + spare };
        self.db.pragma_update_and_check(None, "max_page_count", bound, |_| Ok(()))
    }

    /// The key of the row that was inserted last.
    pub(super) fn last_key(&self) -> i64 {
        self.db.last_insert_rowid()
    }
}
