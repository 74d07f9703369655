//! A lane: one connection that claims, watches what it claimed, and commits.
//!
//! The fence is `WATCH`: a lane watches the wip lists of its claims from the moment they were seen to exist. A reap
//! deletes the list, so the `EXEC` of a process that was declared dead changes nothing at all.
//!
//! A server may hold more of a claim than is remembered: a failover loses commits that were acknowledged. So a list is
//! deleted as a whole only if it was as long as the memory says when the watch began; otherwise each run is taken out
//! by itself, and what is not remembered goes back ([`super::process::give_back_strays`]).
//!
//! One exchange is two flights: transaction and claim script; then documents, and `WATCH` for the next transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value, cmd};

use super::commit::{Item, Transaction};
use super::crowd::Company;
use super::memory::{EndKind, Wip};
use super::wire::{Home, is_elsewhere, is_noscript, list, number, refused, send};
use super::{Inner, claim, fault, load, scripts};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::run::RunId;
use crate::store::{ClaimRequest, Claimed, Commit, Committed, End, ProcessId};

/// How often a single commit is tried again although its wip list is still there.
const TRIES: usize = 8;

/// The state of a lane; locked while an exchange is under way.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) index: usize,
    connection: Option<(MultiplexedConnection, Home)>,
    connected_before: bool,
    /// What this connection watches.
    pub(super) watched: Watched,
    /// Number of the last transaction.
    transaction: u64,
    /// The transaction whose answer was lost.
    doubt: Option<Doubt>,
    /// Runs of the last claim whose documents are still to be loaded, and whether these are RedisJSON values.
    pub(super) large: Vec<(RunId, bool)>,
}

/// What a connection watches.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Wip lists that were seen to exist since the last `EXEC`, and whether they then held just what is remembered of
    /// them.
    pub(super) lists: HashMap<Arc<Wip>, bool>,
    /// Counts how often the watch over everything has ended: with every `EXEC` and every connection. A document that
    /// was loaded under the same count is watched since then.
    pub(super) count: u64,
}

impl Watched {
    /// Nothing is watched any more.
    fn end(&mut self) {
        self.lists.clear();
        self.count += 1;
    }
}

#[derive(Debug)]
struct Doubt {
    number: u64,
    process: ProcessId,
    wips: Vec<String>,
    ends: Vec<(ProcessId, RunId, EndKind)>,
}

/// A commit and its place among the results.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) index: usize,
    pub(super) commit: Commit,
}

impl Wanted {
    /// What it ends, and how.
    pub(super) fn end(&self) -> (ProcessId, RunId, EndKind) {
        let claim = &self.commit.claim;
        (claim.process.clone(), claim.run, EndKind::of(&self.commit))
    }
}

/// What an exchange answers: results by place, and claims.
pub(super) type Answer = (Vec<(usize, Committed)>, Vec<Claimed>);

impl Lane {
    pub(super) fn new(index: usize) -> Self {
        Lane {
            index,
            connection: None,
            connected_before: false,
            watched: Watched::default(),
            transaction: 0,
            doubt: None,
            large: Vec::new(),
        }
    }

    /// Commits and claims, and takes along who waits for this lane. What is done when it fails half-way answers so when
    /// it is asked again.
    pub(super) async fn exchange(
        &mut self,
        inner: &Inner,
        process: &ProcessId,
        wanted: Vec<Wanted>,
        request: Option<&ClaimRequest>,
    ) -> Result<Answer> {
        let first = wanted.iter().map(|wanted| wanted.index + 1).max().unwrap_or(0);
        let mut company = inner.crowds[self.index].take(process, first);
        if company.is_empty() {
            return self.attempt(inner, process, wanted, request, &mut company).await;
        }
        let all = wanted.iter().cloned().chain(company.wanted()).collect();
        match self.attempt(inner, process, all, request, &mut company).await {
            Err(error) if !error.is_retryable() => {
                // Only whoever is to blame may fail for good.
                for member in company.rest() {
                    let alone =
                        self.attempt(inner, process, member.wanted.clone(), None, &mut Company::default()).await;
                    member.reply(alone.map(|(results, _)| results));
                }
                self.attempt(inner, process, wanted, request, &mut Company::default()).await
            }
            Err(error) => {
                company.fail(&error);
                Err(error)
            }
            Ok(answer) => Ok(answer),
        }
    }

    async fn attempt(
        &mut self,
        inner: &Inner,
        process: &ProcessId,
        wanted: Vec<Wanted>,
        request: Option<&ClaimRequest>,
        company: &mut Company,
    ) -> Result<Answer> {
        let ends: Vec<_> = wanted.iter().map(|wanted| (wanted.index, wanted.end())).collect();
        let mut results = Vec::with_capacity(wanted.len());
        match self.steps(inner, process, wanted, request, &mut results, company).await {
            Ok(claimed) => Ok((results, claimed)),
            Err(error) => {
                inner.remember_done(&ends, &results);
                Err(error)
            }
        }
    }

    async fn steps(
        &mut self,
        inner: &Inner,
        process: &ProcessId,
        wanted: Vec<Wanted>,
        request: Option<&ClaimRequest>,
        results: &mut Vec<(usize, Committed)>,
        company: &mut Company,
    ) -> Result<Vec<Claimed>> {
        self.connect(inner, process).await?;
        let items = self.held_items(inner, wanted, results).await?;
        let asked = request.map(|request| claim::prepare(inner, self.index, process, request));
        let mut pipe = Pipeline::new();
        let transaction = self.transaction(inner, &items, &mut pipe);
        let committed = pipe.len();
        if transaction.is_some() {
            failpoint::hit("before-exec");
        }
        if let Some(asked) = &asked {
            inner.memory.start(&asked.batch);
            asked.add_to(&mut pipe, false);
        }
        let values = self.fly(inner, &pipe).await;
        let mut values = match values {
            Ok(values) => values,
            Err(error) => {
                if let Some(asked) = &asked {
                    inner.memory.stop(&asked.batch);
                    inner.has_strays(process);
                }
                return Err(error);
            }
        };
        let answered = values.split_off(committed.min(values.len()));
        if let Some(transaction) = transaction {
            failpoint::hit("after-exec");
            self.doubt = None;
            self.watched.end();
            match transaction.outcome(inner, &values)? {
                true => {
                    for item in &items {
                        self.applied(inner, item);
                        results.push((item.index, Committed::Done));
                    }
                }
                false => {
                    inner.announce_again();
                    for item in &items {
                        results.push((item.index, self.alone(inner, item).await?));
                    }
                }
            }
        }
        // They need not wait for what is loaded.
        company.answer(results);
        let Some(asked) = asked else { return Ok(Vec::new()) };
        let claimed = self.claimed(inner, process, &asked, answered).await;
        inner.memory.stop(&asked.batch);
        match claimed {
            Ok(claimed) => Ok(claimed),
            Err(error) => {
                // What was claimed but not loaded goes back; what was committed is committed.
                inner.memory.forget_batch(process, &asked.batch);
                inner.has_strays(process);
                if results.is_empty() { Err(error) } else { Ok(Vec::new()) }
            }
        }
    }

    async fn claimed(
        &mut self,
        inner: &Inner,
        process: &ProcessId,
        asked: &claim::Asked,
        mut answered: Vec<Value>,
    ) -> Result<Vec<Claimed>> {
        let mut answer = answered.pop().unwrap_or(Value::Nil);
        if is_noscript(&answer) {
            let mut pipe = Pipeline::new();
            asked.add_to(&mut pipe, true);
            answer = self.fly(inner, &pipe).await?.pop().unwrap_or(Value::Nil);
        }
        if let Some(error) = refused(&answer) {
            return Err(inner.wire.explain(error));
        }
        let taken = asked.read(inner, answer)?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        failpoint::hit("claimed-not-loaded");
        load::load(self, inner, process, asked, taken).await
    }

    /// Sends a flight; a broken connection is dropped.
    pub(super) async fn fly(&mut self, inner: &Inner, pipe: &Pipeline) -> Result<Vec<Value>> {
        let (connection, _) = self.connection.as_mut().ok_or_else(|| fault::odd("a lane without a connection"))?;
        match send(connection, pipe).await {
            Ok(values) => {
                if values.iter().any(is_elsewhere) {
                    self.connection = None;
                    self.watched.end();
                }
                Ok(values)
            }
            Err(error) => {
                self.connection = None;
                self.watched.end();
                Err(inner.wire.explain(error))
            }
        }
    }

    async fn connect(&mut self, inner: &Inner, process: &ProcessId) -> Result<()> {
        if self.connection.as_ref().is_none_or(|(_, home)| home.is_gone()) {
            self.connection = Some((inner.wire.lane().await?, Home::here()));
            self.watched.end();
            inner.announce_again();
            // The server may be another one now, or have lost its last writes: what it holds for the process is compared.
            if std::mem::replace(&mut self.connected_before, true) {
                inner.has_strays(process);
            }
        }
        if let Some(doubt) = &self.doubt {
            let mut arguments = vec![doubt.process.0.clone(), self.index.to_string()];
            arguments.extend(doubt.wips.iter().cloned());
            let mut pipe = Pipeline::new();
            let mut call = scripts::DOUBT.whole(&[]);
            call.arg(arguments);
            pipe.add_command(call);
            let values = self.fly(inner, &pipe).await?;
            if let Some(error) = values.iter().find_map(refused) {
                return Err(inner.wire.explain(error));
            }
            if let Some(doubt) = self.doubt.take()
                && values.first().is_some_and(|last| number(last) >= i64::try_from(doubt.number).unwrap_or(i64::MAX))
            {
                for (process, run, kind) in doubt.ends {
                    if kind.goes_on() {
                        // It may have written both; what is not there is deleted in vain at the end.
                        inner.memory.change(&process, run, |held| (held.known, held.ledger) = (true, true));
                    } else {
                        inner.memory.forget(&process, run);
                    }
                    inner.memory.was_ended(&process, run, kind);
                }
            }
        }
        Ok(())
    }

    /// Adds `WATCH` of these lists and documents, and a look at each list.
    pub(super) fn watch(&self, pipe: &mut Pipeline, wips: &[Arc<Wip>], documents: &[String]) {
        if wips.is_empty() {
            return;
        }
        let mut watch = cmd("WATCH");
        for wip in wips {
            watch.arg(&wip.key);
        }
        watch.arg(documents);
        pipe.add_command(watch);
        for wip in wips {
            pipe.cmd("LLEN").arg(&wip.key);
        }
    }

    /// Reads what [`Lane::watch`] asked.
    pub(super) fn watching(&mut self, inner: &Inner, wips: &[Arc<Wip>], answers: &[Value]) -> Result<()> {
        if let Some(error) = answers.iter().find_map(refused) {
            return Err(inner.wire.explain(error));
        }
        for (wip, length) in wips.iter().zip(answers.iter().skip(1)) {
            match number(length) {
                0 => inner.memory.forget_wip(wip),
                length => self.watches(inner, wip, length),
            }
        }
        Ok(())
    }

    /// The watch of a wip list of this length has begun.
    fn watches(&mut self, inner: &Inner, wip: &Arc<Wip>, length: i64) {
        let whole = inner.memory.is_whole(wip, length);
        if !whole && let Some((process, _)) = wip.name.rsplit_once(':') {
            inner.has_strays(&ProcessId(process.to_owned()));
        }
        self.watched.lists.insert(Arc::clone(wip), whole);
    }

    /// The commits whose claims are held and watched; the others are answered.
    async fn held_items(
        &mut self,
        inner: &Inner,
        wanted: Vec<Wanted>,
        results: &mut Vec<(usize, Committed)>,
    ) -> Result<Vec<Item>> {
        let mut items = Vec::with_capacity(wanted.len());
        let mut ending = HashSet::new();
        for Wanted { index, commit } in wanted {
            if ending.contains(&commit.claim.run) {
                results.push((index, Committed::Lost));
                continue;
            }
            if !matches!(commit.end, End::Continue) {
                ending.insert(commit.claim.run);
            }
            if inner.memory.take_ended(&commit) {
                results.push((index, Committed::Done));
                continue;
            }
            let held = match inner.memory.get(&commit.claim) {
                Some(held) => Some(held),
                None => load::look_up(self, inner, &commit.claim).await?,
            };
            match held {
                Some(held) => items.push(Item { index, commit, held }),
                None => results.push((index, Committed::Lost)),
            }
        }
        let mut unwatched: Vec<Arc<Wip>> = Vec::new();
        for item in &items {
            if !self.watched.lists.contains_key(&item.held.wip) && !unwatched.contains(&item.held.wip) {
                unwatched.push(Arc::clone(&item.held.wip));
            }
        }
        if !unwatched.is_empty() {
            let mut pipe = Pipeline::new();
            self.watch(&mut pipe, &unwatched, &[]);
            let answers = self.fly(inner, &pipe).await?;
            self.watching(inner, &unwatched, &answers)?;
            let (held, lost): (Vec<_>, Vec<_>) =
                items.into_iter().partition(|item| self.watched.lists.contains_key(&item.held.wip));
            results.extend(lost.into_iter().map(|item| (item.index, Committed::Lost)));
            items = held;
        }
        Ok(items)
    }

    /// Adds the transaction of these commits to a flight, and remembers it until it is answered.
    fn transaction(&mut self, inner: &Inner, items: &[Item], pipe: &mut Pipeline) -> Option<Transaction> {
        let first = items.first()?;
        self.transaction += 1;
        let mut wips: Vec<String> = items.iter().map(|item| item.held.wip.key.clone()).collect();
        wips.dedup();
        self.doubt = Some(Doubt {
            number: self.transaction,
            process: first.commit.claim.process.clone(),
            wips,
            ends: items
                .iter()
                .map(|item| (item.commit.claim.process.clone(), item.commit.claim.run, EndKind::of(&item.commit)))
                .collect(),
        });
        Some(Transaction::write(inner, items, &self.watched, (self.index, self.transaction), pipe))
    }

    /// Commits one item by itself, after a transaction of several was refused.
    async fn alone(&mut self, inner: &Inner, item: &Item) -> Result<Committed> {
        for _ in 0..TRIES {
            let mut pipe = Pipeline::new();
            pipe.cmd("WATCH").arg(&item.held.wip.key);
            pipe.cmd("LPOS").arg(&item.held.wip.key).arg(&item.held.element);
            pipe.cmd("LLEN").arg(&item.held.wip.key);
            let answers = self.fly(inner, &pipe).await?;
            if let Some(error) = answers.iter().find_map(refused) {
                return Err(inner.wire.explain(error));
            }
            if !matches!(answers.get(1), Some(Value::Int(_))) {
                inner.memory.forget(&item.commit.claim.process, item.commit.claim.run);
                return Ok(Committed::Lost);
            }
            self.watches(inner, &item.held.wip, answers.get(2).map_or(0, number));
            let mut pipe = Pipeline::new();
            let only = std::slice::from_ref(item);
            let Some(transaction) = self.transaction(inner, only, &mut pipe) else { break };
            let answers = self.fly(inner, &pipe).await?;
            self.doubt = None;
            self.watched.end();
            if transaction.outcome(inner, &answers)? {
                self.applied(inner, item);
                return Ok(Committed::Done);
            }
        }
        Err(Error::retryable("a wip list is changed again and again by something else")
            .help("look for another program that uses keys of vConductor"))
    }

    /// Brings the memory up to date after a commit.
    fn applied(&self, inner: &Inner, item: &Item) {
        let claim = &item.commit.claim;
        if matches!(item.commit.end, End::Continue) {
            inner.memory.change(&claim.process, claim.run, |held| item.remember(held));
            return;
        }
        inner.memory.forget(&claim.process, claim.run);
        if matches!(item.commit.end, End::Release) {
            inner.bell.ring(&claim.list);
        }
        inner.bell.ring_closed();
    }
}

/// The elements of a wip list.
pub(super) async fn elements(lane: &mut Lane, inner: &Inner, key: &str) -> Result<Vec<Value>> {
    let mut pipe = Pipeline::new();
    pipe.cmd("LRANGE").arg(key).arg(0).arg(-1);
    let mut values = lane.fly(inner, &pipe).await?;
    Ok(list(values.pop().unwrap_or(Value::Nil)))
}

/// A run as it stands in a wip list: entry, run, uuid.
pub(super) fn parse(element: &str) -> Option<(i64, RunId, &str)> {
    let mut parts = element.splitn(3, ' ');
    let entry = parts.next()?.parse().ok()?;
    let run = RunId(uuid::Uuid::parse_str(parts.next()?).ok()?);
    Some((entry, run, parts.next()?))
}

/// How a run's id is written in keys and elements.
pub(super) fn text_of(run: RunId) -> String {
    run.0.simple().to_string()
}
