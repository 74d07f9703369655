//! What a follower must not forget between two steps, in a small file that is replaced as a whole.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vconductor_core::clock::Millis;
use vconductor_core::error::{Error, Result};
use vconductor_core::run::RunId;

/// Runs that were stored here and are not confirmed there are remembered for so long.
const REMEMBERED: Millis = 24 * 3600 * 1000;

/// Makes the folder of the journals.
pub(super) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| fault("make", folder, error))
}

/// A follower's journal; held by one process at a time.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    /// Its lock goes with the process.
    _lock: File,
    held: Held,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    /// Who we are to the other server, whatever becomes of this process.
    id: Uuid,
    /// Ids that were read from the other server and are not on our list yet.
    #[serde(default)]
    taken: Vec<String>,
    /// Runs of the other server that are stored here and not confirmed there, and since when.
    #[serde(default)]
    delivered: BTreeMap<String, Millis>,
}

impl Journal {
    /// Opens a follower's journal; `None`: another process has it.
    pub(super) fn open(folder: &Path, follower: &str) -> Result<Option<Self>> {
        let name = file_name(follower);
        let path = folder.join(format!("{name}.json"));
        let lock_path = folder.join(format!("{name}.lock"));
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path);
        let lock = lock.map_err(|error| fault("open", &lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(fault("lock", &lock_path, error)),
        }
        let held = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                Error::configuration(format!("`{}` is damaged", path.display()))
                    .help(
                        "it holds ids that were taken from the other server: look what can be read, then move it away",
                    )
                    .caused_by(error)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let held = Held { id: Uuid::new_v4(), taken: Vec::new(), delivered: BTreeMap::new() };
                let journal = Journal { path, _lock: lock, held };
                journal.write()?;
                return Ok(Some(journal));
            }
            Err(error) => return Err(fault("read", &path, error)),
        };
        Ok(Some(Journal { path, _lock: lock, held }))
    }

    /// Who this follower is to the other server.
    pub(super) fn id(&self) -> String {
        self.held.id.to_string()
    }

    /// Ids that are not on our list yet.
    pub(super) fn taken(&self) -> &[String] {
        &self.held.taken
    }

    /// Notes ids; on disk when it returns.
    pub(super) fn take(&mut self, ids: &[String]) -> Result<()> {
        self.held.taken.extend_from_slice(ids);
        self.write()
    }

    /// All ids are on our list.
    pub(super) fn listed(&mut self) -> Result<()> {
        self.held.taken.clear();
        self.write()
    }

    /// Whether a run of the other server is here already.
    pub(super) fn has(&self, run: RunId) -> bool {
        self.held.delivered.contains_key(&run.to_string())
    }

    /// Runs that are not confirmed yet.
    pub(super) fn delivered(&self) -> Vec<RunId> {
        self.held.delivered.keys().filter_map(|run| run.parse().ok().map(RunId)).collect()
    }

    /// Notes runs that are here; on disk when it returns.
    pub(super) fn deliver(&mut self, runs: &[RunId], now: Millis) -> Result<()> {
        self.held.delivered.extend(runs.iter().map(|run| (run.to_string(), now)));
        self.write()
    }

    /// Runs are confirmed; others that nobody asked for in a day are forgotten.
    pub(super) fn confirmed(&mut self, runs: &[RunId], now: Millis) -> Result<()> {
        for run in runs {
            self.held.delivered.remove(&run.to_string());
        }
        self.held.delivered.retain(|_, since| now - *since < REMEMBERED);
        self.write()
    }

    /// Replaces the file, so that it is whole at any moment.
    fn write(&self) -> Result<()> {
        let next = self.path.with_extension("next");
        let write = || {
            let mut file = File::create(&next)?;
            file.write_all(&serde_json::to_vec(&self.held).map_err(io::Error::other)?)?;
            file.sync_all()?;
            fs::rename(&next, &self.path)?;
            self.path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        };
        write().map_err(|error| fault("write", &self.path, error))
    }
}

/// A follower's name as the name of a file: what is not a plain character is written as `%XX`.
fn file_name(follower: &str) -> String {
    follower
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

fn fault(act: &str, path: &Path, error: io::Error) -> Error {
    let help = "followers note there what they have taken from other servers: give the user that runs vconductor write \
                access to it, or start it in another folder";
    Error::configuration(format!("cannot {act} `{}`", path.display())).help(help).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_its_process_and_is_held_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId(Uuid::from_u128(7));
        let id;
        {
            let mut journal = Journal::open(folder.path(), "n/1 ..").unwrap().unwrap();
            assert!(Journal::open(folder.path(), "n/1 ..").unwrap().is_none(), "two hold it");
            assert!(Journal::open(folder.path(), "south").unwrap().is_some());
            journal.take(&["a".to_owned(), "a".to_owned()]).unwrap();
            journal.deliver(&[run], 1000).unwrap();
            id = journal.id();
        }
        let mut journal = Journal::open(folder.path(), "n/1 ..").unwrap().unwrap();
        assert_eq!((journal.taken(), journal.delivered()), (&["a".to_owned(), "a".to_owned()][..], vec![run]));
        assert_eq!(journal.id(), id);
        journal.listed().unwrap();
        journal.confirmed(&[], 2000).unwrap();
        assert!(journal.taken().is_empty() && journal.has(run));
        journal.confirmed(&[], 1000 + REMEMBERED).unwrap();
        assert!(!journal.has(run), "remembered for ever");
    }

    #[test]
    fn a_damaged_journal_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("north.json"), "{\"taken\":[\"a").unwrap();
        let error = Journal::open(folder.path(), "north").unwrap_err();
        assert!(error.help_text().is_some() && error.message().contains("north.json"), "{error}");
    }
}
