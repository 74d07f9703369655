//! The keys that lie in the store, remembered for a moment.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::sync::RwLock;
use vconductor_core::clock::{Clock as _, Millis, SystemClock};
use vconductor_core::error::Error;
use vconductor_core::store::Store;

use super::key::{Key, Shown};
use crate::api::answer::{Refusal, Result};

/// How long keys are believed: a key that was revoked opens nothing after this time.
const FRESH: Duration = Duration::from_secs(2);
/// How long they are believed while the store does not answer.
const STALE: Duration = Duration::from_secs(60);

/// The keys of a store.
pub(super) struct Ring {
    store: Arc<dyn Store>,
    known: RwLock<Known>,
    used: Mutex<HashSet<String>>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, Key>,
    since: Option<Instant>,
}

impl Known {
    fn is_younger_than(&self, age: Duration) -> bool {
        self.since.is_some_and(|since| since.elapsed() < age)
    }
}

impl Ring {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Ring { store, known: RwLock::default(), used: Mutex::default() }
    }

    pub(super) async fn has_any(&self) -> Result<bool, Error> {
        Ok(!self.store.keys().await?.is_empty())
    }

    /// The key that was shown, if it is one and opens.
    pub(super) async fn find(&self, given: &[u8]) -> Result<Option<Key>> {
        // Whoever shows nothing like a key costs the store nothing.
        let Some(shown) = Shown::read(given) else { return Ok(None) };
        let now = SystemClock.now();
        let opening = |known: &Known| known.keys.get(shown.id).filter(|key| key.opens_with(&shown, now)).cloned();
        let found = {
            let known = self.known.read().await;
            if known.is_younger_than(FRESH) { Some(opening(&known)) } else { None }
        };
        let found = match found {
            Some(found) => found,
            None => {
                let mut known = self.known.write().await;
                // Somebody else may have asked meanwhile.
                if !known.is_younger_than(FRESH) {
                    self.renew(&mut known).await?;
                }
                opening(&known)
            }
        };
        if let Some(key) = &found {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(key.id().to_owned());
        }
        Ok(found)
    }

    async fn renew(&self, known: &mut Known) -> Result<()> {
        match self.store.keys().await {
            Ok(keys) => {
                known.keys = keys.into_iter().map(|key| (key.id.clone(), Key::new(key))).collect();
                known.since = Some(Instant::now());
                Ok(())
            }
            Err(error) if known.is_younger_than(STALE) => {
                tracing::warn!(error = %error.chain_text(), "the keys are believed a little longer");
                Ok(())
            }
            Err(error) => {
                tracing::warn!(error = %error.chain_text(), "the keys cannot be read, so nobody is let in");
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "The keys cannot be read now").after(1))
            }
        }
    }

    /// Notes which keys were used since the last time.
    pub(super) async fn note_uses(&self, now: Millis) {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        for id in used {
            if let Err(error) = self.store.key_used(&id, now).await {
                tracing::debug!(error = %error.chain_text(), "the use of a key is not noted");
            }
        }
    }
}
