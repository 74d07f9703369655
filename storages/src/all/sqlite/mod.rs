//! `storage.sqlite`: a table in a database file.

mod fault;
mod options;
mod table;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::spawn_blocking;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Error, Result, register_storage};

use options::Options;
use table::Table;

struct Sqlite {
    options: Options,
    /// Opened at the first use, and again after an error.
    table: Arc<Mutex<Option<Table>>>,
}

register_storage!(Sqlite);

impl StoragePlugin for Sqlite {
    const MODULE: &'static str = "storage.sqlite";
    const EXAMPLE: &'static str = "module: storage.sqlite\noptions:\n  path: /data/vcons.sqlite\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        options.check()?;
        Ok(Sqlite { options, table: Arc::default() })
    }
}

impl Sqlite {
    /// Runs work on the database outside of the async threads, one piece at a time, as SQLite has one writer anyway.
    async fn on_table<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Table) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (table, options) = (Arc::clone(&self.table), self.options.clone());
        let done = spawn_blocking(move || {
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            // Taken out, so that a connection in an unknown state is not used again.
            let mut open = match table.take() {
                Some(open) => open,
                None => Table::open(&options)?,
            };
            let result = work(&mut open);
            if result.is_ok() {
                *table = Some(open);
            }
            result
        });
        done.await.unwrap_or_else(|error| {
            Err(Error::retryable(format!("the work on the database was broken off: {error}"))
                .help("if the log shows a panic, it is a defect of vconductor: please report it"))
        })
    }
}

#[async_trait]
impl Storage for Sqlite {
    fn capabilities(&self) -> Capabilities {
        Capabilities { lossless: true, read: true, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        self.save_many(std::slice::from_ref(item)).await.pop().unwrap_or(Ok(()))
    }

    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        let copies = items.to_vec();
        match self.on_table(move |table| table.save(&copies)).await {
            Ok(results) => results,
            Err(error) => items.iter().map(|_| Err(again(&error))).collect(),
        }
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let uuid = uuid.to_owned();
        self.on_table(move |table| table.load(&uuid)).await
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        let uuid = uuid.to_owned();
        self.on_table(move |table| table.delete(&uuid)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        let query = query.clone();
        self.on_table(move |table| table.list(&query)).await
    }

    async fn health(&self) -> Result<()> {
        self.on_table(Table::probe).await
    }
}

/// The error of a transaction for one of its vCons.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.class(), error.chain_text());
    match error.help_text() {
        Some(help) => copy.help(help),
        None => copy,
    }
}
