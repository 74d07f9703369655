//! The keys that open an API, as a store keeps them: by their hash.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Tenant;
use crate::clock::Millis;
use crate::error::Result;

/// What is kept of a key. The key itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKey {
    /// Its public part, by which it is found.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 of its secret part, in hex. A slow hash would add nothing: the secret has 256 random bits.
    pub hash: String,
    /// What it opens, by the names of the API's scopes.
    pub scopes: Vec<String>,
    /// The tenant it is bound to; it opens nothing of anybody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Tenant>,
    /// When it was made.
    pub created_at: Millis,
    /// From when on it opens nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Millis>,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Millis>,
}

/// The keys of a store.
#[async_trait]
pub trait Keyring: Send + Sync {
    /// Keeps a key, instead of an earlier one of its id.
    async fn keep_key(&self, key: &StoredKey) -> Result<()>;

    /// All keys by their id, expired ones too.
    async fn keys(&self) -> Result<Vec<StoredKey>>;

    /// Forgets a key. False if there was none.
    async fn forget_key(&self, id: &str) -> Result<bool>;

    /// Notes that a key was used. Nothing happens if it is gone.
    async fn key_used(&self, id: &str, at: Millis) -> Result<()>;
}
