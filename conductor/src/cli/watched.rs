//! Watching the files of a configuration.
//!
//! They are looked at, not listened to: what a container platform mounts changes by swapping links to folders, and network
//! file systems tell nobody.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a file's content is recognised by: device, inode, size, time of the last change.
type Mark = (u64, u64, u64, i64, i64);

/// The files and how they were when they were last looked at.
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Mark>,
    /// A change that was seen once: it counts when it is still the same at the next look, so that a file is not read while
    /// it is written.
    seen: Option<BTreeMap<PathBuf, Mark>>,
}

impl Watched {
    pub(crate) fn new(paths: &[PathBuf]) -> Self {
        Watched { paths: paths.to_vec(), known: look(paths), seen: None }
    }

    /// Whether files have changed, and come to rest, since this was last true.
    pub(crate) fn has_changed(&mut self) -> bool {
        let now = look(&self.paths);
        if now == self.known {
            self.seen = None;
            return false;
        }
        if self.seen.as_ref() == Some(&now) {
            self.known = now;
            self.seen = None;
            return true;
        }
        self.seen = Some(now);
        false
    }
}

fn look(paths: &[PathBuf]) -> BTreeMap<PathBuf, Mark> {
    let mut found = BTreeMap::new();
    for path in paths {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.path()).filter(|file| is_yaml(file));
        for file in files.chain([path.clone()]) {
            if let Ok(metadata) = std::fs::metadata(&file).map(|metadata| mark(&metadata)) {
                found.insert(file, metadata);
            }
        }
    }
    found
}

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

fn mark(metadata: &std::fs::Metadata) -> Mark {
    (metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_has_come_to_rest() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1.yml"), folder.path().join("2.yml"));
        std::fs::write(&one, "a").unwrap();
        let mut watched = Watched::new(&[folder.path().to_owned()]);
        assert!(!watched.has_changed() && !watched.has_changed());
        std::fs::write(&one, "ab").unwrap();
        assert!(!watched.has_changed(), "it may still be written");
        std::fs::write(&one, "abc").unwrap();
        assert!(!watched.has_changed(), "it was");
        assert!(watched.has_changed());
        assert!(!watched.has_changed());
        std::fs::write(&two, "new").unwrap();
        assert!(!watched.has_changed() && watched.has_changed(), "a new file counts");
        std::fs::remove_file(&two).unwrap();
        assert!(!watched.has_changed() && watched.has_changed(), "so does one that is gone");
        std::os::unix::fs::symlink(&one, &two).unwrap();
        assert!(!watched.has_changed() && watched.has_changed(), "and a link");
        let other = folder.path().join("other");
        std::fs::write(&other, "abc").unwrap();
        std::fs::remove_file(&two).unwrap();
        std::os::unix::fs::symlink(&other, &two).unwrap();
        assert!(!watched.has_changed() && watched.has_changed(), "a link to another file is another file");
    }
}
