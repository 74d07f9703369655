//! Where the file of a vCon lies, relative to the storage's folder.

use std::path::{Path, PathBuf};

use vconductor_core::Result;
use vconductor_core::vcon::Vcon;

use super::options::Options;

/// The endings of files, the plain one first.
pub(super) const ENDINGS: [&str; 2] = [".json", ".json.gz"];

/// Longest file name of a vCon without its ending; most file systems allow 255 bytes.
const LONGEST_STEM: usize = 200;

/// A uuid as the start of a file name.
pub(super) fn stem(uuid: &str) -> Result<String> {
    crate::stem::stem(uuid, LONGEST_STEM, "a file")
}

/// The stem of a file name with one of the endings; `None` for files that are no vCons.
pub(super) fn stem_of_file(name: &str) -> Option<&str> {
    let stem = ENDINGS.into_iter().find_map(|ending| name.strip_suffix(ending))?;
    (!stem.is_empty() && !stem.starts_with('.')).then_some(stem)
}

/// The place of a vCon under these options.
pub(super) fn place(options: &Options, stem: &str, vcon: &Vcon) -> PathBuf {
    let ending = ENDINGS[usize::from(options.compression)];
    let day =
        vcon.created_at_date_as_written().filter(|(year, ..)| options.organize_by_date && (0..=9999).contains(year));
    match day {
        Some((year, month, day)) => PathBuf::from(format!("{year:04}/{month:02}/{day:02}/{stem}{ending}")),
        None => PathBuf::from(format!("{stem}{ending}")),
    }
}

/// Whether a path of an index entry is one that [`place`] can have made.
pub(super) fn is_place(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_))) && path.components().count() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_vcon_has_no_stem_and_no_place() {
        assert!(stem(&"x".repeat(200)).is_ok() && stem(&"x".repeat(201)).is_err());
        assert_eq!(stem_of_file(".x.json"), None);
        assert_eq!(stem_of_file("x.json.gz"), Some("x"));
        assert!(!is_place(Path::new("../x.json")) && !is_place(Path::new("/x.json")));
    }
}
