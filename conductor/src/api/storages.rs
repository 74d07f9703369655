//! The storages behind the store: what has left the store is read from them, and what is deleted is deleted there, too.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::timeout;
use vconductor_core::plugin::Storage;
use vconductor_core::vcon::Vcon;

/// How long one storage may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A storage and its name.
type Named = (String, Arc<dyn Storage>);

/// Storages in the order of the configuration.
pub(super) struct Storages(RwLock<Arc<[Named]>>);

impl Storages {
    pub(super) fn new(storages: Vec<Named>) -> Self {
        Storages(RwLock::new(storages.into()))
    }

    /// From now on it is these.
    pub(super) fn adopt(&self, storages: Vec<Named>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = storages.into();
    }

    fn all(&self) -> Arc<[Named]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The document of the first storage that has it. One that fails, or answers with another vCon, is passed over.
    pub(super) async fn load(&self, uuid: &str) -> Option<Bytes> {
        for (name, storage) in self.all().iter().filter(|(_, storage)| storage.capabilities().read) {
            match timeout(PATIENCE, storage.load(uuid)).await {
                Ok(Ok(Some(document))) if is(&document, uuid) => return Some(document),
                Ok(Ok(Some(_))) => tracing::warn!(storage = name, uuid, "the storage answers with another vCon"),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::warn!(storage = name, uuid, error = %error.chain_text(), "cannot read"),
                Err(_) => tracing::warn!(storage = name, uuid, "the storage does not answer in time"),
            }
        }
        None
    }

    /// Deletes a document from all of them at once. What fails is told in the log.
    pub(super) async fn delete(&self, uuid: &str) {
        let all = self.all();
        let deleting = all.iter().filter(|(_, storage)| storage.capabilities().delete);
        join_all(deleting.map(|(name, storage)| delete(name, &**storage, uuid))).await;
    }
}

async fn delete(name: &str, storage: &dyn Storage, uuid: &str) {
    match timeout(PATIENCE, storage.delete(uuid)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(storage = name, uuid, error = %error.chain_text(), "cannot delete"),
        Err(_) => tracing::warn!(storage = name, uuid, "the storage does not answer in time"),
    }
}

fn is(document: &Bytes, uuid: &str) -> bool {
    Vcon::read(document.clone()).is_ok_and(|vcon| vcon.id().as_deref() == Some(uuid))
}
