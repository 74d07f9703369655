//! Saving: a batch is one `insert` command, and one `update` command of replacements for what is there already; the server
//! decides by revision.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::raw::{RawArrayBuf, RawDocumentBuf, cstr};
use mongodb::bson::{Bson, Document, doc};
use vconductor_core::plugin::SaveItem;
use vconductor_core::{Class, Error, Result};

use super::encode::encode;
use super::fault::{DUPLICATE_KEY, refused, unconfirmed};
use super::server::{Opened, Server};

/// Bytes of documents in one command, which must itself fit in a document; one document always fits.
const COMMAND: usize = 12 << 20;

/// One document on its way.
struct Write {
    /// Positions among the items: that of this revision, and those of older ones of the same vCon.
    positions: Vec<usize>,
    uuid: String,
    revision: u64,
    document: RawDocumentBuf,
}

/// What one command did.
enum Done {
    /// All of it.
    Whole,
    /// Up to the document at this position, which the server refused.
    Until(usize, i32, String),
}

/// Writes vCons, as many as fit in one command at a time; one result each.
pub(super) async fn save(server: &Server, items: &[SaveItem]) -> Vec<Result<()>> {
    let mut results: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
    let writes = writes(items, &mut results);
    if writes.is_empty() {
        return results;
    }
    let writes: Vec<&Write> = writes.iter().collect();
    let opened = match server.open().await {
        Ok(opened) => opened,
        Err(error) => {
            writes.iter().for_each(|write| refuse(write, &error, &mut results));
            return results;
        }
    };
    let mut rest = &writes[..];
    while !rest.is_empty() {
        let (now, after) = rest.split_at(fitting(rest));
        rest = after;
        // Most saves are the first of their vCon.
        match insert(server, opened, now).await {
            Ok(refusals) => {
                let mut held = Vec::new();
                for (position, code, text) in refusals {
                    match code {
                        DUPLICATE_KEY => held.push(now[position]),
                        _ => refuse(now[position], &refused(&server.place, code, &text), &mut results),
                    }
                }
                update_all(server, opened, &held, &mut results).await;
            }
            // One that the server chokes on fails alone.
            Err(error) if error.class() == Class::Permanent && now.len() > 1 => {
                for write in now {
                    update_all(server, opened, &[write], &mut results).await;
                }
            }
            Err(error) => now.iter().for_each(|write| refuse(write, &error, &mut results)),
        }
    }
    results
}

/// Replaces what is there and not newer, one command after the other.
async fn update_all(server: &Server, opened: &Opened, writes: &[&Write], results: &mut [Result<()>]) {
    let mut rest = writes;
    while !rest.is_empty() {
        let (now, _) = rest.split_at(fitting(rest));
        let done = match update(server, opened, now, true).await {
            Ok(Done::Whole) => now.len(),
            Ok(Done::Until(position, code, text)) => {
                let write = now[position];
                let result = if code == DUPLICATE_KEY {
                    replace(server, opened, write).await
                } else {
                    Err(refused(&server.place, code, &text))
                };
                if let Err(error) = result {
                    refuse(write, &error, results);
                }
                position + 1
            }
            // One that the server chokes on fails alone.
            Err(error) if error.class() == Class::Permanent && now.len() > 1 => {
                for write in now {
                    if let Err(error) = alone(server, opened, write).await {
                        refuse(write, &error, results);
                    }
                }
                now.len()
            }
            Err(error) => {
                now.iter().for_each(|write| refuse(write, &error, results));
                now.len()
            }
        };
        rest = &rest[done..];
    }
}

/// Tries all that a save needs: an update of what is not there.
pub(super) async fn probe(server: &Server) -> Result<()> {
    let mut document = RawDocumentBuf::new();
    let uuid = format!("probe-{}", uuid::Uuid::new_v4());
    document.append(cstr!("_id"), uuid.as_str());
    let write = Write { positions: Vec::new(), uuid, revision: 0, document };
    update(server, server.open().await?, &[&write], false).await.map(drop)
}

/// One document for each vCon.
fn writes(items: &[SaveItem], results: &mut [Result<()>]) -> Vec<Write> {
    let mut writes: BTreeMap<&str, Write> = BTreeMap::new();
    for (position, item) in items.iter().enumerate() {
        if item.uuid.is_empty() {
            results[position] =
                Err(Error::permanent("a vCon without a uuid cannot be saved").help("give the vCon a uuid"));
            continue;
        }
        let held = writes.entry(&item.uuid);
        if let Entry::Occupied(mut held) = held {
            if item.revision < held.get().revision {
                held.get_mut().positions.push(position);
                continue;
            }
            match encode(item) {
                Ok(document) => {
                    let held = held.get_mut();
                    (held.document, held.revision) = (document, item.revision);
                    held.positions.push(position);
                }
                Err(error) => results[position] = Err(error),
            }
            continue;
        }
        match encode(item) {
            Ok(document) => {
                let (uuid, revision) = (item.uuid.clone(), item.revision);
                held.or_insert(Write { positions: vec![position], uuid, revision, document });
            }
            Err(error) => results[position] = Err(error),
        }
    }
    writes.into_values().collect()
}

/// How many documents fit in one command.
fn fitting(writes: &[&Write]) -> usize {
    let mut bytes = 0;
    let all = writes.iter().take_while(|write| {
        bytes += write.document.as_bytes().len();
        bytes <= COMMAND
    });
    all.count().max(1)
}

async fn alone(server: &Server, opened: &Opened, write: &Write) -> Result<()> {
    match update(server, opened, &[write], true).await? {
        Done::Whole => Ok(()),
        Done::Until(_, DUPLICATE_KEY, _) => replace(server, opened, write).await,
        Done::Until(_, code, text) => Err(refused(&server.place, code, &text)),
    }
}

/// What follows when a document could not be inserted because one with its id is there: that one is newer, or it came
/// between the server's look and its insertion.
async fn replace(server: &Server, opened: &Opened, write: &Write) -> Result<()> {
    if let Done::Until(_, code, text) = update(server, opened, &[write], false).await? {
        return Err(refused(&server.place, code, &text));
    }
    let found = opened.collection.find_one(doc! {"_id": &write.uuid}).projection(doc! {"_vconductor.revision": 1});
    let held = server.answer(async { found.await }).await?;
    let held = held.as_ref().map(|held| held.get_document("_vconductor").and_then(|side| side.get_i64("revision")));
    match held {
        // Ours, or a newer one.
        Some(Ok(revision)) if u64::try_from(revision).is_ok_and(|revision| revision >= write.revision) => Ok(()),
        // It was deleted just now, or a unique index of somebody else's holds the document back.
        _ => Err(Error::retryable(format!("{} neither inserted nor replaced the document", server.place))
            .help("it is tried again; if it lasts, the collection has a unique index besides `_id`: drop it")),
    }
}

/// Inserts, in one command that goes on after what is refused: position, code and text of each.
async fn insert(server: &Server, opened: &Opened, writes: &[&Write]) -> Result<Vec<(usize, i32, String)>> {
    let mut documents = RawArrayBuf::new();
    for write in writes {
        documents.push(&write.document);
    }
    let mut command = RawDocumentBuf::new();
    command.append(cstr!("insert"), server.collection());
    command.append(cstr!("documents"), documents);
    command.append(cstr!("ordered"), false);
    let reply = send(server, opened, command).await?;
    let refused = refusals(&reply, writes.len()).ok_or_else(|| unclear(server))?;
    // A document that the server counts neither way must not be taken for saved.
    let inserted = reply.get("n").and_then(whole);
    if inserted != Some(writes.len() - refused.len()) {
        return Err(unclear(server));
    }
    Ok(refused)
}

/// Sends one command. Each document replaces one that is not newer; with `insert` it is inserted where there is none,
/// which fails with a duplicate key where a newer one is.
///
/// It stops at the first document that is refused: not every server that speaks the protocol knows the other way.
async fn update(server: &Server, opened: &Opened, writes: &[&Write], insert: bool) -> Result<Done> {
    let mut updates = RawArrayBuf::new();
    for write in writes {
        let revision = i64::try_from(write.revision).unwrap_or(i64::MAX);
        let filter = doc! {"_id": &write.uuid, "_vconductor.revision": {"$not": {"$gt": revision}}};
        let mut update = RawDocumentBuf::new();
        update.append(cstr!("q"), raw(&filter)?);
        update.append(cstr!("u"), &write.document);
        update.append(cstr!("upsert"), insert);
        updates.push(update);
    }
    let mut command = RawDocumentBuf::new();
    command.append(cstr!("update"), server.collection());
    command.append(cstr!("updates"), updates);
    command.append(cstr!("ordered"), true);
    let reply = send(server, opened, command).await?;
    let refused = refusals(&reply, writes.len()).ok_or_else(|| unclear(server))?;
    let first = refused.into_iter().next();
    Ok(first.map_or(Done::Whole, |(position, code, text)| Done::Until(position, code, text)))
}

/// Sends a command that writes; the reply of one whose writes are not confirmed is an error.
async fn send(server: &Server, opened: &Opened, mut command: RawDocumentBuf) -> Result<Document> {
    command.append(cstr!("writeConcern"), raw(&opened.write_concern)?);
    let sent = opened.database.run_raw_command(command);
    let reply = server.answer(async { sent.await }).await?;
    match reply.get_document("writeConcernError") {
        Ok(error) => Err(unconfirmed(&server.place, code(error), &text(error))),
        Err(_) => Ok(reply),
    }
}

/// Position, code and text of what was refused, each position once; `None` when the reply does not say which documents it means.
pub(super) fn refusals(reply: &Document, writes: usize) -> Option<Vec<(usize, i32, String)>> {
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let errors = errors.iter().map(|error| {
        let error = error.as_document()?;
        let position =
            error.get("index").and_then(whole).filter(|position| *position < writes && seen.insert(*position))?;
        Some((position, code(error), text(error)))
    });
    errors.collect()
}

/// A count, in whichever of BSON's numbers a server writes it.
fn whole(number: &Bson) -> Option<usize> {
    match number {
        Bson::Int32(number) => usize::try_from(*number).ok(),
        Bson::Int64(number) => usize::try_from(*number).ok(),
        Bson::Double(number) if number.fract() == 0.0 && (0.0..1e9).contains(number) => Some(*number as usize),
        _ => None,
    }
}

fn unclear(server: &Server) -> Error {
    Error::retryable(format!("{}: the server does not say which documents it has written", server.place))
        .help("it is tried again; if it lasts, look which version or proxy answers at that address")
}

fn code(error: &Document) -> i32 {
    error.get_i32("code").unwrap_or_default()
}

fn text(error: &Document) -> String {
    error.get_str("errmsg").unwrap_or_default().to_owned()
}

fn raw(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document)
        .map_err(|error| Error::permanent("a command cannot be written as BSON").caused_by(error))
}

fn refuse(write: &Write, error: &Error, results: &mut [Result<()>]) {
    for position in &write.positions {
        let copy = Error::new(error.class(), error.chain_text()).within(format_args!("vCon `{}`", write.uuid));
        results[*position] = Err(match error.help_text() {
            Some(help) => copy.help(help),
            None => copy,
        });
    }
}
