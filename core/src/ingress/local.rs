//! Recordings that lie on a disk of ours, under a path that somebody else names.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Fetcher;
use crate::{Error, Result};

impl Fetcher {
    /// The bytes of a file below a folder. Where the path is relative, it is so to the folder; links are followed as long as
    /// they stay below it.
    ///
    /// # Errors
    /// Retryable: it is not there yet, or cannot be read. Permanent: it lies elsewhere, is no file, or is too large.
    /// Configuration: there is no such folder.
    pub async fn file(&self, folder: &Path, path: &str) -> Result<Bytes> {
        let (folder, path, largest) = (folder.to_owned(), PathBuf::from(path), self.largest());
        let read = tokio::task::spawn_blocking(move || read(&folder, &path, largest)).await;
        read.unwrap_or_else(|_| Err(Error::retryable("reading a recording was cut off")))
    }
}

fn read(folder: &Path, path: &Path, largest: usize) -> Result<Bytes> {
    let folder = folder.canonicalize().map_err(|error| {
        Error::configuration(format!("the folder {} cannot be used", folder.display())).caused_by(error)
    })?;
    // The name alone is told: where our folders are is nobody's business.
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => Error::retryable(format!("the recording `{name}` is not there yet")),
        _ => Error::retryable(format!("the recording `{name}` cannot be read")).caused_by(error),
    };
    let place = folder.join(path).canonicalize().map_err(failed)?;
    if !place.starts_with(&folder) {
        return Err(Error::permanent(format!("the recording `{name}` does not lie below the folder of recordings"))
            .help("who sends the path must not choose which files are read; change the folder if the path is right"));
    }
    let mut file = std::fs::File::open(&place).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(Error::permanent(format!("`{name}` is no file")));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.by_ref().take(largest as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > largest {
        return Err(Error::permanent(format!("the recording `{name}` has more than {largest} bytes"))
            .help("raise `max_size` of the ingress if such recordings are expected"));
    }
    if bytes.is_empty() {
        return Err(Error::retryable(format!("the recording `{name}` is empty, as it is while it is made")));
    }
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    #[test]
    fn only_files_below_the_folder_are_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("recordings");
        std::fs::create_dir_all(folder.join("2026")).unwrap();
        std::fs::write(folder.join("2026/a.wav"), "sound").unwrap();
        std::fs::write(folder.join("empty.wav"), "").unwrap();
        std::fs::write(place.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(place.path().join("secret"), folder.join("link.wav")).unwrap();
        std::os::unix::fs::symlink(folder.join("2026/a.wav"), folder.join("inside.wav")).unwrap();
        let absolute = folder.join("2026/a.wav");
        for good in ["2026/a.wav", "./2026/../2026/a.wav", "inside.wav", absolute.to_str().unwrap()] {
            assert_eq!(read(&folder, Path::new(good), 10).unwrap(), "sound", "{good}");
        }
        for (path, class) in [
            ("../secret", Class::Permanent),
            ("/etc/passwd", Class::Permanent),
            ("link.wav", Class::Permanent),
            ("2026", Class::Permanent),
            ("later.wav", Class::Retryable),
            ("empty.wav", Class::Retryable),
            ("a\0b", Class::Retryable),
        ] {
            let error = read(&folder, Path::new(path), 10).unwrap_err();
            assert_eq!(error.class(), class, "{path}: {error}");
            assert!(!error.chain_text().contains(place.path().to_str().unwrap()), "{error}");
        }
        assert_eq!(read(&folder, Path::new("2026/a.wav"), 4).unwrap_err().class(), Class::Permanent);
        let nowhere = read(&place.path().join("none"), Path::new("a"), 4).unwrap_err();
        assert_eq!(nowhere.class(), Class::Configuration);
    }
}
