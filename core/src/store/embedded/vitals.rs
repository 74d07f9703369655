//! How the file and its disk are.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::schema::{Role, connect};
use super::{EmbeddedStore, fault};
use crate::error::{Error, Result};
use crate::store::EmbeddedVitals;

/// Faults that are told; more say no more.
const FAULTS: u32 = 5;

/// Looks at the file, its disk, and for at most `patience` whether the file is sound.
pub(super) async fn look(store: &EmbeddedStore, patience: Duration) -> Result<EmbeddedVitals> {
    let (directory, file) = (store.directory.clone(), store.file.clone());
    let work = move || {
        let mut vitals = of_files(&directory, &file).map_err(|error| {
            Error::retryable(format!("cannot look at {}", directory.display()))
                .help("check that the store's directory exists and that this user may read it")
                .caused_by(error)
        })?;
        vitals.damage = check(&file, patience)?;
        Ok(vitals)
    };
    let ended = |_| Error::retryable("the look at the store was cut off");
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

fn of_files(directory: &Path, file: &Path) -> std::io::Result<EmbeddedVitals> {
    let disk = rustix::fs::statvfs(directory)?;
    let about = fs::metadata(file)?;
    let log = fs::metadata(format!("{}-wal", file.display())).map_or(0, |log| log.len());
    Ok(EmbeddedVitals {
        directory: directory.to_owned(),
        file_bytes: about.len(),
        log_bytes: log,
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        disk_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        directory_mode: fs::metadata(directory)?.permissions().mode() & 0o7777,
        file_mode: about.permissions().mode() & 0o7777,
        network: network(directory),
        damage: None,
    })
}

/// The file system, where it is one of the network: SQLite's locks do not hold there.
#[cfg(target_os = "linux")]
fn network(directory: &Path) -> Option<&'static str> {
    // As Linux numbers them (statfs(2)).
    let kind = rustix::fs::statfs(directory).ok()?.f_type;
    match u32::try_from(kind).ok()? {
        0x6969 => Some("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => Some("SMB"),
        0x0102_1997 => Some("9P"),
        0x00c3_6400 => Some("CephFS"),
        _ => None,
    }
}

#[cfg(not(target_os = "linux"))]
fn network(_directory: &Path) -> Option<&'static str> {
    None
}

/// What SQLite's quick check finds; `None` if it takes longer than that.
fn check(file: &Path, patience: Duration) -> Result<Option<Vec<String>>> {
    let connection = connect(file, Role::Reader)?;
    let (handle, (done, waiting)) = (connection.get_interrupt_handle(), std::sync::mpsc::channel::<()>());
    let guard = std::thread::spawn(move || {
        // Whoever ends first: the check, which drops its side, or its time.
        if waiting.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let found = faults(&connection);
    drop(done);
    // It does not panic.
    drop(guard.join());
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => Ok(None),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase)
            ) =>
        {
            Ok(Some(vec![error.to_string()]))
        }
        Err(error) => Err(fault::explain(error, file)),
    }
}

fn faults(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA quick_check({FAULTS})"))?;
    let rows = check.query_map([], |row| row.get::<_, String>(0))?;
    let told: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(told.into_iter().filter(|line| line != "ok").collect())
}
