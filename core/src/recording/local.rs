//! `file:` URLs: files under the operator's roots, and no way out of them.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use reqwest::Url;

use super::stored::Stored;
use super::{MediaPolicy, blocking};
use crate::{Error, Result};

/// The file at `url`, in place.
pub(super) async fn open(url: &Url, policy: &MediaPolicy) -> Result<Stored> {
    let refused = || {
        Error::permanent("the vCon names a file outside of the folders that it may name")
            .help("list the folder under `media: roots:` if vCons may refer to files in it")
    };
    // Neither `file://host/...` nor one with an encoded slash or zero byte.
    let path = url.to_file_path().map_err(|()| refused())?;
    let (roots, most) = (policy.roots.clone(), policy.max_bytes);
    blocking(move || {
        let Some(path) = inside(&path, &roots)? else { return Err(refused()) };
        let metadata = std::fs::metadata(&path).map_err(unreadable)?;
        // A pipe or device could block for ever.
        if !metadata.is_file() {
            return Err(Error::permanent("what the vCon names is no file").help("check the URL"));
        }
        if metadata.len() > most {
            return Err(Error::permanent(format!("the file has {} bytes, and {most} are allowed", metadata.len()))
                .help("raise `media: max_size` if such recordings are expected"));
        }
        File::open(&path).and_then(Stored::file).map_err(unreadable)
    })
    .await
}

/// The path without links and `..`, if it lies under one of the roots.
fn inside(path: &Path, roots: &[PathBuf]) -> Result<Option<PathBuf>> {
    if roots.is_empty() {
        return Ok(None);
    }
    let real = match path.canonicalize() {
        Ok(real) => real,
        // Whether a file exists outside of the roots is nobody's business.
        Err(_) if !roots.iter().any(|root| is_below(path, root)) => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // A root may itself be a link, or on a disk that is mounted later.
    let roots = roots.iter().filter_map(|root| root.canonicalize().ok());
    Ok(roots.into_iter().any(|root| real.starts_with(root)).then_some(real))
}

fn is_below(path: &Path, root: &Path) -> bool {
    path.starts_with(root) && !path.components().any(|part| part == std::path::Component::ParentDir)
}

/// The path is not shown: it came from outside, and goes to the sender's dead letter.
fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::permanent("the file that the vCon names is not there")
            .help("check that the folder under `media: roots:` is mounted here")
            .caused_by(error),
        io::ErrorKind::PermissionDenied => Error::configuration("the file that the vCon names may not be read")
            .help("give this process the right to read the folders under `media: roots:`")
            .caused_by(error),
        _ => Error::retryable("cannot read the file that the vCon names").caused_by(error),
    }
}
