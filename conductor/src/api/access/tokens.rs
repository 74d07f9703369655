//! The keys of vcon-server's variables.

use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use vconductor_core::error::{Error, Result};

/// The header of a key, unless `CONSERVER_HEADER_NAME` names another one.
const HEADER: &str = "x-conserver-api-token";

/// The header that holds a key, here and at servers that are followed.
pub(crate) fn header_name() -> String {
    let named = std::env::var("CONSERVER_HEADER_NAME").ok().filter(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| HEADER.to_owned())
}

/// SHA-256 of a key: what is kept and compared in its place, so that the time of a comparison tells nothing.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(key: &[u8]) -> Self {
        Digest(Sha256::digest(key).into())
    }

    /// Whether it is one of these; all are looked at.
    pub(super) fn is_among(&self, others: &[Digest]) -> bool {
        let fitting = others.iter().map(|other| other.0.ct_eq(&self.0));
        fitting.fold(subtle::Choice::from(0), |any, this| any | this).into()
    }

    /// In hex.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Keys that open all of the API.
#[derive(Clone)]
pub struct Keys {
    header: String,
    keys: Vec<Digest>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys in {}", self.keys.len(), self.header)
    }
}

impl Keys {
    /// Keys for a header of this name; empty ones are left out.
    pub fn new(header: String, keys: impl IntoIterator<Item = String>) -> Self {
        let keys = keys.into_iter().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        Keys { header, keys: keys.map(|key| Digest::of(key.as_bytes())).collect() }
    }

    /// `CONSERVER_API_TOKEN` and the lines of `CONSERVER_API_TOKEN_FILE`; there may be none.
    ///
    /// # Errors
    /// Configuration, if the file cannot be read.
    pub fn from_environment() -> Result<Self> {
        let mut keys: Vec<String> = std::env::var("CONSERVER_API_TOKEN").into_iter().collect();
        if let Some(file) = std::env::var_os("CONSERVER_API_TOKEN_FILE").filter(|file| !file.is_empty()) {
            let file = PathBuf::from(file);
            let text = std::fs::read_to_string(&file).map_err(|error| {
                Error::configuration(format!("CONSERVER_API_TOKEN_FILE: {} cannot be read: {error}", file.display()))
                    .help("write the path of a file with one key per line")
            })?;
            keys.extend(text.lines().map(str::to_owned));
        }
        Ok(Keys::new(header_name(), keys))
    }

    pub(super) fn header(&self) -> &str {
        &self.header
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether this is one of them.
    pub(super) fn open_with(&self, given: &[u8]) -> bool {
        Digest::of(given).is_among(&self.keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_keys_open() {
        let keys = ["first".to_owned(), " second \n".to_owned(), String::new()];
        let keys = Keys::new(HEADER.to_owned(), keys);
        assert!(keys.open_with(b"first") && keys.open_with(b"second"));
        for other in [&b""[..], b"firs", b"first ", b"FIRST", b"first\0"] {
            assert!(!keys.open_with(other), "{other:?}");
        }
        let none = Keys::new(HEADER.to_owned(), [" ".to_owned()]);
        assert!(none.is_empty() && !none.open_with(b"") && !none.open_with(b" "));
        assert!(!format!("{keys:?}").contains("second"));
    }
}
