//! One key: what it can verify, sign, encrypt and decrypt.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair, UnparsedPublicKey,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::algorithm::{KeyEncryption, SignatureAlgorithm};

/// RSA keys below this are refused, as everywhere today.
const SHORTEST_RSA: usize = 2048;
/// RSA keys above this are refused: one operation would take seconds.
const LONGEST_RSA: usize = 8192;

/// The kinds of keys that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum KeyKind {
    /// RSA of 2048 to 8192 bits.
    #[serde(rename = "RSA")]
    Rsa,
    /// Elliptic curve P-256.
    #[serde(rename = "P-256")]
    P256,
    /// Elliptic curve Ed25519.
    Ed25519,
}

impl KeyKind {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyKind::Rsa => "RSA",
            KeyKind::P256 => "P-256",
            KeyKind::Ed25519 => "Ed25519",
        }
    }

    /// The algorithm that such a key signs with unless another is asked for.
    pub fn signs_with(self) -> SignatureAlgorithm {
        match self {
            KeyKind::Rsa => SignatureAlgorithm::Rs256,
            KeyKind::P256 => SignatureAlgorithm::Es256,
            KeyKind::Ed25519 => SignatureAlgorithm::EdDsa,
        }
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// `SubjectPublicKeyInfo` in DER.
    spki: Vec<u8>,
}

impl PublicKey {
    /// Takes a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// Why the key cannot be used.
    pub(super) fn from_spki(der: &[u8]) -> Result<PublicKey, String> {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).map_err(|_| "the public key cannot be read".to_owned())?;
        let algorithm = &info.algorithm.algorithm;
        let kind = if *algorithm == OID_PKCS1_RSAENCRYPTION {
            let Ok(Parsed::RSA(key)) = info.parsed() else { return Err("the RSA key cannot be read".to_owned()) };
            let bits = key.modulus.iter().skip_while(|byte| **byte == 0).count() * 8;
            if !(SHORTEST_RSA..=LONGEST_RSA).contains(&bits) {
                return Err(format!("an RSA key of {bits} bits is not accepted ({SHORTEST_RSA} to {LONGEST_RSA} are)"));
            }
            KeyKind::Rsa
        } else if *algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = info.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
            if curve != Some(OID_EC_P256) {
                return Err("the elliptic curve is not P-256".to_owned());
            }
            KeyKind::P256
        } else if *algorithm == OID_SIG_ED25519 {
            KeyKind::Ed25519
        } else {
            return Err(format!("keys of the kind {algorithm} are not supported (RSA, P-256, Ed25519 are)"));
        };
        Ok(PublicKey { kind, spki: info.raw.to_vec() })
    }

    fn exported(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Result<PublicKey, String> {
        let der = key.as_der().map_err(|_| "the public key cannot be written".to_owned())?;
        PublicKey::from_spki(der.as_ref())
    }

    /// An RSA key from modulus and exponent.
    pub(super) fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, String> {
        PublicKey::exported(&aws_lc_rs::rsa::PublicKeyComponents { n: modulus, e: exponent })
    }

    /// A key of a curve, from its point as the curve writes it.
    pub(super) fn from_point(kind: KeyKind, point: &[u8]) -> Result<PublicKey, String> {
        let key = UnparsedPublicKey::new(kind.signs_with().verification(), point);
        let key = key.parse().map_err(|_| format!("this is no point of {}", kind.as_str()))?;
        PublicKey::exported(&key)
    }

    /// The kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// A short name: the beginning of the SHA-256 of the key in DER, in hex.
    pub fn id(&self) -> String {
        hex(&Sha256::digest(&self.spki)[..8])
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, algorithm: SignatureAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        algorithm.key_kind() == self.kind
            && UnparsedPublicKey::new(algorithm.verification(), &self.spki).verify(message, signature).is_ok()
    }

    /// Encrypts a content key.
    pub(super) fn encrypt(&self, algorithm: KeyEncryption, content_key: &[u8]) -> Option<Vec<u8>> {
        let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&self.spki).ok()?).ok()?;
        let mut out = vec![0; key.ciphertext_size()];
        Some(key.encrypt(algorithm.oaep(), content_key, &mut out, None).ok()?.to_vec())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.id())
    }
}

/// A private key. Prints as its public half.
pub struct PrivateKey {
    secret: Secret,
    public: PublicKey,
}

enum Secret {
    Rsa { signing: Box<RsaKeyPair>, decrypting: OaepPrivateDecryptingKey },
    P256(Box<EcdsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl PrivateKey {
    /// Takes PKCS #8.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, String> {
        if let Ok(key) = RsaKeyPair::from_pkcs8(der) {
            return PrivateKey::from_rsa(key);
        }
        if let Ok(key) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return PrivateKey::from_ecdsa(key);
        }
        match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(key) => PrivateKey::from_ed25519(key),
            Err(_) => Err("the private key is none of RSA (2048 to 8192 bits), P-256 and Ed25519".to_owned()),
        }
    }

    /// Takes PKCS #1 (`RSA PRIVATE KEY`).
    pub(super) fn from_pkcs1(der: &[u8]) -> Result<PrivateKey, String> {
        let key = RsaKeyPair::from_der(der).map_err(|error| format!("the RSA key is refused: {error}"))?;
        PrivateKey::from_rsa(key)
    }

    /// Takes SEC 1 (`EC PRIVATE KEY`).
    pub(super) fn from_sec1(der: &[u8]) -> Result<PrivateKey, String> {
        let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        PrivateKey::from_ecdsa(key.map_err(|_| "the key is none of the curve P-256".to_owned())?)
    }

    pub(super) fn from_rsa(key: RsaKeyPair) -> Result<PrivateKey, String> {
        let unusable = || "the RSA key cannot be used to decrypt".to_owned();
        let der: Pkcs8V1Der<'static> = key.as_der().map_err(|_| unusable())?;
        let decrypting = PrivateDecryptingKey::from_pkcs8(der.as_ref()).map_err(|_| unusable())?;
        let decrypting = OaepPrivateDecryptingKey::new(decrypting).map_err(|_| unusable())?;
        let public = PublicKey::exported(key.public_key())?;
        Ok(PrivateKey { secret: Secret::Rsa { signing: Box::new(key), decrypting }, public })
    }

    pub(super) fn from_ecdsa(key: EcdsaKeyPair) -> Result<PrivateKey, String> {
        let public = PublicKey::exported(key.public_key())?;
        Ok(PrivateKey { secret: Secret::P256(Box::new(key)), public })
    }

    pub(super) fn from_ed25519(key: Ed25519KeyPair) -> Result<PrivateKey, String> {
        let public = PublicKey::exported(key.public_key())?;
        Ok(PrivateKey { secret: Secret::Ed25519(key), public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs. `None` when the key is of another kind than the algorithm.
    pub(super) fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match (&self.secret, algorithm) {
            (Secret::Rsa { signing, .. }, SignatureAlgorithm::Rs256 | SignatureAlgorithm::Ps256) => {
                let padding = if algorithm == SignatureAlgorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; signing.public_modulus_len()];
                signing.sign(padding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            (Secret::P256(key), SignatureAlgorithm::Es256) => Some(key.sign(&random, message).ok()?.as_ref().to_vec()),
            (Secret::Ed25519(key), SignatureAlgorithm::EdDsa) => Some(key.try_sign(message).ok()?.as_ref().to_vec()),
            _ => None,
        }
    }

    /// Decrypts a content key. The library takes the same time whatever is wrong with it.
    pub(super) fn decrypt(&self, algorithm: KeyEncryption, encrypted: &[u8]) -> Option<Vec<u8>> {
        let Secret::Rsa { decrypting, .. } = &self.secret else { return None };
        let mut out = vec![0; decrypting.min_output_size()];
        Some(decrypting.decrypt(algorithm.oaep(), encrypted, &mut out, None).ok()?.to_vec())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private half of {:?}", self.public)
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
