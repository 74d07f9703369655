//! The keys of the command line.

use jiff::Timestamp;
use vconductor_core::http::HttpClient;
use vconductor_core::jose::{Chains, KeySeals, Trust};
use vconductor_core::validate::{Form, Report};

use crate::cli::exit::Result;
use crate::cli::vcon::keys;

/// What verifies with the certificates and keys in `trust` and decrypts with the keys in `key`. Without any, signatures are
/// compared with the certificates that they carry.
pub(super) fn open(trust: &[String], key: &[String], lenient: bool) -> Result<KeySeals> {
    let trust = Trust::nobody(Timestamp::now()).anchors(&keys::read(trust)?).lenient(lenient);
    Ok(KeySeals::new(trust, keys::read(key)?))
}

/// The chains of certificates that a document names by URL, in the outermost signature that can be seen; `None` when it
/// names none.
pub(super) async fn chains(reports: &[(Option<String>, Report)], client: &HttpClient) -> Option<Chains> {
    let [(_, report)] = reports else { return None };
    let mut next = Some(report);
    while let Some(report) = next {
        if report.form == Form::Signed {
            let signed = report.document.as_ref().filter(|signed| Chains::are_named_in(signed))?;
            return Some(Chains::fetch(signed, client).await);
        }
        next = report.payload.as_deref();
    }
    None
}
