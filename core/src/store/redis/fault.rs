//! What Redis's errors mean for the engine and for the reader.

use redis::{ErrorKind, RedisError};

use crate::error::{Class, Error};

/// Classifies an error of the server or the connection and says what to do about it. `place` names the server
/// without secrets.
pub(super) fn explain(error: RedisError, place: &str) -> Error {
    let code = error.code().unwrap_or_default().to_owned();
    let detail = error.detail().unwrap_or_default().to_lowercase();
    let text = error.to_string().to_lowercase();
    let (class, message, help): (Class, String, String) = match code.as_str() {
        "NOAUTH" | "WRONGPASS" => (
            Class::Configuration,
            format!("{place} refuses the user or password"),
            "check user and password in the store's URL (redis://user:password@host:6379/0)".to_owned(),
        ),
        "NOPERM" => (
            Class::Configuration,
            format!("the user may not do this on {place}"),
            format!("give it the command or key named here: {}", error.detail().unwrap_or("see ACL LOG")),
        ),
        "OOM" => (
            Class::Retryable,
            format!("{place} has reached its `maxmemory`"),
            "free memory or raise `maxmemory`; nothing was half written, and work goes on by itself".to_owned(),
        ),
        "LOADING" => (
            Class::Retryable,
            format!("{place} is loading its data"),
            "it is tried again; work goes on when the server is ready".to_owned(),
        ),
        "MASTERDOWN" | "READONLY" | "CLUSTERDOWN" | "UNBLOCKED" => (
            Class::Retryable,
            format!("{place} cannot be written to now (it is a replica, or has lost its master)"),
            "it is tried again; if it lasts, point `store:` to the master".to_owned(),
        ),
        "MISCONF" => (
            Class::Retryable,
            format!("{place} cannot write to its disk and refuses changes"),
            "look at the server's log; free space on its disk".to_owned(),
        ),
        "WRONGTYPE" => (
            Class::Configuration,
            format!("a key on {place} has another type than its name promises"),
            "another program uses the name of a list or vCon for something else".to_owned(),
        ),
        _ if error.kind() == ErrorKind::AuthenticationFailed
            || text.contains("wrongpass")
            || text.contains("noauth") =>
        {
            (
                Class::Configuration,
                format!("{place} refuses the user or password"),
                "check user and password in the store's URL (redis://user:password@host:6379/0)".to_owned(),
            )
        }
        _ if detail.contains("unknown command") || detail.contains("unknown redis command") => (
            Class::Configuration,
            format!("{place} lacks a command: {}", error.detail().unwrap_or_default()),
            "Redis 6.2 or newer, or Valkey, is needed, with that command not renamed".to_owned(),
        ),
        _ if matches!(error.kind(), ErrorKind::MasterNameNotFoundBySentinel) => (
            Class::Configuration,
            format!("no Sentinel of {place} knows this master"),
            "the name behind the hosts is that of `sentinel monitor` in the Sentinels' configuration".to_owned(),
        ),
        _ if text.contains("invalid peer certificate") => (
            Class::Configuration,
            format!("the certificate of {place} is not trusted"),
            "name the file of its authority: rediss://...?ssl_ca_certs=/path/ca.pem; \
             the host in the URL must be one of the certificate's names"
                .to_owned(),
        ),
        _ if text.contains("certificaterequired") || text.contains("received fatal alert") => (
            Class::Configuration,
            format!("{place} does not accept this client over TLS"),
            "it may ask for a certificate: rediss://...?ssl_certfile=/path/cert.pem&ssl_keyfile=/path/key.pem"
                .to_owned(),
        ),
        _ if matches!(error.kind(), ErrorKind::InvalidClientConfig) => (
            Class::Configuration,
            "the Redis URL cannot be used".to_owned(),
            "write redis://[user:password@]host[:port][/database], or rediss:// for TLS".to_owned(),
        ),
        _ if error.is_timeout() => (
            Class::Retryable,
            format!("{place} did not answer in time"),
            match place.split_once("://") {
                Some(("rediss" | "valkeys" | "rediss+sentinel" | "valkeys+sentinel", _)) => {
                    "it is tried again; look whether the server is overloaded or paused, and whether it speaks TLS \
                     on this port (without TLS write redis://, with one s)"
                }
                _ => "it is tried again; look whether the server is overloaded or paused",
            }
            .to_owned(),
        ),
        _ if error.is_connection_refusal() || error.is_connection_dropped() || error.is_io_error() => (
            Class::Retryable,
            format!("{place} cannot be reached"),
            "it is tried again; work goes on within a second of its return".to_owned(),
        ),
        _ => (
            Class::Retryable,
            format!("{place} refused a command"),
            "if it lasts this is a defect of vConductor or of a proxy in between; please report it".to_owned(),
        ),
    };
    Error::new(class, message).help(help).caused_by(error)
}

/// A server that Sentinel named but that is not the master, or not any more.
pub(super) fn no_master(place: &str) -> Error {
    Error::retryable(format!("the server that {place} names is not the master now"))
        .help("a failover is under way; it is tried again and goes on when the new master is named")
}

/// A reply that does not have the form that the command promises.
pub(super) fn odd(what: &str) -> Error {
    Error::retryable(format!("Redis gave an unexpected answer to {what}"))
        .help("if it lasts, look for a proxy or a server that is not Redis or Valkey")
}
