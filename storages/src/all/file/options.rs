//! Options of `storage.file`.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use vconductor_core::config::Size;
use vconductor_core::migrate::Egress;

/// Writes each vCon to a file of its own.
///
/// Files are `<path>/YYYY/MM/DD/<uuid>.json`, by the day of `created_at` in the offset that it is written with, and
/// `<path>/<uuid>.json` for a vCon without a date. The content is the document byte for byte. A file is complete or not
/// there: it is written under `<path>/.incoming` and moved to its place. `<path>/.index` remembers revision and place
/// of every vCon; what vcon-server wrote before is found without it. Characters of a uuid that file names cannot
/// safely hold are written as `%XX`.
#[derive(Debug, Clone, serde::Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The folder. Default: `/data/vcons`.
    pub(super) path: PathBuf,
    /// Whether files go to folders by day. Listing a flat folder reads an index entry for every file in it, so keep
    /// this on for more than some ten thousand vCons. Default: `true`.
    pub(super) organize_by_date: bool,
    /// Whether files are compressed with gzip, as `<uuid>.json.gz`. Default: `false`.
    pub(super) compression: bool,
    /// The most bytes that a vCon may have before compression, as a number or as `50MB`; a larger one is a permanent error. `0` is no limit,
    /// which is the default: vcon-server refuses (and loses) vCons over 10 MB.
    pub(super) max_file_size: Size,
    /// Permissions of files, as a number (`0644` in YAML) or text (`"0o644"`). Default: `0o644`.
    pub(super) file_permissions: Mode,
    /// Permissions of the folders that are made; folders that exist keep theirs. Default: `0o755`.
    pub(super) dir_permissions: Mode,
    /// Whether a vCon counts as saved only when the disk says so. `false` is faster and loses the last seconds when
    /// the machine (not only the program) stops. Default: `true`.
    pub(super) fsync: bool,
    /// In which form vCons are written: `as_is` (byte for byte, the default), `0.0.1` (the names of that version, as
    /// vcon-server's egress writes them), `string-bodies` (as vcon-server stores it) or `core-04` (the newest draft). In
    /// another form than `as_is` the storage is not lossless. A signed or encrypted vCon is written as it is.
    pub(super) format: Egress,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            path: PathBuf::from("/data/vcons"),
            organize_by_date: true,
            compression: false,
            max_file_size: Size(0),
            file_permissions: Mode(0o644),
            dir_permissions: Mode(0o755),
            fsync: true,
            format: Egress::AsIs,
        }
    }
}

/// Permission bits, as a number or as octal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode(pub(super) u32);

const EXPECTED: &str = "permissions such as 0644 or \"0o644\"";

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ModeVisitor)
    }
}

struct ModeVisitor;

impl Visitor<'_> for ModeVisitor {
    type Value = Mode;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Mode, E> {
        // 644 without a leading zero is decimal in YAML and would mean 0o1204.
        u32::try_from(number).ok().filter(|&mode| mode <= 0o777).map(Mode).ok_or_else(|| {
            E::custom(format!("{number} is the octal number 0o{number:o}, which is no permission; write {EXPECTED}"))
        })
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Mode, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom(format!("{number} is no permission; write {EXPECTED}"))),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Mode, E> {
        let digits = text.trim();
        let digits = digits.strip_prefix("0o").unwrap_or(digits);
        let mode = u32::from_str_radix(digits, 8).ok().filter(|&mode| mode <= 0o777 && !digits.starts_with('+'));
        mode.map(Mode).ok_or_else(|| E::custom(format!("`{text}` is no permission; write {EXPECTED}")))
    }
}

impl JsonSchema for Mode {
    fn schema_name() -> Cow<'static, str> {
        "Permissions".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"], "minimum": 0, "maximum": 511, "pattern": "^(0o)?[0-7]{1,4}$"
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn permissions_are_read_as_number_and_as_text() {
        for given in [json!(420), json!("0o644"), json!("0644"), json!("644")] {
            assert_eq!(serde_json::from_value::<Mode>(given.clone()).unwrap(), Mode(0o644), "{given}");
        }
        for wrong in [json!(644), json!(-1), json!("rw-r--r--"), json!("0o7777"), json!("+644"), json!(true)] {
            let error = serde_json::from_value::<Mode>(wrong.clone()).unwrap_err().to_string();
            assert!(error.contains("0o644"), "{wrong}: {error}");
        }
    }
}
