//! The index beside the data: revision, time and place of every vCon, one small file each.
//!
//! An entry is written after the file that it names is durable, so that it never promises what the disk does not hold.
//! Entries themselves are not forced to the disk, which would double the cost of a save: after a power failure the last
//! ones may be missing or empty. Their files are then found by looking into the day folders, and the only thing lost is
//! that an older revision which arrives after all that is not refused. The crash of the program loses no entry.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;

use vconductor_core::Result;
use vconductor_core::clock::Millis;

use super::fault::fault;
use super::folder::{self, Incoming};
use super::place::is_place;

/// What is known about one vCon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) revision: u64,
    /// `created_at`, or the time of the save where there is none.
    pub(super) created: Millis,
    /// Relative to the storage's folder.
    pub(super) place: PathBuf,
}

/// The index of one storage.
#[derive(Debug)]
pub(super) struct Index {
    /// The folder of the entries.
    pub(super) folder: PathBuf,
    pub(super) incoming: Incoming,
}

/// Which of 256 parts of the index a stem belongs to. A hash, because the first characters of time-ordered uuids, and
/// the last ones of those that carry a domain's hash, are all alike.
pub(super) fn part(stem: &str) -> u8 {
    let hash = stem
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash.to_be_bytes().into_iter().fold(0, |part, byte| part ^ byte)
}

impl Index {
    /// Keeps other writers, in this and in other processes, from the vCons of a part until the file is dropped. Who
    /// needs several locks them in ascending order.
    pub(super) fn lock(&self, part: u8) -> Result<File> {
        let path = self.folder.join(format!("{part:02x}.lock"));
        let open = || File::options().create(true).append(true).open(&path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                folder::make(&self.folder, self.incoming.dir_mode, false)?;
                open()
            }
            other => other,
        };
        let file = file.map_err(|error| fault("open", &path, error))?;
        match file.lock() {
            Ok(()) => Ok(file),
            // A file system without locks is one that no second conductor should share.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(file),
            Err(error) => Err(fault("lock", &path, error)),
        }
    }

    /// The entry of a stem. One that cannot be understood counts as missing.
    pub(super) fn read(&self, stem: &str) -> Result<Option<Entry>> {
        let path = self.path(stem);
        match fs::read(&path) {
            Ok(bytes) => Ok(parse(&bytes)),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(fault("read", &path, error)),
        }
    }

    /// Writes an entry over the one that is there.
    pub(super) fn write(&self, stem: &str, entry: &Entry) -> Result<()> {
        let path = self.path(stem);
        let text = format!("{} {} {}\n", entry.revision, entry.created, entry.place.display());
        let mut written = self.incoming.write(stem, text.as_bytes(), false)?;
        match written.move_to(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                folder::make(path.parent().unwrap_or(&self.folder), self.incoming.dir_mode, false)?;
                written.move_to(&path).map_err(|error| fault("write", &path, error))
            }
            other => other.map_err(|error| fault("write", &path, error)),
        }
    }

    /// Removes an entry.
    pub(super) fn remove(&self, stem: &str) -> Result<bool> {
        folder::remove(&self.path(stem))
    }

    fn path(&self, stem: &str) -> PathBuf {
        self.folder.join(format!("{:02x}", part(stem))).join(stem)
    }
}

fn parse(bytes: &[u8]) -> Option<Entry> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut fields = line.splitn(3, ' ');
    let revision = fields.next()?.parse().ok()?;
    let created = fields.next()?.parse().ok()?;
    let place = PathBuf::from(fields.next()?);
    is_place(&place).then_some(Entry { revision, created, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_damaged_ones_count_as_missing() {
        let root = tempfile::tempdir().unwrap();
        let incoming = Incoming { folder: root.path().join("incoming"), file_mode: 0o644, dir_mode: 0o755 };
        let index = Index { folder: root.path().join("index"), incoming };
        let entry = Entry { revision: 7, created: -5, place: PathBuf::from("2026/01/02/a b.json") };
        assert_eq!(index.read("a").unwrap(), None);
        index.write("a", &entry).unwrap();
        assert_eq!(index.read("a").unwrap(), Some(entry));
        for damaged in ["", "7 1 x.json", "7 1", "x 1 x.json\n", "7 1 ../x.json\n", "7 1 /etc/passwd\n"] {
            fs::write(index.path("a"), damaged).unwrap();
            assert_eq!(index.read("a").unwrap(), None, "{damaged:?}");
        }
        assert!(index.remove("a").unwrap() && !index.remove("a").unwrap());
    }

    #[test]
    fn uuids_spread_over_the_parts() {
        let parts: std::collections::HashSet<_> =
            (0..2000).map(|n| part(&format!("018f1234-{n:04x}-8abc-9def-0123456789ab"))).collect();
        assert!(parts.len() > 240, "{}", parts.len());
    }
}
