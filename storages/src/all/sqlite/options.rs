//! Options of `storage.sqlite`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::{Error, Result};

/// Writes vCons to a table of a SQLite database: one file, no server.
///
/// The table has the columns of `storage.postgres` and the revision: `id` and `uuid`, `vcon` (the version that the
/// document names), `created_at` and `updated_at` (UTC), `subject`, `vcon_json` (the document, byte for byte). It is
/// made at the first use. SQLite's JSON functions work on it:
/// `SELECT vcon_json ->> '$.subject' FROM vcons WHERE created_at >= '2026-09-01'`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The database file; its folder must exist. Default: `vcons.sqlite`.
    pub(super) path: PathBuf,
    /// The table: letters, digits and `_`. Default: `vcons`.
    pub(super) table: String,
    /// Whether a vCon counts as saved only when the disk says so. `false` is faster and loses the last seconds when
    /// the machine (not only the program) stops; the database stays whole. Default: `true`.
    pub(super) fsync: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { path: PathBuf::from("vcons.sqlite"), table: "vcons".to_owned(), fsync: true }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        if self.path.as_os_str().is_empty() {
            return Err(Error::configuration("option `path` is empty").help("name the database file"));
        }
        let table = &self.table;
        let sound = table.len() <= 60
            && table.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && table.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !table.to_ascii_lowercase().starts_with("sqlite_");
        if sound {
            return Ok(());
        }
        Err(Error::configuration(format!("option `table`: `{}` is no name for a table", table.escape_debug()))
            .help("use up to 60 letters, digits and `_`, starting with a letter, not with `sqlite_`"))
    }
}
