//! Where the file of a vCon lies, relative to the storage's folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use super::options::Options;

/// The endings of files, the plain one first.
pub(super) const ENDINGS: [&str; 2] = [".json", ".json.gz"];

/// Longest file name of a vCon without its ending; most file systems allow 255 bytes.
const LONGEST_STEM: usize = 200;

/// A uuid as the start of a file name: letters, digits, `-`, `_` and inner dots as they are, other bytes as `%XX`, so
/// that no uuid leaves the folder, is hidden, or shares a file with another one.
pub(super) fn stem(uuid: &str) -> Result<String> {
    let mut stem = String::with_capacity(uuid.len());
    for (position, byte) in uuid.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && position > 0) {
            stem.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _written = write!(stem, "%{byte:02X}");
        }
    }
    if stem.is_empty() || stem.len() > LONGEST_STEM {
        let shown: String = uuid.chars().take(60).collect();
        return Err(Error::permanent(format!("`{shown}` cannot be the name of a file"))
            .help("a vCon needs a uuid of at most 200 characters"));
    }
    Ok(stem)
}

/// The uuid of a file name without its ending: what [`stem`] was made from.
pub(super) fn uuid(stem: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(stem.len());
    let mut rest = stem.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
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
    fn no_uuid_leaves_the_folder_or_shares_a_file() {
        for (uuid_text, expected) in [
            ("018f0000-1234-8abc-9def-0123456789ab", "018f0000-1234-8abc-9def-0123456789ab"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E."),
            (".hidden", "%2Ehidden"),
            ("a%2Fb", "a%252Fb"),
            ("a/b\0", "a%2Fb%00"),
            ("grün", "gr%C3%BCn"),
        ] {
            assert_eq!(stem(uuid_text).unwrap(), expected);
            assert_eq!(uuid(expected).as_deref(), Some(uuid_text));
        }
        assert!(stem("").unwrap_err().help_text().is_some());
        assert!(stem(&"x".repeat(201)).is_err());
        assert_eq!(uuid("a%2"), None);
        assert_eq!(stem_of_file(".x.json"), None);
        assert_eq!(stem_of_file("x.json.gz"), Some("x"));
        assert!(!is_place(Path::new("../x.json")) && !is_place(Path::new("/x.json")));
    }
}
