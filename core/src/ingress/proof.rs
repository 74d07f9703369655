//! How deliveries prove where they come from. Everything secret is compared in constant time.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Delivery, Refused};
use crate::clock::Millis;
use crate::secret::Secret;
use crate::{Error, Result};

/// Whether both are the same. How long that takes tells nothing but their lengths.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// HMAC-SHA1 of parts in a row.
pub fn hmac_sha1(key: &Secret, parts: &[&[u8]]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// HMAC-SHA256 of parts in a row.
pub fn hmac_sha256(key: &Secret, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Whether `given` is this digest in base64.
pub fn is_base64(digest: &[u8], given: &str) -> bool {
    same(STANDARD.encode(digest).as_bytes(), given.trim().as_bytes())
}

/// Whether `given` is this digest in hexadecimal, in any case.
pub fn is_hexadecimal(digest: &[u8], given: &str) -> bool {
    same(hexadecimal(digest).as_bytes(), given.trim().to_ascii_lowercase().as_bytes())
}

/// Bytes in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Checks that a time in seconds since the Unix epoch is at most `tolerance` away from now.
///
/// # Errors
/// Unproved: it is no number, too old, or from the future.
pub fn fresh(written: &str, now: Millis, tolerance: std::time::Duration) -> Result<i64, Refused> {
    let then: i64 = written.trim().parse().map_err(|_| Refused::unproved("the timestamp is no number of seconds"))?;
    let apart = then.abs_diff(now.div_euclid(1000));
    if apart > tolerance.as_secs() {
        return Err(Refused::unproved(format!(
            "the timestamp is {apart} s away from now, more than {} s: a replay, or a clock that is wrong",
            tolerance.as_secs()
        )));
    }
    Ok(then)
}

/// A public key of Ed25519.
#[derive(Debug, Clone)]
pub struct Ed25519Key([u8; 32]);

impl Ed25519Key {
    /// Reads 32 bytes in base64.
    ///
    /// # Errors
    /// A configuration error when it is not that.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Ed25519Key)
            .ok_or_else(|| Error::configuration("this is no public key of Ed25519 (32 bytes in base64)"))
    }

    /// Whether `signature`, 64 bytes in base64, is over this message.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let Ok(signature) = STANDARD.decode(signature.trim()) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, &signature).is_ok()
    }
}

/// Checks `Authorization: Basic`.
///
/// # Errors
/// Unproved: it is missing or wrong.
pub fn basic(delivery: &Delivery, user: &str, password: &Secret) -> Result<(), Refused> {
    let refused = |why: &str| Refused::Unproved { why: why.to_owned(), challenge: Some("Basic realm=\"ingress\"") };
    let given = delivery.header("authorization").ok_or_else(|| refused("there is no header `authorization`"))?;
    let expected = format!("{user}:{}", password.expose());
    let token = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let decoded = token.and_then(|(_, token)| STANDARD.decode(token.trim()).ok());
    let decoded = decoded.ok_or_else(|| refused("the header `authorization` is no Basic one"))?;
    if same(expected.as_bytes(), &decoded) { Ok(()) } else { Err(refused("user or password is wrong")) }
}

/// Checks `Authorization: Bearer`.
///
/// # Errors
/// Unproved: it is missing or wrong.
pub fn bearer(delivery: &Delivery, token: &Secret) -> Result<(), Refused> {
    let refused = |why: &str| Refused::Unproved { why: why.to_owned(), challenge: Some("Bearer") };
    let given = delivery.header("authorization").ok_or_else(|| refused("there is no header `authorization`"))?;
    let given = given.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let (_, given) = given.ok_or_else(|| refused("the header `authorization` is no Bearer one"))?;
    if same(token.expose().as_bytes(), given.trim().as_bytes()) { Ok(()) } else { Err(refused("the token is wrong")) }
}

/// Refuses a secret that is missing: an empty one would be known to everybody.
///
/// # Errors
/// A configuration error that names the option.
pub fn required(option: &str, secret: &Secret) -> Result<()> {
    if secret.expose().trim().is_empty() {
        return Err(Error::configuration(format!("`{option}` is empty, so that everybody could send"))
            .help("set it, for example from the environment: \"${env:NAME}\""));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::http::{HeaderMap, HeaderValue, Method};

    fn delivery(authorization: Option<&str>) -> Delivery {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert("authorization", HeaderValue::from_str(value).unwrap());
        }
        Delivery { method: Method::POST, query: String::new(), headers, body: Bytes::new(), at: 0 }
    }

    /// RFC 2202, test case 2, and RFC 4231, test case 2.
    #[test]
    fn the_published_digests_are_met() {
        let key = Secret::new("Jefe");
        let sha1 = hmac_sha1(&key, &[b"what do ya want ", b"for nothing?"]);
        assert!(is_hexadecimal(&sha1, "EFFCDF6AE5EB2FA2D27416D5F184DF9C259A7C79"));
        let sha256 = hmac_sha256(&key, &[b"what do ya want for nothing?"]);
        assert!(is_hexadecimal(&sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
        assert!(!is_hexadecimal(&sha256, "5bdc") && !is_base64(&sha256, ""));
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn the_published_signature_is_verified() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let key = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = hex(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        );
        let key = Ed25519Key::parse(&STANDARD.encode(key)).unwrap();
        assert!(key.verifies(&[0x72], &STANDARD.encode(&signature)));
        assert!(!key.verifies(&[0x73], &STANDARD.encode(&signature)));
        assert!(!key.verifies(&[0x72], "") && !key.verifies(&[0x72], &STANDARD.encode([0; 64])));
        assert!(Ed25519Key::parse("c2hvcnQ=").is_err() && Ed25519Key::parse("!").is_err());
    }

    #[test]
    fn a_time_is_fresh_within_the_tolerance() {
        let fresh = |written: &str| fresh(written, 1_000_000_999, Duration::from_secs(300)).is_ok();
        assert!(fresh("1000000") && fresh("999700") && fresh("1000300"));
        assert!(!fresh("999699") && !fresh("1000301") && !fresh("") && !fresh("now") && !fresh("-9223372036854775808"));
    }

    #[test]
    fn passwords_and_tokens_are_whole() {
        let good = format!("basic {}", STANDARD.encode("ann:a:b"));
        let password = Secret::new("a:b");
        assert!(basic(&delivery(Some(&good)), "ann", &password).is_ok());
        let wrong = [None, Some("Basic"), Some("Basic !"), Some("Bearer a:b"), Some("Basic YW5uOmE=")];
        for given in wrong {
            let refused = basic(&delivery(given), "ann", &password).unwrap_err();
            assert!(matches!(refused, Refused::Unproved { challenge: Some(_), .. }), "{given:?}");
        }
        assert!(bearer(&delivery(Some("Bearer secret")), &Secret::new("secret")).is_ok());
        for given in [None, Some("Bearer"), Some("Bearer secre"), Some("Basic secret"), Some("secret")] {
            assert!(bearer(&delivery(given), &Secret::new("secret")).is_err(), "{given:?}");
        }
        assert!(required("token", &Secret::new(" ")).is_err() && required("token", &Secret::new("x")).is_ok());
    }
}
