//! Conductors and what has ended lately, for operators. What is kept here has the server's time.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Pipeline, cmd, from_redis_value};
use serde::{Deserialize, Serialize};

use super::commit::{json_of, millis};
use super::wire::{list, number, text};
use super::{Inner, RedisStore, keys, process, runs, vitals};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::oversight::KEPT;
use crate::store::{Card, Conductor, Oversight, PastQuery, PastRun, ProcessId, RunQuery, RunRecord, Vitals};

/// Records of passages that are read at once.
const PAGE: usize = 500;

/// A card as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// When it was told.
    told: Millis,
    /// By how much the server's clock was ahead of the conductor's.
    ahead: Millis,
    card: Card,
}

#[async_trait]
impl Oversight for RedisStore {
    async fn runs(&self, query: &RunQuery) -> Result<Vec<RunRecord>> {
        runs::runs(&self.inner, query).await
    }

    async fn announce(&self, process: &ProcessId, card: &Card) -> Result<()> {
        let inner = &self.inner;
        let ahead = inner.there(0);
        let kept = Kept { told: inner.now(), ahead, card: card.clone().shifted(ahead) };
        let mut pipe = Pipeline::new();
        pipe.cmd("HSET").arg(keys::CONDUCTORS).arg(&process.0).arg(json_of(&kept));
        pipe.cmd("PEXPIRE").arg(keys::CONDUCTORS).arg(millis(KEPT));
        inner.wire.ask(&pipe).await.map(drop)
    }

    async fn withdraw(&self, process: &ProcessId) -> Result<()> {
        forget(&self.inner, &[&process.0]).await
    }

    async fn conductors(&self) -> Result<Vec<Conductor>> {
        conductors(&self.inner).await
    }

    async fn note(&self, past: &[PastRun], most: usize) -> Result<()> {
        if past.is_empty() {
            return Ok(());
        }
        let inner = &self.inner;
        let records: Vec<String> =
            past.iter().map(|past| json_of(&past.clone().shifted(inner.there(0)))).rev().take(most).rev().collect();
        let mut pipe = Pipeline::new();
        if records.is_empty() {
            pipe.cmd("DEL").arg(keys::PAST);
        } else {
            pipe.cmd("LPUSH").arg(keys::PAST).arg(records);
            pipe.cmd("LTRIM").arg(keys::PAST).arg(0).arg(most - 1);
            pipe.cmd("PEXPIRE").arg(keys::PAST).arg(millis(KEPT));
        }
        inner.wire.ask(&pipe).await.map(drop)
    }

    async fn past(&self, query: &PastQuery) -> Result<Vec<PastRun>> {
        past(&self.inner, query).await
    }

    async fn vitals(&self, _patience: Duration) -> Result<Vitals> {
        vitals::look(&self.inner).await.map(|vitals| Vitals::Redis(Box::new(vitals)))
    }
}

async fn conductors(inner: &Inner) -> Result<Vec<Conductor>> {
    let names = process::lists(inner).await?;
    let mut pipe = Pipeline::new();
    pipe.cmd("ZRANGE").arg(keys::PROCESSES).arg(0).arg(-1).arg("WITHSCORES");
    pipe.cmd("HGETALL").arg(keys::CONDUCTORS);
    for name in &names {
        pipe.cmd("SMEMBERS").arg(keys::wips(&keys::base(name)));
    }
    let mut answers = inner.wire.ask(&pipe).await?.into_iter();
    let leases: Vec<(String, f64)> = answers.next().and_then(|all| from_redis_value(all).ok()).unwrap_or_default();
    let cards: Vec<(String, String)> = answers.next().and_then(|all| from_redis_value(all).ok()).unwrap_or_default();
    let held = held(inner, &names, answers.map(|batches| list(batches).into_iter().filter_map(text).collect())).await?;
    let mut found: BTreeMap<String, Conductor> = BTreeMap::new();
    for (process, until) in leases {
        let conductor = of(&mut found, &process);
        let until = until as Millis;
        (conductor.lease_until, conductor.alive) = (Some(inner.here(until)), until > inner.now());
    }
    for (process, runs) in held {
        of(&mut found, &process).holds = runs;
    }
    for (process, kept) in cards {
        // Another version may tell what this one cannot read.
        let Ok(kept) = serde_json::from_str::<Kept>(&kept) else { continue };
        if !is_over(inner, kept.told) {
            let conductor = of(&mut found, &process);
            conductor.clock_behind_ms = kept.ahead;
            conductor.card = Some(kept.card.shifted(inner.here(0)));
        }
    }
    Ok(found.into_values().collect())
}

fn of<'a>(found: &'a mut BTreeMap<String, Conductor>, process: &str) -> &'a mut Conductor {
    found.entry(process.to_owned()).or_insert_with(|| Conductor::unknown(process))
}

/// How many runs processes hold. `batches`: the names of the wip lists of each list.
async fn held(
    inner: &Inner,
    names: &[String],
    batches: impl Iterator<Item = Vec<String>>,
) -> Result<BTreeMap<String, u64>> {
    let (mut pipe, mut owners, mut held) = (Pipeline::new(), Vec::new(), BTreeMap::new());
    for (name, batches) in names.iter().zip(batches) {
        for batch in batches {
            pipe.cmd("LLEN").arg(keys::wip(&keys::base(name), &batch));
            owners.extend(batch.rsplit_once(':').map(|(process, _)| process.to_owned()));
        }
    }
    if owners.is_empty() {
        return Ok(held);
    }
    for (owner, count) in owners.into_iter().zip(inner.wire.ask(&pipe).await?) {
        *held.entry(owner).or_default() += number(&count).unsigned_abs();
    }
    held.retain(|_, runs| *runs > 0);
    Ok(held)
}

async fn past(inner: &Inner, query: &PastQuery) -> Result<Vec<PastRun>> {
    let (mut found, mut from) = (Vec::new(), 0);
    loop {
        let mut range = cmd("LRANGE");
        range.arg(keys::PAST).arg(from).arg(from + PAGE - 1);
        let page: Vec<String> = list(inner.wire.one(range).await?).into_iter().filter_map(text).collect();
        for record in &page {
            if found.len() >= query.limit {
                return Ok(found);
            }
            let Ok(past) = serde_json::from_str::<PastRun>(record) else { continue };
            if !is_over(inner, past.ended) {
                found.extend(Some(past.shifted(inner.here(0))).filter(|past| query.wants(past)));
            }
        }
        if page.len() < PAGE {
            return Ok(found);
        }
        from += PAGE;
    }
}

fn is_over(inner: &Inner, at: Millis) -> bool {
    at.saturating_add(Millis::try_from(millis(KEPT)).unwrap_or(Millis::MAX)) <= inner.now()
}

/// Forgets what processes told.
pub(super) async fn forget(inner: &Inner, processes: &[&str]) -> Result<()> {
    if processes.is_empty() {
        return Ok(());
    }
    let mut forget = cmd("HDEL");
    forget.arg(keys::CONDUCTORS).arg(processes);
    inner.wire.one(forget).await.map(drop)
}

/// Forgets what was told long ago.
pub(super) async fn sweep(inner: &Inner) -> Result<()> {
    let mut all = cmd("HGETALL");
    all.arg(keys::CONDUCTORS);
    let cards: Vec<(String, String)> = from_redis_value(inner.wire.one(all).await?).unwrap_or_default();
    let over = |kept: &str| serde_json::from_str::<Kept>(kept).map_or(true, |kept| is_over(inner, kept.told));
    let over: Vec<&str> = cards.iter().filter(|(_, kept)| over(kept)).map(|(process, _)| process.as_str()).collect();
    forget(inner, &over).await
}
