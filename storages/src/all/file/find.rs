//! Finding files without the index: what vcon-server wrote, and what a lost entry named.
//!
//! Folders are listed by year, month and day only. File names are never listed to find one vCon: a day may hold a
//! hundred thousand.

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use vconductor_core::{Error, Result};

use super::fault::fault;
use super::place::ENDINGS;
use crate::days::Day;

/// The day folders below `root` as year, month and day, the oldest first.
pub(super) fn days(root: &Path) -> Result<Vec<Day>> {
    let mut days = Vec::new();
    for year in numbers(root, 4)? {
        let year_folder = root.join(format!("{year:04}"));
        for month in numbers(&year_folder, 2)? {
            for day in numbers(&year_folder.join(format!("{month:02}")), 2)? {
                // Both have two digits.
                if let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) {
                    days.push((year, month, day));
                }
            }
        }
    }
    days.sort_unstable();
    Ok(days)
}

/// The folder of a day, relative to the root.
pub(super) fn day_folder((year, month, day): Day) -> PathBuf {
    PathBuf::from(format!("{year:04}/{month:02}/{day:02}"))
}

/// All files of a stem, relative to the root: the flat ones first, then by day, the newest first.
pub(super) fn copies(root: &Path, stem: &str) -> Result<Vec<PathBuf>> {
    let mut folders = vec![PathBuf::new()];
    folders.extend(days(root)?.into_iter().rev().map(day_folder));
    let mut found = Vec::new();
    for folder in folders {
        for ending in ENDINGS {
            let place = folder.join(format!("{stem}{ending}"));
            if is_file(&root.join(&place))? {
                found.push(place);
            }
        }
    }
    Ok(found)
}

/// Whether there is a file. Other failures than its absence are errors: they must not read as "no such vCon".
pub(super) fn is_file(path: &Path) -> Result<bool> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(fault("look at", path, error)),
    }
}

/// The document in a file, decompressed; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Bytes>> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(fault("read", path, error)),
    };
    if path.extension().is_none_or(|extension| extension != "gz") {
        return Ok(Some(content.into()));
    }
    let mut document = Vec::with_capacity(content.len() * 4);
    MultiGzDecoder::new(content.as_slice()).read_to_end(&mut document).map_err(|error| {
        Error::permanent(format!("`{}` is damaged", path.display()))
            .help("restore the file from a backup, or save the vCon again")
            .caused_by(error)
    })?;
    Ok(Some(document.into()))
}

/// The folders in `folder` whose names are numbers of that many digits.
fn numbers(folder: &Path, digits: usize) -> Result<Vec<i16>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(fault("list", folder, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| fault("list", folder, error))?.file_name();
        let number =
            name.to_str().filter(|name| name.len() == digits && name.bytes().all(|byte| byte.is_ascii_digit()));
        found.extend(number.and_then(|number| number.parse::<i16>().ok()));
    }
    Ok(found)
}
