//! What the conductor's work costs without the conductor: the same commands and scripts, written down by hand.

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, Value, from_redis_value};
use vconductor_core::run::RunId;
use vconductor_core::store::redis::{RedisStore, Settings, tail_from};

use crate::load::{Measured, Outcome, Round, bytes, connect, fill, server};

const CLAIM: &str = include_str!("../../../../core/src/store/redis/lua/claim.lua");
const BATCH: usize = 64;
/// The tags attachment as the link writes it.
const TAGS: &[u8] = b"{\"purpose\":\"tags\",\"start\":\"2026-01-02T03:04:05.678Z\",\"party\":0,\"dialog\":0,\
    \"mediatype\":\"application/json\",\"encoding\":\"json\",\"body\":\"[\\\"t0:t0\\\"]\"}]}";

/// Two lanes on one thread, as the conductor has them on a small machine.
pub(crate) async fn round(size: usize, count: usize) -> Outcome<Measured> {
    let server = server();
    fill(&server, count, size).await?;
    let mut connection = connect(&server).await?;
    let round = Round::begin(&mut connection, std::process::id()).await?;
    let url = server.url();
    let worker = std::thread::spawn(move || -> Outcome {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let tails = RedisStore::connect(&url, Settings::default()).await?.sends_tails();
            let client = redis::Client::open(url)?;
            let first = client.get_multiplexed_async_connection().await?;
            let second = client.get_multiplexed_async_connection().await?;
            tokio::try_join!(lane(first, 0, tails), lane(second, 1, tails))?;
            Ok(())
        })
    });
    tokio::task::spawn_blocking(move || worker.join()).await?.map_err(|_| "a lane panicked")??;
    round.end(&mut connection, count).await
}

async fn lane(mut connection: MultiplexedConnection, lane: u8, tails: bool) -> redis::RedisResult<()> {
    let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(CLAIM).query_async(&mut connection).await?;
    let process = format!("bare-{lane}");
    redis::cmd("ZADD").arg("vconductor:processes").arg(4e15).arg(&process).exec_async(&mut connection).await?;
    let mut batch: Vec<Edited> = Vec::new();
    let (mut wip, mut name) = (String::new(), String::new());
    let mut transactions = 0_u64;
    loop {
        let mut pipe = Pipeline::new();
        let ended = batch.len();
        if ended > 0 {
            transactions += 1;
            commit(&mut pipe, &batch, (&wip, &name), (&process, transactions));
        }
        let id = RunId::new().0.simple().to_string();
        name = format!("{process}:{id}");
        wip = format!("{{in}}:wip:{name}");
        pipe.cmd("EVALSHA").arg(&hash).arg(3).arg("vconductor:processes").arg("vconductor:paused").arg("in");
        pipe.arg(&process).arg(&id).arg(&id[..28]).arg(0).arg(BATCH).arg(256 << 20).arg(0).arg(0).arg(2);
        pipe.arg(1).arg(0).arg(250).arg(30_000).arg(0).arg(4 << 20).arg(BATCH).arg(1).arg("{in}");
        let mut values = connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
        let answer: Vec<Value> = from_redis_value(values.pop().unwrap_or(Value::Nil))?;
        let elements: Vec<String> = from_redis_value(answer.get(4).cloned().unwrap_or(Value::Nil))?;
        // An element is entry, run and uuid.
        let taken: Vec<&str> = elements.iter().filter_map(|element| element.rsplit(' ').next()).collect();
        if taken.is_empty() && ended == 0 {
            return Ok(());
        }
        batch.clear();
        if taken.is_empty() {
            continue;
        }
        let mut pipe = Pipeline::new();
        let names: Vec<String> = taken.iter().map(|uuid| format!("vcon:{uuid}")).collect();
        pipe.cmd("WATCH").arg(&wip).arg(if tails { &names[..] } else { &[] });
        pipe.cmd("LLEN").arg(&wip);
        let (mut sides, mut documents) = (redis::cmd("MGET"), redis::cmd("MGET"));
        for uuid in &taken {
            sides.arg(format!("{{vcon:{uuid}}}:rev")).arg(format!("{{vcon:{uuid}}}:keep"));
        }
        documents.arg(names);
        pipe.add_command(sides);
        pipe.add_command(documents);
        let mut values = connection.send_packed_commands(&pipe, 0, pipe.len()).await?;
        let Some(Value::Array(documents)) = values.pop() else { continue };
        for (uuid, document) in taken.into_iter().zip(documents) {
            if let Some(old) = bytes(document) {
                // What the link adds: an attachment before the end of the array.
                let new = [&old[..old.len() - 2], TAGS].concat();
                let from = if tails { tail_from(&old, &new) } else { None };
                batch.push(Edited { uuid: uuid.to_owned(), from, document: new });
            }
        }
    }
}

/// A document to save.
struct Edited {
    uuid: String,
    document: Vec<u8>,
    /// From where on it is to be written, if not as a whole.
    from: Option<usize>,
}

fn commit(pipe: &mut Pipeline, batch: &[Edited], wip: (&str, &str), mark: (&str, u64)) {
    pipe.cmd("MULTI");
    let (mut revisions, mut push, mut gone) = (redis::cmd("MSET"), redis::cmd("RPUSH"), redis::cmd("DEL"));
    push.arg("out");
    for Edited { uuid, document, from } in batch {
        match from {
            Some(from) => pipe.cmd("SETRANGE").arg(format!("vcon:{uuid}")).arg(from).arg(&document[*from..]),
            None => pipe.cmd("SET").arg(format!("vcon:{uuid}")).arg(document).arg("KEEPTTL"),
        };
        revisions.arg(format!("{{vcon:{uuid}}}:rev")).arg(1_800_000_000_000_u64);
        push.arg(uuid);
        gone.arg(format!("{{vcon:{uuid}}}:writer"));
    }
    gone.arg(wip.0);
    pipe.add_command(revisions);
    pipe.add_command(push);
    pipe.cmd("SREM").arg("{in}:wips").arg(wip.1);
    pipe.add_command(gone);
    pipe.cmd("HSET").arg(format!("vconductor:commits:{}", mark.0)).arg(0).arg(mark.1);
    pipe.cmd("EXEC");
}

/// Files written by several threads at once, each on disk before the next: a new file, `fsync`, its place. Per second.
pub(crate) fn fsynced_writes(size: usize, count: usize, threads: usize) -> Outcome<f64> {
    use std::io::Write;
    let folder = tempfile::tempdir()?;
    let started = std::time::Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|worker| {
            let folder = folder.path().to_owned();
            std::thread::spawn(move || -> std::io::Result<()> {
                for number in (worker..count).step_by(threads) {
                    let new = folder.join(format!("{number}.new"));
                    let mut file = std::fs::File::create(&new)?;
                    file.write_all(&vec![b'x'; size])?;
                    file.sync_all()?;
                    std::fs::rename(&new, folder.join(format!("{number}.json")))?;
                }
                Ok(())
            })
        })
        .collect();
    for worker in workers {
        worker.join().map_err(|_| "a writer panicked")??;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}
