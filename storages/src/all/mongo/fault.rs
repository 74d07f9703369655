//! What an error of the driver or the server means for the engine and for the operator.

use mongodb::error::{ErrorKind, WriteFailure};
use vconductor_core::{Class, Error};

/// A document with the same value in a unique index is there.
pub(super) const DUPLICATE_KEY: i32 = 11_000;

/// The error for `error`; `place` names the server without secrets.
pub(super) fn fault(place: &str, error: mongodb::error::Error) -> Error {
    let (class, message, help) = match error.kind.as_ref() {
        ErrorKind::Command(error) => of_code(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => of_code(error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => of_concern(error.code),
        ErrorKind::Authentication { .. } => REFUSED_LOGIN,
        ErrorKind::InvalidArgument { .. } => {
            (Class::Configuration, "cannot be used with these options", "look at the cause and at option `url`")
        }
        ErrorKind::InvalidTlsConfig { .. } => {
            (Class::Configuration, "cannot be spoken to with TLS", "check the `tls` parameters in option `url`")
        }
        ErrorKind::IncompatibleServer { .. } => {
            (Class::Configuration, "is of a version that is not supported", "MongoDB 4.2 or newer is needed")
        }
        ErrorKind::Bson(_) | ErrorKind::BsonSerialization(_) | ErrorKind::BsonDeserialization(_) => {
            (Class::Permanent, "and BSON do not go together with this document", "look at the cause")
        }
        ErrorKind::ServerSelection { .. } => (
            Class::Retryable,
            "cannot be reached",
            "check that the server runs, and its address, TLS and replica set in option `url`; it is tried again",
        ),
        _ => (Class::Retryable, "cannot be reached", "it is tried again"),
    };
    Error::new(class, format!("{place} {message}")).help(help).caused_by(error)
}

/// The error for a document that the server refused.
pub(super) fn refused(place: &str, code: i32, text: &str) -> Error {
    let (class, message, help) = of_code(code);
    Error::new(class, format!("{place} {message}: {text} (code {code})")).help(help)
}

/// The error for a write that not enough servers have confirmed.
pub(super) fn unconfirmed(place: &str, code: i32, text: &str) -> Error {
    let (class, message, help) = of_concern(code);
    Error::new(class, format!("{place} {message}: {text} (code {code})")).help(help)
}

type Verdict = (Class, &'static str, &'static str);

const REFUSED_LOGIN: Verdict = (
    Class::Configuration,
    "refuses the user or password",
    "check user, password and `authSource` in option `url` (mongodb://user:password@host/?authSource=admin)",
);

/// By the server's error code, <https://www.mongodb.com/docs/manual/reference/error-codes/>.
fn of_code(code: i32) -> Verdict {
    match code {
        11 | 18 => REFUSED_LOGIN,
        13 | 8000 => (
            Class::Configuration,
            "does not allow this to the user",
            "give the user the role `readWrite` on the database, and name the user in option `url`",
        ),
        20 | 26 | 59 | 73 | 166 | 40324 | 40415 => (
            Class::Configuration,
            "does not take the command",
            "the collection may be a view or a time series, or the server may be none that can keep vCons",
        ),
        2 | 9 | 15 | 22 | 40 | 52 | 54 | 57 | 59_000 | 10_334 | 17_280 | 17_419 | 17_420 => (
            Class::Permanent,
            "does not take the document",
            "the cause tells what is wrong with it; a storage that keeps the text (file, s3, sqlite) takes it",
        ),
        121 => (
            Class::Permanent,
            "does not take the document, which the collection's own rules refuse",
            "look at the collection's `validator`",
        ),
        DUPLICATE_KEY => (
            Class::Permanent,
            "does not take the document, as another one has the same value in a unique index",
            "vCons need no unique index but that on `_id`: drop the other one",
        ),
        14_031 => (Class::Retryable, "has no space left on its disk", "free space there; it is tried again"),
        50 | 202 | 262 => (
            Class::Retryable,
            "did not answer in time",
            "look whether the server is overloaded; option `timeout` is the longest time for an answer",
        ),
        10_107 | 13_435 | 13_436 | 11_602 | 189 => (
            Class::Retryable,
            "is no primary, or no longer",
            "it is tried again; if it lasts, name all members or `replicaSet` in option `url`",
        ),
        91 | 11_600 => (Class::Retryable, "is being stopped", "it is tried again"),
        _ => (Class::Retryable, "reports an error", "look at the server's log; it is tried again"),
    }
}

fn of_concern(code: i32) -> Verdict {
    match code {
        // Unknown or unsatisfiable `w`.
        79 | 100 => (
            Class::Configuration,
            "cannot confirm a write as it is asked to",
            "`w` in option `url` must name no more members than the replica set has",
        ),
        _ => (
            Class::Retryable,
            "has the write, but not on enough members yet",
            "look whether the replica set is healthy; it is tried again",
        ),
    }
}
