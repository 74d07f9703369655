//! Processes: leases, and claims of the dead.
//!
//! A process proves its life twice: by a lease row that its heartbeat renews, and by an OS lock on
//! `processes/<id>.lock` that the kernel drops when the process ends in any way. So a killed conductor on
//! this machine is recognised at once, and a wedged one when its lease is over.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::params;

use super::commit::{bury, let_go, release};
use super::limits;
use super::row::run_id;
use super::tx::Tx;
use super::vcons::millis;
use crate::error::{Class, Error, Result};
use crate::run::RunId;
use crate::store::{Failure, ProcessId, Reaped, dead_letter_queue};

/// The lock files of a store directory, and the locks that this handle holds.
#[derive(Debug)]
pub(super) struct Locks {
    directory: PathBuf,
    held: Mutex<HashMap<ProcessId, File>>,
}

impl Locks {
    /// Prepares the folder of lock files.
    pub(super) fn open(store: &Path) -> Result<Self> {
        let directory = store.join("processes");
        // Conversations are nobody else's business: what is made here is for this user alone.
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| unusable(&directory, error))?;
        Ok(Locks { directory, held: Mutex::default() })
    }

    /// Locks a process's file until [`Locks::free`]. On a file system without locks the lease alone decides.
    pub(super) fn take(&self, process: &ProcessId) -> Result<()> {
        let path = self.path(process);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|error| unusable(&path, error))?;
        match file.try_lock() {
            Ok(()) => {
                self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(process.clone(), file);
                Ok(())
            }
            Err(TryLockError::WouldBlock) => {
                Err(Error::permanent(format!("process {process} is registered already")).help("take a new identity"))
            }
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "no file locks here; a killed process is noticed when its lease is over");
                self.remove(process);
                Ok(())
            }
        }
    }

    /// Gives a lock up, as the kernel does when the process ends.
    pub(super) fn free(&self, process: &ProcessId) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(process);
    }

    /// A process that was announced by this handle and lives as far as it knows.
    pub(super) fn own(&self) -> Option<ProcessId> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).keys().next().cloned()
    }

    /// Whether the process that held the lock is gone. A missing file says nothing.
    pub(super) fn is_free(&self, process: &ProcessId) -> bool {
        File::open(self.path(process)).is_ok_and(|file| file.try_lock().is_ok())
    }

    /// Removes the file of a process that is over.
    pub(super) fn remove(&self, process: &ProcessId) {
        if let Err(error) = fs::remove_file(self.path(process))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::debug!(%process, %error, "a lock file stays behind");
        }
    }

    fn path(&self, process: &ProcessId) -> PathBuf {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let name: String = process
            .0
            .bytes()
            .map(|byte| if safe(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
            .collect();
        self.directory.join(format!("{name}.lock"))
    }
}

fn unusable(path: &Path, error: std::io::Error) -> Error {
    Error::configuration(format!("cannot write {}", path.display()))
        .help("check that the store's directory exists and that this user may write to it")
        .caused_by(error)
}

/// Announces a process for the length of a lease.
pub(super) fn register(tx: &Tx<'_>, process: &ProcessId) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO processes (id, lease_until) VALUES (?1, ?2)",
        params![process.0, tx.now + millis(tx.settings.lease)],
    )
    .map(drop)
}

/// Ends a process; its claims go back without counting as crashes.
pub(super) fn deregister(tx: &mut Tx<'_>, process: &ProcessId) -> rusqlite::Result<()> {
    for run in claims(tx, process)? {
        release(tx, run.entry, &run.list)?;
        run.let_go(tx)?;
    }
    tx.run("DELETE FROM processes WHERE id = ?1", [&process.0])?;
    limits::end_all_of(tx, process)?;
    tx.rota.blocked = false;
    tx.signals.ring_all();
    Ok(())
}

/// A run that a process held.
struct Held {
    entry: i64,
    run: RunId,
    list: String,
    uuid: String,
    target: Option<String>,
    attempts: u32,
    crashes: u32,
}

impl Held {
    fn let_go(&self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        let_go(tx, &self.uuid)?;
        self.target.as_deref().map_or(Ok(()), |target| let_go(tx, target))
    }
}

fn claims(tx: &Tx<'_>, process: &ProcessId) -> rusqlite::Result<Vec<Held>> {
    tx.all(
        "SELECT entry, run, list, uuid, target, attempts, crashes FROM runs
         WHERE state = 1 AND process = ?1 ORDER BY entry",
        [&process.0],
        |row| {
            Ok(Held {
                entry: row.get(0)?,
                run: run_id(row, 1)?,
                list: row.get(2)?,
                uuid: row.get(3)?,
                target: row.get(4)?,
                attempts: row.get(5)?,
                crashes: row.get(6)?,
            })
        },
    )
}

/// What a reap did.
#[derive(Debug, Default)]
pub(super) struct Reap {
    /// The claims that were taken back.
    pub(super) reaped: Vec<Reaped>,
    /// The dead processes; their lock files can go once this is committed.
    pub(super) dead: Vec<ProcessId>,
}

/// Takes the claims of dead processes back and counts the crash.
///
/// The process's row goes in the same transaction: from here on its commits are refused.
pub(super) fn reap(tx: &mut Tx<'_>, locks: &Locks) -> rusqlite::Result<Reap> {
    let known =
        tx.all("SELECT id, lease_until FROM processes", [], |row| Ok((ProcessId(row.get(0)?), row.get::<_, i64>(1)?)))?;
    let lost = tx.all(
        "SELECT DISTINCT process FROM runs WHERE state = 1 AND process NOT IN (SELECT id FROM processes)",
        [],
        |row| row.get(0).map(ProcessId),
    )?;
    let now = tx.now;
    let over = known.into_iter().filter(|(id, lease)| *lease <= now || locks.is_free(id)).map(|(id, _)| id);
    let mut reap = Reap::default();
    for process in over.chain(lost) {
        for run in claims(tx, &process)? {
            reap.reaped.push(crashed(tx, &process, &run)?);
            run.let_go(tx)?;
        }
        tx.run("DELETE FROM processes WHERE id = ?1", [&process.0])?;
        limits::end_all_of(tx, &process)?;
        reap.dead.push(process);
    }
    if !reap.dead.is_empty() {
        tx.rota.blocked = false;
        tx.signals.ring_all();
    }
    Ok(reap)
}

fn crashed(tx: &mut Tx<'_>, process: &ProcessId, run: &Held) -> rusqlite::Result<Reaped> {
    let crashes = run.crashes + 1;
    let dead = crashes >= tx.settings.poison_at;
    tx.run("UPDATE runs SET crashes = ?2 WHERE entry = ?1", params![run.entry, crashes])?;
    if dead {
        let failure = Failure {
            class: Class::Poison,
            step: "process".to_owned(),
            message: format!("the conductor died {crashes} times while it worked on this vCon, last as {process}"),
            help: Some(
                "look for an out-of-memory kill or a crash at this time; \
                 when the cause is mended, `vconductor dlq retry` continues the run"
                    .to_owned(),
            ),
            attempts: run.attempts,
            at: tx.now,
        };
        bury(tx, run.entry, &dead_letter_queue(&run.list), &failure)?;
    } else {
        release(tx, run.entry, &run.list)?;
    }
    Ok(Reaped { process: process.clone(), run: run.run, list: run.list.clone(), crashes, dead })
}
