//! Certificate authorities and keys for tests, made anew in every run: none lies in the repository.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, RsaKeySize, SignatureAlgorithm,
};

/// The kinds of keys that signers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA of 2048 bits.
    Rsa,
    /// P-256.
    P256,
    /// Ed25519.
    Ed25519,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Rsa, Kind::P256, Kind::Ed25519];

    /// A new key.
    pub fn key(self) -> KeyPair {
        let algorithm: &'static SignatureAlgorithm = match self {
            Kind::Rsa => {
                return KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).expect("an RSA key");
            }
            Kind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Kind::Ed25519 => &rcgen::PKCS_ED25519,
        };
        KeyPair::generate_for(algorithm).expect("a key")
    }
}

/// Somebody with a key and a certificate.
#[derive(Debug)]
pub struct Signer {
    /// The private key, PKCS #8 in PEM.
    pub key: String,
    /// The public key in PEM.
    pub public: String,
    /// Its certificate and the one that issued it, in PEM.
    pub chain: String,
}

impl Signer {
    /// Key and chain in one PEM text.
    pub fn bundle(&self) -> String {
        format!("{}{}", self.key, self.chain)
    }
}

/// A root with an intermediate authority under it.
#[derive(Debug)]
pub struct Authority {
    /// The root's certificate in PEM.
    pub root: String,
    intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// From when to when a certificate is valid, in years.
#[derive(Debug, Clone, Copy)]
pub struct Years(pub i32, pub i32);

/// Long enough.
pub const VALID: Years = Years(2020, 2090);

impl Authority {
    /// A new authority. All have the same names.
    pub fn new() -> Authority {
        let (root_key, key) = (Kind::P256.key(), Kind::P256.key());
        let mut root = parameters("Test Root", VALID);
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root_certificate = root.self_signed(&root_key).expect("a root");
        let root = Issuer::new(root, root_key);
        let mut intermediate = parameters("Test Intermediate", VALID);
        intermediate.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        intermediate.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = intermediate.signed_by(&key, &root).expect("an intermediate");
        Authority {
            root: root_certificate.pem(),
            intermediate: certificate.pem(),
            issuer: Issuer::new(intermediate, key),
        }
    }

    /// A signer under the intermediate authority.
    pub fn signer(&self, kind: Kind, name: &str) -> Signer {
        self.signer_of(&kind.key(), name, VALID)
    }

    /// A certificate for a key, valid in those years.
    pub fn signer_of(&self, key: &KeyPair, name: &str, years: Years) -> Signer {
        let mut parameters = parameters(name, years);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        let certificate = parameters.signed_by(key, &self.issuer).expect("a certificate");
        let chain = format!("{}{}", certificate.pem(), self.intermediate);
        Signer { key: key.serialize_pem(), public: key.public_key_pem(), chain }
    }

    /// What an ordinary signer issued, who must not: the chain is whole, but nobody made it an authority.
    pub fn issued_by_signer(&self, name: &str) -> Signer {
        let middle_key = Kind::P256.key();
        let middle = parameters("Ordinary Signer", VALID);
        let middle_certificate = middle.signed_by(&middle_key, &self.issuer).expect("a certificate");
        let key = Kind::P256.key();
        let certificate =
            parameters(name, VALID).signed_by(&key, &Issuer::new(middle, middle_key)).expect("a certificate");
        let chain = format!("{}{}{}", certificate.pem(), middle_certificate.pem(), self.intermediate);
        Signer { key: key.serialize_pem(), public: key.public_key_pem(), chain }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Authority::new()
    }
}

fn parameters(name: &str, years: Years) -> CertificateParams {
    let mut parameters = CertificateParams::new(Vec::new()).expect("no names");
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    parameters.distinguished_name = subject;
    parameters.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    parameters
}
