//! The keys of the API.

use async_trait::async_trait;
use rusqlite::params;

use super::EmbeddedStore;
use super::row::{json, to_json};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{Keyring, StoredKey};

#[async_trait]
impl Keyring for EmbeddedStore {
    async fn keep_key(&self, key: &StoredKey) -> Result<()> {
        let key = key.clone();
        self.write(move |tx| {
            tx.run(
                "INSERT INTO api_keys (id, record) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET record = ?2",
                params![key.id, to_json(&key)?],
            )
            .map(drop)
        })
        .await
    }

    async fn keys(&self) -> Result<Vec<StoredKey>> {
        self.readers
            .query(|db| {
                let mut keys = db.prepare_cached("SELECT record, used_at FROM api_keys ORDER BY id")?;
                let rows = keys.query_map([], |row| {
                    let key: Option<StoredKey> = json(row, 0)?;
                    let used_at: Option<Millis> = row.get(1)?;
                    Ok(key.map(|key| StoredKey { used_at: used_at.or(key.used_at), ..key }))
                })?;
                rows.filter_map(rusqlite::Result::transpose).collect()
            })
            .await
    }

    async fn forget_key(&self, id: &str) -> Result<bool> {
        let id = id.to_owned();
        self.write(move |tx| Ok(tx.run("DELETE FROM api_keys WHERE id = ?1", [&id])? > 0)).await
    }

    async fn key_used(&self, id: &str, at: Millis) -> Result<()> {
        let id = id.to_owned();
        self.write(move |tx| tx.run("UPDATE api_keys SET used_at = ?2 WHERE id = ?1", params![id, at]).map(drop)).await
    }
}
