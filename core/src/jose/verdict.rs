//! What a verification found.

use jiff::Timestamp;
use serde::Serialize;

use super::certificate::Certificate;
use super::fault::{Fault, Reason};
use super::trust::Standing;

/// How many of the signers must be trusted. All signatures must be intact in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signers {
    /// At least one.
    #[default]
    Any,
    /// Every one.
    All,
}

/// What became of one signature.
#[derive(Debug, Clone, Serialize)]
pub struct SignatureVerdict {
    /// `alg`.
    pub algorithm: Option<String>,
    /// The signer's certificate.
    pub certificate: Option<Certificate>,
    /// Whether payload, protected header and key belong together; `None` when there was no key to ask.
    pub intact: Option<bool>,
    /// How far the signer is known.
    pub standing: Standing,
    /// The uuid in the header.
    pub uuid: Option<String>,
    /// Why it is not accepted.
    pub faults: Vec<Fault>,
    /// What is odd, though no reason to refuse it.
    pub warnings: Vec<Fault>,
}

impl SignatureVerdict {
    /// Whether it is intact, faultless, and by a trusted signer.
    pub fn is_trusted(&self) -> bool {
        self.intact == Some(true) && self.faults.is_empty() && self.standing.is_trusted()
    }

    /// Whether the signature itself is in order, whoever made it: what speaks against it is at most that the signer is
    /// not known, or that this implementation cannot check it.
    fn is_tolerable(&self) -> bool {
        self.faults.iter().all(|fault| {
            matches!(
                fault.reason,
                Reason::AlgorithmUnsupported
                    | Reason::CertificateMissing
                    | Reason::CertificateUnreadable
                    | Reason::ChainUnavailable
                    | Reason::ChainUrl
                    | Reason::ChainUntrusted
                    | Reason::LegacyCertificate
                    | Reason::Expired
                    | Reason::NotYetValid
            )
        })
    }
}

/// What became of a signed vCon.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// The vCon's uuid, out of the payload.
    pub uuid: Option<String>,
    /// At which time the certificates had to be valid.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// Whether the payload is compressed.
    pub compressed: bool,
    /// One verdict per signature.
    pub signatures: Vec<SignatureVerdict>,
    /// What is wrong with the whole.
    pub faults: Vec<Fault>,
    /// What the signature inside said, where a signed vCon was signed again for the archive. It does not count: its
    /// certificates may be expired, which is why there is an outer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nested: Option<Box<Verdict>>,
}

impl Verdict {
    /// Whether the vCon is what its signers signed, and enough of them are trusted.
    pub fn is_accepted(&self, signers: Signers) -> bool {
        let enough = match signers {
            Signers::Any => self.signatures.iter().any(SignatureVerdict::is_trusted),
            Signers::All => self.signatures.iter().all(SignatureVerdict::is_trusted),
        };
        enough && self.is_intact()
    }

    /// Whether nothing speaks against the vCon being what its signers signed, whoever they are.
    pub fn is_intact(&self) -> bool {
        self.faults.is_empty()
            && self.signatures.iter().all(SignatureVerdict::is_tolerable)
            && self.signatures.iter().any(|signature| signature.intact == Some(true))
    }

    /// All faults, those of the whole first.
    pub fn all_faults(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().chain(self.signatures.iter().flat_map(|signature| &signature.faults))
    }

    /// All warnings.
    pub fn all_warnings(&self) -> impl Iterator<Item = &Fault> {
        self.signatures.iter().flat_map(|signature| &signature.warnings)
    }

    /// Why it is not accepted, in one sentence.
    pub fn refusal(&self) -> String {
        let mut faults: Vec<_> = self.all_faults().map(|fault| fault.message.as_str()).collect();
        faults.dedup();
        match faults.is_empty() {
            true => "no trust anchor or key was given that could say who signed".to_owned(),
            false => faults.join("; "),
        }
    }
}

fn as_text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
