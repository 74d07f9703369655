//! Single runs, for operators.

use redis::{Pipeline, Value, from_redis_value};

use super::load::parse_json;
use super::wire::{list, maybe_number, text};
use super::{Inner, foreign, keys, process};
use crate::clock::Millis;
use crate::error::Result;
use crate::run::RunId;
use crate::store::{ProcessId, RunQuery, RunRecord, RunState, WaitReason};

/// Runs that are asked for at once.
const PAGE: usize = 500;

/// A run of which only its place is known.
struct Found {
    state: RunState,
    run: String,
    /// Known of claimed runs, which may have no record.
    uuid: Option<String>,
    process: Option<ProcessId>,
    due: Option<Millis>,
}

pub(super) async fn runs(inner: &Inner, query: &RunQuery) -> Result<Vec<RunRecord>> {
    let mut names = if query.lists.is_empty() { process::lists(inner).await? } else { query.lists.clone() };
    names.sort();
    if query.wants(RunState::Dead) {
        foreign::adopt(inner, &names).await?;
    }
    let mut found = Vec::new();
    for name in &names {
        found.extend(of_list(inner, query, name).await?);
    }
    if query.is_narrow() {
        found.truncate(query.limit);
    }
    Ok(found)
}

async fn of_list(inner: &Inner, query: &RunQuery, name: &str) -> Result<Vec<RunRecord>> {
    // A run or vCon that is asked for by name may be anywhere.
    let last = if query.is_narrow() { -1 } else { i64::try_from(query.limit).unwrap_or(i64::MAX) - 1 };
    if !query.is_narrow() && query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut records = Vec::new();
    let waiting = if query.wants(RunState::Waiting) { head(inner, query, name, last).await? } else { Vec::new() };
    let places = places(inner, query, name, last).await?;
    let returned = places.iter().filter(|found| found.state == RunState::Waiting).count();
    for page in places.chunks(PAGE) {
        records.extend(load(inner, query, name, page).await?);
    }
    // What came back is claimed before the list; all in the order of the states.
    let at = records.iter().take(returned).take_while(|record| record.state == RunState::Waiting).count();
    let room = if query.is_narrow() { usize::MAX } else { query.limit.saturating_sub(at) };
    records.splice(at..at, waiting.into_iter().take(room));
    Ok(records)
}

/// The bare uuids of a list.
async fn head(inner: &Inner, query: &RunQuery, name: &str, last: i64) -> Result<Vec<RunRecord>> {
    if query.run.is_some() {
        // A run that has an identity does not stand on the list.
        return Ok(Vec::new());
    }
    let mut pipe = Pipeline::new();
    match &query.uuid {
        Some(uuid) => pipe.cmd("LPOS").arg(name).arg(uuid).arg("COUNT").arg(0),
        None => pipe.cmd("LRANGE").arg(name).arg(0).arg(last),
    };
    // Something else under that name holds no runs.
    let answer = inner.wire.try_ask(&pipe).await?.pop().map(list).unwrap_or_default().into_iter();
    Ok(match &query.uuid {
        Some(uuid) => answer.map(|_| RunRecord::waiting(name, uuid.clone())).collect(),
        None => answer.filter_map(text).map(|uuid| RunRecord::waiting(name, uuid)).collect(),
    })
}

/// Where runs are that have an identity.
async fn places(inner: &Inner, query: &RunQuery, name: &str, last: i64) -> Result<Vec<Found>> {
    let base = keys::base(name);
    let scored = [
        (RunState::Waiting, "returned"),
        (RunState::Scheduled, "due"),
        (RunState::Parked, "parked"),
        (RunState::Dead, "dead"),
    ];
    let mut pipe = Pipeline::new();
    pipe.cmd("SMEMBERS").arg(keys::wips(&base));
    for (state, what) in scored {
        let (key, last) = (format!("{base}:{what}"), if query.wants(state) { last } else { 0 });
        match state {
            RunState::Dead => {
                pipe.cmd("ZREVRANGEBYSCORE").arg(key).arg("+inf").arg("-inf").arg("WITHSCORES");
                pipe.arg("LIMIT").arg(0).arg(if last < 0 { -1 } else { last + 1 });
            }
            _ => drop(pipe.cmd("ZRANGE").arg(key).arg(0).arg(last).arg("WITHSCORES")),
        }
    }
    let mut answers = inner.wire.ask(&pipe).await?.into_iter();
    let batches: Vec<String> = answers.next().map(list).unwrap_or_default().into_iter().filter_map(text).collect();
    let mut found = Vec::new();
    for ((state, _), answer) in scored.into_iter().zip(answers) {
        if state == RunState::Scheduled && query.wants(RunState::Claimed) {
            found.extend(claimed(inner, &base, &batches, last).await?);
        }
        if !query.wants(state) {
            continue;
        }
        let members: Vec<(String, f64)> = from_redis_value(answer).unwrap_or_default();
        found.extend(members.into_iter().map(|(run, score)| Found {
            state,
            run,
            uuid: None,
            process: None,
            due: matches!(state, RunState::Scheduled | RunState::Parked).then(|| inner.here(score as Millis)),
        }));
    }
    Ok(found)
}

async fn claimed(inner: &Inner, base: &str, batches: &[String], last: i64) -> Result<Vec<Found>> {
    if batches.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = Pipeline::new();
    for batch in batches {
        pipe.cmd("LRANGE").arg(keys::wip(base, batch)).arg(0).arg(-1);
    }
    let mut found: Vec<(i64, Found)> = Vec::new();
    for (batch, elements) in batches.iter().zip(inner.wire.ask(&pipe).await?) {
        let process = batch.rsplit_once(':').map(|(process, _)| ProcessId(process.to_owned()));
        for element in list(elements).into_iter().filter_map(text) {
            let mut parts = element.splitn(3, ' ');
            let (Some(entry), Some(run), Some(uuid)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let one = Found {
                state: RunState::Claimed,
                run: run.to_owned(),
                uuid: Some(uuid.to_owned()),
                process: process.clone(),
                due: None,
            };
            found.push((entry.parse().unwrap_or(i64::MAX), one));
        }
    }
    found.sort_by_key(|(entry, _)| *entry);
    let most = usize::try_from(last).map_or(usize::MAX, |last| last + 1);
    Ok(found.into_iter().map(|(_, found)| found).take(most).collect())
}

/// What is known of runs at their places.
async fn load(inner: &Inner, query: &RunQuery, name: &str, page: &[Found]) -> Result<Vec<RunRecord>> {
    let base = keys::base(name);
    let mut pipe = Pipeline::new();
    for found in page {
        pipe.cmd("HMGET").arg(keys::run(&base, &found.run));
        for field in ["u", "n", "a", "c", "wf", "ws", "q", "f"] {
            pipe.arg(field);
        }
    }
    let mut records = Vec::with_capacity(page.len());
    let mut ledgers = Pipeline::new();
    for (found, fields) in page.iter().zip(inner.wire.ask(&pipe).await?) {
        let Some(record) = record(inner, name, found, list(fields)) else { continue };
        if query.names(record.run, &record.uuid) {
            ledgers.cmd("GET").arg(keys::ledger(&record.uuid, &found.run));
            records.push(record);
        }
    }
    if query.ledgers && !records.is_empty() {
        for (record, ledger) in records.iter_mut().zip(inner.wire.ask(&ledgers).await?) {
            record.ledger = parse_json(ledger);
        }
    }
    Ok(records)
}

/// `None`: it has gone in between.
fn record(inner: &Inner, name: &str, found: &Found, fields: Vec<Value>) -> Option<RunRecord> {
    let mut fields = fields.into_iter().map(|field| (field != Value::Nil).then_some(field));
    let mut next = || fields.next().flatten();
    let uuid = next().and_then(text);
    let uuid = found.uuid.clone().or(uuid)?;
    let time = |field: Option<Value>| field.as_ref().and_then(maybe_number).map(|at| inner.here(at));
    let count = |field: Option<Value>| {
        field.as_ref().and_then(maybe_number).map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
    };
    let enqueued_at = time(next());
    let (attempts, crashes) = (count(next()), count(next()));
    let reason = next().and_then(parse_json::<WaitReason>);
    let since = time(next());
    let queue = next().and_then(text);
    Some(RunRecord {
        run: uuid::Uuid::parse_str(&found.run).ok().map(RunId),
        list: name.to_owned(),
        state: found.state,
        enqueued_at,
        attempts,
        crashes,
        process: found.process.clone(),
        due: found.due,
        waits: reason.zip(since).filter(|_| found.state == RunState::Scheduled),
        queue: queue.filter(|_| found.state == RunState::Dead),
        failure: next().and_then(parse_json),
        ..RunRecord::waiting(name, uuid)
    })
}
