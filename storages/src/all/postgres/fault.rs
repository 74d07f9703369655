//! What an error of the server or the connection means for the engine and for the operator.

use std::error::Error as StdError;
use std::io;

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::SqlState;
use vconductor_core::{Class, Error};

/// SQLSTATEs of a table that is not (any more) as it was.
const CHANGED_TABLE: [&str; 3] = ["42P01", "42703", "42P10"];

/// The error for `error`; `place` names the server without secrets.
pub(super) fn fault(place: &str, error: tokio_postgres::Error) -> Error {
    let (class, message, help) = match error.code() {
        Some(code) => of_server(place, code),
        None => of_connection(place, &error),
    };
    Error::new(class, message).help(help).caused_by(error)
}

/// The error for a pool that gives no connection.
pub(super) fn no_connection(place: &str, error: PoolError) -> Error {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => fault(place, error),
        PoolError::Timeout(TimeoutType::Wait) => Error::retryable(format!("all connections to {place} are in use"))
            .help("raise option `connections`, or look why the server is slow; it is tried again"),
        PoolError::Timeout(_) => Error::retryable(format!("{place} does not accept a connection in time"))
            .help("check that the server runs and that its address is right; it is tried again"),
        error => Error::retryable(format!("no connection to {place}")).help("it is tried again").caused_by(error),
    }
}

/// Whether an error says that the table is not as we knew it.
pub(super) fn is_of_changed_table(error: &Error) -> bool {
    state_of(error).is_some_and(|state| CHANGED_TABLE.contains(&state.code()))
}

/// Whether an error is about what we sent, so that a smaller batch may succeed.
pub(super) fn is_of_data(error: &Error) -> bool {
    error.class() == Class::Permanent && state_of(error).is_some()
}

fn state_of(error: &Error) -> Option<&SqlState> {
    StdError::source(error)?.downcast_ref::<tokio_postgres::Error>()?.code()
}

/// By SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_server(place: &str, state: &SqlState) -> (Class, String, String) {
    let code = state.code();
    let (class, message, help) = match code {
        "3D000" => {
            (Class::Configuration, "does not exist", "create the database, or name another one in option `database`")
        }
        "42501" => (
            Class::Configuration,
            "does not allow this to the user",
            "grant SELECT, INSERT, UPDATE and DELETE on the table, and CREATE on the schema where the table is to be made; \
             to a table of another owner that owner adds the columns `revision BIGINT` and `original TEXT`",
        ),
        "25006" => (
            Class::Retryable,
            "is read-only (a standby, or it was set so)",
            "it is tried again; if it lasts, name the primary",
        ),
        "53100" => (Class::Retryable, "has no space left on its disk", "free space there; it is tried again"),
        "53300" => (
            Class::Retryable,
            "has no connection left",
            "raise the server's `max_connections`, or lower option `connections`; it is tried again",
        ),
        "57014" => (
            Class::Retryable,
            "broke the statement off",
            "look whether the server is overloaded; option `timeout` is the longest time for an answer",
        ),
        "57P04" => (Class::Configuration, "was dropped", "create the database again, or name another one"),
        "22003" => (
            Class::Permanent,
            "does not take a number of the document: it is beyond what JSONB holds",
            "mend the number, or use a storage that keeps the text (file, s3, sqlite)",
        ),
        "22P05" => (
            Class::Permanent,
            "has no room for a character of the document in the database's encoding",
            "use a database with the encoding UTF8",
        ),
        _ => match code.get(..2).unwrap_or_default() {
            "28" => (
                Class::Configuration,
                "refuses the user or password",
                "check the options `user` and `password` (or `url`), and the server's pg_hba.conf",
            ),
            "42" | "3F" | "0A" | "0L" | "0P" => (
                Class::Configuration,
                "does not take the statement",
                "the table may have been made or changed by another program: compare its columns with the storage's manual",
            ),
            "22" | "23" | "54" => (
                Class::Permanent,
                "does not take the document",
                "the cause tells what is wrong with it; constraints and triggers of your own on the table may be it",
            ),
            "40" | "55" => (
                Class::Retryable,
                "broke the statement off for the sake of another one",
                "it is tried again; if it lasts, look for long transactions on the table",
            ),
            "08" | "57" => (Class::Retryable, "ended the connection, or is starting or stopping", "it is tried again"),
            _ => (Class::Retryable, "reports an error", "look at the server's log; it is tried again"),
        },
    };
    (class, format!("{place} {message}"), help.to_owned())
}

fn of_connection(place: &str, error: &tokio_postgres::Error) -> (Class, String, String) {
    let text = error.to_string();
    let cause = StdError::source(error).map(ToString::to_string).unwrap_or_default();
    let certificate = certificate_fault(error);
    let (class, message, help) = if certificate {
        (
            Class::Configuration,
            "shows a certificate that is not trusted",
            "name the authorities in option `ca_certs` and a host that the certificate is for, or choose another `sslmode`",
        )
    } else if cause.contains("does not support TLS") {
        (
            Class::Configuration,
            "does not speak TLS",
            "turn `ssl` on at the server, or choose `sslmode: prefer` or `disable`",
        )
    } else if text.starts_with("authentication") {
        (Class::Configuration, "asks for a password or a method that is not known here", "set option `password`")
    } else if text.starts_with("invalid configuration") {
        (Class::Configuration, "cannot be connected to with these options", "look at the cause and the manual page")
    } else if text.starts_with("error serializing") {
        (Class::Permanent, "cannot be sent this document", "it is too large for one message; take recordings out of it")
    } else {
        (
            Class::Retryable,
            "cannot be reached",
            "check that the server runs and that its address is right; it is tried again",
        )
    };
    (class, format!("{place} {message}"), help.to_owned())
}

/// Whether TLS failed for the certificate's sake.
fn certificate_fault(error: &tokio_postgres::Error) -> bool {
    let mut cause = StdError::source(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let tls = error.downcast_ref::<rustls::Error>().or_else(|| inner?.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::InvalidCertificate(_) | rustls::Error::UnsupportedNameType) = tls {
            return true;
        }
        cause = error.source();
    }
    false
}
