//! The keys of a provider: several share the load, and one that is refused is taken out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::clock::Millis;
use crate::secret::Secret;

/// How long a refused key is left alone before one call tries it again.
pub(super) const REFUSED: Duration = Duration::from_secs(600);

/// One key or several of the same account type.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One key.
    One(Secret),
    /// Several: each has limits of its own, and one that is refused is taken out.
    More(Vec<Secret>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        OneOrMore::More(Vec::new())
    }
}

impl OneOrMore {
    /// The keys that are not empty.
    pub fn into_keys(self) -> Vec<Secret> {
        let mut keys = match self {
            OneOrMore::One(key) => vec![key],
            OneOrMore::More(keys) => keys,
        };
        keys.retain(|key| !key.is_empty());
        keys
    }
}

/// A key and the name under which messages and limits speak of it.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) secret: Secret,
    /// The beginning of its SHA-256: tells keys apart, and tells nobody the key.
    pub(super) fingerprint: String,
}

impl Key {
    pub(super) fn new(secret: Secret) -> Self {
        let hash = Sha256::digest(secret.expose().as_bytes());
        let fingerprint = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Key { secret, fingerprint }
    }
}

/// Which keys are not used for now, and why.
#[derive(Debug, Default)]
pub(super) struct Standing {
    keys: Mutex<HashMap<String, Away>>,
}

/// A key that is not used for now.
#[derive(Debug, Clone, Copy)]
struct Away {
    until: Millis,
    refused: bool,
}

impl Standing {
    /// Whether a key may be used now.
    pub(super) fn is_open(&self, fingerprint: &str, now: Millis) -> bool {
        self.lock().get(fingerprint).is_none_or(|away| away.until <= now)
    }

    /// Takes a key out because the provider refuses it.
    pub(super) fn refuse(&self, fingerprint: &str, now: Millis) -> Millis {
        let until = now.saturating_add(i64::try_from(REFUSED.as_millis()).unwrap_or(i64::MAX));
        self.lock().insert(fingerprint.to_owned(), Away { until, refused: true });
        until
    }

    /// Leaves a key alone because the provider asked for it.
    pub(super) fn rest(&self, fingerprint: &str, until: Millis) {
        let mut keys = self.lock();
        let away = keys.entry(fingerprint.to_owned()).or_insert(Away { until, refused: false });
        away.until = away.until.max(until);
    }

    /// A key was accepted. True if it had been refused before.
    pub(super) fn accepted(&self, fingerprint: &str) -> bool {
        let mut keys = self.lock();
        let refused = keys.get(fingerprint).is_some_and(|away| away.refused);
        if refused {
            keys.remove(fingerprint);
        }
        refused
    }

    /// Keys in the order in which they were refused.
    pub(super) fn longest_refused<'k>(&self, keys: &'k [Key]) -> Vec<&'k Key> {
        let standing = self.lock();
        let mut keys: Vec<&Key> = keys.iter().collect();
        keys.sort_by_key(|key| standing.get(&key.fingerprint).map(|away| away.until));
        keys
    }

    /// The soonest time at which one of the keys that only rest may be used.
    pub(super) fn rested(&self, fingerprints: impl Iterator<Item = String>) -> Option<Millis> {
        let keys = self.lock();
        fingerprints.filter_map(|name| keys.get(&name)).filter(|away| !away.refused).map(|away| away.until).min()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Away>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
