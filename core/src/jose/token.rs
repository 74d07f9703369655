//! Tokens that say who calls (JWT, RFC 7519), in compact form: their signature and their times. What else they claim is
//! the business of whoever reads them.

use aws_lc_rs::hmac;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::algorithm::SignatureAlgorithm;
use super::encoding::decode;
use super::keys::Keys;
use crate::secret::Secret;
use crate::{Error, Result};

/// By how much clocks may differ, in seconds.
const LEEWAY: i64 = 60;
/// The longest token, in bytes.
const LONGEST: usize = 16 << 10;
/// The shortest secret, in bytes: as long as the hash (RFC 7518, section 3.2).
const SHORTEST_SECRET: usize = 32;

/// What tokens are signed with.
#[derive(Debug, Clone)]
pub struct TokenKeys(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Secret(Box<hmac::Key>),
    Public(Keys),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl TokenKeys {
    /// A secret that both sides know (HS256).
    ///
    /// # Errors
    /// Configuration: it is shorter than 32 bytes.
    pub fn secret(secret: &Secret) -> Result<Self> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < SHORTEST_SECRET {
            return Err(Error::configuration(format!("a secret for tokens has {SHORTEST_SECRET} bytes or more"))
                .help("make one with `openssl rand -base64 48`"));
        }
        Ok(TokenKeys(Kind::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))))
    }

    /// Public keys (RS256, PS256, ES256, EdDSA), as a JWK set has them. A public key is never taken as a secret.
    pub fn public(keys: Keys) -> Self {
        TokenKeys(Kind::Public(keys))
    }

    /// The claims of a token that one of the keys has signed and that holds at `now`, in seconds since the epoch.
    ///
    /// # Errors
    /// Why it does not hold, in words for a log.
    pub fn open(&self, token: &str, now: i64) -> Result<Map<String, Value>, &'static str> {
        if token.len() > LONGEST {
            return Err("it is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it has no signature")?;
        let (header, claims) = signed.split_once('.').ok_or("it has no claims")?;
        let signature = decode(signature).ok_or("its signature is no base64url")?;
        let header = decode(header).ok_or("its header is no base64url")?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| "its header cannot be read")?;
        if header.crit.is_some() {
            return Err("its header asks for something that is not known");
        }
        if !self.verifies(&header, signed.as_bytes(), &signature) {
            return Err("none of the keys has signed it");
        }
        let claims = decode(claims).ok_or("its claims are no base64url")?;
        let claims: Map<String, Value> = serde_json::from_slice(&claims).map_err(|_| "its claims cannot be read")?;
        let time = |name: &str| claims.get(name).and_then(Value::as_f64).map(|seconds| seconds as i64);
        let end = time("exp").ok_or("it has no end")?;
        if now >= end.saturating_add(LEEWAY) {
            return Err("its time is over");
        }
        if time("nbf").is_some_and(|start| now < start.saturating_sub(LEEWAY)) {
            return Err("its time has not begun");
        }
        Ok(claims)
    }

    fn verifies(&self, header: &Header, signed: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Kind::Secret(key) => header.alg == "HS256" && hmac::verify(key, signed, signature).is_ok(),
            Kind::Public(keys) => {
                let Some(algorithm) = SignatureAlgorithm::named(&header.alg) else { return false };
                let named = |name: &str| header.kid.as_deref().is_none_or(|kid| kid == name);
                let fitting = keys.keys().iter().filter(|key| {
                    key.public.kind() == algorithm.key_kind()
                        && key.algorithm.is_none_or(|own| own == algorithm)
                        && named(&key.name)
                });
                fitting.into_iter().any(|key| key.public.verifies(algorithm, signed, signature))
            }
        }
    }

    /// Whether a key is called so, or there is but a secret: if not, the keys may have been changed since they were read.
    pub fn knows(&self, token: &str) -> bool {
        let Kind::Public(keys) = &self.0 else { return true };
        let header = token.split_once('.').and_then(|(header, _)| decode(header));
        let header = header.and_then(|header| serde_json::from_slice::<Header>(&header).ok());
        let kid = header.and_then(|header| header.kid);
        kid.is_none_or(|kid| keys.keys().iter().any(|key| key.name == kid))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::encoding::encode;
    use super::*;

    fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
        let signed = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = sign(signed.as_bytes());
        format!("{signed}.{}", encode(&signature))
    }

    fn with_secret(secret: &str) -> impl Fn(&[u8]) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        move |signed| hmac::sign(&key, signed).as_ref().to_vec()
    }

    const SECRET: &str = "a secret that is longer than thirty-two bytes";

    #[test]
    fn a_token_of_a_secret_holds_within_its_time() {
        let keys = TokenKeys::secret(&Secret::new(SECRET)).unwrap();
        let hs = json!({"alg": "HS256", "typ": "JWT"});
        let good = token(&hs, &json!({"sub": "ann", "exp": 1000, "nbf": 500}), with_secret(SECRET));
        assert_eq!(keys.open(&good, 700).unwrap()["sub"], "ann");
        assert!(keys.open(&good, 1059).is_ok() && keys.open(&good, 1060).is_err());
        assert!(keys.open(&good, 440).is_ok() && keys.open(&good, 439).is_err());
        let endless = token(&hs, &json!({"sub": "ann"}), with_secret(SECRET));
        assert_eq!(keys.open(&endless, 700).unwrap_err(), "it has no end");
        let other = token(&hs, &json!({"exp": 1000}), with_secret("another secret of more than thirty-two bytes"));
        assert!(keys.open(&other, 700).is_err());
        let none = token(&json!({"alg": "none"}), &json!({"exp": 1000}), |_| Vec::new());
        assert!(keys.open(&none, 700).is_err());
        let critical = token(&json!({"alg": "HS256", "crit": ["x"]}), &json!({"exp": 1000}), with_secret(SECRET));
        assert!(keys.open(&critical, 700).is_err());
        for broken in ["", "a", "a.b", "a.b.c", &good[1..], &good[..good.len() - 2]] {
            assert!(keys.open(broken, 700).is_err(), "{broken}");
        }
        assert!(TokenKeys::secret(&Secret::new("short")).is_err());
    }

    #[test]
    fn a_token_of_a_key_pair_holds_and_the_public_key_is_no_secret() {
        // RFC 8037, appendix A: a public test key of the standard.
        let mut jwk =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let public = jwk.to_string();
        jwk["d"] = json!("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let keys = TokenKeys::public(Keys::read("set", public.as_bytes()).unwrap());
        let private = Keys::read("set", jwk.to_string().as_bytes()).unwrap();
        let key = private.keys()[0].private.clone().unwrap();
        let algorithm = key.public().kind().signs_with();
        let sign = |signed: &[u8]| key.sign(algorithm, signed).unwrap();
        let header = |kid: &str| json!({"alg": algorithm.as_str(), "kid": kid});
        let good = token(&header("k1"), &json!({"exp": 1000}), sign);
        assert!(keys.open(&good, 700).is_ok() && keys.knows(&good));
        let renamed = token(&header("k2"), &json!({"exp": 1000}), sign);
        assert!(keys.open(&renamed, 700).is_err() && !keys.knows(&renamed));
        let confused = token(&json!({"alg": "HS256"}), &json!({"exp": 1000}), with_secret(&public));
        assert!(keys.open(&confused, 700).is_err());
    }
}
