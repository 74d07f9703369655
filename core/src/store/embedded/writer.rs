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

use rusqlite::{Connection, ErrorCode, ffi};

use super::bell::{Bell, Signals};
use super::claim::Rota;
use super::operation::{Needs, Operation, Task, Undo};
use super::tx::Tx;
use super::{Settings, fault};
use crate::error::{Error, Result};

/// At most so many operations share a commit.
const GROUP: usize = 512;

/// No more operations join a commit that has so many bytes of documents.
const GROUP_BYTES: usize = 8 << 20;

/// How often an idle writer looks whether another process has written.
const LISTEN: Duration = Duration::from_millis(20);

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
        let (task, answer) = Task::new(needs, work, undo.map(|undo| (undo, queue.clone())));
        queue.send(Box::new(task)).map_err(|_gone| ended())?;
        answer.await.map_err(|_gone| ended())??.accept().ok_or_else(ended)
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
