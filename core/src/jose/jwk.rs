//! JSON Web Keys and sets of them (RFC 7517, RFC 7518 section 6, RFC 8037).

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use serde::Deserialize;

use super::algorithm::SignatureAlgorithm;
use super::certificate::Certificate;
use super::encoding::{decode, decode_standard};
use super::key::{KeyKind, PrivateKey, PublicKey};
use super::keys::Keys;
use crate::secret::Secret;

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// The members that are used. Numbers are base64url, big-endian.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<Secret>,
    p: Option<Secret>,
    q: Option<Secret>,
    dp: Option<Secret>,
    dq: Option<Secret>,
    qi: Option<Secret>,
    x5c: Option<Vec<String>>,
}

/// Reads one key or a set.
pub(super) fn read(name: &str, text: &[u8], into: &mut Keys) -> Result<(), String> {
    let set = serde_json::from_slice::<JwkSet>(text).map(|set| set.keys);
    let set = set.or_else(|_| serde_json::from_slice::<Jwk>(text).map(|key| vec![key]));
    // The parser's error could quote a secret.
    let set = set.map_err(|_| "this is JSON, but neither a JWK (`kty` ...) nor a set of them (`keys`)".to_owned())?;
    if set.is_empty() {
        return Err("the set of keys is empty".to_owned());
    }
    for key in set {
        key.add_to(into, name)?;
    }
    Ok(())
}

impl Jwk {
    fn add_to(&self, into: &mut Keys, source: &str) -> Result<(), String> {
        let name = self.kid.as_deref().unwrap_or(source);
        let algorithm = self.alg.as_deref().and_then(SignatureAlgorithm::named);
        if self.d.is_some() {
            into.add_private(name, self.private()?, algorithm);
        } else {
            into.add_public(name, self.public()?, algorithm);
        }
        let chain =
            self.x5c.iter().flatten().map(|text| {
                Certificate::from_der(decode_standard(text).ok_or_else(|| "`x5c` is not base64".to_owned())?)
            });
        into.add_certificates(chain.collect::<Result<_, _>>()?);
        Ok(())
    }

    fn kind(&self) -> Result<KeyKind, String> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Ok(KeyKind::Rsa),
            ("EC", Some("P-256")) => Ok(KeyKind::P256),
            ("OKP", Some("Ed25519")) => Ok(KeyKind::Ed25519),
            _ => Err("`kty` and `crv` are none of RSA, EC with P-256, OKP with Ed25519".to_owned()),
        }
    }

    fn public(&self) -> Result<PublicKey, String> {
        match self.kind()? {
            KeyKind::Rsa => PublicKey::from_rsa(&number("n", &self.n)?, &number("e", &self.e)?),
            KeyKind::P256 => PublicKey::from_point(KeyKind::P256, &self.point()?),
            KeyKind::Ed25519 => PublicKey::from_point(KeyKind::Ed25519, &number("x", &self.x)?),
        }
    }

    /// The point of an elliptic curve, uncompressed (SEC 1, section 2.3.3).
    fn point(&self) -> Result<Vec<u8>, String> {
        Ok([&[4], &number("x", &self.x)?[..], &number("y", &self.y)?[..]].concat())
    }

    fn private(&self) -> Result<PrivateKey, String> {
        let d = hidden("d", &self.d)?;
        let refused = || "the members of the key do not fit together".to_owned();
        match self.kind()? {
            KeyKind::Rsa => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents { n: number("n", &self.n)?, e: number("e", &self.e)? },
                    d,
                    p: hidden("p", &self.p)?,
                    q: hidden("q", &self.q)?,
                    dP: hidden("dp", &self.dp)?,
                    dQ: hidden("dq", &self.dq)?,
                    qInv: hidden("qi", &self.qi)?,
                };
                PrivateKey::from_rsa(RsaKeyPair::from_components(&components).map_err(|_| refused())?)
            }
            KeyKind::P256 => {
                let point = self.point()?;
                let key = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, &d, &point);
                PrivateKey::from_ecdsa(key.map_err(|_| refused())?)
            }
            KeyKind::Ed25519 => {
                let key = Ed25519KeyPair::from_seed_and_public_key(&d, &number("x", &self.x)?);
                PrivateKey::from_ed25519(key.map_err(|_| refused())?)
            }
        }
    }
}

fn number(name: &str, member: &Option<String>) -> Result<Vec<u8>, String> {
    let text = member.as_deref().ok_or_else(|| format!("the key has no `{name}`"))?;
    decode(text).ok_or_else(|| format!("`{name}` is not base64url"))
}

fn hidden(name: &str, member: &Option<Secret>) -> Result<Vec<u8>, String> {
    let text = member.as_ref().ok_or_else(|| format!("the private key has no `{name}`"))?;
    decode(text.expose()).ok_or_else(|| format!("`{name}` is not base64url"))
}
