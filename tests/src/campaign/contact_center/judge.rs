//! What became of everything, told from outside.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memmem;
use redis::Commands as _;
use serde_json::Value;
use vconductor_core::error::Result;
use vconductor_core::plugin::{Storage, StorageEntry, inventory};

use super::place::{KEY, Place};
use super::{Outcome, answer, io};
use crate::vendors::Call;

/// What the chain adds to a recording.
const ANALYSES: [&str; 5] = ["transcript", "summary", "is_complaint", "customer_frustration", "summary_stats"];
/// From a vendor's answer to the ledger.
const UNSAVED: Duration = Duration::from_secs(2);

/// Holds whatever the order of things.
pub(super) async fn all(place: &Place, outcome: &mut Outcome) -> Result<()> {
    let mut connection = place.connect();
    for list in ["calls", "complaints", "DLQ:calls", "DLQ:complaints"] {
        let left: usize = connection.llen(list).map_err(answer)?;
        if left > 0 {
            outcome.breaches.push(format!("{left} are left on {list}"));
        }
    }
    let dead: Vec<String> = connection.keys("DLQ:storage:*").map_err(answer)?;
    outcome.breaches.extend(dead.into_iter().map(|list| format!("{list} is not empty")));
    for (name, paid) in place.paid() {
        outcome.paid.entry(name).or_default().0 = paid;
    }
    Ok(())
}

/// Conversations that did not come out as often as they went in.
pub(super) fn came_out(done: &[String], uuids: &[String], times: usize) -> Vec<String> {
    let found = uuids.iter().map(|uuid| (uuid, done.iter().filter(|one| *one == uuid).count()));
    let wrong = found.filter(|(_, found)| *found != times);
    wrong.map(|(uuid, found)| format!("{uuid} went in {times} times and came out {found} times")).collect()
}

/// Where the vendors' key is and should not be: in anything that Redis has, or in any log.
pub(super) fn secrets(place: &Place, folder: &Path) -> Result<Vec<String>> {
    let mut connection = place.connect();
    let keys: Vec<String> = connection.keys("*").map_err(answer)?;
    let mut found = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).map_err(answer)?;
        let content: redis::Value = match kind.as_str() {
            "string" => connection.get(&key),
            "list" => connection.lrange(&key, 0, -1),
            "hash" => connection.hgetall(&key),
            "set" => connection.smembers(&key),
            "zset" => connection.zrange(&key, 0, -1),
            _ => Ok(redis::Value::Nil),
        }
        .map_err(answer)?;
        if texts(&content).iter().any(|text| memmem::find(text, KEY.as_bytes()).is_some()) {
            found.push(format!("a key of a vendor is in Redis under {key}"));
        }
    }
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|end| end == "log")
            && memmem::find(&std::fs::read(&path).map_err(io)?, KEY.as_bytes()).is_some()
        {
            found.push(format!("a key of a vendor is in {}", path.display()));
        }
    }
    Ok(found)
}

fn texts(value: &redis::Value) -> Vec<&[u8]> {
    match value {
        redis::Value::BulkString(text) => vec![text],
        redis::Value::Array(values) | redis::Value::Set(values) => values.iter().flat_map(texts).collect(),
        redis::Value::Map(pairs) => {
            pairs.iter().flat_map(|(name, value)| [texts(name), texts(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

/// Reads every conversation back from the store and each storage: complete, and everywhere the same.
pub(super) async fn conversations(place: &Place, uuids: &[String]) -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    let mut connection = place.connect();
    let storages = place.storages().map(|(module, options)| (module, open(module, options)));
    for uuid in uuids {
        let document: Option<String> = connection.get(format!("vcon:{uuid}")).map_err(answer)?;
        let Some(document) = document.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
            breaches.push(format!("{uuid} is not in the store"));
            continue;
        };
        breaches.extend(incomplete(uuid, &document));
        for (module, storage) in &storages {
            match storage.load(uuid).await? {
                None => breaches.push(format!("{uuid} is not in {module}")),
                Some(stored) => {
                    let stored: Value = serde_json::from_slice(&stored).unwrap_or_default();
                    if stored != document {
                        breaches.push(format!("{uuid} is another in {module}: {stored} and in the store {document}"));
                    }
                }
            }
        }
    }
    Ok(breaches)
}

fn incomplete(uuid: &str, document: &Value) -> Option<String> {
    let analyses: Vec<&str> = document["analysis"].as_array()?.iter().filter_map(|one| one["type"].as_str()).collect();
    let count = |kind: &str| analyses.iter().filter(|one| **one == kind).count();
    // A sample conversation without its recording has the transcript that it came with.
    let wrong: Vec<&str> = ANALYSES.into_iter().filter(|kind| count(kind) != 1).collect();
    if !wrong.is_empty() {
        return Some(format!("{uuid} has {analyses:?}: not one of each of {wrong:?}"));
    }
    let frustration = document["analysis"].as_array()?.iter().find(|one| one["type"] == "customer_frustration")?;
    let is_to_review = frustration["body"].as_str().is_some_and(|body| body.starts_with("NEEDS REVIEW"));
    let was_posted = frustration["was_posted_to_slack"] == true;
    (is_to_review != was_posted).then(|| format!("{uuid}: to review {is_to_review}, posted {was_posted}"))
}

fn open(module: &str, options: Value) -> Arc<dyn Storage> {
    let entry = inventory::iter::<StorageEntry>.into_iter().find(|entry| entry.module == module);
    (entry.expect("a module").build)("judge", options).expect("options")
}

/// Nothing was paid twice but what was in flight when a conductor died.
pub(super) fn payments(place: &Place, deaths: &[Instant], outcome: &mut Outcome) {
    for (vendor, calls) in place.calls() {
        let mut same: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        for call in calls.iter().filter(|call| (200..300).contains(&call.status)) {
            let mut hasher = DefaultHasher::new();
            (&call.path, &call.body).hash(&mut hasher);
            same.entry(hasher.finish()).or_default().push(call);
        }
        let mut again = 0;
        for calls in same.values() {
            for pair in calls.windows(2) {
                let (first, second) = (pair[0].began, pair[1].began);
                again += 1;
                if !deaths.iter().any(|death| *death >= first && *death <= second && *death - first < UNSAVED) {
                    let (path, between) = (&pair[0].path, second - first);
                    outcome
                        .breaches
                        .push(format!("{vendor} was paid twice for {path}, {between:?} apart, without a death"));
                }
            }
        }
        outcome.paid.entry(vendor).or_default().1 += again;
    }
}
