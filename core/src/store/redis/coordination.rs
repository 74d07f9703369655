//! What conductors share besides the queue: limits, counters, holds, results.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Pipeline, Value, cmd, from_redis_value};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::commit::{json_of, millis};
use super::load::parse_json;
use super::wire::{list, maybe_number, number, refused, text};
use super::{Inner, RedisStore, bulk, fault, keys, lock, scripts};
use crate::error::{Error, Result};
use crate::store::bounds::{FLIGHT, REMEMBERED, UNKNOWN, check, check_size, length, thousandths};
use crate::store::{Coordination, Hold, Permit, Taken, Want};

/// How often a permit that nobody was told of is tried to be given back, once a second.
const TRIES: u32 = 60;
/// How long a question that nobody waits for any more may be on its way.
const LATE: Duration = Duration::from_secs(60);

#[async_trait]
impl Coordination for RedisStore {
    async fn take(&self, alternatives: &[Vec<Want>]) -> Result<Taken> {
        check(alternatives)?;
        // In a task of its own: a caller that goes away leaves no permit behind.
        let (inner, alternatives) = (Arc::clone(&self.inner), alternatives.to_vec());
        let (reply, answer) = oneshot::channel();
        tokio::spawn(async move {
            let id = Uuid::new_v4().simple().to_string();
            let taken = take(&inner, &id, &alternatives).await;
            // Without an answer nobody knows whether the server has granted it.
            let doubtful = taken.is_err();
            drop(reply.send(Delivery { inner: Arc::clone(&inner), taken: Some(taken) }));
            if doubtful {
                let limits: Vec<String> = alternatives.concat().into_iter().map(|want| want.limit).collect();
                give_back(&inner, &id, &limits).await;
            }
        });
        answer.await.map_err(|_gone| Error::retryable("a permit that was asked for was cut off"))?.accept()
    }

    async fn settle(&self, permit: &Permit, used: &[(String, f64)]) -> Result<()> {
        if permit.limits.is_empty() {
            return Ok(());
        }
        settle(&self.inner, &permit.id, Duration::ZERO, used).await
    }

    async fn add(&self, counter: &str, amount: f64, keep: Duration) -> Result<f64> {
        let arguments = vec![amount.to_string(), millis(keep).max(1).to_string()];
        let sum = self.inner.wire.run(&scripts::COUNT, &[&keys::counter(counter)], &[arguments]).await?.pop();
        let sum = sum.and_then(text).and_then(|sum| sum.parse().ok());
        sum.ok_or_else(|| fault::odd("INCRBYFLOAT"))
    }

    async fn hold(&self, hold: &Hold) -> Result<()> {
        let inner = &self.inner;
        let there = Hold { since: inner.there(hold.since), until: inner.there(hold.until), ..hold.clone() };
        let arguments =
            vec![inner.shift().to_string(), hold.what.clone(), json_of(&there), millis(REMEMBERED).to_string()];
        inner.wire.run(&scripts::HOLD, &[keys::HOLDS], &[arguments]).await.map(drop)
    }

    async fn holds(&self) -> Result<Vec<Hold>> {
        let mut all = cmd("HGETALL");
        all.arg(keys::HOLDS);
        let found: Vec<(String, String)> = from_redis_value(self.inner.wire.one(all).await?).unwrap_or_default();
        let parse = |(_, hold): (String, String)| serde_json::from_str(&hold).ok();
        let mut holds: Vec<Hold> =
            found.into_iter().filter_map(parse).filter(|hold| remembers(&self.inner, hold)).collect();
        holds.sort_by(|one, other| one.what.cmp(&other.what));
        for hold in &mut holds {
            hold.since = self.inner.here(hold.since);
            hold.until = self.inner.here(hold.until);
        }
        Ok(holds)
    }

    async fn release(&self, what: &str) -> Result<bool> {
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(keys::HOLDS).arg(what);
        pipe.cmd("HDEL").arg(keys::HOLDS).arg(what);
        let answers = self.inner.wire.ask(&pipe).await?;
        let [hold, deleted] = &answers[..] else { return Err(fault::odd("HDEL")) };
        let hold = parse_json::<Hold>(hold.clone());
        Ok(number(deleted) == 1 && hold.is_some_and(|hold| remembers(&self.inner, &hold)))
    }

    async fn result(&self, key: &str) -> Result<Option<Bytes>> {
        let (inner, name) = (&self.inner, keys::result(key));
        let mut size = cmd("HGET");
        size.arg(&name).arg("n");
        let Some(size) = maybe_number(&inner.wire.one(size).await?) else { return Ok(None) };
        let mut pipe = Pipeline::new();
        pipe.cmd("HGET").arg(&name).arg("v");
        let is_large = usize::try_from(size).is_ok_and(|size| size >= inner.settings.large);
        let answers = if is_large { bulk::ask(inner, &pipe).await? } else { inner.wire.ask(&pipe).await? };
        match answers.into_iter().next() {
            Some(Value::BulkString(value)) => Ok(Some(Bytes::from(value))),
            // It has expired in between.
            _ => Ok(None),
        }
    }

    async fn keep_result(&self, key: &str, uuid: &str, value: Bytes, keep: Duration) -> Result<()> {
        check_size(&value)?;
        let (inner, name, keep) = (&self.inner, keys::result(key), millis(keep).max(1));
        let mut note = scripts::KEEP.whole(&[&keys::results(uuid)]);
        note.arg(&name).arg(keep);
        let mut pipe = Pipeline::new();
        pipe.cmd("MULTI");
        pipe.add_command(note);
        pipe.cmd("HSET").arg(&name).arg("n").arg(value.len()).arg("u").arg(uuid).arg("v").arg(&value[..]);
        pipe.cmd("PEXPIRE").arg(&name).arg(keep);
        pipe.cmd("EXEC");
        let is_large = value.len() >= inner.settings.large;
        let mut answers = if is_large { bulk::ask(inner, &pipe).await? } else { inner.wire.ask(&pipe).await? };
        match answers.pop().map(list).unwrap_or_default().iter().find_map(refused) {
            Some(error) => Err(inner.wire.explain(error)),
            None => Ok(()),
        }
    }
}

fn remembers(inner: &Inner, hold: &Hold) -> bool {
    hold.until.saturating_add(i64::try_from(millis(REMEMBERED)).unwrap_or(i64::MAX)) > inner.now()
}

async fn take(inner: &Inner, id: &str, alternatives: &[Vec<Want>]) -> Result<Taken> {
    let process = lock(&inner.own).iter().next().map_or(String::new(), |process| process.0.clone());
    let mut arguments = vec![
        inner.shift().to_string(),
        id.to_owned(),
        process,
        millis(FLIGHT).to_string(),
        millis(UNKNOWN).to_string(),
        alternatives.len().to_string(),
    ];
    for wants in alternatives {
        arguments.push(wants.len().to_string());
        for want in wants {
            let amounts = [thousandths(want.most), length(want.window), thousandths(want.amount)];
            arguments.push(want.limit.clone());
            arguments.extend(amounts.map(|amount| amount.to_string()));
        }
    }
    let answer = inner.wire.run(&scripts::TAKE, &[], &[arguments]).await?.pop().map(list).unwrap_or_default();
    let [index, wait] = &answer[..] else { return Err(fault::odd("a permit")) };
    let Some((index, wants)) =
        usize::try_from(number(index)).ok().and_then(|index| Some((index, alternatives.get(index)?)))
    else {
        return Ok(Taken::Wait(Duration::from_millis(number(wait).unsigned_abs())));
    };
    let limits = wants.iter().map(|want| want.limit.clone()).collect();
    Ok(Taken::Granted { index, permit: Permit { id: id.to_owned(), limits } })
}

async fn settle(inner: &Inner, id: &str, late: Duration, used: &[(String, f64)]) -> Result<()> {
    let mut arguments = vec![inner.shift().to_string(), id.to_owned(), millis(late).to_string()];
    for (limit, amount) in used {
        arguments.extend([limit.clone(), thousandths(*amount).to_string()]);
    }
    inner.wire.run(&scripts::SETTLE, &[], &[arguments]).await.map(drop)
}

/// Ends what processes held that are over.
pub(super) async fn settle_of_the_dead(inner: &Inner) -> Result<()> {
    settle(inner, "", Duration::ZERO, &[]).await
}

/// Deletes the results that were kept for vCons that are gone, and whose those were.
pub(super) async fn forget_results(inner: &Inner, uuids: &[&str]) -> Result<()> {
    let calls: Vec<Vec<String>> = uuids.iter().map(|uuid| vec![(*uuid).to_owned()]).collect();
    inner.wire.run(&scripts::FORGET, &[], &calls).await.map(drop)
}

/// A permit on its way to the caller. Dropped on the way, it is given back.
struct Delivery {
    inner: Arc<Inner>,
    taken: Option<Result<Taken>>,
}

impl Delivery {
    fn accept(mut self) -> Result<Taken> {
        self.taken.take().unwrap_or_else(|| Err(fault::odd("a permit")))
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(Ok(Taken::Granted { permit, .. })) = self.taken.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let inner = Arc::clone(&self.inner);
            runtime.spawn(async move { give_back(&inner, &permit.id, &permit.limits).await });
        }
    }
}

/// Gives back a permit that no call came to use.
async fn give_back(inner: &Inner, id: &str, limits: &[String]) {
    let nothing: Vec<(String, f64)> = limits.iter().map(|limit| (limit.clone(), 0.0)).collect();
    for attempt in 1..=TRIES {
        match settle(inner, id, LATE, &nothing).await {
            Ok(()) => return,
            Err(error) if attempt == TRIES || !error.is_retryable() => {
                tracing::warn!(error = %error.chain_text(), "a permit that nobody uses counts until its process ends");
                return;
            }
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}
