//! The one writer of a store handle: a thread that gathers operations and commits them together.
//!
//! One `fsync` costs as much as hundreds of small writes, so whatever has queued up while the last
//! commit was on its way to the disk shares the next one. Nobody is answered before the commit is
//! durable. A group in which anything fails is rolled back as a whole and its operations are run again
//! one by one, so that only the culprit sees the error; that is why operations can be run twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ffi};
use tokio::sync::oneshot;

use super::bell::{Bell, Signals};
use super::claim::Rota;
use super::{Settings, fault, vcons};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::store::Stored;

/// At most so many operations share a commit.
const GROUP: usize = 512;

/// No more operations join a commit that has so many bytes of documents.
const GROUP_BYTES: usize = 8 << 20;

/// How often an idle writer looks whether another process has written.
const LISTEN: Duration = Duration::from_millis(20);

/// What an operation sees: the open transaction, the time, and what is remembered between transactions.
pub(super) struct Tx<'a> {
    db: &'a Connection,
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

/// How an operation wants to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needs {
    /// Whether its commit must have reached the disk before it is answered. A claim need not: losing one
    /// in a power failure gives the run back under the same id.
    pub(super) durable: bool,
    /// Bytes of documents that it writes.
    pub(super) bytes: usize,
}

impl Needs {
    pub(super) const DURABLE: Needs = Needs { durable: true, bytes: 0 };
    pub(super) const VOLATILE: Needs = Needs { durable: false, bytes: 0 };
}

trait Operation: Send {
    fn needs(&self) -> Needs;
    fn attempt(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, failure: Option<Error>);
}

/// Takes back what an operation gave to somebody who has gone away.
type Undo<T> = fn(&mut Tx<'_>, &T) -> rusqlite::Result<()>;

struct Task<W, T: Send + 'static> {
    needs: Needs,
    work: W,
    outcome: Option<T>,
    reply: oneshot::Sender<Result<Delivery<T>>>,
    undo: Option<(Undo<T>, Sender<Box<dyn Operation>>)>,
}

impl<W, T> Operation for Task<W, T>
where
    W: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send,
    T: Send + 'static,
{
    fn needs(&self) -> Needs {
        self.needs
    }

    fn attempt(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        self.outcome = Some((self.work)(tx)?);
        Ok(())
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        let answer = match failure {
            Some(error) => Err(error),
            None => Ok(Delivery { outcome: self.outcome, undo: self.undo }),
        };
        // The caller may have been cancelled; then the delivery undoes what it must.
        drop(self.reply.send(answer));
    }
}

/// An outcome on its way to the caller. Dropped on the way, it is undone.
struct Delivery<T: Send + 'static> {
    outcome: Option<T>,
    undo: Option<(Undo<T>, Sender<Box<dyn Operation>>)>,
}

impl<T: Send + 'static> Drop for Delivery<T> {
    fn drop(&mut self) {
        if let (Some(outcome), Some((undo, queue))) = (self.outcome.take(), self.undo.take()) {
            // A writer that has ended leaves no process alive, so its claims are reaped.
            drop(queue.send(Box::new(Undoing { outcome, undo })));
        }
    }
}

struct Undoing<T> {
    outcome: T,
    undo: Undo<T>,
}

impl<T: Send> Operation for Undoing<T> {
    fn needs(&self) -> Needs {
        Needs::DURABLE
    }

    fn attempt(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        (self.undo)(tx, &self.outcome)
    }

    fn answer(self: Box<Self>, failure: Option<Error>) {
        if let Some(error) = failure {
            tracing::warn!(error = error.chain_text(), "claims that nobody received stay with their process");
        }
    }
}

/// The way to the writer thread. Dropping it ends the thread when its queue is empty.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Operation>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a connection that is set up and migrated.
    pub(super) fn start(db: Connection, file: PathBuf, settings: Settings, bell: Arc<Bell>) -> Result<Self> {
        let (queue, operations) = mpsc::channel();
        let worker = Worker { db, file, settings, bell, rota: Rota::default(), durable: None, version: 0 };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || worker.work(&operations))
            .map_err(|error| Error::retryable("cannot start the store's writer thread").caused_by(error))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs an operation in the next commit and answers when that is done. The operation may be run more
    /// than once, so it must not consume anything.
    pub(super) async fn call<T, W>(&self, needs: Needs, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(needs, work, None).await
    }

    /// Like [`Writer::call`], for an operation that gives something away: it is undone if the caller was
    /// cancelled before it got the answer.
    pub(super) async fn give<T, W>(&self, needs: Needs, work: W, undo: Undo<T>) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.submit(needs, work, Some(undo)).await
    }

    async fn submit<T, W>(&self, needs: Needs, work: W, undo: Option<Undo<T>>) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Tx<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let ended = || Error::permanent("the store's writer has ended").help("restart vConductor; nothing is lost");
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        let (reply, answer) = oneshot::channel();
        let undo = undo.map(|undo| (undo, queue.clone()));
        queue.send(Box::new(Task { needs, work, outcome: None, reply, undo })).map_err(|_gone| ended())?;
        let mut delivery = answer.await.map_err(|_gone| ended())??;
        delivery.outcome.take().ok_or_else(ended)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer thread panicked");
        }
    }
}

struct Worker {
    db: Connection,
    file: PathBuf,
    settings: Settings,
    bell: Arc<Bell>,
    rota: Rota,
    /// How the connection is set now: with or without `fsync` at commit.
    durable: Option<bool>,
    /// Changes when another connection has written.
    version: i64,
}

impl Worker {
    fn work(mut self, operations: &Receiver<Box<dyn Operation>>) {
        loop {
            match operations.recv_timeout(LISTEN) {
                Ok(first) => {
                    let group = gather(first, operations);
                    self.listen();
                    self.serve(group);
                }
                Err(RecvTimeoutError::Timeout) => self.listen(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Rings when another process has written. Looked at before each commit and while idle: what is
    /// written after a claim is then always noticed by the next look.
    fn listen(&mut self) {
        let version = self
            .db
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .unwrap_or(-1);
        if version != self.version {
            self.version = version;
            let mut signals = Signals::default();
            signals.ring_all();
            self.bell.apply(signals);
        }
    }

    /// Commits and answers a group.
    fn serve(&mut self, mut group: Vec<Box<dyn Operation>>) {
        let Err(error) = self.commit(&mut group) else {
            group.into_iter().for_each(|operation| operation.answer(None));
            return;
        };
        if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
            // The lock was waited for long enough; each operation alone would only wait as long again.
            for operation in group {
                let busy = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_BUSY), None);
                operation.answer(Some(fault::explain(busy, &self.file)));
            }
            return;
        }
        if group.len() == 1 {
            if let Some(alone) = group.pop() {
                alone.answer(Some(fault::explain(error, &self.file)));
            }
            return;
        }
        tracing::debug!(operations = group.len(), %error, "a group commit failed; its operations are run one by one");
        for mut operation in group {
            let failure = self.commit(std::slice::from_mut(&mut operation)).err();
            operation.answer(failure.map(|error| fault::explain(error, &self.file)));
        }
    }

    /// All operations in one transaction, or none.
    fn commit(&mut self, group: &mut [Box<dyn Operation>]) -> rusqlite::Result<()> {
        self.sync(group.iter().any(|operation| operation.needs().durable))?;
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let result = self.attempt(group);
        if result.is_err() && !self.db.is_autocommit() {
            self.db.execute_batch("ROLLBACK")?;
        }
        self.bell.apply(result?);
        Ok(())
    }

    fn attempt(&mut self, group: &mut [Box<dyn Operation>]) -> rusqlite::Result<Signals> {
        let mut tx = Tx {
            db: &self.db,
            now: self.settings.clock.now(),
            settings: &self.settings,
            rota: &mut self.rota,
            signals: Signals::default(),
        };
        for operation in group {
            operation.attempt(&mut tx)?;
        }
        let signals = tx.signals;
        self.db.execute_batch("COMMIT")?;
        Ok(signals)
    }

    fn sync(&mut self, durable: bool) -> rusqlite::Result<()> {
        let durable = durable && self.settings.fsync;
        if self.durable != Some(durable) {
            self.db.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
            self.durable = Some(durable);
        }
        Ok(())
    }
}

fn gather(first: Box<dyn Operation>, operations: &Receiver<Box<dyn Operation>>) -> Vec<Box<dyn Operation>> {
    let mut bytes = first.needs().bytes;
    let mut group = vec![first];
    while group.len() < GROUP && bytes < GROUP_BYTES {
        let Ok(next) = operations.try_recv() else { break };
        bytes += next.needs().bytes;
        group.push(next);
    }
    group
}
