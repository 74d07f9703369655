//! The keys of the API.

use std::collections::HashMap;

use async_trait::async_trait;
use redis::{Pipeline, from_redis_value};

use super::commit::json_of;
use super::wire::number;
use super::{RedisStore, keys};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{Keyring, StoredKey};

#[async_trait]
impl Keyring for RedisStore {
    async fn keep_key(&self, key: &StoredKey) -> Result<()> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HSET").arg(keys::API_KEYS).arg(&key.id).arg(json_of(key));
        self.inner.wire.ask(&pipe).await.map(drop)
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGETALL").arg(keys::API_KEYS);
        pipe.cmd("HGETALL").arg(keys::API_KEYS_USED);
        let mut answers = self.inner.wire.ask(&pipe).await?.into_iter();
        let mut pairs = || -> HashMap<String, String> {
            answers.next().and_then(|answer| from_redis_value(answer).ok()).unwrap_or_default()
        };
        let (records, used) = (pairs(), pairs());
        let read = |record: &String| {
            serde_json::from_str::<StoredKey>(record)
                .inspect_err(|error| tracing::error!(%error, "an unreadable key of the API opens nothing"))
                .ok()
        };
        let mut found: Vec<StoredKey> = records.values().filter_map(read).collect();
        for key in &mut found {
            key.used_at = used.get(&key.id).and_then(|at| at.parse().ok());
        }
        found.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(found)
    }

    async fn forget_key(&self, id: &str) -> Result<bool> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HDEL").arg(keys::API_KEYS).arg(id);
        pipe.cmd("HDEL").arg(keys::API_KEYS_USED).arg(id);
        let answers = self.inner.wire.ask(&pipe).await?;
        Ok(answers.first().map(number) == Some(1))
    }

    async fn key_used(&self, id: &str, at: Millis) -> Result<()> {
        // A key that was forgotten meanwhile leaves a small field behind, which its id, being random, never meets again.
        let mut pipe = Pipeline::new();
        pipe.cmd("HSET").arg(keys::API_KEYS_USED).arg(id).arg(at);
        self.inner.wire.ask(&pipe).await.map(drop)
    }
}
