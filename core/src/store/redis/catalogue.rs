//! Taking in once, replacing, finding.

use std::collections::HashSet;

use async_trait::async_trait;
use bytes::Bytes;
use redis::{Pipeline, Value, cmd};

use super::commit::{millis, store};
use super::documents::{self, index};
use super::load::JSON;
use super::watched::{Verdict, transact};
use super::wire::{list, maybe_number, number, text};
use super::{Inner, RedisStore, durability, fault, keys};
use crate::error::{Error, Result};
use crate::store::{Catalogue, NewVcon, Once, Replaced, Term, TimeRange};

/// Keys that one step of a scan looks at.
const SCAN: usize = 500;

#[async_trait]
impl Catalogue for RedisStore {
    async fn ingest_once(&self, once: &Once, vcons: Vec<NewVcon>) -> Result<Option<String>> {
        let begun = durability::begin(&self.inner);
        // What was taken in before may not have been safe then.
        let known = ingest_once(&self.inner, once, &vcons).await?;
        durability::settle(&self.inner, begun).await?;
        Ok(known)
    }

    async fn replace(&self, uuid: &str, document: Bytes, expected: Option<u64>) -> Result<Replaced> {
        let begun = durability::begin(&self.inner);
        let replaced = replace(&self.inner, uuid, &document, expected).await?;
        durability::settle(&self.inner, begun).await?;
        Ok(replaced)
    }

    async fn revisions(&self, uuids: &[String]) -> Result<Vec<Option<u64>>> {
        if uuids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = Pipeline::new();
        for uuid in uuids {
            pipe.cmd("EXISTS").arg(keys::document(uuid));
            pipe.cmd("GET").arg(keys::revision(uuid));
        }
        let answers = self.inner.wire.ask(&pipe).await?;
        let revision = |pair: &[Value]| {
            let revision = pair.get(1).and_then(maybe_number).unwrap_or(0).unsigned_abs();
            (pair.first().map(number) == Some(1)).then_some(revision)
        };
        Ok(answers.chunks(2).map(revision).collect())
    }

    async fn by_time(&self, range: TimeRange, skip: usize, limit: usize) -> Result<Vec<String>> {
        let end = |bound: Option<i64>, open: &str| bound.map_or_else(|| open.to_owned(), |bound| bound.to_string());
        let mut ask = cmd("ZREVRANGEBYSCORE");
        ask.arg(&self.inner.settings.sorted_set).arg(end(range.until, "+inf")).arg(end(range.since, "-inf"));
        ask.arg("LIMIT").arg(skip).arg(limit);
        let members = list(self.inner.wire.one(ask).await?).into_iter().filter_map(text);
        // vcon-server writes the bare uuid, beside the one with its prefix, when it has got a vCon back from a storage.
        let uuids = members.map(|member| member.strip_prefix("vcon:").map(str::to_owned).unwrap_or(member));
        let mut seen = HashSet::new();
        Ok(uuids.filter(|uuid| seen.insert(uuid.clone())).collect())
    }

    async fn search(&self, terms: &[Term]) -> Result<Vec<String>> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = cmd("SINTER");
        for term in terms {
            ask.arg(keys::term(term));
        }
        let mut found: Vec<String> = list(self.inner.wire.one(ask).await?).into_iter().filter_map(text).collect();
        found.sort();
        Ok(found)
    }

    async fn reindex(&self) -> Result<u64> {
        reindex(&self.inner).await
    }
}

async fn ingest_once(inner: &Inner, once: &Once, vcons: &[NewVcon]) -> Result<Option<String>> {
    let key = keys::once(&once.key);
    let mut commands = Pipeline::new();
    let rung = documents::take_in(inner, &mut commands, vcons).await?;
    commands.cmd("SET").arg(&key).arg(&once.mark).arg("PX").arg(millis(once.keep).max(1));
    let mut look = Pipeline::new();
    look.cmd("GET").arg(&key);
    for list in &rung {
        look.cmd("TYPE").arg(*list);
    }
    let decide = |answers: &[Value]| {
        let (mark, kinds) = answers.split_first().ok_or_else(|| fault::odd("GET"))?;
        if let Some(mark) = text(mark.clone()) {
            return Ok(Verdict::Leave(Some(mark)));
        }
        // A command that fails in a transaction does not undo the others: what would fail is found before.
        for (list, kind) in rung.iter().zip(kinds) {
            if !matches!(text(kind.clone()).as_deref(), Some("none" | "list")) {
                return Err(Error::configuration(format!("the list {list:?} is something else on the server"))
                    .help("another program uses its name; name the list differently"));
            }
        }
        Ok(Verdict::Do(commands.clone(), None))
    };
    let done = transact(inner, std::slice::from_ref(&key), &look, decide).await;
    match &done {
        Err(_) => inner.announce_again(),
        Ok(Some(_)) => {}
        Ok(None) => rung.iter().for_each(|list| inner.bell.ring(list)),
    }
    done
}

async fn replace(inner: &Inner, uuid: &str, document: &Bytes, expected: Option<u64>) -> Result<Replaced> {
    let (key, revision_key, writer) = (keys::document(uuid), keys::revision(uuid), keys::writer(uuid));
    let mut look = Pipeline::new();
    look.cmd("TYPE").arg(&key);
    look.cmd("GET").arg(&revision_key);
    look.cmd("EXISTS").arg(&writer);
    let decide = |answers: &[Value]| {
        let [kind, revision, held] = answers else { return Err(fault::odd("a look at a document")) };
        let kind = text(kind.clone()).unwrap_or_default();
        if kind == "none" {
            return Ok(Verdict::Leave(Replaced::Missing));
        }
        let known = maybe_number(revision).unwrap_or(0).unsigned_abs();
        if expected.is_some_and(|expected| expected != known) {
            return Ok(Verdict::Leave(Replaced::Changed(known)));
        }
        if number(held) == 1 {
            return Ok(Verdict::Leave(Replaced::Busy));
        }
        let next = inner.now().unsigned_abs().max(known + 1);
        let mut commands = Pipeline::new();
        store(&mut commands, uuid, document, kind == JSON);
        index(inner, &mut commands, uuid, document);
        commands.cmd("SET").arg(&revision_key).arg(next).arg("KEEPTTL");
        Ok(Verdict::Do(commands, Replaced::Done(next)))
    };
    transact(inner, &[key.clone(), revision_key.clone(), writer.clone()], &look, decide).await
}

async fn reindex(inner: &Inner) -> Result<u64> {
    let (mut cursor, mut indexed) = ("0".to_owned(), 0);
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(keys::document("*")).arg("COUNT").arg(SCAN);
        let mut answer = list(inner.wire.one(scan).await?).into_iter();
        cursor = answer.next().and_then(text).ok_or_else(|| fault::odd("SCAN"))?;
        let found = answer.next().map(list).unwrap_or_default().into_iter().filter_map(text);
        for key in found {
            let Some(uuid) = key.strip_prefix("vcon:") else { continue };
            let Some(stored) = documents::get(inner, uuid).await? else { continue };
            let mut pipe = Pipeline::new();
            index(inner, &mut pipe, uuid, &stored.document);
            inner.wire.ask(&pipe).await?;
            indexed += 1;
        }
        if cursor == "0" {
            return Ok(indexed);
        }
    }
}
