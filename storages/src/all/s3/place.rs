//! The names of objects.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use crate::stem::uuid;

/// Longest name of a vCon in a key; S3 takes keys of 1,024 bytes.
const LONGEST_STEM: usize = 600;
/// The ending of documents.
const ENDING: &str = ".vcon";

/// The names under one `s3_path`.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// Empty, or the path with a `/` behind it.
    root: String,
}

/// The name of one vCon inside of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stem(String);

impl Places {
    /// vcon-server takes off a `/` at the end; a `/` at the start would make a folder without a name.
    pub(super) fn new(s3_path: &str) -> Result<Self> {
        let path = s3_path.trim_matches('/');
        if path.split('/').any(|part| matches!(part, "." | "..")) || path.len() > 300 {
            return Err(Error::configuration("option `s3_path` is no path inside of a bucket")
                .help("write folders such as archive/calls, without `.` and `..`, of at most 300 bytes"));
        }
        Ok(Places { root: if path.is_empty() { String::new() } else { format!("{path}/") } })
    }

    /// The document of a vCon.
    pub(super) fn document(&self, day: &str, stem: &Stem) -> String {
        format!("{}{day}/{}{ENDING}", self.root, stem.0)
    }

    /// The object that says the day of a vCon.
    pub(super) fn pointer(&self, stem: &Stem) -> String {
        format!("{}lookup/{}.txt", self.root, stem.0)
    }

    /// Media of a content hash.
    pub(super) fn media(&self, hash: &str) -> String {
        format!("{}media/{hash}", self.root)
    }

    /// What the keys of a folder start with: of the whole storage, a year, a month or a day.
    pub(super) fn folder(&self, inside: &str) -> String {
        if inside.is_empty() { self.root.clone() } else { format!("{}{inside}/", self.root) }
    }

    /// The uuid of a document's key.
    pub(super) fn uuid(&self, day: &str, key: &str) -> Option<String> {
        let stem = key.strip_prefix(&self.folder(day))?.strip_suffix(ENDING)?;
        if stem.contains('/') { None } else { uuid(stem) }
    }
}

/// A uuid as part of a key.
pub(super) fn stem(uuid: &str) -> Result<Stem> {
    crate::stem::stem(uuid, LONGEST_STEM, "an object").map(Stem)
}

/// The day of a vCon as it is written, `YYYY/MM/DD`; `None` for one without a date.
pub(super) fn day_of(vcon: &Vcon) -> Option<String> {
    let (year, month, day) = vcon.created_at_date_as_written().filter(|(year, ..)| (0..=9999).contains(year))?;
    Some(format!("{year:04}/{month:02}/{day:02}"))
}

/// Today in UTC: the day of a vCon without a date that is new.
pub(super) fn today() -> String {
    let date = Timestamp::now().to_zoned(TimeZone::UTC).date();
    format!("{:04}/{:02}/{:02}", date.year(), date.month(), date.day())
}

/// The day in a pointer; what is no day is not followed.
pub(super) fn read_day(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let numbers = text.split('/').map(str::len);
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/');
    (digits && numbers.eq([4, 2, 2])).then(|| text.to_owned())
}

/// The day of what lies in the folder of a day, from its key inside of `s3_path`.
pub(super) fn day_of_key(key: &str) -> Option<&str> {
    let day = key.get(..10).filter(|_| key.as_bytes().get(10) == Some(&b'/'))?;
    read_day(day.as_bytes()).map(|_| day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_uuid_leaves_its_folder_or_shares_an_object() {
        for (text, expected) in [
            ("018f0000-1234-8abc-9def-0123456789ab", "018f0000-1234-8abc-9def-0123456789ab"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("..", "%2E."),
            ("a%2Fb", "a%252Fb"),
            ("a/b\0", "a%2Fb%00"),
            ("grün", "gr%C3%BCn"),
        ] {
            let made = stem(text).unwrap();
            assert_eq!(made.0, expected);
            let places = Places::new("/archive/").unwrap();
            let key = places.document("2026/01/02", &made);
            assert_eq!(key, format!("archive/2026/01/02/{expected}.vcon"));
            assert_eq!(places.uuid("2026/01/02", &key).as_deref(), Some(text));
        }
        assert!(stem("").unwrap_err().help_text().is_some());
        assert!(stem(&"x".repeat(601)).is_err());
    }

    #[test]
    fn a_path_stays_in_the_bucket() {
        for wrong in ["..", "a/../b", "./a", &"x".repeat(301)] {
            assert!(Places::new(wrong).is_err(), "{wrong}");
        }
        for (given, folder) in [("", ""), ("/", ""), ("a/b/", "a/b/"), ("/a", "a/")] {
            assert_eq!(Places::new(given).unwrap().folder(""), folder);
        }
    }

    #[test]
    fn only_a_day_is_followed() {
        assert_eq!(read_day(b"2026/01/02\n").as_deref(), Some("2026/01/02"));
        for wrong in ["", "2026-01-02", "../../01", "2026/01/02/03", "20260/1/02", "2026/01/0x"] {
            assert_eq!(read_day(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
