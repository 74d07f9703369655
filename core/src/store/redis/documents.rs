//! Documents: taking in, reading, deleting, and switching to another one.

use redis::{Pipeline, Value, cmd};

use super::commit::{millis, store};
use super::lane::text_of;
use super::load::{self, JSON, read_json, stored};
use super::scripts::Script;
use super::watched::{Verdict, transact};
use super::wire::{list, maybe_number, number, refused, text};
use super::{Inner, bulk, fault, keys, scripts};
use crate::error::{Error, Result};
use crate::run::RunId;
use crate::store::indexed::Indexed;
use crate::store::{Claim, NewVcon, Stored, Tenant, TenantScope};

/// Stores and enqueues vCons, all in one transaction.
pub(super) async fn ingest(inner: &Inner, vcons: Vec<NewVcon>) -> Result<()> {
    if vcons.is_empty() {
        return Ok(());
    }
    let mut pipe = Pipeline::new();
    pipe.cmd("MULTI");
    let rung = take_in(inner, &mut pipe, &vcons, None).await?;
    pipe.cmd("EXEC");
    let sent = if has_large(inner, &vcons) { bulk::ask(inner, &pipe).await } else { inner.wire.ask(&pipe).await };
    let result = sent.and_then(|values| match values.last() {
        Some(Value::Array(results)) => match results.iter().find_map(refused) {
            Some(error) => Err(inner.wire.explain(error)),
            None => Ok(()),
        },
        _ => Err(fault::odd("EXEC")),
    });
    if result.is_err() {
        inner.announce_again();
    }
    result?;
    for list in rung {
        inner.bell.ring(list);
    }
    Ok(())
}

/// Whether any of the documents is large.
pub(super) fn has_large(inner: &Inner, vcons: &[NewVcon]) -> bool {
    vcons.iter().any(|vcon| vcon.document.as_ref().is_some_and(|document| bulk::is_large(inner, document)))
}

/// Adds the commands that take vCons in, as a part of a transaction; answers the lists that they are put on. With a ledger,
/// each run begins with it.
pub(super) async fn take_in<'v>(
    inner: &Inner,
    pipe: &mut Pipeline,
    vcons: &'v [NewVcon],
    ledger: Option<&str>,
) -> Result<Vec<&'v str>> {
    let json = kinds(inner, vcons).await?;
    let mut rung: Vec<&str> = Vec::new();
    for (vcon, json) in vcons.iter().zip(json) {
        let mut created = None;
        if let Some(document) = &vcon.document {
            store(pipe, &vcon.uuid, document, json);
            created = Some(index(inner, pipe, &vcon.uuid, document));
        }
        for list in &vcon.lists {
            if !rung.contains(&list.as_str()) {
                rung.push(list);
            }
        }
        let owner = vcon.tenant.as_ref().zip(created);
        let script = if owner.is_some() { &scripts::INGEST_OWNED } else { &scripts::INGEST };
        let mut call = taken_in(inner, script, &vcon.uuid, vcon.document.is_some(), vcon.keep.map(millis));
        call.arg(vcon.context.as_deref().unwrap_or_default()).arg(inner.settings.context_keep.as_secs());
        if ledger.is_none() {
            call.arg(&vcon.lists);
        }
        if let Some((tenant, created)) = owner {
            call.arg(tenant.as_str()).arg("").arg(created);
        }
        pipe.add_command(call);
        for list in vcon.lists.iter().filter(|_| ledger.is_some()) {
            let mut begin = scripts::BEGIN.whole(&[]);
            begin.arg(keys::base(list)).arg(list).arg(&vcon.uuid).arg(text_of(RunId::new())).arg(ledger);
            begin.arg(vcon.context.as_deref().unwrap_or_default()).arg(inner.shift());
            pipe.add_command(begin);
        }
    }
    let new: Vec<&str> = rung.iter().copied().filter(|list| inner.announce(list)).collect();
    if !new.is_empty() {
        pipe.cmd("SADD").arg(keys::LISTS).arg(&new);
    }
    Ok(rung)
}

/// What goes with a vCon that a run of the vCon `parent` made; a new one is of the same tenant.
pub(super) fn made_of(inner: &Inner, uuid: &str, keep: Option<u64>, parent: &str, created: i64) -> redis::Cmd {
    let mut call = taken_in(inner, &scripts::INGEST_OWNED, uuid, true, keep);
    // No context, no lists, no tenant of its own.
    call.arg("").arg(0).arg("").arg(parent).arg(created);
    call
}

/// What goes with a vCon that is taken in; the rest of the arguments follow. Sent whole, since it runs inside a transaction.
fn taken_in(inner: &Inner, script: &Script, uuid: &str, has_document: bool, keep: Option<u64>) -> redis::Cmd {
    let mut call = script.whole(&[]);
    call.arg(uuid).arg(inner.shift()).arg(u8::from(has_document));
    call.arg(keep.map_or(-1, |keep| i64::try_from(keep).unwrap_or(i64::MAX)));
    call
}

/// Whether each document is to be written as RedisJSON: the type that is found is kept.
async fn kinds(inner: &Inner, vcons: &[NewVcon]) -> Result<Vec<bool>> {
    if !inner.has_json {
        return Ok(vec![false; vcons.len()]);
    }
    let mut pipe = Pipeline::new();
    for vcon in vcons {
        pipe.cmd("TYPE").arg(keys::document(&vcon.uuid));
    }
    let found = inner.wire.ask(&pipe).await?;
    Ok(found
        .into_iter()
        .map(|kind| match text(kind).as_deref() {
            Some("string") => false,
            Some(JSON) => true,
            _ => inner.new_as_json(),
        })
        .collect())
}

/// The index that vcon-server and its tools search in. Answers the vCon's time in it.
pub(super) fn index(inner: &Inner, pipe: &mut Pipeline, uuid: &str, document: &[u8]) -> i64 {
    let indexed = Indexed::of(document);
    let created = indexed.created.unwrap_or_else(|| inner.now() / 1000);
    pipe.cmd("ZADD").arg(&inner.settings.sorted_set).arg(created).arg(keys::document(uuid));
    for term in &indexed.terms {
        let key = keys::term(term);
        pipe.cmd("SADD").arg(&key).arg(uuid);
        pipe.cmd("EXPIRE").arg(&key).arg(inner.settings.index_keep.as_secs());
    }
    created
}

/// Whose vCons are; `None`: nobody's, or not there.
pub(super) async fn owners<U: AsRef<str>>(inner: &Inner, uuids: &[U]) -> Result<Vec<Option<String>>> {
    if uuids.is_empty() {
        return Ok(Vec::new());
    }
    let mut ask = cmd("MGET");
    for uuid in uuids {
        ask.arg(keys::tenant(uuid.as_ref()));
    }
    Ok(list(inner.wire.one(ask).await?).into_iter().map(text).collect())
}

/// Whether a vCon is the tenant's.
async fn is_of(inner: &Inner, uuid: &str, tenant: &Tenant) -> Result<bool> {
    let owners = owners(inner, &[uuid]).await?;
    Ok(owners.first().and_then(Option::as_deref) == Some(tenant.as_str()))
}

/// What a scope sees of a document.
pub(super) async fn get_of(inner: &Inner, scope: &TenantScope, uuid: &str) -> Result<Option<Stored>> {
    let Some(tenant) = scope.tenant() else { return get(inner, uuid).await };
    if !is_of(inner, uuid, tenant).await? {
        return Ok(None);
    }
    let stored = get(inner, uuid).await?;
    // Asked again: it may have been deleted in between, and somebody else have taken its uuid.
    Ok(if is_of(inner, uuid, tenant).await? { stored } else { None })
}

/// A document and its revision. A large one comes over a connection of its own.
pub(super) async fn get(inner: &Inner, uuid: &str) -> Result<Option<Stored>> {
    let (key, large) = (keys::document(uuid), inner.settings.large);
    let mut pipe = Pipeline::new();
    pipe.cmd("GET").arg(keys::revision(uuid));
    pipe.cmd("STRLEN").arg(&key);
    pipe.cmd("GETRANGE").arg(&key).arg(0).arg(large - 1);
    if inner.has_json {
        pipe.cmd("JSON.DEBUG").arg("MEMORY").arg(&key).arg(".");
    }
    let answers = inner.wire.try_ask(&pipe).await?;
    let [revision, length, head, rest @ ..] = &answers[..] else { return Err(fault::odd("a read")) };
    let revision = maybe_number(revision);
    let document = match (refused(length), rest.first()) {
        (Some(error), Some(memory)) if error.code() == Some("WRONGTYPE") && refused(memory).is_none() => {
            let size = usize::try_from(number(memory)).unwrap_or(usize::MAX);
            read(inner, uuid, true, size).await?
        }
        (Some(error), _) => return Err(inner.wire.explain(error)),
        (None, _) => match usize::try_from(number(length)).unwrap_or(usize::MAX) {
            0 => return Ok(None),
            size if size > large => read(inner, uuid, false, size).await?,
            _ => head.clone(),
        },
    };
    Ok(stored(Some(document), revision, inner.now()))
}

async fn read(inner: &Inner, uuid: &str, json: bool, size: usize) -> Result<Value> {
    if size >= inner.settings.large {
        return bulk::read(inner, uuid, json).await;
    }
    let mut plain = cmd("GET");
    plain.arg(keys::document(uuid));
    inner.wire.one(if json { read_json(uuid) } else { plain }).await
}

/// How much memory a document takes; near enough.
async fn size(inner: &Inner, uuid: &str, json: bool) -> Result<usize> {
    let mut size = cmd(if json { "JSON.DEBUG" } else { "STRLEN" });
    if json {
        size.arg("MEMORY").arg(keys::document(uuid)).arg(".");
    } else {
        size.arg(keys::document(uuid));
    }
    Ok(usize::try_from(number(&inner.wire.one(size).await?)).unwrap_or(usize::MAX))
}

/// Deletes a document and the results that were kept for it; false if there was none. Its revision stays, so that it never turns back.
pub(super) async fn delete(inner: &Inner, scope: &TenantScope, uuid: &str) -> Result<bool> {
    let deletion = deletion(inner, uuid);
    let Some(tenant) = scope.tenant() else {
        let answers = inner.wire.ask(&deletion).await?;
        return Ok(answers.first().map(number) == Some(1));
    };
    let watched = [keys::tenant(uuid), keys::document(uuid)];
    let mut look = Pipeline::new();
    look.cmd("GET").arg(&watched[0]);
    look.cmd("EXISTS").arg(&watched[1]);
    let decide = |answers: &[Value]| {
        let [owner, there] = answers else { return Err(fault::odd("a look at a document")) };
        let theirs = text(owner.clone()).as_deref() == Some(tenant.as_str()) && number(there) == 1;
        Ok(if theirs { Verdict::Do(deletion.clone(), true) } else { Verdict::Leave(false) })
    };
    transact(inner, &watched, &look, decide).await
}

fn deletion(inner: &Inner, uuid: &str) -> Pipeline {
    let mut pipe = Pipeline::new();
    pipe.cmd("DEL").arg(keys::document(uuid));
    pipe.cmd("DEL").arg(keys::keep(uuid));
    pipe.cmd("PEXPIRE").arg(keys::revision(uuid)).arg(millis(inner.settings.document_keep) + 86_400_000);
    pipe.cmd("ZREM").arg(keys::DOCUMENTS).arg(uuid);
    // vcon-server writes the bare uuid when it has got a vCon back from a storage.
    pipe.cmd("ZREM").arg(&inner.settings.sorted_set).arg(keys::document(uuid)).arg(uuid);
    let mut forget = scripts::FORGET.whole(&[]);
    forget.arg(uuid);
    pipe.add_command(forget);
    pipe
}

/// Uuids in order of arrival after `cursor`, without those that have expired.
pub(super) async fn page(
    inner: &Inner,
    scope: &TenantScope,
    cursor: Option<&str>,
    limit: usize,
) -> Result<Vec<String>> {
    let index = scope.tenant().map_or_else(|| keys::DOCUMENTS.to_owned(), keys::arrivals);
    let mut after = "-inf".to_owned();
    if let Some(cursor) = cursor {
        let mut score = cmd("ZSCORE");
        score.arg(&index).arg(cursor);
        let place = maybe_number(&inner.wire.one(score).await?).ok_or_else(|| {
            Error::permanent(format!("vCon {cursor} was deleted; the store cannot tell where to go on"))
                .help("start again from the beginning")
        })?;
        after = format!("({place}");
    }
    let mut found = Vec::new();
    while found.len() < limit {
        let mut range = cmd("ZRANGEBYSCORE");
        range.arg(&index).arg(&after).arg("+inf").arg("WITHSCORES").arg("LIMIT").arg(0).arg(limit.max(64));
        let mut rows: Vec<(String, i64)> = Vec::new();
        let mut flat = list(inner.wire.one(range).await?).into_iter();
        while let Some(first) = flat.next() {
            // RESP3 answers pairs, RESP2 a flat list.
            let (uuid, score) = match first {
                Value::Array(pair) => (pair.first().cloned(), pair.get(1).cloned()),
                uuid => (Some(uuid), flat.next()),
            };
            if let (Some(uuid), Some(score)) = (uuid.and_then(text), score) {
                rows.push((uuid, number(&score)));
            }
        }
        let Some((_, last)) = rows.last() else { break };
        after = format!("({last}");
        let mut pipe = Pipeline::new();
        for (uuid, _) in &rows {
            pipe.cmd("EXISTS").arg(keys::document(uuid));
        }
        let exist = inner.wire.ask(&pipe).await?;
        let there = rows.into_iter().zip(&exist).filter(|(_, exists)| number(exists) == 1);
        found.extend(there.map(|((uuid, _), _)| uuid));
    }
    found.truncate(limit);
    Ok(found)
}

/// Takes the writer lease of another vCon for a held claim and loads it.
pub(super) async fn switch(inner: &Inner, claim: &Claim, uuid: &str) -> Result<Option<Stored>> {
    let lost = || {
        Error::retryable(format!("process {} was declared dead and its claim is lost", claim.process))
            .help("another conductor goes on with the run")
    };
    let held = match inner.memory.get(claim) {
        Some(held) => held,
        None => {
            let mut lane = inner.any_lane().await;
            load::look_up(&mut lane, inner, claim).await?.ok_or_else(lost)?
        }
    };
    let former = held.target.as_ref().map_or(String::new(), |(target, _)| target.clone());
    let arguments = vec![
        held.wip.base.clone(),
        held.wip.key.clone(),
        held.element.clone(),
        text_of(claim.run),
        held.uuid.clone(),
        uuid.to_owned(),
        former,
    ];
    let answer = inner.wire.run(&scripts::SWITCH, &[], &[arguments]).await?;
    match answer.first().map_or(0, number) {
        0 => return Err(lost()),
        1 => {
            return Err(Error::retryable(format!("another run is working on vCon {uuid}"))
                .help("it is tried again when that run is done"));
        }
        3 => return Ok(None),
        _ => {}
    }
    let mut pipe = Pipeline::new();
    pipe.cmd("MGET").arg(keys::revision(uuid)).arg(keys::keep(uuid));
    pipe.cmd("TYPE").arg(keys::document(uuid));
    let answers = inner.wire.ask(&pipe).await?;
    let copy = load::target_copy(&answers, inner.now());
    let size = size(inner, uuid, copy.json).await?;
    let document = read(inner, uuid, copy.json, size).await?;
    inner.memory.change(&claim.process, claim.run, |held| {
        // The record names the other vCon now.
        held.known = true;
        held.target = (held.uuid != uuid).then(|| (uuid.to_owned(), copy));
    });
    Ok(stored(Some(document), i64::try_from(copy.revision).ok(), inner.now()))
}
