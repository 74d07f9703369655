//! What the server says of itself.

use std::time::Instant;

use redis::{Pipeline, Value};

use super::Inner;
use super::probe::Server;
use super::wire::{list, maybe_number, text};
use crate::error::Result;
use crate::store::RedisVitals;

/// Asks the server how it is. What it does not say, or not to this user, is left out.
pub(super) async fn look(inner: &Inner) -> Result<RedisVitals> {
    let mut ping = Pipeline::new();
    ping.cmd("TIME");
    // The first one may have to connect.
    inner.wire.ask(&ping).await?;
    let asked = Instant::now();
    let answer = inner.wire.ask(&ping).await?;
    let answered = asked.elapsed();
    let time: Vec<i64> = answer.into_iter().flat_map(list).filter_map(|part| maybe_number(&part)).collect();
    if let [seconds, micros] = time[..] {
        inner.compare_clocks(seconds * 1000 + micros / 1000);
    }
    let mut pipe = Pipeline::new();
    pipe.cmd("INFO");
    for name in ["appendfsync", "stop-writes-on-bgsave-error"] {
        pipe.cmd("CONFIG").arg("GET").arg(name);
    }
    let mut answers = inner.wire.try_ask(&pipe).await?.into_iter();
    let info = answers.next().and_then(text).unwrap_or_default();
    let mut setting = || answers.next().and_then(setting);
    let (file_sync, stops) = (setting(), setting());
    Ok(RedisVitals {
        answer_us: u64::try_from(answered.as_micros()).unwrap_or(u64::MAX),
        clock_ahead_ms: inner.there(0),
        file_sync,
        stops_on_failed_snapshot: stops.map(|stops| stops == "yes"),
        ..read(&info)
    })
}

/// The value in an answer to `CONFIG GET` of one name.
fn setting(answer: Value) -> Option<String> {
    match answer {
        Value::Map(pairs) => pairs.into_iter().next().and_then(|(_, value)| text(value)),
        other => list(other).into_iter().nth(1).and_then(text),
    }
}

/// Reads the answer to `INFO`.
fn read(info: &str) -> RedisVitals {
    let field = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let count = |name: &str| field(name)?.parse::<u64>().ok();
    let failed = [("aof", "aof_last_write_status"), ("rdb", "rdb_last_bgsave_status")];
    RedisVitals {
        server: Server::read(info).name,
        up_seconds: count("uptime_in_seconds"),
        role: field("role").map(str::to_owned),
        replicas: count("connected_slaves"),
        loading: field("loading") == Some("1"),
        memory: count("used_memory"),
        memory_limit: count("maxmemory"),
        machine_memory: count("total_system_memory"),
        eviction: field("maxmemory_policy").map(str::to_owned),
        evicted: count("evicted_keys"),
        file: field("aof_enabled").map(|enabled| enabled == "1"),
        write_failed: failed
            .into_iter()
            .filter(|(_, status)| field(status).is_some_and(|status| status != "ok"))
            .map(|(what, _)| what.to_owned())
            .collect(),
        clients: count("connected_clients"),
        clients_limit: count("maxclients"),
        ..RedisVitals::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_read_and_what_it_does_not_say_is_left_out() {
        let info = "# Server\nredis_version:7.0.15\nuptime_in_seconds:61\n# Memory\nused_memory:900\nmaxmemory:1000\n\
                    maxmemory_policy:allkeys-lru\n# Persistence\nloading:0\naof_enabled:1\naof_last_write_status:err\n\
                    rdb_last_bgsave_status:ok\n# Replication\nrole:master\nconnected_slaves:2\n";
        let vitals = read(&info.replace('\n', "\r\n"));
        assert_eq!((vitals.server.as_str(), vitals.up_seconds, vitals.loading), ("Redis 7.0.15", Some(61), false));
        assert_eq!((vitals.memory, vitals.memory_limit), (Some(900), Some(1000)));
        assert_eq!((vitals.eviction.as_deref(), vitals.evicted), (Some("allkeys-lru"), None));
        assert_eq!((vitals.file, vitals.write_failed.as_slice()), (Some(true), &["aof".to_owned()][..]));
        assert_eq!((vitals.role.as_deref(), vitals.replicas), (Some("master"), Some(2)));
        assert_eq!(read(""), RedisVitals::default());
    }
}
