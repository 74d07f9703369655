//! What keys and trust anchors add to the checks of a vCon: 95, 96 and 101, and what must be decrypted for the others.

use bytes::Bytes;

use super::decrypt::open_content;
use super::fault::{Fault, Reason};
use super::keys::Keys;
use super::trust::{Standing, Trust};
use super::verdict::SignatureVerdict;
use super::verify::verify;
use super::x5u::Chains;
use crate::document::{Document, View};
use crate::validate::{Finding, Findings, Seals, Severity};

/// Verifies against anchors and decrypts with keys. Fetches nothing itself.
#[derive(Debug, Clone)]
pub struct KeySeals {
    trust: Trust,
    keys: Keys,
    chains: Chains,
}

impl KeySeals {
    /// Verifies as `trust` says; without anchors and keys in it, signatures are still compared with the certificates that
    /// they carry. Decrypts with the private ones of `keys`.
    pub fn new(trust: Trust, keys: Keys) -> KeySeals {
        KeySeals { trust, keys, chains: Chains::none() }
    }

    /// With certificate chains that were fetched for `x5u`.
    #[must_use]
    pub fn with_chains(mut self, chains: Chains) -> KeySeals {
        self.chains = chains;
        self
    }

    fn signature(
        &self,
        number: usize,
        signature: &SignatureVerdict,
        resigned: bool,
        found: &mut Findings,
    ) -> Option<String> {
        for fault in &signature.faults {
            if let Some(severity) = self.severity(fault, resigned) {
                let message = fault.message.clone();
                found.push(Finding { check: fault.reason.check(), severity, pointer: fault.pointer.clone(), message });
            }
        }
        let signer = signature.certificate.as_ref().map_or("an unnamed key", |certificate| certificate.name());
        let told = match (&signature.standing, signature.intact) {
            (Standing::Anchor { anchor, lenient: false }, _) => format!("by `{signer}`, trusted through `{anchor}`"),
            (Standing::Anchor { anchor, lenient: true }, _) => {
                format!("by `{signer}`, trusted through `{anchor}` with a lenient chain (X.509 version 1)")
            }
            (Standing::Key { name }, _) => format!("by the trusted key `{name}`"),
            (Standing::Unasked, Some(true)) => format!("intact, by `{signer}`; whom to trust was not said (--trust)"),
            // What else is wrong with it is found without keys: a uuid, a header.
            (_, Some(true)) if signature.faults.iter().all(|fault| self.severity(fault, resigned).is_none()) => {
                format!("intact, by `{signer}`, though refused")
            }
            _ => {
                let missing = signature.faults.iter().find(|fault| fault.reason == Reason::ChainUnavailable)?;
                format!("not verified: {}", missing.message)
            }
        };
        Some(format!("signature {number} {told}"))
    }

    /// How bad a fault is; `None` for what is found without keys.
    fn severity(&self, fault: &Fault, resigned: bool) -> Option<Severity> {
        match fault.reason {
            Reason::SignatureWrong | Reason::AlgorithmMismatch => Some(Severity::Refused),
            // Of `x5t#S256`; the other conflicts are found without keys.
            Reason::HeaderConflict if fault.pointer.ends_with("/x5t#S256") => Some(Severity::Refused),
            Reason::ChainUntrusted
            | Reason::LegacyCertificate
            | Reason::CertificateUnreadable
            | Reason::Expired
            | Reason::NotYetValid => {
                Some(match resigned {
                    true => Severity::Hint,
                    // Who did not ask whose signature it is may have an archive before him.
                    false if self.trust.is_empty() => Severity::Violation,
                    false => Severity::Refused,
                })
            }
            _ => None,
        }
    }
}

impl Seals for KeySeals {
    fn verify(&self, jws: View<'_>, resigned: bool, found: &mut Findings) -> Vec<String> {
        // The text was parsed before, so that it is parsed again.
        let Ok(signed) = Document::parse(jws.text().into_owned()) else { return Vec::new() };
        let verdict = verify(&signed, &self.trust, &self.chains);
        let signatures = verdict.signatures.iter().enumerate();
        signatures.filter_map(|(number, signature)| self.signature(number, signature, resigned, found)).collect()
    }

    fn decrypt(&self, jwe: View<'_>, found: &mut Findings) -> Option<Bytes> {
        self.keys.private().next()?;
        let encrypted = Document::parse(jwe.text().into_owned()).ok()?;
        match open_content(&encrypted, &self.keys) {
            Ok(opened) => Some(opened.plaintext.into()),
            Err(fault) => {
                let (check, severity) = (fault.reason.check(), Severity::Refused);
                // What is wrong with the shape was found without keys, unless it is only found by decoding it.
                if !found.refuse(check) {
                    found.push(Finding { check, severity, pointer: fault.pointer, message: fault.message });
                }
                None
            }
        }
    }
}
