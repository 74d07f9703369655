//! The embedded store: SQLite, one file, no server.
//!
//! A directory holds `vconductor.db` (with its `-wal` and `-shm` beside it) and `processes/`, the lock
//! files of living conductors. One thread writes and commits in groups; reads go past it on
//! their own connections. Several processes may have the directory open on one machine: each sees what
//! the others commit, within milliseconds. It must not lie on a network file system.

mod bell;
mod catalogue;
mod claim;
mod commit;
mod coordination;
mod dead;
mod fault;
mod keyring;
mod limits;
mod operate;
mod operation;
mod operations;
mod oversight;
mod park;
mod process;
mod reader;
mod replays;
mod row;
mod schema;
mod standing;
mod tx;
mod vcons;
mod vitals;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use self::bell::Bell;
use self::operation::Needs;
use self::process::Locks;
use self::reader::Readers;
use self::schema::{Role, connect};
use self::tx::Tx;
use self::writer::Writer;
use super::{
    Claim, ClaimRequest, Claimed, Commit, Committed, Documents, NewVcon, ProcessId, Queue, Reaped, Store, Stored,
    TenantScope, tenant,
};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};

/// SQLite's limit for one value, in bytes.
const DOCUMENT_MAX: usize = 1_000_000_000;

/// How an embedded store works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The time that leases, retries and expiry go by.
    pub clock: Arc<dyn Clock>,
    /// How long a process counts as alive after a renewal.
    pub lease: Duration,
    /// The crash that makes a run a dead letter; from the one before it runs alone.
    pub poison_at: u32,
    /// How long dead letters are kept (`VCON_DLQ_EXPIRY`); `None` and zero keep them for ever.
    pub dead_letter_keep: Option<Duration>,
    /// Whether a commit is on the disk before it is answered. False survives a crash of the process but
    /// may lose the last commits in a power failure.
    pub fsync: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            clock: Arc::new(SystemClock),
            lease: Duration::from_secs(30),
            poison_at: 3,
            dead_letter_keep: Some(Duration::from_secs(604_800)),
            fsync: true,
        }
    }
}

/// A store in one SQLite file. See the module's description.
#[derive(Debug)]
pub struct EmbeddedStore {
    directory: PathBuf,
    file: PathBuf,
    settings: Settings,
    bell: Arc<Bell>,
    locks: Arc<Locks>,
    readers: Readers,
    heartbeat: Mutex<Connection>,
    writer: Writer,
}

impl EmbeddedStore {
    /// Opens the store in a directory, which is made if it does not exist.
    ///
    /// # Errors
    ///
    /// Configuration: the directory cannot be written, the file is damaged or was written by a newer
    /// version. Retryable: another process holds the lock, or the disk is full.
    pub fn open(path: &Path, settings: Settings) -> Result<Arc<Self>> {
        let locks = Arc::new(Locks::open(path)?);
        let file = path.join("vconductor.db");
        let mut connection = connect(&file, Role::Writer)?;
        schema::migrate(&mut connection, &file)?;
        let heartbeat = Mutex::new(connect(&file, Role::Heartbeat)?);
        let bell = Arc::new(Bell::new());
        let writer = Writer::start(connection, file.clone(), settings.clone(), Arc::clone(&bell))?;
        let readers = Readers::new(file.clone());
        Ok(Arc::new(EmbeddedStore {
            directory: path.to_owned(),
            file,
            settings,
            bell,
            locks,
            readers,
            heartbeat,
            writer,
        }))
    }

    /// Drops the lock of a process that was registered here, as if it had been killed.
    #[doc(hidden)]
    pub fn abandon(&self, process: &ProcessId) {
        self.locks.free(process);
    }

    /// Bounds the file to its present size plus some pages, as a full disk does; 0 lifts the bound.
    #[doc(hidden)]
    pub async fn simulate_full_disk(&self, spare: u32) -> Result<()> {
        let needs = Needs::VOLATILE;
        self.writer.call(needs, move |tx| tx.bound_pages(spare)).await
    }

    async fn write<T, W>(&self, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.writer.call(Needs::DURABLE, work).await
    }
}

/// How many bytes of documents these are together, if each of them can be held and they agree whose they are.
fn check(vcons: &[NewVcon]) -> Result<usize> {
    tenant::owned(vcons)?;
    let sizes = vcons.iter().map(|vcon| vcon.document.as_ref().map_or(0, |document| document.len()));
    if sizes.clone().max().is_some_and(|largest| largest > DOCUMENT_MAX) {
        return Err(Error::permanent("the document is larger than the embedded store can hold (1 GB)")
            .help("keep recordings outside of the vCon and refer to them by url"));
    }
    Ok(sizes.sum())
}

#[async_trait]
impl Documents for EmbeddedStore {
    async fn ingest(&self, vcons: Vec<NewVcon>) -> Result<()> {
        let needs = Needs { durable: true, bytes: check(&vcons)? };
        let vcons = vcons::prepared(vcons);
        self.writer.call(needs, move |tx| vcons::ingest(tx, &vcons, None)).await?
    }

    async fn get(&self, scope: &TenantScope, uuid: &str) -> Result<Option<Stored>> {
        let (scope, uuid, now) = (scope.clone(), uuid.to_owned(), self.settings.clock.now());
        self.readers
            .query(move |db| match vcons::sees(db, &scope, &uuid, now)? {
                true => vcons::load(db, &uuid, now),
                false => Ok(None),
            })
            .await
    }

    async fn delete(&self, scope: &TenantScope, uuid: &str) -> Result<bool> {
        let (scope, uuid) = (scope.clone(), uuid.to_owned());
        self.write(move |tx| Ok(vcons::sees(tx.db, &scope, &uuid, tx.now)? && vcons::delete(tx, &uuid)?)).await
    }

    async fn documents(&self, scope: &TenantScope, cursor: Option<String>, limit: usize) -> Result<Vec<String>> {
        let (scope, now, after) = (scope.clone(), self.settings.clock.now(), cursor.clone());
        let page = self.readers.query(move |db| vcons::page(db, &scope, after.as_deref(), limit, now)).await?;
        page.ok_or_else(|| {
            Error::permanent(format!("vCon {}, at which the listing stood, was deleted", cursor.unwrap_or_default()))
                .help("start the listing again")
        })
    }
}

#[async_trait]
impl Queue for EmbeddedStore {
    async fn register(&self, process: &ProcessId) -> Result<()> {
        self.locks.take(process)?;
        let registered = process.clone();
        self.writer.call(Needs::VOLATILE, move |tx| process::register(tx, &registered)).await.inspect_err(|_| {
            self.locks.free(process);
            self.locks.remove(process);
        })
    }

    fn renew(&self, process: &ProcessId) -> Result<bool> {
        let until = self.settings.clock.now() + vcons::millis(self.settings.lease);
        let connection = self.heartbeat.lock().unwrap_or_else(PoisonError::into_inner);
        connection
            .prepare_cached("UPDATE processes SET lease_until = ?2 WHERE id = ?1")
            .and_then(|mut renew| renew.execute(params![process.0, until]))
            .map(|renewed| renewed > 0)
            .inspect(|alive| {
                if !alive {
                    self.locks.free(process);
                }
            })
            .map_err(|error| fault::explain(error, &self.file))
    }

    async fn deregister(&self, process: &ProcessId) -> Result<()> {
        let ended = process.clone();
        self.write(move |tx| {
            process::deregister(tx, &ended)?;
            oversight::forget(tx, &ended)
        })
        .await?;
        self.locks.free(process);
        self.locks.remove(process);
        Ok(())
    }

    async fn exchange(
        &self,
        process: &ProcessId,
        commits: Vec<Commit>,
        request: Option<ClaimRequest>,
    ) -> Result<(Vec<Committed>, Vec<Claimed>)> {
        let process = process.clone();
        let saves = commits.iter().filter_map(|commit| commit.save.as_ref());
        let needs = Needs { durable: !commits.is_empty(), bytes: saves.map(|save| save.document.len()).sum() };
        let work = move |tx: &mut Tx<'_>| {
            let committed = commits.iter().map(|commit| commit::apply(tx, commit)).collect::<rusqlite::Result<_>>()?;
            let claimed = request.as_ref().map(|request| claim::claim(tx, &process, request)).transpose()?;
            Ok((committed, claimed.unwrap_or_default()))
        };
        self.writer.give(needs, work, |tx, (_, claimed)| commit::give_back(tx, claimed)).await
    }

    async fn switch(&self, claim: &Claim, uuid: &str) -> Result<Option<Stored>> {
        let (wanted, held) = (uuid.to_owned(), claim.clone());
        let switched = self.write(move |tx| commit::switch(tx, &held, &wanted)).await?;
        switched.map_err(|refused| refused.explain(&claim.process, uuid))
    }

    async fn resume(&self, token: &str, payload: serde_json::Value) -> Result<bool> {
        let token = token.to_owned();
        self.write(move |tx| park::resume(tx, &token, &payload)).await
    }

    async fn pump(&self) -> Result<usize> {
        let mut pumped = 0;
        loop {
            let moved = self.writer.call(Needs::VOLATILE, park::pump).await?;
            pumped += moved;
            if moved < park::PUMP {
                return Ok(pumped);
            }
        }
    }

    async fn reap(&self) -> Result<Vec<Reaped>> {
        let locks = Arc::clone(&self.locks);
        let reap = self.write(move |tx| process::reap(tx, &locks)).await?;
        for process in &reap.dead {
            self.locks.free(process);
            self.locks.remove(process);
        }
        Ok(reap.reaped)
    }

    async fn sweep(&self) -> Result<usize> {
        let mut deleted = 0;
        loop {
            let swept = self.writer.call(Needs::VOLATILE, vcons::sweep).await?;
            deleted += swept.documents;
            if !swept.more {
                return Ok(deleted);
            }
        }
    }

    async fn doorbell(&self, lists: &[String], timeout: Duration) {
        self.bell.wait(lists, timeout).await;
    }
}

impl Store for EmbeddedStore {
    fn describe(&self) -> String {
        format!("embedded:{}", self.directory.display())
    }
}
