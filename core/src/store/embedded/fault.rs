//! What SQLite's errors mean for the engine and for the reader.

use std::path::Path;

use rusqlite::ErrorCode;

use crate::error::{Class, Error};

/// Classifies an SQLite error and says what to do about it.
pub(super) fn explain(error: rusqlite::Error, file: &Path) -> Error {
    let place = file.parent().unwrap_or(file).display();
    let (class, message, help) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Class::Retryable,
            format!("the store {place} is locked by another process"),
            "it is tried again; if it lasts, look for a stopped or stuck `vconductor` on the same directory".to_owned(),
        ),
        Some(ErrorCode::DiskFull) => (
            Class::Retryable,
            format!("no space left for the store {place}"),
            format!("free space on the disk of {place}; nothing was half written, and work goes on by itself"),
        ),
        Some(ErrorCode::SystemIoFailure) => (
            Class::Retryable,
            format!("the disk of the store {place} failed"),
            "look at the kernel log for disk errors; nothing was half written".to_owned(),
        ),
        Some(ErrorCode::OutOfMemory | ErrorCode::OperationInterrupted) => {
            (Class::Retryable, format!("the store {place} was interrupted"), "it is tried again".to_owned())
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            Class::Configuration,
            format!("{} is damaged or no vConductor store", file.display()),
            "restore it from a backup, or move the file away to start with an empty store; \
             `sqlite3 vconductor.db .recover` may save its contents"
                .to_owned(),
        ),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => (
            Class::Configuration,
            format!("the store {place} cannot be opened for writing"),
            format!("check that {place} exists and that this user may write to it"),
        ),
        Some(ErrorCode::TooBig) => (
            Class::Permanent,
            "the document is larger than the embedded store can hold (1 GB)".to_owned(),
            "keep recordings outside of the vCon and refer to them by url".to_owned(),
        ),
        _ => (
            Class::Permanent,
            format!("the store {place} did not understand its own data or command"),
            "this is a defect of vConductor, or the file was changed by something else; please report it".to_owned(),
        ),
    };
    Error::new(class, message).help(help).caused_by(error)
}
