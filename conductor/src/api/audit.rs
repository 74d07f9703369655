//! The audit log: who changed what, and who was refused. One JSON object per line in a file of its own, or lines of the log
//! under the target `vconductor::audit` where there is none.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use vconductor_core::error::{Error, Result};

/// Where calls are written down.
#[derive(Debug, Default)]
pub(super) struct Audit(Option<Mutex<File>>);

impl Audit {
    /// # Errors
    /// Configuration, if the file cannot be written.
    pub(super) fn open(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else { return Ok(Audit(None)) };
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
            Error::configuration(format!("the audit log {} cannot be written", path.display()))
                .help("name a file in a folder that this user may write to")
                .caused_by(error)
        })?;
        Ok(Audit(Some(Mutex::new(file))))
    }

    /// Writes a call down. The query is left out: clients put secrets there.
    pub(super) fn record(&self, who: Option<&str>, method: &Method, path: &str, status: StatusCode, peer: SocketAddr) {
        let (who, status, address) = (who.unwrap_or("nobody"), status.as_u16(), peer.ip());
        let Some(file) = &self.0 else {
            tracing::info!(target: "vconductor::audit", who, %method, path, status, %address, "call");
            return;
        };
        let at = Timestamp::now().to_string();
        let entry = json!({"at": at, "who": who, "method": method.as_str(), "path": path, "status": status,
            "address": address.to_string()});
        let mut line = entry.to_string();
        line.push('\n');
        let written = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        if let Err(error) = written {
            tracing::error!(%error, who, %method, path, status, %address, "the audit log cannot be written");
        }
    }
}
