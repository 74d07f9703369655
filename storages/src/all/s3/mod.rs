//! `storage.s3`: one object per vCon, in folders by day, and a pointer to its day.
#![cfg(feature = "s3")]

mod bucket;
mod fault;
mod list;
mod media;
mod options;
mod parts;
mod place;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, Media, MediaStore, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Error, Result, register_storage};

use bucket::Bucket;
use list::Listed;
use options::Options;
use place::Places;

struct S3 {
    bucket: Arc<Bucket>,
    places: Arc<Places>,
    options: Arc<Options>,
    listed: Listed,
}

register_storage!(S3);

impl StoragePlugin for S3 {
    const MODULE: &'static str = "storage.s3";
    const EXAMPLE: &'static str = "archive:\n  module: storage.s3\n  options:\n    aws_bucket: example-vcons\n    \
                                   aws_region: eu-central-1\n    s3_path: calls\n    sse: AES256\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let options = options.checked()?;
        let places = Places::new(&options.s3_path)?;
        let bucket = Arc::new(Bucket::new(&options));
        Ok(S3 { bucket, places: Arc::new(places), options: Arc::new(options), listed: Listed::default() })
    }
}

#[async_trait]
impl Storage for S3 {
    fn capabilities(&self) -> Capabilities {
        let lossless = self.options.format == Egress::AsIs;
        Capabilities { lossless, read: true, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        write::save(&self.bucket, &self.places, &self.options, item).await
    }

    /// S3 knows no batches: they are written at the same time.
    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
        let places = Arc::new(Semaphore::new(self.options.concurrency));
        let mut writes = JoinSet::new();
        for (position, item) in items.iter().cloned().enumerate() {
            let (bucket, keys, options) =
                (Arc::clone(&self.bucket), Arc::clone(&self.places), Arc::clone(&self.options));
            let free = Arc::clone(&places);
            writes.spawn(async move {
                // Never closed.
                let _place = free.acquire_owned().await;
                (position, write::save(&bucket, &keys, &options, &item).await)
            });
        }
        let mut broken = None;
        let mut ended = vec![false; items.len()];
        while let Some(write) = writes.join_next().await {
            match write {
                Ok((position, result)) => {
                    ended[position] = true;
                    results[position] = result;
                }
                Err(error) => broken = Some(Error::retryable("a write was broken off").caused_by(error)),
            }
        }
        if let Some(error) = broken {
            for position in (0..items.len()).filter(|&position| !ended[position]) {
                results[position] = Err(fault::again(&error));
            }
        }
        results
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        write::load(&self.bucket, &self.places, uuid, self.listed.day(uuid)).await
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        write::delete(&self.bucket, &self.places, uuid).await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        self.listed.page(&self.bucket, &self.places, query).await
    }

    async fn health(&self) -> Result<()> {
        write::probe(&self.bucket, &self.places, self.options.conditional_writes).await
    }

    fn media(&self) -> Option<&dyn MediaStore> {
        Some(self)
    }
}

#[async_trait]
impl MediaStore for S3 {
    async fn keep(&self, media: &Media) -> Result<String> {
        media::keep(&self.bucket, &self.places, media).await
    }

    fn is_at(&self, url: &str, hash: &str) -> bool {
        url == self.bucket.url(&self.places.media(hash))
    }

    async fn fetch(&self, hash: &str) -> Result<Option<Bytes>> {
        media::fetch(&self.bucket, &self.places, hash).await
    }
}
