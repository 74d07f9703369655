//! What the operator's desk looks at and moves: who holds a list, its head, transfers, dead letters that go on changed.

use std::collections::BTreeMap;

use redis::{Pipeline, cmd};

use super::commit::json_of;
use super::lane::text_of;
use super::load::parse_json;
use super::wire::{list, maybe_number, number, text};
use super::{Inner, foreign, keys, process, scripts};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{DeadLetter, DeadLetterQueue, Holder, ProcessId, Queued, Revival, Standing, WaitReason, Waits};

/// Records that are asked for at once.
const PAGE: usize = 1000;

/// Who holds runs of a list, and what scheduled ones wait for.
pub(super) async fn standing(inner: &Inner, name: &str) -> Result<Standing> {
    let base = keys::base(name);
    let mut pipe = Pipeline::new();
    pipe.cmd("SMEMBERS").arg(keys::wips(&base));
    pipe.cmd("ZRANGE").arg(format!("{base}:due")).arg(0).arg(-1);
    let mut answers = inner.wire.ask(&pipe).await?.into_iter();
    let mut texts = || answers.next().map(list).unwrap_or_default().into_iter().filter_map(text).collect::<Vec<_>>();
    let (batches, scheduled) = (texts(), texts());
    Ok(Standing { holders: holders(inner, &base, &batches).await?, waits: waits(inner, &base, &scheduled).await? })
}

async fn holders(inner: &Inner, base: &str, batches: &[String]) -> Result<Vec<Holder>> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = Pipeline::new();
    for batch in batches {
        pipe.cmd("LLEN").arg(keys::wip(base, batch));
        pipe.cmd("ZSCORE").arg(keys::PROCESSES).arg(process_of(batch));
    }
    let answers = inner.wire.ask(&pipe).await?;
    let mut held: BTreeMap<&str, (u64, Option<i64>)> = BTreeMap::new();
    for (batch, answer) in batches.iter().zip(answers.chunks(2)) {
        let holder = held.entry(process_of(batch)).or_default();
        holder.0 += number(&answer[0]).unsigned_abs();
        holder.1 = answer.get(1).and_then(maybe_number);
    }
    let holder = |(process, (runs, lease_until)): (&str, (u64, Option<i64>))| Holder {
        process: ProcessId(process.to_owned()),
        runs,
        lease_until: lease_until.map(|until| inner.here(until)),
    };
    Ok(held.into_iter().map(holder).filter(|holder| holder.runs > 0).collect())
}

/// A batch is named `<process>:<number>`.
fn process_of(batch: &str) -> &str {
    batch.rsplit_once(':').map_or(batch, |(process, _)| process)
}

async fn waits(inner: &Inner, base: &str, runs: &[String]) -> Result<Vec<Waits>> {
    let mut counts: BTreeMap<WaitReason, u64> = BTreeMap::new();
    for page in runs.chunks(PAGE) {
        let mut pipe = Pipeline::new();
        for run in page {
            pipe.cmd("HGET").arg(keys::run(base, run)).arg("wf");
        }
        for reason in inner.wire.ask(&pipe).await?.into_iter().filter_map(parse_json::<WaitReason>) {
            *counts.entry(reason).or_default() += 1;
        }
    }
    Ok(counts.into_iter().map(|(reason, runs)| Waits { reason, runs }).collect())
}

/// The head of a list: runs that came back, then the bare uuids.
pub(super) async fn peek(inner: &Inner, name: &str, limit: usize) -> Result<Vec<Queued>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let base = keys::base(name);
    let mut pipe = Pipeline::new();
    pipe.cmd("ZRANGE").arg(format!("{base}:returned")).arg(0).arg(limit - 1);
    pipe.cmd("LRANGE").arg(name).arg(0).arg(limit - 1);
    let mut answers = inner.wire.ask(&pipe).await?.into_iter();
    let mut texts = || answers.next().map(list).unwrap_or_default().into_iter().filter_map(text).collect::<Vec<_>>();
    let (returned, bare) = (texts(), texts());
    let mut head = Vec::with_capacity(limit);
    if !returned.is_empty() {
        let mut pipe = Pipeline::new();
        for run in &returned {
            pipe.cmd("HMGET").arg(keys::run(&base, run)).arg("u").arg("n").arg("a");
        }
        for (run, record) in returned.iter().zip(inner.wire.ask(&pipe).await?) {
            let mut fields = list(record).into_iter();
            let Some(uuid) = fields.next().and_then(text) else { continue };
            let enqueued_at = fields.next().as_ref().and_then(maybe_number).map(|at| inner.here(at));
            let attempts = fields.next().as_ref().and_then(maybe_number).unwrap_or(0);
            head.push(Queued {
                uuid,
                run: uuid::Uuid::parse_str(run).ok().map(RunId),
                enqueued_at,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            });
        }
    }
    head.extend(bare.into_iter().map(|uuid| Queued { uuid, run: None, enqueued_at: None, attempts: 0 }));
    head.truncate(limit);
    Ok(head)
}

/// Moves waiting runs from one list to another.
pub(super) async fn transfer(inner: &Inner, from: &str, to: &str, limit: usize) -> Result<usize> {
    if from == to {
        return Ok(0);
    }
    let arguments = vec![from.to_owned(), keys::base(from), to.to_owned(), limit.to_string()];
    let moved = inner.wire.run(&scripts::TRANSFER, &[], &[arguments]).await?;
    inner.bell.ring(to);
    Ok(moved.first().map_or(0, |moved| usize::try_from(number(moved)).unwrap_or(0)))
}

/// The queues that hold dead letters.
pub(super) async fn dead_letter_queues(inner: &Inner) -> Result<Vec<DeadLetterQueue>> {
    foreign::adopt(inner, &process::lists(inner).await?).await?;
    let mut all = cmd("HGETALL");
    all.arg(keys::DEAD);
    let fields: Vec<String> = match inner.wire.one(all).await? {
        redis::Value::Map(pairs) => {
            pairs.into_iter().flat_map(|(run, home)| [text(run), text(home)]).flatten().collect()
        }
        other => list(other).into_iter().filter_map(text).collect(),
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for page in fields.chunks(2 * PAGE) {
        let mut pipe = Pipeline::new();
        for pair in page.chunks_exact(2) {
            pipe.cmd("HGET").arg(keys::run(&keys::base(&pair[1]), &pair[0])).arg("q");
        }
        for queue in inner.wire.ask(&pipe).await?.into_iter().filter_map(text) {
            *counts.entry(queue).or_default() += 1;
        }
    }
    Ok(counts.into_iter().map(|(queue, letters)| DeadLetterQueue { queue, letters }).collect())
}

/// Puts a dead run back changed.
pub(super) async fn revive_as(inner: &Inner, letter: &DeadLetter, revival: &Revival) -> Result<bool> {
    let ledger = revival.ledger.as_ref().map(json_of).unwrap_or_default();
    let target = revival.ledger.as_ref().and_then(|ledger| ledger.switched_to.clone()).unwrap_or_default();
    let parked = revival.ledger.as_ref().is_some_and(|ledger| ledger.parked.is_some());
    let arguments = vec![
        keys::base(&letter.list),
        letter.list.clone(),
        text_of(letter.run),
        letter.uuid.clone(),
        letter.queue.clone(),
        letter.failure.at.to_string(),
        keys::base(&revival.list),
        revival.list.clone(),
        text_of(revival.run),
        ledger,
        target,
        u8::from(parked).to_string(),
        inner.shift().to_string(),
    ];
    let revived = inner.wire.run(&scripts::REVISE, &[], &[arguments]).await?;
    let revived = revived.first().is_some_and(|revived| number(revived) == 1);
    if revived {
        inner.bell.ring(&revival.list);
    }
    Ok(revived)
}
