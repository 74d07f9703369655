//! Commands that may be stopped and go on: cursors, and waiting runs that begin otherwise.

use async_trait::async_trait;
use redis::cmd;

use super::catalogue::{Mark, ingest_watched};
use super::commit::json_of;
use super::lane::text_of;
use super::wire::{list, number, text};
use super::{RedisStore, durability, keys, scripts};
use crate::error::Result;
use crate::run::{Ledger, RunId};
use crate::store::replays::key;
use crate::store::{Advance, NewVcon, Replays, Retaken};

#[async_trait]
impl Replays for RedisStore {
    async fn cursor(&self, name: &str) -> Result<Option<String>> {
        let mut get = cmd("GET");
        get.arg(keys::once(&key(name)));
        Ok(text(self.inner.wire.one(get).await?))
    }

    async fn advance(&self, advance: &Advance, vcons: Vec<NewVcon>, ledger: Option<&Ledger>) -> Result<bool> {
        let begun = durability::begin(&self.inner);
        let mark = Mark {
            key: keys::once(&key(&advance.name)),
            expected: advance.from.as_deref(),
            mark: &advance.to,
            keep: advance.keep,
        };
        let ledger = ledger.map(json_of);
        let refused = ingest_watched(&self.inner, Some(mark), &vcons, ledger.as_deref()).await?;
        durability::settle(&self.inner, begun).await?;
        Ok(refused.is_none())
    }

    async fn forget_cursor(&self, name: &str) -> Result<bool> {
        let mut forget = cmd("DEL");
        forget.arg(keys::once(&key(name)));
        Ok(number(&self.inner.wire.one(forget).await?) == 1)
    }

    async fn waiting(&self, name: &str, skip: usize, limit: usize) -> Result<Vec<String>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut range = cmd("LRANGE");
        range.arg(name).arg(skip).arg(skip.saturating_add(limit - 1));
        Ok(list(self.inner.wire.one(range).await?).into_iter().filter_map(text).collect())
    }

    async fn retake(&self, from: &str, to: &str, uuids: &[String], ledger: Option<&Ledger>) -> Result<Vec<Retaken>> {
        let begun = durability::begin(&self.inner);
        let ledger = ledger.map(json_of).unwrap_or_default();
        let call = |uuid: &String| {
            vec![
                from.to_owned(),
                keys::base(from),
                to.to_owned(),
                keys::base(to),
                uuid.clone(),
                text_of(RunId::new()),
                ledger.clone(),
                self.inner.shift().to_string(),
            ]
        };
        let calls: Vec<Vec<String>> = uuids.iter().map(call).collect();
        let answers = self.inner.wire.run(&scripts::RETAKE, &[], &calls).await?;
        self.inner.bell.ring(to);
        durability::settle(&self.inner, begun).await?;
        let retaken = |answer| match number(answer) {
            1 => Retaken::Moved,
            2 => Retaken::Stays,
            _ => Retaken::Gone,
        };
        Ok(answers.iter().map(retaken).collect())
    }
}
