//! What an error of SQLite means for the engine and for the operator.

use rusqlite::ErrorCode;
use vconductor_core::{Class, Error};

use super::options::Options;

/// The error for `error`, which happened when we tried to `act` the database.
pub(super) fn fault(act: &str, options: &Options, error: rusqlite::Error) -> Error {
    let (class, help) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Class::Retryable, "another program writes to the file; end its transaction")
        }
        Some(ErrorCode::DiskFull) => {
            (Class::Retryable, "free space on that disk, or move the file to a larger one and change option `path`")
        }
        Some(ErrorCode::CannotOpen) => {
            (Class::Configuration, "option `path` must name a file in a folder that exists and that we may write to")
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => (
            Class::Configuration,
            "give the user that runs vconductor write access to the file and its folder, or change option `path`",
        ),
        Some(ErrorCode::NotADatabase) => {
            (Class::Configuration, "the file is no SQLite database; option `path` must name a new file or a database")
        }
        Some(ErrorCode::DatabaseCorrupt) => (
            Class::Configuration,
            "the database is damaged: stop, keep a copy, and repair it with `sqlite3 FILE .recover`",
        ),
        Some(ErrorCode::TooBig) => {
            (Class::Permanent, "SQLite holds values up to 1 GB; take recordings out of the document (link `diet`)")
        }
        // A table of that name with other columns.
        Some(ErrorCode::Unknown) => {
            (Class::Configuration, "if the table was made by another program, choose another name in option `table`")
        }
        _ => (Class::Retryable, "check the disk and its mount; it is tried again"),
    };
    Error::new(class, format!("cannot {act} `{}`", options.path.display())).help(help).caused_by(error)
}
