//! What operators ask and do: lists, pausing, parked runs, dead letters.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{Pipeline, Value, cmd};

use super::commit::json_of;
use super::lane::text_of;
use super::load::parse_json;
use super::wire::{list, maybe_number, number, text};
use super::{Inner, foreign, keys, process, scripts};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{DeadLetter, ListStatus, Pending, Resumption};

/// How long an early payload is kept, in milliseconds.
const EARLY: u64 = 600_000;
/// At most so many early payloads are kept, the latest; whoever sends unknown tokens cannot fill the memory.
const EARLY_MAX: usize = 10_000;
/// What falls due within this time is waited for; a conductor asks several times a second.
const AHEAD: Duration = Duration::from_millis(250);
/// Due runs of a list that one call puts back.
const PUMP: usize = 1000;

/// Resumes the run that is parked under a token; false if there is none (yet).
pub(super) async fn resume(inner: &Inner, token: &str, payload: serde_json::Value) -> Result<bool> {
    let resumption = json_of(&Resumption::Called(payload));
    let arguments =
        vec![token.to_owned(), resumption, inner.shift().to_string(), EARLY.to_string(), EARLY_MAX.to_string()];
    let answer = inner.wire.run(&scripts::RESUME, &[], &[arguments]).await?.pop().and_then(text);
    if answer.is_some() {
        inner.bell.ring_all();
    }
    Ok(answer.is_some())
}

/// Puts due retries and parked runs whose time is over back on their lists. What falls due before it is asked again is
/// put back in time.
pub(super) async fn pump(inner: &Arc<Inner>) -> Result<usize> {
    let (pumped, next) = pump_due(inner).await?;
    if let Some(next) = next.filter(|next| *next < AHEAD)
        && let Some(ahead) = Ahead::start(inner)
    {
        tokio::spawn(async move {
            tokio::time::sleep(next).await;
            let Some(inner) = ahead.end() else { return };
            if let Err(error) = pump_due(&inner).await {
                tracing::debug!(error = %error.chain_text(), "what is due is put back later");
            }
        });
    }
    Ok(pumped)
}

/// Somebody waits for what falls due next; also a task that is dropped with its runtime stops to.
struct Ahead(Weak<Inner>);

impl Ahead {
    fn start(inner: &Arc<Inner>) -> Option<Self> {
        (!inner.pumping.swap(true, Ordering::SeqCst)).then(|| Ahead(Arc::downgrade(inner)))
    }

    fn end(self) -> Option<Arc<Inner>> {
        self.0.upgrade()
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.pumping.store(false, Ordering::SeqCst);
        }
    }
}

/// Puts back what is due; answers how much, and when the next will be.
async fn pump_due(inner: &Inner) -> Result<(usize, Option<Duration>)> {
    let lists = process::lists(inner).await?;
    let timed_out = json_of(&Resumption::TimedOut);
    let (mut pumped, mut next) = (0, None::<Duration>);
    loop {
        let calls: Vec<Vec<String>> = lists
            .iter()
            .map(|name| vec![keys::base(name), inner.shift().to_string(), PUMP.to_string(), timed_out.clone()])
            .collect();
        let answers = inner.wire.run(&scripts::PUMP, &[], &calls).await?;
        let mut more = false;
        for (name, answer) in lists.iter().zip(answers) {
            let answer = list(answer);
            let moved = answer.first().map_or(0, |moved| usize::try_from(number(moved)).unwrap_or(0));
            if moved > 0 {
                inner.bell.ring(name);
            }
            let due = answer.get(1).map(number).and_then(|due| u64::try_from(due).ok()).map(Duration::from_millis);
            next = next.into_iter().chain(due).min();
            more |= moved >= PUMP;
            pumped += moved;
        }
        if !more {
            return Ok((pumped, next));
        }
    }
}

/// How a list stands, and what of it is due.
struct Status {
    list: ListStatus,
    due: u64,
    parked_due: u64,
}

async fn statuses(inner: &Inner, names: &[String], until: i64) -> Result<Vec<Status>> {
    let calls: Vec<Vec<String>> =
        names.iter().map(|name| vec![name.clone(), keys::base(name), until.to_string()]).collect();
    let answers = inner.wire.run(&scripts::STATUS, &[keys::PAUSED], &calls).await?;
    let status = |(name, answer): (&String, Value)| {
        let fields = list(answer);
        let count = |index: usize| fields.get(index).map_or(0, number).unsigned_abs();
        let list = ListStatus {
            list: name.clone(),
            waiting: count(0),
            claimed: count(1),
            scheduled: count(2),
            parked: count(3),
            dead: count(4),
            paused: count(5) == 1,
            oldest: fields.get(6).and_then(maybe_number).map(|oldest| inner.here(oldest)),
        };
        Status { list, due: count(7), parked_due: count(8) }
    };
    Ok(names.iter().zip(answers).map(status).collect())
}

/// All lists that hold anything or are paused, by name.
pub(super) async fn lists(inner: &Inner) -> Result<Vec<ListStatus>> {
    let mut names = process::lists(inner).await?;
    names.sort();
    foreign::adopt(inner, &names).await?;
    let statuses = statuses(inner, &names, 0).await?;
    let holds =
        |status: &ListStatus| status.waiting + status.claimed + status.scheduled + status.parked + status.dead > 0;
    Ok(statuses.into_iter().map(|status| status.list).filter(|status| status.paused || holds(status)).collect())
}

/// What keeps a conductor of these lists busy. What is due on a paused list counts as paused: it would only wait there.
pub(super) async fn pending(inner: &Inner, lists: &[String], horizon: Duration) -> Result<Pending> {
    let until = inner.now().saturating_add(i64::try_from(horizon.as_millis()).unwrap_or(i64::MAX));
    let mut pending = Pending::default();
    for status in statuses(inner, lists, until).await? {
        let due = status.due + status.parked_due;
        pending.claimed += status.list.claimed;
        if status.list.paused {
            pending.paused += status.list.waiting + due;
        } else {
            pending.waiting += status.list.waiting;
            pending.due += due;
        }
        pending.scheduled += status.list.scheduled - status.due;
        pending.parked += status.list.parked - status.parked_due;
    }
    Ok(pending)
}

/// Stops or allows claims from a list.
pub(super) async fn pause(inner: &Inner, name: &str, paused: bool) -> Result<()> {
    let mut pipe = Pipeline::new();
    pipe.cmd(if paused { "SADD" } else { "SREM" }).arg(keys::PAUSED).arg(name);
    pipe.cmd("SADD").arg(keys::LISTS).arg(name);
    inner.wire.ask(&pipe).await?;
    if !paused {
        inner.bell.ring(name);
        inner.wire.publish(keys::BELL, &keys::base(name)).await;
    }
    Ok(())
}

/// Dead letters of a queue by run (runs sort by age), after `cursor`.
pub(super) async fn dead_letters(
    inner: &Inner,
    queue: &str,
    cursor: Option<RunId>,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    if let Some(home) = foreign::list_of(queue).filter(|_| cursor.is_none()) {
        foreign::adopt(inner, &[home.to_owned()]).await?;
    }
    let mut range = cmd("ZRANGEBYLEX");
    range.arg(keys::letters(queue));
    range.arg(cursor.map_or_else(|| "-".to_owned(), |run| format!("({}", text_of(run))));
    range.arg("+").arg("LIMIT").arg(0).arg(limit);
    let runs: Vec<String> = list(inner.wire.one(range).await?).into_iter().filter_map(text).collect();
    if runs.is_empty() {
        return Ok(Vec::new());
    }
    let mut homes = cmd("HMGET");
    homes.arg(keys::DEAD).arg(&runs);
    let homes: Vec<Option<String>> = list(inner.wire.one(homes).await?).into_iter().map(text).collect();
    let mut pipe = Pipeline::new();
    let found: Vec<(String, String)> =
        runs.into_iter().zip(homes).filter_map(|(run, home)| Some((run, home?))).collect();
    for (run, home) in &found {
        pipe.cmd("HMGET").arg(keys::run(&keys::base(home), run)).arg("u").arg("f");
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let records = inner.wire.ask(&pipe).await?;
    let mut letters = Vec::with_capacity(found.len());
    let mut ledgers = Pipeline::new();
    for ((run, home), record) in found.into_iter().zip(records) {
        let mut fields = list(record).into_iter();
        let (Some(uuid), Some(failure)) = (fields.next().and_then(text), fields.next().and_then(parse_json)) else {
            continue;
        };
        let Ok(id) = uuid::Uuid::parse_str(&run) else { continue };
        ledgers.cmd("GET").arg(keys::ledger(&uuid, &run));
        let queue = queue.to_owned();
        letters.push(DeadLetter { run: RunId(id), uuid, list: home, queue, failure, ledger: None });
    }
    if !letters.is_empty() {
        for (letter, ledger) in letters.iter_mut().zip(inner.wire.ask(&ledgers).await?) {
            letter.ledger = parse_json(ledger);
        }
    }
    Ok(letters)
}

/// Takes a dead run out of its queue: back to the tail of its list, or away for good.
pub(super) async fn raise(inner: &Inner, run: RunId, revive: bool) -> Result<bool> {
    let id = text_of(run);
    let mut home = cmd("HGET");
    home.arg(keys::DEAD).arg(&id);
    let Some(home) = text(inner.wire.one(home).await?) else { return Ok(false) };
    let arguments = vec![keys::base(&home), home.clone(), id, inner.shift().to_string(), u8::from(revive).to_string()];
    let raised = inner.wire.run(&scripts::RAISE, &[], &[arguments]).await?;
    let raised = raised.first().is_some_and(|raised| number(raised) == 1);
    if raised && revive {
        inner.bell.ring(&home);
    }
    Ok(raised)
}
