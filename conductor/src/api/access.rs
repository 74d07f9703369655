//! Who may call: whoever has a key, in the header and with the variables of vcon-server.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;
use subtle::ConstantTimeEq as _;
use vconductor_core::error::{Error, Result};
use vconductor_core::secret::Secret;

/// The header of a key, unless `CONSERVER_HEADER_NAME` names another one.
const HEADER: &str = "x-conserver-api-token";

/// The header that holds a key, here and at servers that are followed.
pub(crate) fn header() -> String {
    let named = std::env::var("CONSERVER_HEADER_NAME").ok().filter(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| HEADER.to_owned())
}

/// The keys that open the API.
#[derive(Debug)]
pub struct Keys {
    header: String,
    keys: Vec<Secret>,
}

impl Keys {
    /// Keys for a header of this name; empty ones are left out.
    ///
    /// # Errors
    /// Configuration, if there is none: nobody could call, or everybody.
    pub fn new(header: String, keys: impl IntoIterator<Item = String>) -> Result<Self> {
        let keys = keys.into_iter().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let keys: Vec<Secret> = keys.map(Secret::new).collect();
        if keys.is_empty() {
            return Err(Error::configuration("the HTTP API has no key, so nobody could be told from anybody")
                .help("set CONSERVER_API_TOKEN, or CONSERVER_API_TOKEN_FILE to a file with one key per line"));
        }
        Ok(Keys { header, keys })
    }

    /// `CONSERVER_API_TOKEN` and the lines of `CONSERVER_API_TOKEN_FILE`.
    ///
    /// # Errors
    /// Configuration, if the file cannot be read or there is no key.
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
        Keys::new(header(), keys)
    }

    /// Whether this is one of them. How long that takes tells nothing about the keys but their lengths.
    fn open_with(&self, given: &[u8]) -> bool {
        let fitting = self.keys.iter().map(|key| key.expose().as_bytes().ct_eq(given));
        fitting.fold(subtle::Choice::from(0), |any, this| any | this).into()
    }
}

/// Lets calls with a key through; vcon-server's answer to the others.
pub(super) async fn with_key(State(keys): State<Arc<Keys>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(&keys.header).map(|value| value.as_bytes().to_vec());
    if given.is_some_and(|given| keys.open_with(&given)) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, Json(json!({"detail": "Invalid API Key"}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_keys_open() {
        let keys = ["first".to_owned(), " second \n".to_owned(), String::new()];
        let keys = Keys::new(HEADER.to_owned(), keys).unwrap();
        assert!(keys.open_with(b"first") && keys.open_with(b"second"));
        for other in [&b""[..], b"firs", b"first ", b"FIRST", b"first\0"] {
            assert!(!keys.open_with(other), "{other:?}");
        }
        let none = Keys::new(HEADER.to_owned(), [" ".to_owned()]).unwrap_err();
        assert!(none.help_text().unwrap().contains("CONSERVER_API_TOKEN"));
        assert!(!format!("{keys:?}").contains("second"));
    }
}
