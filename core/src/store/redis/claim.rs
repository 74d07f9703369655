//! Claims: what the claim script is asked, what it answers, and the load that follows.

use std::sync::Arc;

use bytes::Bytes;
use redis::{Cmd, Pipeline, Value, cmd};

use super::bell::Mood;
use super::lane::{Lane, elements, parse, text_of};
use super::memory::{Copy, Held, Wip};
use super::wire::{list, maybe_number, number, refused, text};
use super::{Inner, fault, keys, scripts};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{Claim, ClaimRequest, Claimed, ProcessId, Stored, WaitReason};

/// First back-off of a run whose vCon another run is writing, in milliseconds; it doubles up to the second.
const WRITER_BACKOFF: (u32, u32) = (250, 30_000);

/// Whose turn it is: the next claim goes on where the last one stopped, so that weights hold over many small
/// claims and a busy list starves no other.
#[derive(Debug, Default)]
pub(super) struct Rota {
    list: String,
    credit: i64,
}

/// A claim that is asked for.
pub(super) struct Asked {
    /// Its name; the first run's id.
    pub(super) batch: String,
    wips: Vec<Arc<Wip>>,
    new_lists: Vec<String>,
    arguments: Vec<String>,
}

/// A run that the script handed out.
pub(super) struct Taken {
    wip: Arc<Wip>,
    entry: i64,
    run: RunId,
    uuid: String,
    known: bool,
    json: bool,
}

/// Writes the question for the claim script.
pub(super) fn prepare(inner: &Inner, lane: usize, process: &ProcessId, request: &ClaimRequest) -> Asked {
    let batch = text_of(RunId::new());
    let name = format!("{process}:{batch}");
    let wips: Vec<Arc<Wip>> = request
        .quotas
        .iter()
        .map(|quota| {
            let base = keys::base(&quota.list);
            let key = keys::wip(&base, &name);
            Arc::new(Wip { key, name: name.clone(), base, list: quota.list.clone(), lane })
        })
        .collect();
    let solo_at = inner.solo_at();
    let (any, solo) = inner.memory.holds(process, solo_at);
    let (turn, credit) = inner.turn(|rota| {
        let turn = request.quotas.iter().position(|quota| quota.list == rota.list).unwrap_or(0);
        (turn + 1, rota.credit)
    });
    let mut arguments = vec![process.0.clone(), batch.clone(), batch[..28].to_owned(), inner.shift().to_string()];
    arguments.push(request.limit.to_string());
    arguments.push(request.bytes.to_string());
    arguments.extend([any, solo].map(|flag| u8::from(flag).to_string()));
    arguments.extend([solo_at.to_string(), turn.to_string(), credit.to_string()]);
    arguments.extend([WRITER_BACKOFF.0.to_string(), WRITER_BACKOFF.1.to_string()]);
    arguments.push(u8::from(inner.has_json).to_string());
    for (quota, wip) in request.quotas.iter().zip(&wips) {
        arguments.extend([quota.limit.to_string(), quota.weight.to_string(), wip.base.clone()]);
    }
    let new_lists = request.quotas.iter().filter(|quota| inner.announce(&quota.list));
    let new_lists = new_lists.map(|quota| quota.list.clone()).collect();
    Asked { batch, wips, new_lists, arguments }
}

impl Asked {
    /// Adds the question to a flight; `whole` brings the script along. Its answer is the flight's last.
    pub(super) fn add_to(&self, pipe: &mut Pipeline, whole: bool) {
        let mut names = vec![keys::PROCESSES, keys::PAUSED];
        names.extend(self.wips.iter().map(|wip| wip.list.as_str()));
        let mut call: Cmd = if whole { scripts::CLAIM.whole(&names) } else { scripts::CLAIM.call(&names) };
        call.arg(&self.arguments);
        if !self.new_lists.is_empty() {
            pipe.cmd("SADD").arg(keys::LISTS).arg(&self.new_lists);
        }
        pipe.add_command(call);
    }

    /// Reads the answer.
    pub(super) fn read(&self, inner: &Inner, answer: Value) -> Result<Vec<Taken>> {
        let mut parts = list(answer).into_iter();
        if parts.next().is_none_or(|alive| number(&alive) == 0) {
            return Ok(Vec::new());
        }
        let (Some(turn), Some(credit), Some(states), Some(taken)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(fault::odd("a claim"));
        };
        let turn = usize::try_from(number(&turn) - 1).unwrap_or(0);
        inner.turn(|rota| {
            if let Some(wip) = self.wips.get(turn) {
                wip.list.clone_into(&mut rota.list);
                rota.credit = number(&credit);
            }
        });
        for (wip, state) in self.wips.iter().zip(list(states)) {
            let mood = match number(&state) {
                0 => Mood::Empty,
                1 => Mood::Rings,
                _ => Mood::Closed,
            };
            inner.bell.set(&wip.list, mood);
        }
        list(taken).into_iter().map(|row| self.row(row).ok_or_else(|| fault::odd("a claim"))).collect()
    }

    fn row(&self, row: Value) -> Option<Taken> {
        let mut row = list(row).into_iter();
        let wip = self.wips.get(usize::try_from(number(&row.next()?) - 1).ok()?)?;
        let entry = number(&row.next()?);
        let run = RunId(uuid::Uuid::parse_str(&text(row.next()?)?).ok()?);
        let uuid = text(row.next()?)?;
        let (known, json) = (number(&row.next()?) == 1, number(&row.next()?) == 1);
        Some(Taken { wip: Arc::clone(wip), entry, run, uuid, known, json })
    }
}

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
    lane.watch(&mut pipe, &wips);
    let watching = pipe.len();
    let (mut plain, mut sides) = (cmd("MGET"), cmd("MGET"));
    for run in &taken {
        if !run.json {
            plain.arg(keys::document(&run.uuid));
        }
        sides.arg(keys::revision(&run.uuid)).arg(keys::keep(&run.uuid));
    }
    let any_plain = taken.iter().any(|run| !run.json);
    pipe.add_command(sides);
    if any_plain {
        pipe.add_command(plain);
    }
    for run in &taken {
        if run.json {
            pipe.cmd("JSON.GET").arg(keys::document(&run.uuid));
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
    let mut plain = if any_plain { list(rest.next().unwrap_or(Value::Nil)).into_iter() } else { Vec::new().into_iter() };
    let mut claimed = Vec::with_capacity(taken.len());
    let now = inner.now();
    for run in taken {
        let (revision, keep) = (sides.next(), sides.next());
        let document = if run.json { rest.next() } else { plain.next() };
        let (fields, ledger) = if run.known { (rest.next(), rest.next()) } else { (None, None) };
        let revision = revision.as_ref().and_then(maybe_number);
        let keep = keep.as_ref().and_then(maybe_number).and_then(|keep| u64::try_from(keep).ok());
        let stored = stored(document, revision, now);
        let copy = Copy { revision: stored.as_ref().map_or(0, |stored| stored.revision), keep, json: run.json };
        let record = fields.map(Record::read).unwrap_or_default();
        let ledger = ledger.filter(|_| record.ledger).and_then(parse_json);
        let held = Held {
            element: format!("{} {} {}", run.entry, text_of(run.run), run.uuid),
            wip: run.wip,
            entry: run.entry,
            uuid: run.uuid.clone(),
            known: run.known,
            ledger: record.ledger,
            copy,
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
            enqueued_at: record.enqueued_at.or(revision).unwrap_or(now).min(now),
            waiting_since: waiting.map(|(_, since)| since),
            resumption: record.resumption,
            context: record.context,
            stored,
        });
    }
    lane.watching(inner, &wips, &answers)?;
    targets(lane, inner, &claimed).await?;
    Ok(claimed)
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
    let answers = lane.fly(inner, &pipe).await.or_else(|error| if pipe.is_empty() { Ok(Vec::new()) } else { Err(error) })?;
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
        json: kind == "ReJSON-RL",
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
        let wip = Wip { key: keys::wip(&base, &name), name, base: base.clone(), list: claim.list.clone(), lane: lane.index };
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
        target: record.target.map(|target| (target, Copy::default())),
        context: record.context,
        crashes: record.crashes,
    })
}
