//! X.509 certificates as far as signed vCons need them.

use std::fmt;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};
use webpki::aws_lc_rs as algorithms;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::key::{PublicKey, hex};

/// How certificates may be signed. SHA-1 is not among them.
pub(super) static ISSUER_SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
];

/// A certificate.
#[derive(Clone)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// The whole names, for people; comparisons use the encoded ones.
    subject: String,
    issuer: String,
    /// The common names, or the whole ones.
    name: String,
    issuer_name: String,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    self_issued: bool,
    /// 1 or 3.
    version: u8,
    /// Whether it says that it may issue others; `None` when it says nothing.
    authority: Option<bool>,
    /// Whether its key usage admits signatures of documents; `None` when it says nothing.
    signs: Option<bool>,
    key: Result<PublicKey, String>,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn from_der(der: Vec<u8>) -> Result<Certificate, String> {
        let unreadable = || "this is no X.509 certificate".to_owned();
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|_| unreadable())?;
        if !rest.is_empty() {
            return Err("something stands behind the certificate".to_owned());
        }
        let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| unreadable());
        let usage = parsed.key_usage().ok().flatten().map(|usage| usage.value);
        let certificate = Certificate {
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            name: common_name(parsed.subject()),
            issuer_name: common_name(parsed.issuer()),
            self_issued: parsed.subject().as_raw() == parsed.issuer().as_raw(),
            serial: hex(parsed.raw_serial()),
            not_before: time(parsed.validity().not_before.timestamp())?,
            not_after: time(parsed.validity().not_after.timestamp())?,
            version: if parsed.version().0 == 0 { 1 } else { 3 },
            authority: parsed.basic_constraints().ok().flatten().map(|constraints| constraints.value.ca),
            signs: usage.map(|usage| usage.digital_signature() || usage.non_repudiation()),
            key: PublicKey::from_spki(parsed.public_key().raw),
            der: CertificateDer::from(Vec::new()),
        };
        Ok(Certificate { der: CertificateDer::from(der), ..certificate })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn as_der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Whose it is: the common name, or the whole name where there is none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who issued it, as [`name`](Self::name).
    pub fn issuer_name(&self) -> &str {
        &self.issuer_name
    }

    /// SHA-256 of the certificate in DER.
    pub(super) fn thumbprint(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// Its key.
    ///
    /// # Errors
    /// Why the key cannot be used.
    pub fn key(&self) -> Result<&PublicKey, &str> {
        self.key.as_ref().map_err(String::as_str)
    }

    /// From when it is valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether it is of X.509 version 1, which knows no constraints.
    pub(super) fn is_version_1(&self) -> bool {
        self.version == 1
    }

    /// Whether it issued itself, by its names.
    pub(super) fn is_self_issued(&self) -> bool {
        self.self_issued
    }

    /// Whether it says that its key signs no documents.
    pub(super) fn forbids_signing(&self) -> bool {
        self.signs == Some(false)
    }

    /// Whether it may issue others: version 3 must say so, version 1 cannot say anything.
    pub(super) fn may_issue(&self) -> bool {
        self.is_version_1() || self.authority == Some(true)
    }

    /// Whether `issuer` issued this one: by the names, and by the signature.
    pub(super) fn is_issued_by(&self, issuer: &Certificate) -> bool {
        let (Ok((_, own)), Ok((_, issuers))) =
            (X509Certificate::from_der(&self.der), X509Certificate::from_der(&issuer.der))
        else {
            return false;
        };
        if own.issuer().as_raw() != issuers.subject().as_raw() {
            return false;
        }
        let message: &[u8] = own.tbs_certificate.as_ref();
        let key = &issuers.public_key().subject_public_key.data;
        let signed_with = own.signature_algorithm.algorithm.as_bytes();
        let kind = issuers.public_key().algorithm.algorithm.as_bytes();
        ISSUER_SIGNATURES.iter().any(|algorithm| {
            begins_with_oid(&algorithm.signature_alg_id(), signed_with)
                && begins_with_oid(&algorithm.public_key_alg_id(), kind)
                && algorithm.verify_signature(key, message, &own.signature_value.data).is_ok()
        })
    }
}

/// Whether the content of an `AlgorithmIdentifier` begins with this object identifier (tag 6, length, bytes).
fn begins_with_oid(identifier: &[u8], oid: &[u8]) -> bool {
    matches!(identifier, [6, length, rest @ ..] if usize::from(*length) == oid.len() && rest.starts_with(oid))
}

/// The common name, or the whole name where there is none.
fn common_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().last().and_then(|attribute| attribute.as_str().ok());
    common.map_or_else(|| name.to_string(), str::to_owned)
}

/// As verdicts show it.
#[derive(Serialize)]
struct Shown<'a> {
    subject: &'a str,
    issuer: &'a str,
    serial: &'a str,
    sha256: String,
    not_before: String,
    not_after: String,
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let shown = Shown {
            subject: &self.subject,
            issuer: &self.issuer,
            serial: &self.serial,
            sha256: hex(&self.thumbprint()),
            not_before: self.not_before.to_string(),
            not_after: self.not_after.to_string(),
        };
        shown.serialize(serializer)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Certificate) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate of {}", self.subject)
    }
}
