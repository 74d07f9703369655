//! Storages that keep what is written to them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use vconductor_core::error::Result;
use vconductor_core::plugin::{Capabilities, SaveItem, Storage};

/// What was written, in order: storage, uuid, document.
#[derive(Default)]
pub(super) struct Shelf(Mutex<Vec<(String, String, Bytes)>>);

impl Shelf {
    /// A storage of this name.
    pub(super) fn storage(self: &Arc<Self>, name: &str) -> Arc<dyn Storage> {
        Arc::new(Place { name: name.to_owned(), shelf: Arc::clone(self) })
    }

    pub(super) fn take(&self) -> Vec<(String, String, Bytes)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Place {
    name: String,
    shelf: Arc<Shelf>,
}

#[async_trait]
impl Storage for Place {
    fn capabilities(&self) -> Capabilities {
        Capabilities { lossless: true, revisions: true, ..Capabilities::default() }
    }

    async fn save(&self, item: &SaveItem) -> Result<()> {
        let document = item.vcon.document().to_bytes();
        let entry = (self.name.clone(), item.uuid.clone(), document);
        self.shelf.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(())
    }

    async fn health(&self) -> Result<()> {
        Ok(())
    }
}
