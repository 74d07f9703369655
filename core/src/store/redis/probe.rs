//! A look at the server before the store is used: what it is, and whether it knows and allows every command that
//! the store sends.
//!
//! Permissions cannot be asked for without being an administrator. But a command inside of `MULTI` is checked when
//! it is queued, and what is never executed changes nothing: so every command is queued once, on a connection that
//! is thrown away.

use redis::{Pipeline, Value, cmd};

use super::wire::{Wire, refused, send, text};
use super::{Encoding, Settings};
use crate::error::{Error, Result};

/// Every command that the store sends, its scripts' included, with arguments that a server accepts.
pub(super) const NEEDED: &[&str] = &[
    "BLMOVE vconductor:probe vconductor:probe LEFT LEFT 0.01",
    "DEL vconductor:probe",
    "EVAL return 0",
    "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
    "EXISTS vconductor:probe",
    "EXPIRE vconductor:probe 1",
    "GET vconductor:probe",
    "GETRANGE vconductor:probe 0 1",
    "HDEL vconductor:probe f",
    "HGET vconductor:probe f",
    "HGETALL vconductor:probe",
    "HINCRBY vconductor:probe f 1",
    "HMGET vconductor:probe f",
    "HSET vconductor:probe f v",
    "HSETNX vconductor:probe f v",
    "INCR vconductor:probe",
    "INCRBYFLOAT vconductor:probe 1",
    "LINDEX vconductor:probe 0",
    "LLEN vconductor:probe",
    "LPOP vconductor:probe",
    "LPOS vconductor:probe e",
    "LPUSH vconductor:probe e",
    "LRANGE vconductor:probe 0 0",
    "LREM vconductor:probe 1 e",
    "LSET vconductor:probe 0 e",
    "LTRIM vconductor:probe 0 0",
    "MGET vconductor:probe",
    "MSET vconductor:probe v",
    "PERSIST vconductor:probe",
    "PEXPIRE vconductor:probe 1",
    "PTTL vconductor:probe",
    "RENAME vconductor:probe vconductor:probe",
    "RPUSH vconductor:probe e",
    "SADD vconductor:probe m",
    "SCAN 0 COUNT 1",
    "SCRIPT LOAD return",
    "SET vconductor:probe v",
    "SETRANGE vconductor:probe 0 v",
    "SINTER vconductor:probe",
    "SISMEMBER vconductor:probe m",
    "SMEMBERS vconductor:probe",
    "SREM vconductor:probe m",
    "STRLEN vconductor:probe",
    "TIME",
    "TYPE vconductor:probe",
    "ZADD vconductor:probe 0 m",
    "ZCARD vconductor:probe",
    "ZCOUNT vconductor:probe 0 0",
    "ZRANGE vconductor:probe 0 0",
    "ZRANGEBYLEX vconductor:probe - +",
    "ZRANGEBYSCORE vconductor:probe 0 0",
    "ZREM vconductor:probe m",
    "ZREVRANGEBYSCORE vconductor:probe 0 0",
    "ZSCORE vconductor:probe m",
];

/// What is needed beside them where the server has RedisJSON.
pub(super) const NEEDED_OF_JSON: &[&str] =
    &["JSON.SET vconductor:probe . 1", "JSON.GET vconductor:probe .", "JSON.DEBUG MEMORY vconductor:probe ."];

/// The names of all commands that a user of the store must be allowed to use; those of RedisJSON only where the server
/// has it.
pub fn commands_needed() -> impl Iterator<Item = &'static str> {
    let calls = AT_ONCE.iter().chain(NEEDED).chain(NEEDED_OF_JSON);
    calls.map(|call| call.split(' ').next().unwrap_or_default())
}

/// Keys that the store uses, of each kind: a user may be kept from some.
const KEYS: &[&str] = &[
    "vcon:probe",
    "{vcon:probe}:rev",
    "probe",
    "{probe}:wips",
    "DLQ:probe",
    "context:probe:probe",
    "{vconductor:shared}:probe",
];

/// Commands that cannot be queued.
const AT_ONCE: &[&str] = &["PING", "WATCH vconductor:probe", "UNWATCH", "MULTI", "EXEC"];

/// What to use where somebody wants a cluster.
pub(super) const INSTEAD_OF_A_CLUSTER: &str = "use one server: redis://host:port, or redis+sentinel://host,host/master with replicas that take its place; what changes \
     in one step here would lie in several slots";

/// What a server is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Server {
    /// `Redis` or `Valkey`, with its version; empty if it does not say.
    pub(super) name: String,
    /// What it says of the version of Redis that it is like.
    version: Option<(u32, u32)>,
    cluster: bool,
    pub(super) json: bool,
    /// The `maxmemory-policy`, if it may evict keys.
    pub(super) eviction: Option<String>,
    jemalloc: bool,
}

impl Server {
    /// Whether a value keeps what the allocator has set aside for it beyond its length, and how much that is is known:
    /// before 7.2 it is cut off.
    pub(super) fn leaves_room(&self) -> bool {
        self.jemalloc && self.version.is_some_and(|version| version >= (7, 2))
    }

    pub(super) fn is_valkey(&self) -> bool {
        self.name.starts_with("Valkey")
    }

    /// Reads the answer to `INFO server`.
    pub(super) fn read(info: &str) -> Server {
        let field = |name: &str| {
            info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':')).map(str::to_owned)
        };
        let redis = field("redis_version");
        let valkey = field("valkey_version").or_else(|| {
            // Valkey 7.2 has no version of its own but says its name.
            field("server_name").filter(|name| name == "valkey").and_then(|_| redis.clone())
        });
        let number = |version: &String| {
            let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
            (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
        };
        Server {
            version: redis.as_ref().map(number),
            name: match (valkey, redis) {
                (Some(version), _) => format!("Valkey {version}"),
                (None, Some(version)) => format!("Redis {version}"),
                (None, None) => String::new(),
            },
            cluster: field("redis_mode").or_else(|| field("server_mode")).as_deref() == Some("cluster"),
            json: false,
            eviction: None,
            jemalloc: false,
        }
    }
}

/// Reads the answer to `INFO memory`: the policy, where there is a limit at which keys are evicted. A server that does
/// not say is not suspected.
fn eviction(info: &str) -> Option<String> {
    let field = |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let limited = field("maxmemory")?.parse::<u64>().is_ok_and(|limit| limit > 0);
    field("maxmemory_policy").filter(|policy| limited && *policy != "noeviction").map(str::to_owned)
}

/// Looks at the server.
///
/// # Errors
///
/// Configuration: the server is too old, is a cluster node, lacks a command, or does not allow one to the user.
pub(super) async fn probe(wire: &Wire, settings: &Settings) -> Result<Server> {
    let mut connection = wire.open(settings.response_timeout).await?;
    let mut pipe = Pipeline::new();
    for call in AT_ONCE {
        add(&mut pipe, call);
    }
    // A user without INFO may still be able to do all that is needed.
    pipe.cmd("INFO").arg("memory");
    pipe.cmd("INFO").arg("server");
    let mut answers = send(&mut connection, &pipe).await.map_err(|error| wire.explain(error))?;
    let mut server = answers.pop().and_then(text).map(|info| Server::read(&info)).unwrap_or_default();
    let memory = answers.pop().and_then(text).unwrap_or_default();
    server.eviction = eviction(&memory);
    server.jemalloc = memory.contains("mem_allocator:jemalloc");
    usable(wire, &server)?;
    let mut problems = Problems::default();
    for (call, answer) in AT_ONCE.iter().zip(&answers) {
        problems.note(call, answer);
    }
    // Without a transaction, what is only meant to be queued would be executed.
    std::mem::take(&mut problems).tell(wire, &server)?;
    let mut pipe = Pipeline::new();
    pipe.cmd("MULTI");
    for call in NEEDED.iter().chain(NEEDED_OF_JSON) {
        add(&mut pipe, call);
    }
    for key in KEYS {
        pipe.cmd("PERSIST").arg(key);
    }
    let mut queued = send(&mut connection, &pipe).await.map_err(|error| wire.explain(error))?;
    queued.drain(..1.min(queued.len()));
    let (plain, json) = queued.split_at(NEEDED.len().min(queued.len()));
    for (call, answer) in NEEDED.iter().zip(plain) {
        problems.note(call, answer);
    }
    let (json, keys) = json.split_at(NEEDED_OF_JSON.len().min(json.len()));
    server.json = !json.first().and_then(refused).is_some_and(|error| is_unknown(&error));
    if server.json {
        for (call, answer) in NEEDED_OF_JSON.iter().zip(json) {
            problems.note(call, answer);
        }
    }
    for (key, answer) in KEYS.iter().zip(keys) {
        problems.note_key(key, answer);
    }
    problems.tell(wire, &server)?;
    if settings.encoding == Encoding::Json && !server.json {
        return Err(Error::configuration(format!("{} has no RedisJSON", wire.place))
            .help("load the module, or leave the encoding at `auto`"));
    }
    Ok(server)
}

fn usable(wire: &Wire, server: &Server) -> Result<()> {
    if server.version.is_some_and(|version| version < (6, 2)) {
        return Err(Error::configuration(format!("{} is {}", wire.place, server.name))
            .help("Redis 6.2 or newer, or Valkey, is needed"));
    }
    if server.cluster {
        return Err(
            Error::configuration(format!("{} is a node of a Redis Cluster", wire.place)).help(INSTEAD_OF_A_CLUSTER)
        );
    }
    Ok(())
}

fn add(pipe: &mut Pipeline, call: &str) {
    let mut words = call.split(' ');
    let mut command = cmd(words.next().unwrap_or_default());
    for word in words {
        command.arg(word);
    }
    pipe.add_command(command);
}

fn is_unknown(error: &redis::RedisError) -> bool {
    error.detail().unwrap_or_default().to_lowercase().contains("unknown command")
}

/// What a server lacks or does not allow.
#[derive(Debug, Default)]
struct Problems {
    unknown: Vec<String>,
    denied: Vec<String>,
    keys: Vec<String>,
    other: Option<redis::RedisError>,
}

impl Problems {
    fn note(&mut self, call: &str, answer: &Value) {
        let Some(error) = refused(answer) else { return };
        let command = call.split(' ').next().unwrap_or_default().to_owned();
        let detail = error.detail().unwrap_or_default().to_lowercase();
        // `EXEC` tells it as the reason why a transaction was given up.
        if error.code() == Some("NOPERM") || detail.contains("noperm") {
            let list = if detail.contains("key") { &mut self.keys } else { &mut self.denied };
            let what = if detail.contains("key") { "vconductor:probe".to_owned() } else { command };
            if !list.contains(&what) {
                list.push(what);
            }
        } else if is_unknown(&error) {
            self.unknown.push(command);
        } else if !detail.contains("without multi") && self.other.is_none() {
            self.other = Some(error);
        }
    }

    fn note_key(&mut self, key: &str, answer: &Value) {
        if refused(answer).is_some_and(|error| {
            error.code() == Some("NOPERM") && error.detail().unwrap_or_default().to_lowercase().contains("key")
        }) {
            self.keys.push(key.to_owned());
        }
    }

    fn tell(self, wire: &Wire, server: &Server) -> Result<()> {
        if !self.unknown.is_empty() {
            let name = if server.name.is_empty() { String::new() } else { format!(" ({})", server.name) };
            return Err(Error::configuration(format!("{}{name} lacks {}", wire.place, commands(&self.unknown)))
                .help("Redis 6.2 or newer, or Valkey, is needed, with these commands not renamed"));
        }
        if let Some(error) = self.other {
            return Err(wire.explain(error));
        }
        if !self.denied.is_empty() {
            let rules: Vec<String> = self.denied.iter().map(|command| format!("+{}", command.to_lowercase())).collect();
            return Err(Error::configuration(format!(
                "the user may not use {} on {}",
                commands(&self.denied),
                wire.place
            ))
            .help(format!("allow it: ACL SETUSER <user> {}", rules.join(" "))));
        }
        if !self.keys.is_empty() {
            return Err(Error::configuration(format!(
                "the user may not use keys such as {} on {}",
                self.keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
                wire.place
            ))
            .help("allow them: ACL SETUSER <user> ~*; lists have the names that producers give them"));
        }
        Ok(())
    }
}

fn commands(names: &[String]) -> String {
    let word = if names.len() == 1 { "the command" } else { "the commands" };
    format!("{word} {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn servers_are_told_apart() {
        let read = |info: &str| Server::read(&info.replace('\n', "\r\n"));
        let redis = read("# Server\nredis_version:7.0.15\nredis_mode:standalone\n");
        assert_eq!((redis.name.as_str(), redis.version, redis.cluster), ("Redis 7.0.15", Some((7, 0)), false));
        let valkey =
            read("# Server\nredis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.1.3\nserver_mode:standalone\n");
        assert_eq!((valkey.name.as_str(), valkey.version, valkey.is_valkey()), ("Valkey 8.1.3", Some((7, 2)), true));
        assert!(!redis.leaves_room() && !valkey.leaves_room());
        assert!(Server { jemalloc: true, ..valkey }.leaves_room() && !Server { jemalloc: true, ..redis }.leaves_room());
        assert_eq!(read("redis_version:7.2.5\nserver_name:valkey\n").name, "Valkey 7.2.5");
        assert!(read("redis_version:7.2.4\nvalkey_version:8.1.3\nserver_mode:cluster\n").cluster);
        assert!(read("redis_version:7.0.15\nredis_mode:cluster\n").cluster);
        assert_eq!(read(""), Server::default());
        let evicts = |info: &str| eviction(&info.replace('\n', "\r\n"));
        assert_eq!(evicts("maxmemory:100\nmaxmemory_policy:volatile-lru\n").as_deref(), Some("volatile-lru"));
        for harmless in
            ["maxmemory:0\nmaxmemory_policy:allkeys-lru\n", "maxmemory:9\nmaxmemory_policy:noeviction\n", ""]
        {
            assert_eq!(evicts(harmless), None);
        }
    }

    /// The words that follow `before` in a text, in upper case.
    fn words_after(text: &str, before: &str) -> Vec<String> {
        let starts = text.match_indices(before).map(|(at, _)| at + before.len());
        let word = |at: usize| {
            let end = text[at..].find(|c: char| !c.is_ascii_alphabetic() && c != '.').unwrap_or(0);
            text[at..at + end].to_owned()
        };
        starts.map(word).filter(|word| !word.is_empty() && *word == word.to_uppercase()).collect()
    }

    #[test]
    fn every_command_of_the_store_is_asked_for() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/redis");
        let mut used = BTreeSet::new();
        for file in std::fs::read_dir(&folder).unwrap().chain(std::fs::read_dir(folder.join("lua")).unwrap()) {
            let path = file.unwrap().path();
            if path.is_dir() || path.ends_with("probe.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            for before in ["cmd(\"", "redis.call('", "redis.pcall('", "{ \"", "sides(\""] {
                used.extend(words_after(text, before));
            }
        }
        // Looked for by other means, or not needed.
        for command in
            ["INFO", "CONFIG", "WAIT", "ROLE", "SENTINEL", "LEFT", "RIGHT", "SUBSCRIBE", "PUBLISH", "WITHSCORES"]
        {
            used.remove(command);
        }
        let named = NEEDED.iter().chain(NEEDED_OF_JSON).chain(AT_ONCE).map(|call| call.split(' ').next().unwrap());
        let named: BTreeSet<String> = named.map(str::to_owned).collect();
        assert!(used.len() > 40, "the commands are found: {used:?}");
        assert_eq!(used.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "used but not asked for");
        assert_eq!(
            named
                .difference(&used)
                .filter(|name| !["PING", "UNWATCH", "EXEC", "MULTI", "WATCH"].contains(&name.as_str()))
                .collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "asked for but not used"
        );
    }
}
