//! `storage.elasticsearch`: one document per part of a vCon, in indices by kind.
#![cfg(feature = "elasticsearch")]

mod bulk;
mod cluster;
mod fault;
mod options;
mod parts;
mod read;
mod revisions;
#[cfg(test)]
mod tests;
mod write;

use async_trait::async_trait;
use bytes::Bytes;
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Capabilities, ListPage, ListQuery, SaveItem, Storage, StoragePlugin};
use vconductor_core::{Error, Result, register_storage};

use cluster::Cluster;
use options::Options;
use revisions::Revisions;

struct Elasticsearch {
    options: Options,
    cluster: Cluster,
    revisions: Revisions,
}

register_storage!(Elasticsearch);

impl StoragePlugin for Elasticsearch {
    const MODULE: &'static str = "storage.elasticsearch";
    const EXAMPLE: &'static str = "search:\n  module: storage.elasticsearch\n  options:\n    \
                                   url: https://search.example.com:9200\n    username: vconductor\n    \
                                   password: \"${env:SEARCH_PASSWORD:-}\"\n    index_prefix: prod_\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let options = options.checked()?;
        let cluster = Cluster::new(&options)?;
        let revisions = Revisions::new(&options.index_prefix, options.index_template);
        Ok(Elasticsearch { options, cluster, revisions })
    }
}

#[async_trait]
impl Storage for Elasticsearch {
    fn capabilities(&self) -> Capabilities {
        let (read, as_is) = (self.options.documents, self.options.format == Egress::AsIs);
        Capabilities { lossless: read && as_is, read, delete: true, list: true, revisions: true }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        self.save_many(std::slice::from_ref(item)).await.pop().unwrap_or(Ok(()))
    }

    async fn save_many(&self, items: &[SaveItem]) -> Vec<Result<()>> {
        write::save(&self.cluster, &self.revisions, &self.options, items).await
    }

    async fn load(&self, uuid: &str) -> Result<Option<Bytes>> {
        if !self.options.documents {
            return Err(Error::permanent(format!("`{uuid}` cannot be read back: only its parts are kept here"))
                .help("set option `documents: true` for vCons that are saved from then on"));
        }
        read::load(&self.cluster, &self.revisions, uuid).await
    }

    async fn delete(&self, uuid: &str) -> Result<bool> {
        read::delete(&self.cluster, &self.revisions, &self.options.index_prefix, uuid).await
    }

    async fn list(&self, query: &ListQuery) -> Result<ListPage> {
        read::list(&self.cluster, &self.revisions, query).await
    }

    async fn health(&self) -> Result<()> {
        read::probe(&self.cluster, &self.revisions).await
    }
}
