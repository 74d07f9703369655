//! Why a signed or encrypted vCon is not accepted.

use std::fmt;

use serde::Serialize;

/// The kind of a fault. Each belongs to one numbered check of the format (see `validate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Members of the unsigned form stand beside the payload.
    Mixed,
    /// `payload` or `signatures` have not the shape of RFC 7515, section 7.2.1.
    MalformedJws,
    /// A signature lacks `protected` or `signature`, or its headers cannot be read.
    MalformedSignature,
    /// Neither `x5c` nor `x5u` says who signed.
    CertificateMissing,
    /// `x5c` holds something that is no certificate, or one with a key that cannot be used.
    CertificateUnreadable,
    /// The chain behind `x5u` was not fetched or could not be.
    ChainUnavailable,
    /// There is no `alg`.
    AlgorithmMissing,
    /// `alg` is `none` or a secret-key algorithm: anybody could have made the signature.
    AlgorithmRefused,
    /// `alg` of a signature is none that this implementation knows.
    AlgorithmUnsupported,
    /// The certificate's key is of another kind than `alg` needs.
    AlgorithmMismatch,
    /// A header parameter stands in two headers with different values.
    HeaderConflict,
    /// The signature does not belong to this payload and key.
    SignatureWrong,
    /// The chain does not lead to a trust anchor.
    ChainUntrusted,
    /// The chain leads to a trust anchor over X.509 version 1 certificates, which may not issue others.
    LegacyCertificate,
    /// A certificate is expired.
    Expired,
    /// A certificate is not valid yet.
    NotYetValid,
    /// The uuid in the header is another than in the vCon.
    UuidMismatch,
    /// The payload is neither an unsigned vCon nor a further signature around one.
    PayloadNotVcon,
    /// `x5u` is not an https URL.
    ChainUrl,
    /// `crit` demands something that this implementation does not know (RFC 7515, section 4.1.11).
    CriticalHeader,
    /// A member of the JWE is missing or cannot be read (RFC 7516, section 7.2.1).
    MalformedJwe,
    /// `alg`, `enc` or `zip` of an encrypted vCon is none that this implementation knows.
    EncryptionUnsupported,
    /// The uuid outside of the encryption is another than inside.
    EnvelopeUuidMismatch,
    /// No key that was given opens it, or it was altered. Deliberately one reason for both.
    NotDecryptable,
    /// The plaintext is not a signed vCon.
    PlaintextNotSigned,
    /// Compressed data is broken, too large, or followed by something.
    Compression,
}

impl Reason {
    /// The number of the check that this breaks.
    pub fn check(self) -> u16 {
        match self {
            Reason::Mixed => 2,
            Reason::MalformedJws => 90,
            Reason::MalformedSignature => 91,
            Reason::CertificateMissing => 92,
            Reason::AlgorithmMissing | Reason::AlgorithmRefused | Reason::AlgorithmUnsupported => 93,
            Reason::HeaderConflict => 94,
            Reason::SignatureWrong | Reason::AlgorithmMismatch => 95,
            Reason::ChainUntrusted
            | Reason::LegacyCertificate
            | Reason::Expired
            | Reason::NotYetValid
            | Reason::CertificateUnreadable
            | Reason::ChainUnavailable => 96,
            Reason::UuidMismatch => 97,
            Reason::PayloadNotVcon => 98,
            Reason::MalformedJwe => 99,
            Reason::EncryptionUnsupported => 100,
            Reason::NotDecryptable => 101,
            Reason::PlaintextNotSigned => 102,
            Reason::EnvelopeUuidMismatch => 103,
            Reason::ChainUrl => 104,
            Reason::Compression => 105,
            Reason::CriticalHeader => 106,
        }
    }
}

/// One fault, with its place in the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The kind.
    pub reason: Reason,
    /// JSON pointer to what is wrong.
    pub pointer: String,
    /// The sentence for people. Holds no secret; names and URLs come from the document.
    pub message: String,
}

impl Fault {
    pub(super) fn new(reason: Reason, pointer: impl Into<String>, message: impl Into<String>) -> Fault {
        Fault { reason, pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for crate::Error {
    fn from(fault: Fault) -> crate::Error {
        crate::Error::permanent(fault.message)
    }
}
