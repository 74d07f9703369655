//! The keys of the command line.

use std::path::PathBuf;

use vconductor_core::validate::Seals;

use crate::cli::exit::{Exit, Failure, Result};

/// What verifies with the certificates in `trust` and decrypts with the keys in `key`; nothing when there are none.
pub(super) fn open(trust: &[PathBuf], key: &[PathBuf]) -> Result<Option<Box<dyn Seals>>> {
    if trust.is_empty() && key.is_empty() {
        return Ok(None);
    }
    Err(Failure::new(Exit::Usage, "this build verifies no signatures and decrypts nothing"))
}
