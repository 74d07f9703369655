//! Whom to believe: trust anchors, known keys, and the way from a signer's certificate to them.

use jiff::Timestamp;
use rustls_pki_types::{TrustAnchor, UnixTime};
use serde::Serialize;
use webpki::{
    EndEntityCert, Error as PathError, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};

use super::certificate::{Certificate, ISSUER_SIGNATURES};
use super::fault::{Fault, Reason};
use super::key::PublicKey;
use super::keys::{Key, Keys};

/// The most certificates that a chain may have.
pub(super) const MOST_CERTIFICATES: usize = 10;

/// What a verification believes. A root is never trusted because it stands in `x5c`.
#[derive(Debug, Clone)]
pub struct Trust {
    anchors: Vec<Certificate>,
    keys: Vec<Key>,
    lenient: bool,
    at: Timestamp,
}

/// How far the signer is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Standing {
    /// The chain leads to a trust anchor.
    Anchor {
        /// The anchor's name.
        anchor: String,
        /// Whether version 1 certificates were excused on the way.
        lenient: bool,
    },
    /// The key itself was given as a trusted one.
    Key {
        /// The key's name.
        name: String,
    },
    /// Neither anchors nor keys were given: whoever holds the certificate signed, but who that is was not asked.
    Unasked,
    /// The faults say why not.
    Refused,
}

impl Standing {
    /// Whether the signer is trusted.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Standing::Anchor { .. } | Standing::Key { .. })
    }
}

impl Trust {
    /// Believes nobody: signatures are checked against the certificates that they carry, at the time `at`.
    pub fn nobody(at: Timestamp) -> Trust {
        Trust { anchors: Vec::new(), keys: Vec::new(), lenient: false, at }
    }

    /// Trusts the certificates in `keys` as anchors (a signer's own certificate is one for itself), and keys that stand
    /// there without a certificate.
    #[must_use]
    pub fn anchors(mut self, keys: &Keys) -> Trust {
        self.anchors.extend_from_slice(keys.certificates());
        self.keys(keys)
    }

    /// Trusts the keys that stand in `keys` as such; certificates beside them say nothing.
    #[must_use]
    pub fn keys(mut self, keys: &Keys) -> Trust {
        self.keys.extend(keys.keys().iter().filter(|key| !key.certified).cloned());
        self
    }

    /// Whether certificates of X.509 version 1 may issue others, as in the test chains of early vCon libraries. Such a
    /// chain cannot say that a signer's certificate is no authority, so that any signer could make others.
    #[must_use]
    pub fn lenient(mut self, lenient: bool) -> Trust {
        self.lenient = lenient;
        self
    }

    /// The time at which certificates must be valid.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Whether nothing was given to believe in.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty() && self.keys.is_empty()
    }

    /// The given keys, and those of the anchors where they are valid now: what can verify a signature without a chain.
    pub(super) fn known_keys(&self) -> impl Iterator<Item = (&str, &PublicKey)> {
        let keys = self.keys.iter().map(|key| (key.name(), key.public()));
        let usable = |anchor: &&Certificate| !anchor.forbids_signing() && self.date_fault(anchor, "").is_none();
        let anchors = self.anchors.iter().filter(usable);
        keys.chain(anchors.filter_map(|anchor| Some((anchor.name(), anchor.key().ok()?))))
    }

    /// Judges a chain, the signer's certificate first.
    pub(super) fn judge(&self, chain: &[Certificate], pointer: &str) -> Result<Standing, Fault> {
        let Some(own) = chain.first() else { return Ok(Standing::Unasked) };
        if own.forbids_signing() {
            let message = format!("the certificate of `{}` is not for signatures (its key usage)", own.name());
            return Err(Fault::new(Reason::ChainUntrusted, pointer, message));
        }
        if let Some(known) = self.keys.iter().find(|key| own.key() == Ok(key.public())) {
            return Ok(Standing::Key { name: known.name().to_owned() });
        }
        for certificate in linked(chain) {
            if let Some(fault) = self.date_fault(certificate, pointer) {
                return Err(fault);
            }
        }
        if self.is_empty() {
            return Ok(Standing::Unasked);
        }
        if self.anchors.contains(own) {
            return Ok(Standing::Anchor { anchor: own.name().to_owned(), lenient: false });
        }
        // webpki knows version 3 only; the others are walked by hand, and refused unless that was asked for.
        if chain.iter().any(|certificate| certificate.is_version_1() && !certificate.is_self_issued()) {
            let anchor = self.walk(chain).ok_or_else(|| untrusted(chain, pointer))?;
            if !self.lenient {
                let message = format!(
                    "the chain leads to `{}`, but over certificates of X.509 version 1, which may not issue others",
                    anchor.name()
                );
                return Err(Fault::new(Reason::LegacyCertificate, pointer, message));
            }
            return Ok(Standing::Anchor { anchor: anchor.name().to_owned(), lenient: true });
        }
        self.path(chain, pointer)
    }

    /// The path by the rules of RFC 5280.
    fn path(&self, chain: &[Certificate], pointer: &str) -> Result<Standing, Fault> {
        let fault = |reason, what: String| Fault::new(reason, pointer, what);
        let own = &chain[0];
        let unreadable =
            |error| fault(Reason::CertificateUnreadable, format!("certificate of `{}`: {error}", own.name()));
        let entity = EndEntityCert::try_from(own.as_der()).map_err(unreadable)?;
        let anchors: Vec<(&Certificate, TrustAnchor<'_>)> = self
            .anchors
            .iter()
            .filter_map(|anchor| Some((anchor, anchor_from_trusted_cert(anchor.as_der()).ok()?)))
            .collect();
        let roots: Vec<_> = anchors.iter().map(|(_, root)| root.clone()).collect();
        let between: Vec<_> = chain[1..].iter().map(|certificate| certificate.as_der().clone()).collect();
        // A certificate of 1970 or before has other troubles.
        let seconds = u64::try_from(self.at.as_second()).unwrap_or(0);
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        match entity.verify_for_usage(ISSUER_SIGNATURES, &roots, &between, time, AnyUsage, None, None) {
            Ok(path) => {
                let found = anchors.iter().find(|(_, root)| root == path.anchor());
                let anchor = found.map_or_else(String::new, |(anchor, _)| anchor.name().to_owned());
                Ok(Standing::Anchor { anchor, lenient: false })
            }
            Err(PathError::CertExpired { .. }) => {
                Err(fault(Reason::Expired, format!("the chain of `{}` holds an expired certificate", own.name())))
            }
            Err(PathError::CertNotValidYet { .. }) => {
                Err(fault(Reason::NotYetValid, format!("the chain of `{}` is not valid yet", own.name())))
            }
            // The second: an anchor of the right name, but with another key.
            Err(PathError::UnknownIssuer | PathError::InvalidSignatureForPublicKey) => Err(untrusted(chain, pointer)),
            Err(error) => {
                Err(fault(Reason::ChainUntrusted, format!("the chain of `{}` is not valid: {error}", own.name())))
            }
        }
    }

    /// The anchor that a chain with version 1 certificates leads to: names, signatures, and the constraints that version
    /// 3 certificates in it do have.
    fn walk(&self, chain: &[Certificate]) -> Option<&Certificate> {
        let mut last = &chain[0];
        for _ in 0..MOST_CERTIFICATES {
            if let Some(anchor) = self.anchors.iter().find(|anchor| *anchor == last || last.is_issued_by(anchor)) {
                return self.date_fault(anchor, "").is_none().then_some(anchor);
            }
            last = chain.iter().find(|one| *one != last && one.may_issue() && last.is_issued_by(one))?;
        }
        None
    }

    fn date_fault(&self, certificate: &Certificate, pointer: &str) -> Option<Fault> {
        let (name, at) = (certificate.name(), self.at);
        if at > certificate.not_after() {
            let message =
                format!("the certificate of `{name}` expired at {} (asked for {at:.0})", certificate.not_after());
            return Some(Fault::new(Reason::Expired, pointer, message));
        }
        (at < certificate.not_before()).then(|| {
            let message = format!(
                "the certificate of `{name}` is valid from {} only (asked for {at:.0})",
                certificate.not_before()
            );
            Fault::new(Reason::NotYetValid, pointer, message)
        })
    }
}

fn untrusted(chain: &[Certificate], pointer: &str) -> Fault {
    let last = linked(chain).last().unwrap_or(&chain[0]);
    let message = format!(
        "the chain of `{}` leads to no trust anchor: its last certificate `{}` is issued by `{}`",
        chain[0].name(),
        last.name(),
        last.issuer_name()
    );
    Fault::new(Reason::ChainUntrusted, pointer, message)
}

/// The certificates of the chain as far as each is issued by the next one: others are no part of the way.
fn linked(chain: &[Certificate]) -> impl Iterator<Item = &Certificate> {
    let pairs = chain.windows(2).take_while(|pair| pair[0].is_issued_by(&pair[1]));
    chain.first().into_iter().chain(pairs.map(|pair| &pair[1]))
}

/// The draft asks for no extended key usage: domain certificates of any kind sign.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), PathError> {
        Ok(())
    }
}
