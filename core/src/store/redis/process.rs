//! Processes: leases, and claims of the dead.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::{Connection, Pipeline, Value};

use super::lane::{parse, text_of};
use super::wire::{Wire, list, maybe_number, number, text};
use super::{Inner, Settings, coordination, keys, lock, oversight, scripts};
use crate::error::{Class, Result};
use crate::run::RunId;
use crate::store::{Claimed, Failure, ProcessId, Reaped};

/// What [`reclaim`] takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything; the process left.
    Left,
    /// Everything; the process is dead, and its runs are charged with the crash.
    Dead,
    /// Only what the process does not know of: `<batch>`, or `<batch> <run>`.
    Strays,
}

/// Announces a process for the length of a lease.
pub(super) async fn register(inner: &Inner, process: &ProcessId) -> Result<()> {
    inner.wire.run(&scripts::REGISTER, &[keys::PROCESSES], &[lease(inner, process, false)]).await?;
    lock(&inner.own).insert(process.clone());
    Ok(())
}

fn lease(inner: &Inner, process: &ProcessId, only_renew: bool) -> Vec<String> {
    vec![
        process.0.clone(),
        inner.shift().to_string(),
        inner.settings.lease.as_millis().to_string(),
        u8::from(only_renew).to_string(),
    ]
}

/// The heartbeat's own connection. It must not depend on the runtime.
pub(super) struct Heart {
    wire: Arc<Wire>,
    timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

impl std::fmt::Debug for Heart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heart").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl Heart {
    pub(super) fn new(wire: &Arc<Wire>, settings: &Settings) -> Self {
        // A renewal that takes longer than a third of the lease is better tried again.
        let timeout = (settings.lease / 3).clamp(Duration::from_millis(100), Duration::from_secs(5));
        Heart { wire: Arc::clone(wire), timeout, connection: Mutex::default() }
    }

    /// Renews a lease; false if the process was declared dead.
    pub(super) fn renew(&self, inner: &Inner, process: &ProcessId) -> Result<bool> {
        let mut slot = lock(&self.connection);
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.wire.address.connect_blocking(self.timeout).map_err(|error| self.wire.explain(error))?,
        };
        let mut call = scripts::REGISTER.whole(&[keys::PROCESSES]);
        call.arg(lease(inner, process, true));
        // A connection that failed is not put back.
        let renewed: i64 = call.query(&mut connection).map_err(|error| self.wire.explain(error))?;
        *slot = Some(connection);
        Ok(renewed == 1)
    }
}

/// Ends a process; its claims go back without counting as crashes.
pub(super) async fn deregister(inner: &Inner, process: &ProcessId) -> Result<()> {
    reclaim(inner, process, Mode::Left, 0, &[]).await?;
    coordination::settle_of_the_dead(inner).await?;
    oversight::forget(inner, &[&process.0]).await?;
    lock(&inner.own).remove(process);
    lock(&inner.strays).remove(process);
    inner.memory.forget_process(process);
    inner.bell.ring_all();
    Ok(())
}

/// All lists that the server knows of.
pub(super) async fn lists(inner: &Inner) -> Result<Vec<String>> {
    let mut members = redis::cmd("SMEMBERS");
    members.arg(keys::LISTS);
    Ok(list(inner.wire.one(members).await?).into_iter().filter_map(text).collect())
}

async fn reclaim(
    inner: &Inner,
    process: &ProcessId,
    mode: Mode,
    up_since: i64,
    batches: &[String],
) -> Result<Vec<Reaped>> {
    let lists = lists(inner).await?;
    let [before, between, after] = poison(inner, process);
    let mut arguments = vec![
        match mode {
            Mode::Left => "0",
            Mode::Dead => "1",
            Mode::Strays => "2",
        }
        .to_owned(),
        process.0.clone(),
        inner.shift().to_string(),
        inner.settings.lease.as_millis().to_string(),
        up_since.to_string(),
        inner.settings.poison_at.to_string(),
        before,
        between,
        after,
        inner.settings.dead_letter_keep.map_or(0, |keep| keep.as_millis()).to_string(),
        lists.len().to_string(),
    ];
    for name in &lists {
        arguments.extend([keys::base(name), name.clone()]);
    }
    arguments.extend_from_slice(batches);
    let mut answers = inner.wire.run(&scripts::RECLAIM, &[keys::PROCESSES], &[arguments]).await?;
    let mut answer = list(answers.pop().unwrap_or(Value::Nil)).into_iter();
    if answer.next().is_none_or(|did| number(&did) == 0) {
        return Ok(Vec::new());
    }
    let rows = list(answer.next().unwrap_or(Value::Nil));
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let mut row = list(row).into_iter();
            Some(Reaped {
                process: process.clone(),
                run: RunId(uuid::Uuid::parse_str(&text(row.next()?)?).ok()?),
                list: text(row.next()?)?,
                crashes: u32::try_from(number(&row.next()?)).unwrap_or(u32::MAX),
                dead: number(&row.next()?) == 1,
            })
        })
        .collect())
}

/// The failure of a poison run as JSON, cut where the script puts in the crashes and the attempts.
fn poison(inner: &Inner, process: &ProcessId) -> [String; 3] {
    const CRASHES: &str = "\u{1}crashes\u{1}";
    const ATTEMPTS: u32 = 987_654_321;
    let failure = Failure {
        class: Class::Poison,
        step: "process".to_owned(),
        message: format!("the conductor died {CRASHES} times while it worked on this vCon, last as {process}"),
        help: Some(
            "look for an out-of-memory kill or a crash at this time; \
             when the cause is mended, `vconductor dlq retry` continues the run"
                .to_owned(),
        ),
        attempts: ATTEMPTS,
        at: inner.now(),
    };
    let text = super::commit::json_of(&failure);
    // JSON writes the control characters as \u0001.
    let mut parts = text.split("\\u0001crashes\\u0001");
    let before = parts.next().unwrap_or_default().to_owned();
    let rest = parts.next().unwrap_or_default();
    let mut parts = rest.split("987654321");
    let between = parts.next().unwrap_or_default().to_owned();
    [before, between, parts.next().unwrap_or_default().to_owned()]
}

/// Takes the claims of dead processes back and counts the crash.
pub(super) async fn reap(inner: &Inner) -> Result<Vec<Reaped>> {
    let own: Vec<ProcessId> = lock(&inner.own).iter().cloned().collect();
    for process in own {
        give_back_strays(inner, &process).await?;
    }
    let names = lists(inner).await?;
    let mut pipe = Pipeline::new();
    pipe.cmd("ZRANGE").arg(keys::PROCESSES).arg(0).arg(-1);
    for name in &names {
        pipe.cmd("SMEMBERS").arg(keys::wips(&keys::base(name)));
    }
    let mut answers = inner.wire.ask(&pipe).await?.into_iter();
    let known: Vec<String> = list(answers.next().unwrap_or(Value::Nil)).into_iter().filter_map(text).collect();
    let registered: HashSet<&str> = known.iter().map(String::as_str).collect();
    let mut lost: Vec<String> = Vec::new();
    for wip in answers.flat_map(list).filter_map(text) {
        let Some((process, _)) = wip.rsplit_once(':') else { continue };
        if !registered.contains(process) && !lost.iter().any(|known| known == process) {
            lost.push(process.to_owned());
        }
    }
    let up_since = up_since(inner).await;
    let mut reaped = Vec::new();
    for process in known.iter().chain(&lost) {
        crate::failpoint::hit("in-reap");
        reaped.extend(reclaim(inner, &ProcessId(process.clone()), Mode::Dead, up_since, &[]).await?);
    }
    coordination::settle_of_the_dead(inner).await?;
    if !reaped.is_empty() {
        inner.bell.ring_all();
    }
    Ok(reaped)
}

/// Since when the server is up, at the latest; 0 if it does not say. Compares the clocks as well.
///
/// It tells its age in whole seconds, which is too coarse for short leases: so it is also remembered when a start of it
/// was first met.
pub(super) async fn up_since(inner: &Inner) -> i64 {
    let mut pipe = Pipeline::new();
    pipe.cmd("TIME");
    pipe.cmd("INFO").arg("server");
    let Ok(answers) = inner.wire.try_ask(&pipe).await else { return 0 };
    let mut answers = answers.into_iter();
    let time: Vec<i64> = answers.next().map(list).unwrap_or_default().iter().filter_map(maybe_number).collect();
    let [seconds, micros] = time[..] else { return 0 };
    let now = seconds * 1000 + micros / 1000;
    inner.compare_clocks(now);
    let info = answers.next().and_then(text).unwrap_or_default();
    let field = |name: &str| info.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()));
    let Some(uptime) = field("uptime_in_seconds").and_then(|uptime| uptime.parse::<i64>().ok()) else { return 0 };
    let start = field("run_id").unwrap_or_default();
    let mut met = lock(&inner.met);
    if met.0 != start {
        *met = (start.to_owned(), now);
    }
    met.1.min((seconds - uptime + 1) * 1000)
}

/// Gives back what a living process holds without knowing of it: the answer to the claim was lost, or the server has lost
/// the commit.
pub(super) async fn give_back_strays(inner: &Inner, process: &ProcessId) -> Result<()> {
    let names = lists(inner).await?;
    let mut pipe = Pipeline::new();
    for name in &names {
        pipe.cmd("SMEMBERS").arg(keys::wips(&keys::base(name)));
    }
    let answers = if names.is_empty() { Vec::new() } else { inner.wire.ask(&pipe).await? };
    let strange = inner.memory.strange(process);
    let mut pipe = Pipeline::new();
    for wip in &strange {
        pipe.cmd("LRANGE").arg(&wip.key).arg(0).arg(-1);
    }
    let held = if strange.is_empty() { Vec::new() } else { inner.wire.ask(&pipe).await? };
    // Looked at after the server's answer: what is under way now was under way or unknown to the server then.
    let known = inner.memory.batches(process);
    let prefix = format!("{process}:");
    let mut strays: Vec<String> = answers
        .into_iter()
        .flat_map(list)
        .filter_map(text)
        .filter_map(|name| name.strip_prefix(&prefix).map(str::to_owned))
        .filter(|batch| !known.contains(batch))
        .collect();
    for (wip, elements) in strange.iter().zip(held) {
        let Some(batch) = wip.name.strip_prefix(&prefix).filter(|batch| known.contains(*batch)) else { continue };
        for element in list(elements).into_iter().filter_map(text) {
            if let Some((_, run, _)) = parse(&element).filter(|(_, run, _)| !inner.memory.knows(process, *run)) {
                strays.push(format!("{batch} {}", text_of(run)));
            }
        }
    }
    if !strays.is_empty() {
        let given = reclaim(inner, process, Mode::Strays, 0, &strays).await?;
        tracing::info!(runs = given.len(), "claims that nobody here knew of were given back");
        inner.bell.ring_all();
    }
    inner.memory.compared(&strange);
    lock(&inner.strays).remove(process);
    Ok(())
}

/// Whoever asked for these claims has gone away: they go back.
pub(super) async fn return_unheard(inner: &Inner, process: &ProcessId, claimed: &[Claimed]) {
    let mut batches: Vec<String> = Vec::new();
    for run in claimed {
        if let Some(held) = inner.memory.get(&run.claim)
            && let Some((_, batch)) = held.wip.name.rsplit_once(':')
            && !batches.iter().any(|known| known == batch)
        {
            batches.push(batch.to_owned());
        }
        inner.memory.forget(process, run.claim.run);
    }
    if batches.is_empty() {
        return;
    }
    if let Err(error) = reclaim(inner, process, Mode::Strays, 0, &batches).await {
        tracing::warn!(error = %error.chain_text(), "claims that nobody waits for are given back later");
        inner.has_strays(process);
    }
    inner.bell.ring_all();
}
