//! `storage.mongo`: a collection of MongoDB, the one that vcon-server writes.
#![cfg(feature = "mongo")]

mod decode;
mod encode;
mod fault;
mod list;
mod options;
mod server;
#[cfg(test)]
mod tests;
mod write;

use async_trait::async_trait;
use bytes::Bytes;
use mongodb::bson::doc;
use tokio::sync::OnceCell;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Result, register_storage};

use options::Options;
use server::Server;

struct Mongo {
    server: Server,
    /// Set once the collection was looked at.
    ready: OnceCell<()>,
}

register_storage!(Mongo);

impl StoragePlugin for Mongo {
    const MODULE: &'static str = "storage.mongo";
    const EXAMPLE: &'static str = "documents:\n  module: storage.mongo\n  options:\n    \
                                   url: mongodb://vcons:secret@db.example.com:27017/?authSource=admin&tls=true\n    \
                                   database: conserver\n    collection: vcons\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        options.check()?;
        let (address, place) = options.address()?;
        let server = Server::new(address, place, options.database, options.collection, options.timeout.0);
        Ok(Mongo { server, ready: OnceCell::new() })
    }
}

impl Mongo {
    /// Gives a collection that is not there yet its indexes. On one that is there they might take hours.
    async fn prepare(&self) -> Result<()> {
        let opened = self.server.open().await?;
        let name = self.server.collection();
        let names = opened.database.list_collection_names().filter(doc! {"name": name});
        if !self.server.answer(async { names.await }).await?.is_empty() {
            return Ok(());
        }
        let indexes = doc! {
            "createIndexes": name,
            "indexes": [
                {"name": "created_at_1__id_1", "key": {"created_at": 1, "_id": 1}},
                {"name": "_vconductor.created_at_1__id_1", "key": {"_vconductor.created_at": 1, "_id": 1}},
            ],
        };
        let made = opened.database.run_command(indexes);
        self.server.answer(async { made.await }).await.map(drop)
    }
}

#[async_trait]
impl Storage for Mongo {
    /// Not lossless: white space, escapes in strings and names that occur twice do not survive.
    fn capabilities(&self) -> Capabilities {
        Capabilities { lossless: false, read: true, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        self.save_many(std::slice::from_ref(item)).await.pop().unwrap_or(Ok(()))
    }

    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        if items.is_empty() {
            return Vec::new();
        }
        match self.ready.get_or_try_init(|| self.prepare()).await {
            Ok(()) => write::save(&self.server, items).await,
            Err(error) => items.iter().map(|_| Err(again(&error))).collect(),
        }
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let opened = self.server.open().await?;
        let found = opened.collection.find_one(doc! {"_id": uuid});
        let found = self.server.answer(async { found.await }).await?;
        found.map(|document| decode::decode(&document)).transpose()
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        let opened = self.server.open().await?;
        let deleted = opened.collection.delete_one(doc! {"_id": uuid});
        Ok(self.server.answer(async { deleted.await }).await?.deleted_count > 0)
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        list::list(&self.server, query).await
    }

    /// An update of a document that is not there asks for the same rights and the same state of the server.
    async fn health(&self) -> Result<()> {
        write::probe(&self.server).await
    }
}

/// The error of a preparation for one of its vCons.
fn again(error: &vconductor_core::Error) -> vconductor_core::Error {
    let copy = vconductor_core::Error::new(error.class(), error.chain_text());
    match error.help_text() {
        Some(help) => copy.help(help),
        None => copy,
    }
}
