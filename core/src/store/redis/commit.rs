//! Transactions: what ends or saves claims, in one `MULTI`/`EXEC`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use redis::{Pipeline, ToRedisArgs, Value, cmd};

use super::bulk::{adopt, is_large};
use super::documents::{index, made_of};
use super::lane::{Watched, text_of};
use super::memory::{Held, Wip};
use super::wire::refused;
use super::{Inner, keys, scripts, tail};
use crate::clock::Millis;
use crate::error::Result;
use crate::store::{Commit, End, Made};

/// The side keys of a document outlive it a little, so that its revision is not turned back.
const OUTLIVES: u64 = 86_400_000;

/// A commit whose claim is held.
pub(super) struct Item {
    pub(super) index: usize,
    pub(super) commit: Commit,
    pub(super) held: Held,
}

impl Item {
    /// The trace context for what the run enqueues: its own, else that of its producer.
    fn context(&self) -> Option<&str> {
        self.commit.context.as_deref().or(self.held.context.as_deref())
    }

    fn revision(&self, inner: &Inner) -> Option<(String, u64, bool)> {
        let save = self.commit.save.as_ref()?;
        let known = match &self.held.target {
            Some((target, copy)) if *target == save.uuid => *copy,
            _ if self.held.uuid == save.uuid => self.held.copy,
            _ => super::memory::Copy { json: inner.new_as_json(), ..super::memory::Copy::default() },
        };
        let least = if known.revision == 0 { inner.now().unsigned_abs() } else { known.revision + 1 };
        let json = if known.revision == 0 { inner.new_as_json() } else { known.json };
        Some((save.uuid.clone(), save.revision.max(least), json))
    }

    /// What a commit that keeps the claim changes in what is known of it.
    pub(super) fn remember(&self, held: &mut Held) {
        held.known |= self.commit.ledger.is_some();
        held.ledger |= self.commit.ledger.is_some();
        if let Some(save) = &self.commit.save {
            let copy = match &mut held.target {
                Some((target, copy)) if *target == save.uuid => copy,
                _ => &mut held.copy,
            };
            // At least what was written; the server's own value may be a little higher, never lower.
            copy.revision = save.revision.max(copy.revision + 1);
        }
        if let Some(keep) = self.commit.keep {
            let copy = match &mut held.target {
                Some((_, copy)) => copy,
                None => &mut held.copy,
            };
            copy.keep = Some(millis(keep));
        }
    }
}

/// A duration as keys keep it.
pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

/// A transaction that was added to a flight.
pub(super) struct Transaction {
    /// Commands from `MULTI` to `EXEC`.
    commands: usize,
}

impl Transaction {
    /// Writes the commits into a flight. `mark` is the lane and the number of the transaction.
    pub(super) fn write(
        inner: &Inner,
        items: &[Item],
        watched: &Watched,
        mark: (usize, u64),
        pipe: &mut Pipeline,
    ) -> Self {
        let before = pipe.len();
        pipe.cmd("MULTI");
        let mut parts = Parts { watch: watched.count, ..Parts::default() };
        for item in items {
            parts.item(inner, item, pipe);
        }
        parts.finish(inner, items, watched, pipe);
        if let Some(first) = items.first() {
            pipe.cmd("HSET").arg(keys::commits(&first.commit.claim.process.0)).arg(mark.0).arg(mark.1);
        }
        pipe.cmd("EXEC");
        Transaction { commands: pipe.len() - before }
    }

    /// Whether it was applied; false: something watched was touched, and nothing was applied.
    pub(super) fn outcome(&self, inner: &Inner, answers: &[Value]) -> Result<bool> {
        let answers = &answers[..self.commands.min(answers.len())];
        if let Some(error) = answers[..answers.len().saturating_sub(1)].iter().find_map(refused) {
            return Err(inner.wire.explain(error));
        }
        match answers.last() {
            Some(Value::Array(results)) => {
                for error in results.iter().filter_map(refused) {
                    // Only a key of a wrong type can do this; the rest of the transaction stands.
                    let error = inner.wire.explain(error);
                    tracing::error!(error = %error.chain_text(), "a command of a commit was refused");
                }
                Ok(true)
            }
            Some(Value::Nil) => Ok(false),
            Some(other) => {
                Err(refused(other).map_or_else(|| super::fault::odd("EXEC"), |error| inner.wire.explain(error)))
            }
            None => Err(super::fault::odd("EXEC")),
        }
    }
}

/// What several commits put into one command.
#[derive(Default)]
struct Parts {
    watch: u64,
    /// Documents that the transaction has written.
    written: HashSet<String>,
    revisions: Vec<(String, u64)>,
    pushes: Vec<(String, Vec<String>)>,
    gone: Vec<String>,
    ended: BTreeMap<String, (Option<Arc<Wip>>, Vec<String>)>,
    lists: Vec<String>,
}

impl Parts {
    fn item(&mut self, inner: &Inner, item: &Item, pipe: &mut Pipeline) {
        let (commit, held) = (&item.commit, &item.held);
        let run = text_of(commit.claim.run);
        if let Some((uuid, revision, json)) = item.revision(inner)
            && let Some(save) = &commit.save
        {
            if is_large(inner, &save.document) {
                adopt(pipe, &uuid, &run);
            } else if let Some(loaded) = &held.loaded
                && loaded.watch == self.watch
                && held.uuid == uuid
                && !self.written.contains(&uuid)
                && let Some(from) = tail::from(&loaded.document, &save.document)
            {
                pipe.cmd("SETRANGE").arg(keys::document(&uuid)).arg(from).arg(&save.document[from..]);
            } else {
                store(pipe, &uuid, &save.document, json);
            }
            self.written.insert(uuid.clone());
            self.revisions.push((keys::revision(&uuid), revision));
        }
        if let Some(keep) = commit.keep {
            let uuid = held.target.as_ref().map_or(&held.uuid, |(target, _)| target);
            pipe.cmd("SET").arg(keys::keep(uuid)).arg(millis(keep));
        }
        // The ledger of a run that is done dies with it.
        if let Some(ledger) = commit.ledger.as_ref().filter(|_| !matches!(commit.end, End::Done)) {
            pipe.cmd("SET").arg(keys::ledger(&held.uuid, &run)).arg(json_of(ledger));
            let record = keys::run(&held.wip.base, &run);
            let mut set = cmd("HSET");
            set.arg(&record).arg("u").arg(&held.uuid).arg("e").arg(held.entry).arg("l").arg(1);
            match &ledger.switched_to {
                Some(target) => drop(set.arg("t").arg(target)),
                None if held.target.is_some() => drop(pipe.cmd("HDEL").arg(&record).arg("t")),
                None => {}
            }
            pipe.add_command(set);
        }
        for made in &commit.made {
            self.made(inner, item, made, &run, pipe);
        }
        for push in &commit.pushes {
            self.push(inner, &push.list, &push.uuid, item.context(), pipe);
        }
        if matches!(commit.end, End::Continue) {
            return;
        }
        let ended = self.ended.entry(held.wip.key.clone()).or_default();
        ended.0 = Some(Arc::clone(&held.wip));
        ended.1.push(held.element.clone());
        self.gone.push(keys::writer(&held.uuid));
        if let Some((target, _)) = &held.target
            && *target != held.uuid
        {
            self.gone.push(keys::writer(target));
        }
        if matches!(commit.end, End::Done) {
            self.done(item, &run, pipe);
        } else {
            pipe.add_command(end(inner, item, &run));
        }
    }

    /// Takes in what the run made, as an ingest does.
    fn made(&mut self, inner: &Inner, item: &Item, made: &Made, run: &str, pipe: &mut Pipeline) {
        if is_large(inner, &made.document) {
            adopt(pipe, &made.uuid, run);
        } else {
            store(pipe, &made.uuid, &made.document, inner.new_as_json());
        }
        let created = index(inner, pipe, &made.uuid, &made.document);
        let own = item.held.target.is_none().then_some(item.commit.keep).flatten();
        let keep = own.map(millis).or(item.held.copy.keep);
        pipe.add_command(made_of(inner, &made.uuid, keep, &item.held.uuid, created));
        for list in &made.lists {
            self.push(inner, list, &made.uuid, item.context(), pipe);
        }
    }

    fn push(&mut self, inner: &Inner, list: &str, uuid: &str, context: Option<&str>, pipe: &mut Pipeline) {
        match self.pushes.iter_mut().find(|(known, _)| known == list) {
            Some((_, uuids)) => uuids.push(uuid.to_owned()),
            None => {
                if inner.announce(list) {
                    self.lists.push(list.to_owned());
                }
                self.pushes.push((list.to_owned(), vec![uuid.to_owned()]));
            }
        }
        if let Some(context) = context {
            let key = format!("context:{list}:{uuid}");
            pipe.cmd("RPUSH").arg(&key).arg(context);
            pipe.cmd("EXPIRE").arg(&key).arg(inner.settings.context_keep.as_secs());
        }
    }

    /// The run's own keys go, and the document's time to live starts again.
    fn done(&mut self, item: &Item, run: &str, pipe: &mut Pipeline) {
        let (commit, held) = (&item.commit, &item.held);
        if held.known {
            self.gone.push(keys::run(&held.wip.base, run));
        }
        if held.ledger {
            self.gone.push(keys::ledger(&held.uuid, run));
        }
        let own = held.target.is_none().then_some(commit.keep).flatten();
        restart(pipe, &held.uuid, own.map(millis).or(held.copy.keep));
        if let Some((target, copy)) = &held.target {
            restart(pipe, target, commit.keep.map(millis).or(copy.keep));
        }
    }

    /// The commands that the commits share. Revisions come before their time to live.
    fn finish(self, inner: &Inner, items: &[Item], watched: &Watched, pipe: &mut Pipeline) {
        if !self.revisions.is_empty() {
            let mut set = cmd("MSET");
            for (key, revision) in &self.revisions {
                set.arg(key).arg(*revision);
            }
            pipe.add_command(set);
            for item in items.iter().filter(|item| matches!(item.commit.end, End::Done)) {
                let keep = item.commit.keep.map(millis).or(item.held.copy.keep);
                if let (Some(save), Some(keep)) = (&item.commit.save, keep) {
                    pipe.cmd("PEXPIRE").arg(keys::revision(&save.uuid)).arg(keep + OUTLIVES);
                }
            }
        }
        if !self.lists.is_empty() {
            pipe.cmd("SADD").arg(keys::LISTS).arg(&self.lists);
        }
        for (list, uuids) in &self.pushes {
            pipe.cmd("RPUSH").arg(list).arg(uuids);
            inner.bell.ring(list);
        }
        let mut gone = self.gone;
        for (key, (wip, elements)) in self.ended {
            let Some(wip) = wip else { continue };
            let last = elements.len() >= inner.memory.left(&wip);
            if last && watched.lists.get(&wip) == Some(&true) {
                pipe.cmd("SREM").arg(keys::wips(&wip.base)).arg(&wip.name);
                gone.push(key);
            } else if last {
                // It may hold what is not remembered; that must not go with it.
                let mut call = scripts::LEAVE.whole(&[]);
                call.arg(keys::wips(&wip.base)).arg(&wip.name).arg(key).arg(elements);
                pipe.add_command(call);
            } else {
                for element in elements {
                    pipe.cmd("LREM").arg(&key).arg(1).arg(element);
                }
            }
        }
        if !gone.is_empty() {
            pipe.cmd("DEL").arg(gone);
        }
    }
}

/// Writes a document under the time to live that it has; part of a transaction. What RedisJSON cannot hold is
/// written as a string, since a document may not be lost for its form.
pub(super) fn store(pipe: &mut Pipeline, uuid: &str, document: &[u8], json: bool) {
    let key = keys::document(uuid);
    if json && fits_json(document) {
        let mut ready = scripts::KIND.whole(&[]);
        ready.arg(&key);
        pipe.add_command(ready);
        pipe.cmd("JSON.SET").arg(key).arg("$").arg(document);
    } else {
        pipe.cmd("SET").arg(key).arg(document).arg("KEEPTTL");
    }
}

/// Whether RedisJSON takes a text: it must be JSON, of fewer than 128 levels.
pub(super) fn fits_json(document: &[u8]) -> bool {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest < 128 && serde_json::from_slice::<serde::de::IgnoredAny>(document).is_ok()
}

fn restart(pipe: &mut Pipeline, uuid: &str, keep: Option<u64>) {
    let Some(keep) = keep else { return };
    pipe.cmd("PEXPIRE").arg(keys::document(uuid)).arg(keep);
    for side in [keys::keep(uuid), keys::revision(uuid)] {
        pipe.cmd("PEXPIRE").arg(side).arg(keep.saturating_add(OUTLIVES));
    }
}

/// The script for an end that is not an ack; sent whole, since it runs inside the transaction.
fn end(inner: &Inner, item: &Item, run: &str) -> redis::Cmd {
    let (commit, held) = (&item.commit, &item.held);
    let mut call = scripts::END.whole(&[]);
    call.arg(&held.wip.base).arg(&held.wip.list).arg(run).arg(&held.uuid).arg(held.entry).arg(inner.shift());
    let there = |due: &Millis| inner.there(*due);
    let mut kind = |name: &str, due: Millis, rest: &[String]| {
        add(&mut call, name);
        add(&mut call, due);
        rest.iter().for_each(|argument| add(&mut call, argument));
    };
    match &commit.end {
        End::Continue | End::Done | End::Release => kind("release", 0, &[]),
        End::Retry { due, failure } => kind("retry", there(due), &[json_of(failure)]),
        End::Wait { due, reason } => kind("wait", there(due), &[json_of(reason)]),
        End::Park { token, until } => kind("park", there(until), std::slice::from_ref(token)),
        End::Dead { queue, failure } => {
            let keep = inner.settings.dead_letter_keep.map_or(0, millis);
            kind("dead", Millis::try_from(keep).unwrap_or(0), &[queue.clone(), json_of(failure)]);
        }
    }
    call
}

fn add(call: &mut redis::Cmd, argument: impl ToRedisArgs) {
    call.arg(argument);
}

/// Our own records always have a JSON form.
pub(super) fn json_of(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_json_gets_only_what_it_takes() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(fits_json(nested(127).as_bytes()));
        assert!(!fits_json(nested(128).as_bytes()));
        assert!(fits_json(format!(r#"{{"a\\\"":"{}"}}"#, "[".repeat(200)).as_bytes()));
        assert!(!fits_json(b"edited") && !fits_json(b"{") && !fits_json(b""));
    }
}
