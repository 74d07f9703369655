//! The database file: its tables, its version, and how every connection is set up.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::{catalogue, fault};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};

/// What leads from each version of the schema to the next; the version of a file is kept in `PRAGMA user_version`.
const STEPS: [&str; 5] = [TABLES, COORDINATION, CATALOGUE, TENANTS, OVERSIGHT];

/// How long a connection polls for the lock that another process holds.
const BUSY: Duration = Duration::from_secs(10);

/// Version 1.
///
/// `runs.entry` is both the number of a queue entry and its position: whatever comes back to its list
/// keeps its place, and what is revived gets a new entry at the tail. The unique index `runs_writer`
/// is the writer lease: no two claimed runs can have one uuid. Documents lie apart from `vcons`, so
/// that looking up a size or a revision never touches a large page chain.
const TABLES: &str = "
CREATE TABLE vcons (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid       TEXT NOT NULL UNIQUE,
    revision   INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    keep       INTEGER,
    expires_at INTEGER
) STRICT;
CREATE INDEX vcons_expiry ON vcons (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE documents (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;

CREATE TABLE runs (
    entry         INTEGER PRIMARY KEY AUTOINCREMENT,
    run           BLOB NOT NULL,
    list          TEXT NOT NULL,
    uuid          TEXT NOT NULL,
    target        TEXT,
    state         INTEGER NOT NULL DEFAULT 0,
    process       TEXT,
    due           INTEGER,
    token         TEXT,
    enqueued_at   INTEGER NOT NULL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    crashes       INTEGER NOT NULL DEFAULT 0,
    waits         INTEGER NOT NULL DEFAULT 0,
    waiting_for   TEXT,
    waiting_since INTEGER,
    queue         TEXT,
    died_at       INTEGER,
    context       TEXT,
    resumption    TEXT,
    failure       TEXT,
    ledger        TEXT
) STRICT;
CREATE INDEX runs_uuid ON runs (uuid);
CREATE INDEX runs_target ON runs (target) WHERE target IS NOT NULL;
CREATE INDEX runs_waiting ON runs (list) WHERE state = 0;
CREATE UNIQUE INDEX runs_writer ON runs (uuid) WHERE state = 1;
CREATE INDEX runs_claimed ON runs (process, crashes) WHERE state = 1;
CREATE INDEX runs_due ON runs (due, state, list) WHERE due IS NOT NULL;
CREATE INDEX runs_parked ON runs (token) WHERE state = 3;
CREATE INDEX runs_dead ON runs (queue, run, list) WHERE state = 4;
CREATE INDEX runs_dead_run ON runs (run) WHERE state = 4;
CREATE INDEX runs_died ON runs (died_at) WHERE state = 4;

CREATE TABLE processes (id TEXT PRIMARY KEY, lease_until INTEGER NOT NULL) STRICT;
CREATE TABLE paused (list TEXT PRIMARY KEY) STRICT;
CREATE TABLE early_resumptions (token TEXT PRIMARY KEY, payload TEXT NOT NULL, expires_at INTEGER NOT NULL) STRICT;
";

/// Version 2: what conductors share besides the queue.
///
/// `limits.used` is the sum of the amounts in `permits`, which may be many. Amounts are thousandths.
const COORDINATION: &str = "
CREATE TABLE limits (name TEXT PRIMARY KEY, used INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE permits (
    permit  TEXT NOT NULL,
    \"limit\" TEXT NOT NULL,
    process TEXT,
    amount  INTEGER NOT NULL,
    span    INTEGER NOT NULL,
    leaves  INTEGER NOT NULL,
    flying  INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (permit, \"limit\")
) STRICT, WITHOUT ROWID;
CREATE INDEX permits_leaving ON permits (\"limit\", leaves, flying, amount);
CREATE INDEX permits_process ON permits (process) WHERE process IS NOT NULL;

CREATE TABLE counters (name TEXT PRIMARY KEY, sum REAL NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE holds (what TEXT PRIMARY KEY, until INTEGER NOT NULL, hold TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE results (
    key        TEXT PRIMARY KEY,
    uuid       TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    body       BLOB NOT NULL
) STRICT;
CREATE INDEX results_uuid ON results (uuid);
CREATE INDEX results_expiry ON results (expires_at);
";

/// Version 3: what an API finds vCons by, deliveries that were taken in, and keys.
///
/// `created` is the vCon's own `created_at` in seconds. `terms` has what its parties have.
const CATALOGUE: &str = "
ALTER TABLE vcons ADD COLUMN created INTEGER NOT NULL DEFAULT 0;
CREATE INDEX vcons_created ON vcons (created, id);

CREATE TABLE terms (
    kind  TEXT NOT NULL,
    value TEXT NOT NULL,
    vcon  INTEGER NOT NULL,
    PRIMARY KEY (kind, value, vcon)
) STRICT, WITHOUT ROWID;
CREATE INDEX terms_vcon ON terms (vcon);

CREATE TABLE deliveries (key TEXT PRIMARY KEY, mark TEXT NOT NULL, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_expiry ON deliveries (expires_at);

CREATE TABLE api_keys (id TEXT PRIMARY KEY, record TEXT NOT NULL, used_at INTEGER) STRICT, WITHOUT ROWID;
";

/// Version 4: whose vCons are. The two indexes are for a tenant's lists by arrival (an index ends with the row's `id`) and by
/// time; vCons of nobody are in neither.
const TENANTS: &str = "
ALTER TABLE vcons ADD COLUMN tenant TEXT;
CREATE INDEX vcons_tenant ON vcons (tenant) WHERE tenant IS NOT NULL;
CREATE INDEX vcons_tenant_created ON vcons (tenant, created) WHERE tenant IS NOT NULL;
";

/// Version 5: what conductors tell of themselves, and records of passages that ended.
const OVERSIGHT: &str = "
CREATE TABLE conductors (process TEXT PRIMARY KEY, told_at INTEGER NOT NULL, card TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE past_runs (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    run    BLOB NOT NULL,
    uuid   TEXT NOT NULL,
    ended  INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX past_runs_run ON past_runs (run);
CREATE INDEX past_runs_uuid ON past_runs (uuid);
CREATE INDEX past_runs_ended ON past_runs (ended);
";

/// The version that brought the index.
const INDEXED_FROM: i64 = 3;

/// What a connection is for; it decides its cache and whether it may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The one writer of this process.
    Writer,
    /// Reads only.
    Reader,
    /// Renews leases; its writes need not outlive a power failure.
    Heartbeat,
}

/// Opens a connection to an existing database file (the writer creates it).
pub(super) fn connect(file: &Path, role: Role) -> Result<Connection> {
    let access = match role {
        Role::Reader => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Role::Heartbeat => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Role::Writer => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    };
    // Every connection stays with one thread at a time, so SQLite's own mutex is not needed.
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags)
        .and_then(|mut connection| {
            set_up(&mut connection, role)?;
            Ok(connection)
        })
        .map_err(|error| fault::explain(error, file))
}

fn set_up(connection: &mut Connection, role: Role) -> rusqlite::Result<()> {
    connection.busy_handler(Some(wait_for_lock))?;
    connection.set_prepared_statement_cache_capacity(128);
    // Without it every newly bound value makes SQLite plan a statement on a partial index anew, a fifth of
    // all work when measured.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Negative: KiB. The kernel's page cache does the rest; these bound what stays resident.
    let cache = match role {
        Role::Writer => -8192,
        Role::Reader => -1024,
        Role::Heartbeat => -64,
    };
    connection.pragma_update(None, "cache_size", cache)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if role == Role::Reader {
        return Ok(());
    }
    write_ahead(connection)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    // 16 MiB of log: hot pages are written back once for many commits, and a checkpoint is still short.
    connection.pragma_update(None, "wal_autocheckpoint", if role == Role::Writer { 4000 } else { 0 })?;
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// Switches the file to a write-ahead log.
///
/// A new file is switched by the first who opens it. For this lock SQLite asks no busy handler, since two that
/// both read and want to write would wait for each other: whoever comes at the same moment tries again here.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let mut tries = 0;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && wait_for_lock(tries) => {
                tries += 1;
            }
            result => return result,
        }
    }
}

/// SQLite's own handler sleeps up to 100 ms, which starves a heartbeat beside a busy writer; short naps
/// find the gap between two commits.
fn wait_for_lock(tries: i32) -> bool {
    let nap = Duration::from_micros(if tries < 20 { 200 } else { 1000 });
    if nap * tries.unsigned_abs() > BUSY {
        return false;
    }
    std::thread::sleep(nap);
    true
}

/// Brings the schema to this build's version.
pub(super) fn migrate(connection: &mut Connection, file: &Path) -> Result<()> {
    let explain = |error| fault::explain(error, file);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(explain)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(explain)?;
    let known = STEPS.len() as i64;
    let Some(missing) = usize::try_from(found).ok().and_then(|found| STEPS.get(found..)) else {
        return Err(Error::configuration(format!(
            "{} was written by a newer vConductor (schema {found}, this one knows {known})",
            file.display()
        ))
        .help("run the newer version, or point `store:` to another directory"));
    };
    if missing.is_empty() {
        return Ok(());
    }
    for step in missing {
        transaction.execute_batch(step).map_err(explain)?;
    }
    if found < INDEXED_FROM {
        let (mut after, now) = (0, SystemClock.now());
        while let Some((last, _)) = catalogue::reindex(&transaction, after, now).map_err(explain)? {
            after = last;
        }
    }
    transaction.pragma_update(None, "user_version", known).map_err(explain)?;
    transaction.commit().map_err(explain)
}
