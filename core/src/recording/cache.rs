//! Recordings that were fetched lately: each is fetched once, also when many ask at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::Recording;
use crate::Result;
use crate::run::RunId;

/// How long a recording is kept that nobody asks for.
const KEPT: Duration = Duration::from_secs(600);

/// Which recording: a digest, since a signed URL is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// What lies at `url`. Where the vCon says the content's hash, the key holds for all runs; else for this run alone, since
    /// what lies there may change. The URL belongs to it also then: who knows a hash may not know the way to the content.
    pub(super) fn of(url: &str, hashes: &[String], run: RunId) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(url);
        match hashes {
            [] => hasher.update(format!("\n{run}")),
            hashes => hashes.iter().for_each(|hash| hasher.update(format!("\n{hash}"))),
        }
        Key(hasher.finalize().into())
    }
}

/// The recordings that are kept; clones share them.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    most: u64,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    slots: HashMap<Key, Slot>,
    uses: u64,
}

#[derive(Debug, Default)]
struct Slot {
    recording: Arc<OnceCell<Recording>>,
    /// Number of its last use.
    used: u64,
}

impl Cache {
    /// Keeps at most this many bytes.
    pub(super) fn new(most: u64) -> Self {
        Cache { most, kept: Arc::default() }
    }

    /// The recording under `key`, fetched by `fetch` if it is not there. Others who ask meanwhile wait for it; when it fails,
    /// the next of them tries.
    ///
    /// # Errors
    /// Those of `fetch`, which are not kept.
    pub(super) async fn get(&self, key: Key, fetch: impl Future<Output = Result<Recording>>) -> Result<Recording> {
        let cell = self.lock().slot(key);
        let fetched = cell.get_or_try_init(|| fetch).await.cloned();
        self.lock().shrink(self.most);
        self.forget_later(key);
        fetched
    }

    /// Lets go of the recording, should nobody have asked for it in the meantime.
    fn forget_later(&self, key: Key) {
        let kept = Arc::downgrade(&self.kept);
        let Some(used) = self.lock().slots.get(&key).map(|slot| slot.used) else { return };
        tokio::spawn(async move {
            tokio::time::sleep(KEPT).await;
            if let Some(kept) = kept.upgrade() {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.slots.get(&key).is_some_and(|slot| slot.used == used) {
                    kept.slots.remove(&key);
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn slot(&mut self, key: Key) -> Arc<OnceCell<Recording>> {
        self.uses += 1;
        let slot = self.slots.entry(key).or_default();
        slot.used = self.uses;
        Arc::clone(&slot.recording)
    }

    /// Lets go of what was not used for longest, until no more than `most` bytes are left. Whoever holds such a recording
    /// keeps it. What is being fetched stays, and so does what failed until its time is over: it holds nothing.
    fn shrink(&mut self, most: u64) {
        let size = |slot: &Slot| slot.recording.get().map_or(0, Recording::len);
        let mut total: u64 = self.slots.values().map(size).sum();
        while total > most {
            let full = self.slots.iter().filter(|(_, slot)| slot.recording.initialized());
            let Some((key, oldest)) = full.min_by_key(|(_, slot)| slot.used).map(|(key, slot)| (*key, size(slot)))
            else {
                return;
            };
            self.slots.remove(&key);
            total -= oldest;
        }
    }
}
