//! The table and the statements on it. Everything here blocks.

use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, named_params};
use vconductor_core::clock::Millis;
use vconductor_core::plugin::{ListPage, ListQuery, SaveItem};
use vconductor_core::{Error, Result};

use super::fault::fault;
use super::options::Options;

/// How long a statement waits for another program that writes to the file.
const WAIT: Duration = Duration::from_secs(5);

/// An open database.
pub(super) struct Table {
    connection: Connection,
    options: Options,
}

impl Table {
    /// Opens the database and makes the table if it is not there.
    pub(super) fn open(options: &Options) -> Result<Table> {
        let open = || {
            let connection = Connection::open(&options.path)?;
            connection.busy_timeout(WAIT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", if options.fsync { "FULL" } else { "NORMAL" })?;
            let table = &options.table;
            connection.execute_batch(&format!(
                r#"CREATE TABLE IF NOT EXISTS "{table}" (
                    id TEXT NOT NULL PRIMARY KEY,
                    vcon TEXT,
                    uuid TEXT NOT NULL,
                    created_at TEXT NOT NULL,
                    updated_at TEXT NOT NULL,
                    subject TEXT,
                    vcon_json TEXT NOT NULL,
                    revision INTEGER NOT NULL
                );
                CREATE INDEX IF NOT EXISTS "{table}_created_at" ON "{table}" (created_at, id);"#
            ))?;
            Ok(Table { connection, options: options.clone() })
        };
        // Several programs that open a new file at once meet at the change to WAL, which does not wait by itself.
        let start = Instant::now();
        loop {
            match open() {
                Err(error) if is_busy(&error) && start.elapsed() < WAIT => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                opened => return opened.map_err(|error| fault("open", options, error)),
            }
        }
    }

    /// Writes several vCons in one transaction; one result each. The outer error is that of the transaction.
    pub(super) fn save(&mut self, items: &[SaveItem]) -> Result<Vec<Result<()>>> {
        let options = &self.options;
        let statement = format!(
            r#"INSERT INTO "{table}" (id, vcon, uuid, created_at, updated_at, subject, vcon_json, revision)
               VALUES (:id, :vcon, :id, :created_at, :updated_at, :subject, CAST(:vcon_json AS TEXT), :revision)
               ON CONFLICT (id) DO UPDATE SET vcon = excluded.vcon, created_at = excluded.created_at,
                   updated_at = excluded.updated_at, subject = excluded.subject, vcon_json = excluded.vcon_json,
                   revision = excluded.revision
               WHERE excluded.revision >= revision"#,
            table = options.table
        );
        let transaction = self
            .connection
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .map_err(|error| fault("write to", options, error))?;
        let mut results = Vec::with_capacity(items.len());
        {
            let mut insert =
                transaction.prepare_cached(&statement).map_err(|error| fault("write to", options, error))?;
            for item in items {
                results.push(insert_one(&mut insert, item, options));
                // SQLite rolls back by itself when the disk is full; then nothing of the batch is there.
                if transaction.is_autocommit() {
                    return Err(results.pop().and_then(Result::err).unwrap_or_else(|| {
                        Error::retryable(format!("`{}` broke a transaction off", options.path.display()))
                    }));
                }
            }
        }
        transaction.commit().map_err(|error| fault("write to", options, error))?;
        Ok(results)
    }

    /// The document of a uuid.
    pub(super) fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let statement = format!(r#"SELECT vcon_json FROM "{}" WHERE id = ?1"#, self.options.table);
        let mut select = self.connection.prepare_cached(&statement).map_err(|error| self.fault("read", error))?;
        let document = select.query_row([uuid], |row| {
            let bytes = row.get_ref(0)?.as_bytes();
            let bytes =
                bytes.map_err(|error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into()))?;
            Ok(Bytes::copy_from_slice(bytes))
        });
        document.optional().map_err(|error| self.fault("read", error))
    }

    /// Deletes the row of a uuid; false if there was none.
    pub(super) fn delete(&self, uuid: &str) -> Result<bool> {
        let statement = format!(r#"DELETE FROM "{}" WHERE id = ?1"#, self.options.table);
        let deleted = self.connection.execute(&statement, [uuid]);
        deleted.map(|rows| rows > 0).map_err(|error| self.fault("write to", error))
    }

    /// One page of uuids by `created_at`.
    pub(super) fn list(&self, query: &ListQuery) -> Result<ListPage> {
        let (after, after_id) = match query.cursor.as_deref() {
            None => ("", ""),
            Some(cursor) => cursor.split_once('|').ok_or_else(|| {
                Error::permanent("this cursor did not come from this storage")
                    .help("start without a cursor, and pass on the one of the last page unchanged")
            })?,
        };
        let limit = query.limit.max(1);
        let statement = format!(
            r#"SELECT id, created_at FROM "{}"
               WHERE (created_at, id) > (:after, :after_id) AND created_at >= :since AND created_at < :until
               ORDER BY created_at, id LIMIT :rows"#,
            self.options.table
        );
        let rows = || {
            let mut select = self.connection.prepare_cached(&statement)?;
            let parameters = named_params! {
                ":after": after,
                ":after_id": after_id,
                ":since": query.since.map(column_time).unwrap_or_default(),
                // Behind every digit.
                ":until": query.until.map_or_else(|| "~".to_owned(), column_time),
                ":rows": i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1),
            };
            let rows = select.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(String, String)>>>()
        };
        let mut rows = rows().map_err(|error| self.fault("read", error))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let cursor = rows.last().filter(|_| more).map(|(id, created_at)| format!("{created_at}|{id}"));
        Ok(ListPage { uuids: rows.into_iter().map(|(id, _)| id).collect(), cursor })
    }

    /// Writes a row and takes it back.
    pub(super) fn probe(&mut self) -> Result<()> {
        let statement = format!(
            r#"INSERT OR REPLACE INTO "{}" (id, uuid, created_at, updated_at, vcon_json, revision)
               VALUES ('', '', '', '', '{{}}', 0)"#,
            self.options.table
        );
        let mut write = || {
            let transaction = self.connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            transaction.execute(&statement, [])?;
            transaction.rollback()
        };
        write().map_err(|error| fault("write to", &self.options, error))
    }

    fn fault(&self, act: &str, error: rusqlite::Error) -> Error {
        fault(act, &self.options, error)
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn insert_one(insert: &mut rusqlite::CachedStatement<'_>, item: &SaveItem, options: &Options) -> Result<()> {
    if item.uuid.is_empty() {
        return Err(Error::permanent("a vCon without a uuid cannot be saved").help("give it a uuid"));
    }
    let revision = i64::try_from(item.revision)
        .map_err(|error| Error::permanent(format!("revision {} is out of range", item.revision)).caused_by(error))?;
    let now = Timestamp::now();
    let document = item.vcon.to_bytes();
    let inserted = insert.execute(named_params! {
        ":id": item.uuid,
        ":vcon": item.vcon.version(),
        ":created_at": column_text(item.vcon.created_at().unwrap_or(now)),
        ":updated_at": column_text(now),
        ":subject": item.vcon.subject(),
        ":vcon_json": document.as_ref(),
        ":revision": revision,
    });
    // No row is changed when a newer revision is there.
    inserted.map(drop).map_err(|error| fault(&format!("save vCon `{}` to", item.uuid), options, error))
}

/// A time as SQLite's date functions read it, in one width so that it sorts as text.
fn column_text(time: Timestamp) -> String {
    column_time(time.as_millisecond())
}

fn column_time(millis: Millis) -> String {
    // `Timestamp` ends in the year 9999 and its text has no fixed width below the year 0.
    let time = Timestamp::from_millisecond(millis.max(-62_167_219_200_000)).unwrap_or(Timestamp::MAX);
    format!("{time:.3}").replace('T', " ").trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_one_width_and_sort_as_text() {
        assert_eq!(column_time(1_757_512_800_250), "2025-09-10 14:00:00.250");
        assert_eq!(column_time(0), "1970-01-01 00:00:00.000");
        assert_eq!(column_time(i64::MIN), "0000-01-01 00:00:00.000");
        assert!(column_time(i64::MAX) > column_time(0));
    }
}
