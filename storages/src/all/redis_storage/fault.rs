//! What an error of the server or the connection means for the engine and for the operator.

use redis::{ErrorKind, RedisError};
use vconductor_core::{Class, Error};

/// The error for `error`; `place` names the server without secrets.
pub(super) fn fault(place: &str, error: RedisError) -> Error {
    let detail = error.detail().unwrap_or_default().to_owned();
    let (class, message, help) = match error.code().unwrap_or_default() {
        "NOAUTH" | "WRONGPASS" => refused_login(place),
        "NOPERM" => (
            Class::Configuration,
            format!("the user may not do this on {place}"),
            format!("give it the keys `<prefix>:*` and `{{<prefix>}}:*` and this command: {detail}"),
        ),
        "OOM" => (
            Class::Retryable,
            format!("{place} has reached its `maxmemory`"),
            "free memory, raise `maxmemory` or lower option `expires`".to_owned(),
        ),
        "LOADING" | "BUSY" => (Class::Retryable, format!("{place} is not ready yet"), "it is tried again".to_owned()),
        "MASTERDOWN" | "READONLY" => (
            Class::Retryable,
            format!("{place} cannot be written to now (it is a replica, or has lost its master)"),
            "it is tried again; if it lasts, point option `redis_url` to the master".to_owned(),
        ),
        "MISCONF" => (
            Class::Retryable,
            format!("{place} cannot write to its disk and refuses changes"),
            "look at the server's log; free space on its disk".to_owned(),
        ),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" => (
            Class::Configuration,
            format!("{place} is a node of a Redis Cluster"),
            "option `redis_url` must name a single server, with replicas behind it".to_owned(),
        ),
        "WRONGTYPE" => (
            Class::Configuration,
            format!("a key on {place} has another type than its name promises"),
            "another program uses this prefix: choose another one in option `prefix`".to_owned(),
        ),
        _ if error.kind() == ErrorKind::AuthenticationFailed || mentions_login(&error) => refused_login(place),
        _ if detail.to_lowercase().contains("unknown command") => (
            Class::Configuration,
            format!("{place} lacks a command: {detail}"),
            "Redis 6.2 or newer, or Valkey, is needed, with that command not renamed".to_owned(),
        ),
        _ if matches!(error.kind(), ErrorKind::InvalidClientConfig) => (
            Class::Configuration,
            "option `redis_url` cannot be used".to_owned(),
            "write redis://[user:password@]host[:port][/database], or rediss:// for TLS".to_owned(),
        ),
        _ if error.is_timeout() => (
            Class::Retryable,
            format!("{place} did not answer in time"),
            "look whether the server is overloaded; option `timeout` is the longest time for an answer".to_owned(),
        ),
        _ if error.is_connection_refusal() || error.is_connection_dropped() || error.is_io_error() => (
            Class::Retryable,
            format!("{place} cannot be reached"),
            "check that the server runs and that option `redis_url` names it; it is tried again".to_owned(),
        ),
        _ => (Class::Retryable, format!("{place} refused a command"), "look at the server's log".to_owned()),
    };
    Error::new(class, message).help(help).caused_by(error)
}

fn refused_login(place: &str) -> (Class, String, String) {
    (
        Class::Configuration,
        format!("{place} refuses the user or password"),
        "check user and password in option `redis_url` (redis://user:password@host:6379/0)".to_owned(),
    )
}

fn mentions_login(error: &RedisError) -> bool {
    let text = error.to_string().to_lowercase();
    text.contains("wrongpass") || text.contains("noauth") || text.contains("password authentication failed")
}

/// A reply that does not have the form that the command promises.
pub(super) fn odd(what: &str) -> Error {
    Error::retryable(format!("Redis gave an unexpected answer to {what}"))
        .help("if it lasts, look for a proxy or a server that is neither Redis nor Valkey")
}
