//! Large documents. Each has a connection of its own, which is thrown away with the buffers that it has grown; so it
//! holds up nothing else, and 50 MB once do not stay 50 MB.
//!
//! A save must be part of its commit's transaction, which belongs to the lane's connection. So the document is written
//! as a draft beside its vCon first, and the transaction only gives the draft its name.

use std::time::Duration;

use bytes::Bytes;
use redis::{Pipeline, Value, cmd};

use super::commit::{fits_json, millis};
use super::lane::text_of;
use super::load::{JSON, read_json, stored};
use super::wire::{refused, send, text};
use super::{Inner, keys, scripts};
use crate::error::Result;
use crate::run::RunId;
use crate::store::{Claimed, Commit};

/// A draft whose commit never came goes by itself.
const DRAFT: Duration = Duration::from_secs(600);

/// Sends commands over a connection of their own; any error of the server fails the whole.
pub(super) async fn ask(inner: &Inner, pipe: &Pipeline) -> Result<Vec<Value>> {
    let mut connection = inner.wire.bulk().await?;
    let values = send(&mut connection, pipe).await.map_err(|error| inner.wire.explain(error))?;
    match values.iter().find_map(refused) {
        Some(error) => Err(inner.wire.explain(error)),
        None => Ok(values),
    }
}

/// Reads a document.
pub(super) async fn read(inner: &Inner, uuid: &str, json: bool) -> Result<Value> {
    let mut pipe = Pipeline::new();
    if json {
        pipe.add_command(read_json(uuid));
    } else {
        pipe.cmd("GET").arg(keys::document(uuid));
    }
    Ok(ask(inner, &pipe).await?.pop().unwrap_or(Value::Nil))
}

/// Loads the documents that a claim left out.
pub(super) async fn load(inner: &Inner, claimed: &mut [Claimed], large: &[(RunId, bool)]) -> Result<()> {
    for (run, json) in large {
        if let Some(claimed) = claimed.iter_mut().find(|claimed| claimed.claim.run == *run) {
            let document = read(inner, &claimed.claim.uuid, *json).await?;
            let revision = claimed.stored.as_ref().and_then(|stored| i64::try_from(stored.revision).ok());
            claimed.stored = stored(Some(document), revision, inner.now());
        }
    }
    Ok(())
}

/// Whether a document goes by way of a draft.
pub(super) fn is_large(inner: &Inner, document: &[u8]) -> bool {
    document.len() >= inner.settings.large
}

/// Writes the drafts of what is large among the documents that are saved and made.
pub(super) async fn draft(inner: &Inner, commits: &[Commit]) -> Result<()> {
    let mut large: Vec<(RunId, &str, &Bytes)> = Vec::new();
    for commit in commits {
        let documents = commit.save.iter().map(|save| (save.uuid.as_str(), &save.document));
        let made = commit.made.iter().map(|made| (made.uuid.as_str(), &made.document));
        let documents = documents.chain(made).filter(|(_, document)| is_large(inner, document));
        large.extend(documents.map(|(uuid, document)| (commit.claim.run, uuid, document)));
    }
    for (run, uuid, document) in large {
        let draft = keys::draft(uuid, &text_of(run));
        let mut kind = cmd("TYPE");
        kind.arg(keys::document(uuid));
        let json = inner.has_json
            && match text(inner.wire.one(kind).await?).as_deref() {
                Some(JSON) => true,
                Some("none") => inner.new_as_json(),
                _ => false,
            };
        let mut pipe = Pipeline::new();
        if json && fits_json(document) {
            pipe.cmd("DEL").arg(&draft);
            pipe.cmd("JSON.SET").arg(&draft).arg(".").arg(&document[..]);
            pipe.cmd("PEXPIRE").arg(&draft).arg(millis(DRAFT));
        } else {
            pipe.cmd("SET").arg(&draft).arg(&document[..]).arg("PX").arg(millis(DRAFT));
        }
        ask(inner, &pipe).await?;
    }
    Ok(())
}

/// Makes a draft the document, under the time to live that it has; part of a transaction.
pub(super) fn adopt(pipe: &mut Pipeline, uuid: &str, run: &str) {
    let mut call = scripts::ADOPT.whole(&[]);
    call.arg(keys::draft(uuid, run)).arg(keys::document(uuid));
    pipe.add_command(call);
}
