//! Looks into a store when everything is over. A Redis is read with its own commands, not through the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use redis::Connection;
use vconductor_core::error::{Error, Result};
use vconductor_core::store::embedded::{EmbeddedStore, Settings};
use vconductor_core::store::{ClaimRequest, Commit, Documents, End, Operations, ProcessId, Queue, Quota, TenantScope};

use super::check::Held;

/// Keys that are a run's, a claim's or a process's, and go with it.
const PASSING: [&str; 5] = ["*:wip:*", "*:wips", "*:writer", "*:returned", "vconductor:commits:*"];

/// What a Redis holds, on request with times to live. Every conductor must have left.
pub(super) fn redis(connection: &mut Connection, times: bool) -> Result<Held> {
    let mut held = Held::default();
    for uuid in list(connection, "out")? {
        *held.out.entry(uuid).or_default() += 1;
    }
    for uuid in list(connection, "DLQ:in")? {
        *held.dead.entry(uuid).or_default() += 1;
    }
    for uuid in held.out.keys() {
        let document: Option<String> =
            redis::cmd("GET").arg(format!("vcon:{uuid}")).query(connection).map_err(answer)?;
        if times {
            let left = redis::cmd("PTTL").arg(format!("vcon:{uuid}")).query(connection).map_err(answer)?;
            held.left_to_live.insert(uuid.clone(), left);
        }
        if let Some(document) = document {
            held.documents.insert(uuid.clone(), document);
        }
    }
    let keys = |connection: &mut Connection, pattern: &str| -> Result<Vec<String>> {
        redis::cmd("KEYS").arg(pattern).query(connection).map_err(answer)
    };
    for pattern in PASSING {
        held.left.extend(keys(connection, pattern)?);
    }
    // Records and ledgers belong to dead letters only.
    let dead: Vec<String> = redis::cmd("ZRANGE").arg("{in}:dead").arg(0).arg(-1).query(connection).map_err(answer)?;
    for pattern in ["{in}:run:*", "*:ledger:*"] {
        held.left
            .extend(keys(connection, pattern)?.into_iter().filter(|key| !dead.iter().any(|run| key.ends_with(run))));
    }
    held.left.extend(list(connection, "in")?.into_iter().map(|uuid| format!("{uuid} on the list")));
    for set in ["{in}:due", "{in}:parked"] {
        let runs: Vec<String> = redis::cmd("ZRANGE").arg(set).arg(0).arg(-1).query(connection).map_err(answer)?;
        held.left.extend(runs.into_iter().map(|run| format!("{run} in {set}")));
    }
    Ok(held)
}

fn list(connection: &mut Connection, name: &str) -> Result<Vec<String>> {
    redis::cmd("LRANGE").arg(name).arg(0).arg(-1).query(connection).map_err(answer)
}

fn answer(error: redis::RedisError) -> Error {
    Error::permanent("the checker cannot read the server").caused_by(error)
}

/// What an embedded store holds; takes everything off the egress list.
pub(super) async fn embedded(folder: &Path) -> Result<Held> {
    let store = EmbeddedStore::open(&folder.join("store"), Settings::default())?;
    let mut held = Held { out: drain(&store, "out").await?, ..Held::default() };
    for letter in store.dead_letters("DLQ:in", None, usize::MAX >> 1).await? {
        *held.dead.entry(letter.uuid).or_default() += 1;
    }
    for uuid in held.out.keys() {
        if let Some(stored) = store.get(&TenantScope::Everything, uuid).await? {
            held.documents.insert(uuid.clone(), String::from_utf8_lossy(&stored.document).into_owned());
        }
    }
    for status in store.lists().await? {
        if status.waiting + status.claimed + status.scheduled + status.parked > 0 {
            held.left.push(format!("{status:?}"));
        }
    }
    Ok(held)
}

async fn drain(store: &EmbeddedStore, list: &str) -> Result<BTreeMap<String, usize>> {
    let process = ProcessId::random();
    store.register(&process).await?;
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    loop {
        let quota = Quota { list: list.to_owned(), limit: 256, weight: 1 };
        let request = ClaimRequest { quotas: vec![quota], limit: 256, bytes: u64::MAX >> 1 };
        let (_, claimed) = store.exchange(&process, Vec::new(), Some(request)).await?;
        if claimed.is_empty() && store.pending(&[list.to_owned()], Duration::from_secs(3600)).await?.is_idle() {
            break;
        }
        let mut commits = Vec::new();
        for claimed in claimed {
            *taken.entry(claimed.claim.uuid.clone()).or_default() += 1;
            let (claim, end) = (claimed.claim, End::Done);
            commits.push(Commit::ending(claim, end));
        }
        store.exchange(&process, commits, None).await?;
        store.pump().await?;
    }
    store.deregister(&process).await?;
    Ok(taken)
}
