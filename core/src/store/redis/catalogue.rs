//! Taking in once, replacing, finding.

use std::collections::HashSet;
use std::time::Duration;

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
use crate::store::{Catalogue, NewVcon, Once, Replaced, TenantScope, Term, TimeRange, tenant};

/// Keys that one step of a scan looks at.
const SCAN: usize = 500;

#[async_trait]
impl Catalogue for RedisStore {
    async fn ingest_once(&self, scope: &TenantScope, once: &Once, vcons: Vec<NewVcon>) -> Result<Option<String>> {
        let begun = durability::begin(&self.inner);
        // What was taken in before may not have been safe then.
        let mark = Mark { key: keys::once(&scope.key(&once.key)), expected: None, mark: &once.mark, keep: once.keep };
        let known = ingest_watched(&self.inner, Some(mark), &vcons, None).await?;
        durability::settle(&self.inner, begun).await?;
        Ok(known)
    }

    async fn replace(
        &self,
        scope: &TenantScope,
        uuid: &str,
        document: Bytes,
        expected: Option<u64>,
    ) -> Result<Replaced> {
        let begun = durability::begin(&self.inner);
        let replaced = replace(&self.inner, scope, uuid, &document, expected).await?;
        durability::settle(&self.inner, begun).await?;
        Ok(replaced)
    }

    async fn revisions(&self, scope: &TenantScope, uuids: &[String]) -> Result<Vec<Option<u64>>> {
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
        let mut found: Vec<Option<u64>> = answers.chunks(2).map(revision).collect();
        if let Some(tenant) = scope.tenant() {
            for (revision, owner) in found.iter_mut().zip(documents::owners(&self.inner, uuids).await?) {
                *revision = revision.filter(|_| owner.as_deref() == Some(tenant.as_str()));
            }
        }
        Ok(found)
    }

    async fn by_time(&self, scope: &TenantScope, range: TimeRange, skip: usize, limit: usize) -> Result<Vec<String>> {
        let times = scope.tenant().map(|tenant| keys::times(tenant.as_str()));
        let end = |bound: Option<i64>, open: &str| bound.map_or_else(|| open.to_owned(), |bound| bound.to_string());
        let mut ask = cmd("ZREVRANGEBYSCORE");
        ask.arg(times.as_ref().unwrap_or(&self.inner.settings.sorted_set))
            .arg(end(range.until, "+inf"))
            .arg(end(range.since, "-inf"));
        ask.arg("LIMIT").arg(skip).arg(limit);
        let members = list(self.inner.wire.one(ask).await?).into_iter().filter_map(text);
        // vcon-server writes the bare uuid, beside the one with its prefix, when it has got a vCon back from a storage.
        let uuids = members.map(|member| member.strip_prefix("vcon:").map(str::to_owned).unwrap_or(member));
        let mut seen = HashSet::new();
        Ok(uuids.filter(|uuid| seen.insert(uuid.clone())).collect())
    }

    async fn search(&self, scope: &TenantScope, terms: &[Term]) -> Result<Vec<String>> {
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        let mut ask = cmd("SINTER");
        for term in terms {
            ask.arg(keys::term(term));
        }
        let mut found: Vec<String> = list(self.inner.wire.one(ask).await?).into_iter().filter_map(text).collect();
        if let Some(tenant) = scope.tenant() {
            let mut owners = documents::owners(&self.inner, &found).await?.into_iter();
            found.retain(|_| owners.next().flatten().as_deref() == Some(tenant.as_str()));
        }
        found.sort();
        Ok(found)
    }

    async fn reindex(&self) -> Result<u64> {
        reindex(&self.inner).await
    }
}

/// Something that is said in the same step, unless it says something else by now than was expected.
pub(super) struct Mark<'a> {
    pub(super) key: String,
    /// `None`: nothing.
    pub(super) expected: Option<&'a str>,
    pub(super) mark: &'a str,
    pub(super) keep: Duration,
}

/// Takes vCons in after a look at what is there: whether the mark is as expected (if it is not, it is the answer, and nothing
/// is done), and whose the vCons are that are handed in for a tenant. New runs begin with this ledger.
pub(super) async fn ingest_watched(
    inner: &Inner,
    mark: Option<Mark<'_>>,
    vcons: &[NewVcon],
    ledger: Option<&str>,
) -> Result<Option<String>> {
    let owned = tenant::owned(vcons)?;
    let mut commands = Pipeline::new();
    let rung = documents::take_in(inner, &mut commands, vcons, ledger).await?;
    let mut look = Pipeline::new();
    let mut watched = Vec::new();
    if let Some(Mark { key, mark, keep, .. }) = &mark {
        commands.cmd("SET").arg(key).arg(mark).arg("PX").arg(millis(*keep).max(1));
        look.cmd("GET").arg(key);
        watched.push(key.clone());
    }
    for (vcon, _) in &owned {
        let keys = [keys::document(&vcon.uuid), keys::tenant(&vcon.uuid)];
        look.cmd("EXISTS").arg(&keys[0]);
        look.cmd("GET").arg(&keys[1]);
        watched.extend(keys);
    }
    for list in &rung {
        look.cmd("TYPE").arg(*list);
    }
    let decide = |answers: &[Value]| {
        let mut answers = answers.iter();
        let mut next = || answers.next().ok_or_else(|| fault::odd("a look at what is there"));
        if let Some(mark) = &mark {
            let found = text(next()?.clone());
            if found.as_deref() != mark.expected {
                return Ok(Verdict::Leave(Some(found.unwrap_or_default())));
            }
        }
        for (vcon, tenant) in &owned {
            let (there, owner) = (number(next()?) == 1, text(next()?.clone()));
            if !tenant::may_take(vcon, tenant, there.then_some(owner.as_deref())) {
                return Err(tenant::refused(&vcon.uuid, tenant));
            }
        }
        // A command that fails in a transaction does not undo the others: what would fail is found before.
        for (list, kind) in rung.iter().zip(answers) {
            if !matches!(text(kind.clone()).as_deref(), Some("none" | "list")) {
                return Err(Error::configuration(format!("the list {list:?} is something else on the server"))
                    .help("another program uses its name; name the list differently"));
            }
        }
        Ok(Verdict::Do(commands.clone(), None))
    };
    let done = transact(inner, &watched, &look, decide).await;
    match &done {
        // What was to announce the lists was not sent.
        Err(_) | Ok(Some(_)) => inner.announce_again(),
        Ok(None) => rung.iter().for_each(|list| inner.bell.ring(list)),
    }
    done
}

async fn replace(
    inner: &Inner,
    scope: &TenantScope,
    uuid: &str,
    document: &Bytes,
    expected: Option<u64>,
) -> Result<Replaced> {
    let (key, revision_key, writer) = (keys::document(uuid), keys::revision(uuid), keys::writer(uuid));
    let tenant_key = keys::tenant(uuid);
    let mut look = Pipeline::new();
    look.cmd("TYPE").arg(&key);
    look.cmd("GET").arg(&revision_key);
    look.cmd("EXISTS").arg(&writer);
    look.cmd("GET").arg(&tenant_key);
    let decide = |answers: &[Value]| {
        let [kind, revision, held, owner] = answers else { return Err(fault::odd("a look at a document")) };
        let (kind, owner) = (text(kind.clone()).unwrap_or_default(), text(owner.clone()));
        let hidden = scope.tenant().is_some_and(|tenant| owner.as_deref() != Some(tenant.as_str()));
        if kind == "none" || hidden {
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
        let created = index(inner, &mut commands, uuid, document);
        if let Some(owner) = owner {
            commands.cmd("ZADD").arg(keys::times(&owner)).arg(created).arg(uuid);
        }
        commands.cmd("SET").arg(&revision_key).arg(next).arg("KEEPTTL");
        Ok(Verdict::Do(commands, Replaced::Done(next)))
    };
    let watched = [key.clone(), revision_key.clone(), writer.clone(), tenant_key.clone()];
    transact(inner, &watched, &look, decide).await
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
            let owner = documents::owners(inner, &[uuid]).await?.pop().flatten();
            let mut pipe = Pipeline::new();
            let created = index(inner, &mut pipe, uuid, &stored.document);
            if let Some(owner) = owner {
                pipe.cmd("ZADD").arg(keys::times(&owner)).arg(created).arg(uuid);
            }
            inner.wire.ask(&pipe).await?;
            indexed += 1;
        }
        if cursor == "0" {
            return Ok(indexed);
        }
    }
}
