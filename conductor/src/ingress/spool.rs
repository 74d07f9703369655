//! Folders whose files are taken.
//!
//! What became of a file is asked of the store and of nothing else, so that a kill at any moment and several processes on one
//! folder change nothing: a file without an item or a note of its vCon becomes an item; one whose vCon is made is moved away;
//! anything in between is being worked on, or is a dead letter.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use vconductor_core::clock::{Clock as _, SystemClock};
use vconductor_core::error::{Error, Result};
use vconductor_core::failpoint;
use vconductor_core::ingress::proof::hexadecimal;
use vconductor_core::plugin::Spool;
use vconductor_core::store::TenantScope;

use super::Gate;
use super::item::{Use, is_done, name};

/// How often is looked for files.
const LOOK: Duration = Duration::from_secs(1);
/// The most files of one look; what is left is found with the next ones.
const MOST: usize = 100_000;
/// Endings of files that are still written.
const UNFINISHED: [&str; 3] = [".tmp", ".part", ".partial"];

/// A file as it was last seen.
struct Seen {
    size: u64,
    modified: SystemTime,
    /// The hash of its content, once it was read.
    hash: Option<String>,
}

/// Takes files until told to stop.
pub(super) async fn watch(gate: Arc<Gate>, stop: CancellationToken) {
    let mut seen = HashMap::new();
    let mut trouble = String::new();
    loop {
        if let Some(spool) = gate.adapter.spool() {
            match look(&gate, spool, &mut seen).await {
                Ok(()) => trouble.clear(),
                Err(error) => {
                    let text = error.chain_text();
                    // Told once while it stays the same.
                    if trouble != text {
                        let help = error.help_text().unwrap_or_default();
                        tracing::warn!(ingress = gate.name, error = text, help, "the spool cannot be read");
                    }
                    trouble = text;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => {}
        }
    }
}

async fn look(gate: &Gate, spool: &dyn Spool, seen: &mut HashMap<String, Seen>) -> Result<()> {
    let folder = spool.folder().to_owned();
    let found = blocking(move || list(&folder)).await?;
    seen.retain(|name, _| found.iter().any(|(found, ..)| found == name));
    for (file, size, modified) in found {
        let known = seen.get(&file).is_some_and(|seen| (seen.size, seen.modified) == (size, modified));
        if !known {
            seen.insert(file, Seen { size, modified, hash: None });
            continue;
        }
        // A time in the future tells nothing; that it stays the same does.
        let age = modified.elapsed().unwrap_or(Duration::MAX);
        if age < spool.settled_after() || size == 0 {
            continue;
        }
        let path = spool.folder().join(&file);
        let Some(entry) = seen.get_mut(&file) else { continue };
        let hash = match &entry.hash {
            Some(hash) => hash.clone(),
            None => match blocking({
                let path = path.clone();
                move || hash_of(&path)
            })
            .await
            {
                Ok(hash) => entry.hash.insert(hash).clone(),
                // Another process has taken it, or nobody may read it: the latter is told.
                Err(error) => {
                    tracing::debug!(ingress = gate.name, file, error = %error.chain_text(), "a file cannot be read");
                    continue;
                }
            },
        };
        take(gate, spool, &file, &path, &hash, Timestamp::try_from(modified).unwrap_or(Timestamp::UNIX_EPOCH)).await?;
    }
    Ok(())
}

async fn take(gate: &Gate, spool: &dyn Spool, file: &str, path: &Path, hash: &str, modified: Timestamp) -> Result<()> {
    let event = spool.event(file, hash, modified);
    let item = name(Use::Item, &gate.name, &event.key());
    match gate.store.get(&TenantScope::Everything, &item).await? {
        Some(stored) if is_done(&stored.document) => {}
        Some(_) => return Ok(()),
        None if gate.maker(&item).await?.is_some() => {}
        None => {
            gate.accept(vec![event], SystemClock.now(), None).await?;
            failpoint::hit("ingress_spooled");
            return Ok(());
        }
    }
    let (from, to) = (path.to_owned(), spool.done().map(|done| (done.to_owned(), file.to_owned(), hash.to_owned())));
    blocking(move || away(&from, to)).await
}

/// Files with their sizes and times, in the order of their names.
fn list(folder: &Path) -> io::Result<Vec<(String, u64, SystemTime)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(MOST) {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if file.starts_with('.') || UNFINISHED.iter().any(|ending| file.ends_with(ending)) {
            continue;
        }
        // Links are not followed: what is taken lies here.
        match entry.metadata() {
            Ok(about) if about.is_file() => files.push((file, about.len(), about.modified()?)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn hash_of(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// Deletes a file, or moves it where nothing is overwritten.
fn away(from: &Path, to: Option<(PathBuf, String, String)>) -> io::Result<()> {
    let moved = match to {
        None => std::fs::remove_file(from),
        Some((folder, file, hash)) => {
            std::fs::create_dir_all(&folder)?;
            let plain = folder.join(&file);
            let target =
                if plain.exists() { folder.join(format!("{}-{file}", &hash[..hash.len().min(12)])) } else { plain };
            std::fs::rename(from, target)
        }
    };
    match moved {
        // Another process was quicker.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(io::Error::other).flatten().map_err(|error| {
        Error::retryable("the folder cannot be used")
            .caused_by(error)
            .help("it must be there, and this process must be allowed to read it and to move files")
    })
}
