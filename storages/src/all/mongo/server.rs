//! The connection to the server: made at the first use, kept by the driver.

use std::future::Future;
use std::time::Duration;

use mongodb::bson::raw::RawDocumentBuf;
use mongodb::bson::{Document, doc, serialize_to_document};
use mongodb::options::{Acknowledgment, ClientOptions, ConnectionString, WriteConcern};
use mongodb::{Client, Collection, Database};
use tokio::sync::OnceCell;
use vconductor_core::{Error, Result};

use super::fault::fault;

/// How long making a connection, and finding a server that takes writes, may take.
const CONNECT: Duration = Duration::from_secs(5);

pub(super) struct Server {
    address: ConnectionString,
    /// The server, database and collection, without secrets.
    pub(super) place: String,
    database: String,
    collection: String,
    timeout: Duration,
    opened: OnceCell<Opened>,
}

/// The driver's client, and how writes are confirmed.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) collection: Collection<RawDocumentBuf>,
    pub(super) write_concern: Document,
}

impl Server {
    /// Opens no socket.
    pub(super) fn new(
        address: ConnectionString,
        place: String,
        database: String,
        collection: String,
        timeout: Duration,
    ) -> Self {
        Server { address, place, database, collection, timeout, opened: OnceCell::new() }
    }

    /// The name of the collection.
    pub(super) fn collection(&self) -> &str {
        &self.collection
    }

    pub(super) async fn open(&self) -> Result<&Opened> {
        self.opened.get_or_try_init(|| self.answer(self.connect())).await
    }

    /// Waits for an answer, as long as the options allow.
    pub(super) async fn answer<T>(&self, work: impl Future<Output = mongodb::error::Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.timeout, work).await {
            Ok(answer) => answer.map_err(|error| fault(&self.place, error)),
            Err(_) => Err(Error::retryable(format!("{} did not answer within {:?}", self.place, self.timeout))
                .help("look whether the server is overloaded; option `timeout` is the longest time for an answer")),
        }
    }

    /// A name `mongodb+srv://` is looked up here.
    async fn connect(&self) -> mongodb::error::Result<Opened> {
        let mut options = ClientOptions::parse(self.address.clone()).await?;
        options.app_name.get_or_insert_with(|| "vconductor".to_owned());
        options.server_selection_timeout.get_or_insert(CONNECT);
        options.connect_timeout.get_or_insert(CONNECT);
        let majority = || WriteConcern::builder().w(Acknowledgment::Majority).w_timeout(self.timeout).build();
        let write_concern = options.write_concern.get_or_insert_with(majority).clone();
        let write_concern = serialize_to_document(&write_concern).unwrap_or_else(|_| doc! {"w": "majority"});
        let database = Client::with_options(options)?.database(&self.database);
        let collection = database.collection(&self.collection);
        Ok(Opened { database, collection, write_concern })
    }
}
