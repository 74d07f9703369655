//! Saving: documents wait under names of their own until a script has looked at their revision.

use bytes::Bytes;
use jiff::Timestamp;
use redis::{Pipeline, Value, cmd};
use vconductor_core::plugin::SaveItem;
use vconductor_core::{Error, Result};

use super::fault::odd;
use super::keys::{self, Keys};
use super::scripts::SAVE;
use super::server::{Server, is_noscript, refused};

/// Bytes of documents in one flight; one document always fits.
const FLIGHT: usize = 8 << 20;
/// The largest string that a server takes, unless it is configured otherwise.
const LARGEST: usize = 512 << 20;
/// How long a document waits before it is thrown away, in milliseconds, should we die between the two steps.
const WAIT: u64 = 120_000;

/// One document on its way.
struct Write {
    /// Its position among the items.
    position: usize,
    document: Bytes,
    incoming: String,
    keys: [String; 4],
    revision: String,
    member: String,
}

/// Writes vCons, as many as fit in one flight at a time; one result each.
pub(super) async fn save(server: &Server, keys: &Keys, expires: u64, items: &[SaveItem]) -> Vec<Result<()>> {
    let mut results: Vec<Result<()>> = items.iter().map(|_| Ok(())).collect();
    let mut flight: Vec<Write> = Vec::new();
    let mut bytes = 0;
    for (position, item) in items.iter().enumerate() {
        let write = match prepared(keys, position, item) {
            Ok(write) => write,
            Err(error) => {
                results[position] = Err(error);
                continue;
            }
        };
        if bytes + write.document.len() > FLIGHT && !flight.is_empty() {
            fly(server, keys, expires, std::mem::take(&mut flight), &mut results).await;
            bytes = 0;
        }
        bytes += write.document.len();
        flight.push(write);
    }
    fly(server, keys, expires, flight, &mut results).await;
    results
}

/// Tries all that a save needs.
pub(super) async fn probe(server: &Server, keys: &Keys, uuid: &str) -> Result<()> {
    let write = Write {
        position: 0,
        document: Bytes::from_static(b"{}"),
        incoming: keys.incoming(),
        keys: keys.of(uuid),
        revision: "0".to_owned(),
        member: keys::member(0, uuid),
    };
    let mut results = vec![Ok(())];
    // It would go away by itself if we could not take it out.
    fly(server, keys, WAIT, vec![write], &mut results).await;
    results.pop().unwrap_or(Ok(()))
}

fn prepared(keys: &Keys, position: usize, item: &SaveItem) -> Result<Write> {
    if item.uuid.is_empty() {
        return Err(Error::permanent("a vCon without a uuid cannot be saved").help("give it a uuid"));
    }
    let document = item.vcon.to_bytes();
    if document.len() > LARGEST {
        return Err(Error::permanent(format!("vCon `{}` has {} bytes, Redis takes 512 MB", item.uuid, document.len()))
            .help("take recordings out of the document (link `diet`), or use another storage"));
    }
    let created_at = item.vcon.created_at().unwrap_or_else(Timestamp::now).as_millisecond();
    Ok(Write {
        position,
        document,
        incoming: keys.incoming(),
        keys: keys.of(&item.uuid),
        revision: item.revision.to_string(),
        member: keys::member(created_at, &item.uuid),
    })
}

async fn fly(server: &Server, keys: &Keys, expires: u64, writes: Vec<Write>, results: &mut [Result<()>]) {
    let (expires, prefix) = (expires.to_string(), keys.document_prefix());
    let call = |write: &Write, whole: bool| {
        let mut keys = write.keys.to_vec();
        keys.push(write.incoming.clone());
        let arguments = [write.revision.as_bytes(), write.member.as_bytes(), expires.as_bytes(), prefix.as_bytes()];
        if whole { SAVE.whole(&keys, &arguments) } else { SAVE.call(&keys, &arguments) }
    };
    let mut pipe = Pipeline::new();
    for write in &writes {
        let mut set = cmd("SET");
        set.arg(&write.incoming).arg(write.document.as_ref()).arg("PX").arg(WAIT);
        pipe.add_command(set);
        pipe.add_command(call(write, false));
    }
    let mut answers = match server.ask(&pipe).await {
        Ok(answers) => answers,
        Err(error) => return writes.iter().for_each(|write| results[write.position] = Err(again(&error))),
    };
    let forgotten: Vec<usize> = (0..writes.len()).filter(|index| is_noscript(&answers[index * 2 + 1])).collect();
    let mut pipe = Pipeline::new();
    for index in &forgotten {
        pipe.add_command(call(&writes[*index], true));
    }
    match server.ask(&pipe).await {
        Ok(whole) => forgotten.iter().zip(whole).for_each(|(index, answer)| answers[index * 2 + 1] = answer),
        Err(error) => forgotten.iter().for_each(|index| results[writes[*index].position] = Err(again(&error))),
    }
    for (write, answers) in writes.iter().zip(answers.chunks(2)) {
        if results[write.position].is_ok()
            && let Err(error) = outcome(server, answers)
        {
            results[write.position] = Err(error.within(format_args!("vCon `{}`", write.keys[0])));
        }
    }
}

/// 1: written, 0: a newer one is there. Anything else is none of ours.
fn outcome(server: &Server, answers: &[Value]) -> Result<()> {
    // The first refusal is the cause of the others.
    if let Some(error) = answers.iter().find_map(refused) {
        return Err(server.explain(error));
    }
    match answers.last() {
        Some(Value::Int(0 | 1)) => Ok(()),
        Some(Value::Int(-1)) => Err(Error::retryable("Redis lost the document before it was in its place")
            .help("the server evicts keys or is very slow; it is tried again")),
        _ => Err(odd("a script")),
    }
}

/// The error of a flight for one of its vCons.
fn again(error: &Error) -> Error {
    let copy = Error::new(error.class(), error.chain_text());
    match error.help_text() {
        Some(help) => copy.help(help),
        None => copy,
    }
}
