//! Folders and files: made with the wished permissions, written whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use uuid::Uuid;
use vconductor_core::Result;

use super::fault::fault;

/// Temporary files of this age belong to no living writer.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Makes `folder` and what is missing above it, and returns what was made, outermost first. Only that gets `mode`:
/// folders that exist belong to somebody else. With `fsync`, their names are durable when this returns.
pub(super) fn make(folder: &Path, mode: u32, fsync: bool) -> Result<Vec<PathBuf>> {
    let mut made = Vec::new();
    make_into(folder, mode, fsync, &mut made)?;
    Ok(made)
}

fn make_into(folder: &Path, mode: u32, fsync: bool, made: &mut Vec<PathBuf>) -> Result<()> {
    let parent = folder.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let create = || DirBuilder::new().mode(mode).create(folder);
    let mut created = create();
    if let (Err(error), Some(parent)) = (&created, parent)
        && error.kind() == ErrorKind::NotFound
    {
        make_into(parent, mode, fsync, made)?;
        created = create();
    }
    match created {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        Err(error) => return Err(fault("make folder", folder, error)),
    }
    // The umask cut the mode of the call above.
    fs::set_permissions(folder, Permissions::from_mode(mode))
        .map_err(|error| fault("set the permissions of", folder, error))?;
    if fsync && let Some(parent) = parent {
        sync(parent)?;
    }
    made.push(folder.to_path_buf());
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> Result<()> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| fault("write the folder", folder, error))
}

/// The folder where files are written before they are moved to their place, on the same file system.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) folder: PathBuf,
    pub(super) file_mode: u32,
    pub(super) dir_mode: u32,
}

impl Incoming {
    /// Writes a new file completely; durable with `fsync`.
    pub(super) fn write(&self, stem: &str, content: &[u8], fsync: bool) -> Result<Temporary> {
        let path = self.folder.join(format!("{stem}.{}", Uuid::new_v4().simple()));
        let open = || OpenOptions::new().write(true).create_new(true).mode(self.file_mode).open(&path);
        let opened = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                make(&self.folder, self.dir_mode, fsync)?;
                open()
            }
            other => other,
        };
        let mut file = opened.map_err(|error| fault("write", &path, error))?;
        let temporary = Temporary { path, moved: false };
        let written = file
            .write_all(content)
            .and_then(|()| file.set_permissions(Permissions::from_mode(self.file_mode)))
            .and_then(|()| if fsync { file.sync_all() } else { Ok(()) });
        match written {
            Ok(()) => Ok(temporary),
            Err(error) => Err(fault("write", &temporary.path, error)),
        }
    }
}

/// A file that is completely written; it goes away unless it is moved to its place.
#[derive(Debug)]
pub(super) struct Temporary {
    path: PathBuf,
    moved: bool,
}

impl Temporary {
    /// Moves it to its place, over what is there.
    pub(super) fn move_to(&mut self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)?;
        self.moved = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // What stays behind is swept later.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Removes temporary files that a crash left in `folder`.
pub(super) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let written = entry.metadata().and_then(|metadata| metadata.modified());
        if written.is_ok_and(|written| SystemTime::now().duration_since(written).is_ok_and(|age| age > ABANDONED)) {
            match fs::remove_file(entry.path()) {
                Ok(()) => {
                    tracing::info!(file = %entry.path().display(), "Removed a file that a crash left unfinished.")
                }
                Err(error) => {
                    tracing::warn!(file = %entry.path().display(), %error, "Cannot remove an unfinished file.")
                }
            }
        }
    }
}

/// Removes a file; false if there was none.
pub(super) fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(fault("remove", path, error)),
    }
}

/// Removes the folders from `folder` upwards that are empty, up to `root`, which stays. Returns the first that stays.
pub(super) fn prune<'a>(folder: &'a Path, root: &'a Path) -> &'a Path {
    let mut current = folder;
    while current != root && current.starts_with(root) && fs::remove_dir(current).is_ok() {
        current = current.parent().unwrap_or(root);
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_that_are_made_get_the_permissions() {
        let root = tempfile::tempdir().unwrap();
        let above = root.path().join("above");
        DirBuilder::new().mode(0o700).create(&above).unwrap();
        let made = make(&above.join("2026/01/02"), 0o751, true).unwrap();
        assert_eq!(made, ["2026", "2026/01", "2026/01/02"].map(|path| above.join(path)));
        for path in &made {
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o751);
        }
        assert_eq!(above.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert!(make(&above.join("2026/01/02"), 0o700, true).unwrap().is_empty());
        assert_eq!(prune(&above.join("2026/01/02"), &above), above);
        assert!(!above.join("2026").exists());
    }

    #[test]
    fn what_a_crash_left_is_swept_and_what_is_being_written_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old");
        let file = File::create(&old).unwrap();
        file.set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
        let incoming = Incoming { folder: folder.path().to_path_buf(), file_mode: 0o600, dir_mode: 0o700 };
        let fresh = incoming.write("fresh", b"x", false).unwrap();
        sweep(folder.path());
        assert!(!old.exists() && fresh.path.exists());
        drop(fresh);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
