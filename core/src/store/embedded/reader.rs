//! A few read connections that never wait for the writer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::fault;
use super::schema::{Role, connect};
use crate::error::{Error, Result};

/// At most so many reads run at once.
const CONNECTIONS: usize = 4;

/// The pool; connections are opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    file: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    places: Semaphore,
}

impl Readers {
    pub(super) fn new(file: PathBuf) -> Self {
        Readers { file, idle: Arc::default(), places: Semaphore::new(CONNECTIONS) }
    }

    /// Runs a query on a snapshot of the committed state, off the async threads.
    pub(super) async fn query<T, Q>(&self, query: Q) -> Result<T>
    where
        T: Send + 'static,
        Q: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let ended = || Error::retryable("the store is closing");
        let _place = self.places.acquire().await.map_err(|_closed| ended())?;
        let (file, idle) = (self.file.clone(), Arc::clone(&self.idle));
        let work = move || {
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let connection = kept.map_or_else(|| connect(&file, Role::Reader), Ok)?;
            // One transaction, so that several statements of a query see the same state.
            let result = connection
                .unchecked_transaction()
                .and_then(|snapshot| query(&snapshot).and_then(|found| snapshot.commit().map(|()| found)))
                .map_err(|error| fault::explain(error, &file));
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_panicked| ended())?
    }
}
