//! What a follower must not forget before our store knows it, in a small file that is replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vconductor_core::error::{Error, Result};

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
    /// Ids that were read from the other server and are not on our list yet, as far as this process knows.
    #[serde(default)]
    taken: Vec<String>,
    /// The reply that they came with; our store tells under this name whether they are on the list.
    #[serde(default)]
    reply: Uuid,
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
                let held = Held { id: Uuid::new_v4(), taken: Vec::new(), reply: Uuid::nil() };
                let journal = Journal { path, _lock: lock, held };
                journal.write()?;
                return Ok(Some(journal));
            }
            Err(error) => return Err(fault("read", &path, error)),
        };
        Ok(Some(Journal { path, _lock: lock, held }))
    }

    /// Who this follower is to the other server.
    pub(super) fn id(&self) -> Uuid {
        self.held.id
    }

    /// Ids that may not be on our list yet, and the reply that they came with.
    pub(super) fn taken(&self) -> (Uuid, &[String]) {
        (self.held.reply, &self.held.taken)
    }

    /// Notes the ids of a reply, once those of the one before are on our list; on disk when it returns.
    pub(super) fn take(&mut self, ids: Vec<String>) -> Result<()> {
        (self.held.reply, self.held.taken) = (Uuid::new_v4(), ids);
        self.write()
    }

    /// All ids are on our list.
    pub(super) fn listed(&mut self) -> Result<()> {
        self.held.taken.clear();
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
        let ids = ["a".to_owned(), "a".to_owned()];
        let (id, reply);
        {
            let mut journal = Journal::open(folder.path(), "n/1 ..").unwrap().unwrap();
            assert!(Journal::open(folder.path(), "n/1 ..").unwrap().is_none(), "two hold it");
            assert!(Journal::open(folder.path(), "south").unwrap().is_some());
            journal.take(ids.to_vec()).unwrap();
            (id, reply) = (journal.id(), journal.taken().0);
        }
        // Until a program that another test is just starting is itself, it has a copy of the lock.
        let reopened = || std::iter::repeat_with(|| Journal::open(folder.path(), "n/1 ..").unwrap()).take(1_000_000);
        let mut journal = reopened().flatten().next().unwrap();
        assert_eq!((journal.id(), journal.taken()), (id, (reply, &ids[..])));
        journal.listed().unwrap();
        assert!(journal.taken().1.is_empty());
        journal.take(vec!["b".to_owned()]).unwrap();
        assert_ne!(journal.taken().0, reply, "another reply has the same name");
    }

    #[test]
    fn a_damaged_journal_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("north.json"), "{\"taken\":[\"a").unwrap();
        let error = Journal::open(folder.path(), "north").unwrap_err();
        assert!(error.help_text().is_some() && error.message().contains("north.json"), "{error}");
    }
}
