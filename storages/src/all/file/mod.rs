//! `storage.file`: one file per vCon, in folders by day.

mod disk;
mod fault;
mod find;
mod folder;
mod index;
mod list;
mod options;
mod place;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Error, Result, register_storage};

use crate::days::Listing;
use disk::Disk;
use options::Options;

/// Operations on the disk at the same time: enough to keep a fast disk's queue full.
const AT_ONCE: usize = 32;

struct FileStorage {
    disk: Arc<Disk>,
    places: Arc<Semaphore>,
    listing: Arc<Mutex<Option<Listing>>>,
}

register_storage!(FileStorage);

impl StoragePlugin for FileStorage {
    const MODULE: &'static str = "storage.file";
    const EXAMPLE: &'static str = "files:\n  module: storage.file\n  options:\n    path: /data/vcons\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if options.path.as_os_str().is_empty() {
            return Err(Error::configuration("option `path` is empty").help("name the folder for the vCons"));
        }
        Ok(FileStorage {
            disk: Arc::new(Disk::new(options)),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            listing: Arc::default(),
        })
    }
}

impl FileStorage {
    /// Runs work on the disk outside of the async threads. It goes on when the caller stops waiting.
    async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce(&Disk) -> Result<T> + Send + 'static) -> Result<T> {
        let disk = Arc::clone(&self.disk);
        let place = Arc::clone(&self.places).acquire_owned().await;
        let done = spawn_blocking(move || {
            let _place = place;
            work(&disk)
        });
        done.await.unwrap_or_else(|error| Err(broken_off(error)))
    }
}

#[async_trait]
impl Storage for FileStorage {
    fn capabilities(&self) -> Capabilities {
        let lossless = self.disk.options.format == Egress::AsIs;
        Capabilities { lossless, read: true, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        let item = item.clone();
        self.on_disk(move |disk| disk.publish(vec![disk.stage(&item)?]).pop().unwrap_or(Ok(()))).await
    }

    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
        let mut writes = JoinSet::new();
        for (position, item) in items.iter().cloned().enumerate() {
            let (disk, places) = (Arc::clone(&self.disk), Arc::clone(&self.places));
            writes.spawn(async move {
                let place = places.acquire_owned().await;
                let written = spawn_blocking(move || {
                    let _place = place;
                    disk.stage(&item)
                });
                (position, written.await.unwrap_or_else(|error| Err(broken_off(error))))
            });
        }
        let (mut positions, mut staged) = (Vec::new(), Vec::new());
        while let Some(joined) = writes.join_next().await {
            match joined {
                Ok((position, Ok(one))) => {
                    positions.push(position);
                    staged.push(one);
                }
                Ok((position, Err(error))) => results[position] = Err(error),
                // The tasks wait for others only, which report their own end.
                Err(error) => return items.iter().map(|_| Err(broken_off(&error))).collect(),
            }
        }
        match self.on_disk(move |disk| Ok(disk.publish(staged))).await {
            Ok(published) => {
                for (position, result) in positions.into_iter().zip(published) {
                    results[position] = result;
                }
            }
            Err(error) => positions.into_iter().for_each(|position| results[position] = Err(broken_off(&error))),
        }
        results
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        let uuid = uuid.to_owned();
        self.on_disk(move |disk| disk.load(&uuid)).await
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        let uuid = uuid.to_owned();
        self.on_disk(move |disk| disk.delete(&uuid)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        let (query, listing) = (query.clone(), Arc::clone(&self.listing));
        let take = move |disk: &Disk| {
            let kept = || listing.lock().unwrap_or_else(PoisonError::into_inner);
            let under_way = kept().take_if(|listing| listing.continues(&query));
            let (page, rest) = disk.list(&query, under_way)?;
            if rest.is_some() {
                *kept() = rest;
            }
            Ok(page)
        };
        self.on_disk(take).await
    }

    async fn health(&self) -> Result<()> {
        self.on_disk(Disk::probe).await
    }
}

fn broken_off(cause: impl std::fmt::Display) -> Error {
    Error::retryable(format!("the work on the disk was broken off: {cause}"))
        .help("if the log shows a panic, it is a defect of vconductor: please report it")
}
