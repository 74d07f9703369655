//! The keys of the command line.

use jiff::Timestamp;
use vconductor_core::jose::{KeySeals, Trust};

use crate::cli::exit::Result;
use crate::cli::vcon::keys;

/// What verifies with the certificates and keys in `trust` and decrypts with the keys in `key`. Without any, signatures are
/// compared with the certificates that they carry.
pub(super) fn open(trust: &[String], key: &[String], lenient: bool) -> Result<KeySeals> {
    let trust = Trust::nobody(Timestamp::now()).anchors(&keys::read(trust)?).lenient(lenient);
    Ok(KeySeals::new(trust, keys::read(key)?))
}
