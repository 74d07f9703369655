//! The load of claimed runs: documents, records and ledgers, in the flight that also starts to watch them.

use std::sync::Arc;

use bytes::Bytes;
use redis::{Pipeline, Value, cmd};

use super::claim::{Asked, Taken};
use super::lane::{Lane, elements, parse, text_of};
use super::memory::{Copy, Held, Loaded, Wip};
use super::wire::{list, maybe_number, number, refused, text};
use super::{Inner, keys};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{Claim, Claimed, ProcessId, Stored, WaitReason};

/// The type of a RedisJSON value; that of valkey-json has the same name.
pub(super) const JSON: &str = "ReJSON-RL";

/// What a record says of a run.
#[derive(Default)]
struct Record {
    attempts: u32,
    crashes: u32,
    enqueued_at: Option<i64>,
    waiting: Option<(WaitReason, i64)>,
    target: Option<String>,
    resumption: Option<crate::store::Resumption>,
    context: Option<String>,
    ledger: bool,
}

impl Record {
    fn read(fields: Value) -> Record {
        let mut record = Record::default();
        let mut reason = None;
        let mut since = None;
        let pairs: Vec<(Value, Value)> = match fields {
            Value::Map(pairs) => pairs,
            other => {
                let mut flat = list(other).into_iter();
                std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect()
            }
        };
        for (name, value) in pairs {
            let count = u32::try_from(number(&value)).unwrap_or(u32::MAX);
            match text(name).as_deref() {
                Some("a") => record.attempts = count,
                Some("c") => record.crashes = count,
                Some("n") => record.enqueued_at = Some(number(&value)),
                Some("wf") => reason = parse_json(value),
                Some("ws") => since = Some(number(&value)),
                Some("t") => record.target = text(value),
                Some("r") => record.resumption = parse_json(value),
                Some("x") => record.context = text(value),
                Some("l") => record.ledger = true,
                _ => {}
            }
        }
        record.waiting = reason.zip(since);
        record
    }
}

/// Text that we wrote ourselves; what cannot be read counts as not there.
pub(super) fn parse_json<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    let text = text(value)?;
    serde_json::from_str(&text).inspect_err(|error| tracing::error!(%error, "an unreadable record")).ok()
}

/// Loads what was taken, and watches it, in one flight.
pub(super) async fn load(
    lane: &mut Lane,
    inner: &Inner,
    process: &ProcessId,
    asked: &Asked,
    taken: Vec<Taken>,
) -> Result<Vec<Claimed>> {
    let mut wips = inner.memory.of_lane(lane.index);
    wips.extend(asked.wips.iter().filter(|wip| taken.iter().any(|taken| Arc::ptr_eq(&taken.wip, wip))).cloned());
    let mut pipe = Pipeline::new();
    let documents: Vec<String> =
        taken.iter().filter(|run| !run.json && !run.large).map(|run| keys::document(&run.uuid)).collect();
    lane.watch(&mut pipe, &wips, if inner.tails { &documents } else { &[] });
    let watching = pipe.len();
    let (mut plain, mut sides) = (cmd("MGET"), cmd("MGET"));
    plain.arg(&documents);
    for run in &taken {
        sides.arg(keys::revision(&run.uuid)).arg(keys::keep(&run.uuid));
    }
    let any_plain = !documents.is_empty();
    pipe.add_command(sides);
    if any_plain {
        pipe.add_command(plain);
    }
    for run in &taken {
        if run.json && !run.large {
            pipe.add_command(read_json(&run.uuid));
        }
        if run.known {
            let id = text_of(run.run);
            pipe.cmd("HGETALL").arg(keys::run(&run.wip.base, &id));
            pipe.cmd("GET").arg(keys::ledger(&run.uuid, &id));
        }
    }
    let mut answers = lane.fly(inner, &pipe).await?;
    let rest = answers.split_off(watching.min(answers.len()));
    if let Some(error) = rest.iter().find_map(refused) {
        return Err(inner.wire.explain(error));
    }
    let mut rest = rest.into_iter();
    let mut sides = list(rest.next().unwrap_or(Value::Nil)).into_iter();
    let mut plain =
        if any_plain { list(rest.next().unwrap_or(Value::Nil)).into_iter() } else { Vec::new().into_iter() };
    let mut claimed = Vec::with_capacity(taken.len());
    let now = inner.now();
    for run in taken {
        let (revision, keep) = (sides.next(), sides.next());
        let document = match (run.large, run.json) {
            // Loaded later, over a connection of its own.
            (true, _) => {
                lane.large.push((run.run, run.json));
                Some(Value::BulkString(Vec::new()))
            }
            (false, true) => rest.next(),
            (false, false) => plain.next(),
        };
        let (fields, ledger) = if run.known { (rest.next(), rest.next()) } else { (None, None) };
        let revision = revision.as_ref().and_then(maybe_number);
        let keep = keep.as_ref().and_then(maybe_number).and_then(|keep| u64::try_from(keep).ok());
        let stored = stored(document, revision, now);
        let copy = Copy { revision: stored.as_ref().map_or(0, |stored| stored.revision), keep, json: run.json };
        let loaded = stored.as_ref().filter(|_| inner.tails && !run.json && !run.large);
        let loaded = loaded.map(|stored| Loaded { document: stored.document.clone(), watch: lane.watched.count });
        let record = fields.map(Record::read).unwrap_or_default();
        let ledger = ledger.filter(|_| record.ledger).and_then(parse_json);
        let held = Held {
            element: run.element,
            wip: run.wip,
            entry: run.entry,
            uuid: run.uuid.clone(),
            known: run.known,
            ledger: record.ledger,
            copy,
            loaded,
            target: record.target.map(|target| (target, Copy::default())),
            context: record.context.clone(),
            crashes: record.crashes,
        };
        let claim = Claim {
            entry: run.entry,
            process: process.clone(),
            list: held.wip.list.clone(),
            uuid: run.uuid,
            run: run.run,
        };
        inner.memory.insert(process, run.run, held);
        // Having waited for another writer says nothing about how long the document has been missing.
        let waiting = record.waiting.filter(|(reason, _)| stored.is_some() || *reason != WaitReason::Writer);
        claimed.push(Claimed {
            claim,
            ledger,
            attempts: record.attempts,
            crashes: record.crashes,
            // A bare uuid has no time of its own; its document was usually written just before it was pushed.
            enqueued_at: inner.here(record.enqueued_at.or(revision).unwrap_or(now).min(now)),
            waiting_since: waiting.map(|(_, since)| inner.here(since)),
            resumption: record.resumption,
            context: record.context,
            stored,
        });
    }
    lane.watching(inner, &wips, &answers)?;
    targets(lane, inner, &claimed).await?;
    Ok(claimed)
}

/// Reads a RedisJSON value. The root is named: what is meant without a path differs between versions and protocols.
pub(super) fn read_json(uuid: &str) -> redis::Cmd {
    let mut read = cmd("JSON.GET");
    read.arg(keys::document(uuid)).arg(".");
    read
}

/// Looks up what is known of the other vCons that claimed runs write.
async fn targets(lane: &mut Lane, inner: &Inner, claimed: &[Claimed]) -> Result<()> {
    let mut pipe = Pipeline::new();
    let mut found = Vec::new();
    for run in claimed {
        if let Some(held) = inner.memory.get(&run.claim)
            && let Some((target, _)) = held.target
        {
            pipe.cmd("MGET").arg(keys::revision(&target)).arg(keys::keep(&target));
            pipe.cmd("TYPE").arg(keys::document(&target));
            found.push(run);
        }
    }
    let answers =
        lane.fly(inner, &pipe).await.or_else(|error| if pipe.is_empty() { Ok(Vec::new()) } else { Err(error) })?;
    for (run, answer) in found.into_iter().zip(answers.chunks(2)) {
        let copy = target_copy(answer, inner.now());
        inner.memory.change(&run.claim.process, run.claim.run, |held| {
            if let Some((_, known)) = &mut held.target {
                *known = copy;
            }
        });
    }
    Ok(())
}

/// Reads the answers to `MGET revision keep` and `TYPE document`.
pub(super) fn target_copy(answers: &[Value], now: i64) -> Copy {
    let sides = answers.first().cloned().map(list).unwrap_or_default();
    let kind = answers.get(1).cloned().and_then(text).unwrap_or_default();
    let revision = sides.first().and_then(maybe_number).unwrap_or(now).unsigned_abs();
    Copy {
        revision: if kind == "none" { 0 } else { revision },
        keep: sides.get(1).and_then(maybe_number).and_then(|keep| u64::try_from(keep).ok()),
        json: kind == JSON,
    }
}

/// A document as it was answered. One that nobody gave a revision has that of its load: not less than the time
/// of any save before it.
pub(super) fn stored(document: Option<Value>, revision: Option<i64>, now: i64) -> Option<Stored> {
    let revision = revision.unwrap_or(now).unsigned_abs();
    match document? {
        Value::BulkString(bytes) => Some(Stored { document: Bytes::from(bytes), revision }),
        Value::SimpleString(text) => Some(Stored { document: Bytes::from(text), revision }),
        _ => None,
    }
}

/// Finds a claim that this handle does not remember: another handle of the same process made it, or it is lost.
pub(super) async fn look_up(lane: &mut Lane, inner: &Inner, claim: &Claim) -> Result<Option<Held>> {
    let base = keys::base(&claim.list);
    let mut pipe = Pipeline::new();
    pipe.cmd("SMEMBERS").arg(keys::wips(&base));
    let names = lane.fly(inner, &pipe).await?.pop().map(list).unwrap_or_default();
    let prefix = format!("{}:", claim.process);
    for name in names.into_iter().filter_map(text).filter(|name| name.starts_with(&prefix)) {
        let wip =
            Wip { key: keys::wip(&base, &name), name, base: base.clone(), list: claim.list.clone(), lane: lane.index };
        let wip = Arc::new(wip);
        let elements: Vec<String> = elements(lane, inner, &wip.key).await?.into_iter().filter_map(text).collect();
        if !elements.iter().any(|element| parse(element).is_some_and(|(_, run, _)| run == claim.run)) {
            continue;
        }
        // All runs of the list are remembered, so that the last of them to end removes it.
        for element in &elements {
            let Some((entry, run, uuid)) = parse(element) else { continue };
            let held = recall(lane, inner, &wip, element, (entry, run, uuid)).await?;
            inner.memory.insert(&claim.process, run, held);
        }
        return Ok(inner.memory.get(claim));
    }
    Ok(None)
}

async fn recall(
    lane: &mut Lane,
    inner: &Inner,
    wip: &Arc<Wip>,
    element: &str,
    (entry, run, uuid): (i64, RunId, &str),
) -> Result<Held> {
    let mut pipe = Pipeline::new();
    pipe.cmd("MGET").arg(keys::revision(uuid)).arg(keys::keep(uuid));
    pipe.cmd("TYPE").arg(keys::document(uuid));
    pipe.cmd("HGETALL").arg(keys::run(&wip.base, &text_of(run)));
    let mut answers = lane.fly(inner, &pipe).await?;
    let record = answers.pop().map(Record::read).unwrap_or_default();
    Ok(Held {
        wip: Arc::clone(wip),
        element: element.to_owned(),
        entry,
        uuid: uuid.to_owned(),
        known: true,
        ledger: true,
        copy: target_copy(&answers, inner.now()),
        loaded: None,
        target: record.target.map(|target| (target, Copy::default())),
        context: record.context,
        crashes: record.crashes,
    })
}
