//! Signatures of webhook bodies: Standard Webhooks 1.0.0, and the `X-Hub-Signature-256` header that GitHub made common.
//!
//! Standard Webhooks signs `{id}.{timestamp}.{body}` with HMAC-SHA256. The id stays the same over all
//! attempts (the receiver's key against duplicates), the timestamp is that of the attempt. Several
//! secrets give several signatures, so that a secret can be replaced without a gap.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::secret::Secret;
use crate::{Error, Result};

/// Header with the message's id.
pub const WEBHOOK_ID: &str = "webhook-id";
/// Header with the attempt's time in seconds since the Unix epoch.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// Header with the signatures, separated by spaces.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
/// Header with the hexadecimal HMAC of the body alone.
pub const HUB_SIGNATURE: &str = "x-hub-signature-256";

/// How far a timestamp may be from now before a message counts as replayed (the specification's libraries use the same).
pub const TOLERANCE: Duration = Duration::from_secs(300);

const SECRET_PREFIX: &str = "whsec_";

/// A signing key of Standard Webhooks.
#[derive(Clone)]
pub struct SigningKey(Vec<u8>);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

impl SigningKey {
    /// Reads a secret in the form `whsec_` and base64 (the prefix may be missing).
    ///
    /// # Errors
    /// A configuration error when it is not base64 or shorter than the 24 bytes that the specification asks for.
    pub fn parse(secret: &Secret) -> Result<Self> {
        let text = secret.expose().trim();
        let encoded = text.strip_prefix(SECRET_PREFIX).unwrap_or(text).trim_end_matches('=');
        let key = STANDARD_NO_PAD.decode(encoded).map_err(|_| {
            Error::configuration("the webhook signing secret is not base64")
                .help("use `whsec_` and base64 of 24 to 64 random bytes, for example from: openssl rand -base64 32")
        })?;
        if key.len() < 24 {
            return Err(Error::configuration(format!("the webhook signing secret has {} bytes", key.len()))
                .help("Standard Webhooks asks for 24 to 64 random bytes: openssl rand -base64 32"));
        }
        Ok(SigningKey(key))
    }

    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> [u8; 32] {
        let head = format!("{id}.{timestamp}.");
        hmac_sha256(&self.0, &[head.as_bytes(), body])
    }
}

/// The value of `webhook-signature`: one `v1,<base64>` per key, separated by spaces.
///
/// # Errors
/// Permanent when `id` contains a dot, which would make the signed text ambiguous, or is empty.
pub fn sign(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8]) -> Result<String> {
    if id.is_empty() || id.contains('.') {
        return Err(Error::permanent(format!("webhook id `{id}` is empty or contains a dot")));
    }
    let signatures = keys.iter().map(|key| format!("v1,{}", STANDARD.encode(key.sign(id, timestamp, body))));
    Ok(signatures.collect::<Vec<_>>().join(" "))
}

/// Whether `signatures` (the header's value) holds one made by one of `keys`, and `timestamp` is at most
/// [`TOLERANCE`] away from `now` (both in seconds since the Unix epoch).
pub fn verify(keys: &[SigningKey], id: &str, timestamp: i64, body: &[u8], signatures: &str, now: i64) -> bool {
    if timestamp.abs_diff(now) > TOLERANCE.as_secs() {
        return false;
    }
    let mut found = false;
    for key in keys {
        let expected = key.sign(id, timestamp, body);
        for given in signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")) {
            let given = STANDARD.decode(given).unwrap_or_default();
            found |= bool::from(given.ct_eq(&expected));
        }
    }
    found
}

/// The value of `X-Hub-Signature-256`: `sha256=` and the hexadecimal HMAC of the body.
pub fn hub_sign(secret: &Secret, body: &[u8]) -> String {
    format!("sha256={}", hex(&hmac_sha256(secret.expose().as_bytes(), &[body])))
}

/// Whether `signature` (the header's value) was made with `secret` over `body`.
pub fn hub_verify(secret: &Secret, body: &[u8], signature: &str) -> bool {
    hub_sign(secret, body).as_bytes().ct_eq(signature.trim().to_ascii_lowercase().as_bytes()).into()
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIMESTAMP: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(secret: &str) -> SigningKey {
        SigningKey::parse(&Secret::new(secret)).unwrap()
    }

    #[test]
    fn the_vector_of_the_specification_is_met() {
        assert_eq!(sign(&[key(SECRET)], ID, TIMESTAMP, BODY).unwrap(), SIGNATURE);
        assert_eq!(sign(&[key(&SECRET[6..])], ID, TIMESTAMP, BODY).unwrap(), SIGNATURE, "prefix missing");
    }

    #[test]
    fn several_keys_give_several_signatures_and_any_of_them_verifies() {
        let (old, new) = (key(SECRET), key("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
        let both = sign(&[old.clone(), new.clone()], ID, TIMESTAMP, BODY).unwrap();
        assert!(both.starts_with(SIGNATURE) && both.split(' ').count() == 2, "{both}");
        for key in [old.clone(), new.clone()] {
            assert!(verify(&[key], ID, TIMESTAMP, BODY, &both, TIMESTAMP + 300));
        }
        assert!(!verify(&[new], ID, TIMESTAMP, BODY, SIGNATURE, TIMESTAMP), "made with the other key");
        assert!(verify(&[old], ID, TIMESTAMP, BODY, &format!("v1a,AAAA v1,!! {SIGNATURE}"), TIMESTAMP));
    }

    #[test]
    fn every_changed_part_is_refused() {
        let keys = [key(SECRET)];
        assert!(verify(&keys, ID, TIMESTAMP, BODY, SIGNATURE, TIMESTAMP));
        assert!(!verify(&keys, "msg_other", TIMESTAMP, BODY, SIGNATURE, TIMESTAMP));
        assert!(!verify(&keys, ID, TIMESTAMP + 1, BODY, SIGNATURE, TIMESTAMP));
        assert!(!verify(&keys, ID, TIMESTAMP, b"{}", SIGNATURE, TIMESTAMP));
        assert!(!verify(&keys, ID, TIMESTAMP, BODY, "", TIMESTAMP));
        assert!(!verify(&keys, ID, TIMESTAMP, BODY, &SIGNATURE[3..], TIMESTAMP), "no version");
        assert!(!verify(&keys, ID, TIMESTAMP, BODY, SIGNATURE, TIMESTAMP + 301), "too old");
        assert!(!verify(&keys, ID, TIMESTAMP, BODY, SIGNATURE, TIMESTAMP - 301), "from the future");
        assert!(!verify(&[], ID, TIMESTAMP, BODY, SIGNATURE, TIMESTAMP), "no key");
    }

    #[test]
    fn bad_secrets_and_ids_are_named_without_showing_them() {
        for secret in ["whsec_not*base64*at*all*but*long*enough", "whsec_c2hvcnQ=", ""] {
            let error = SigningKey::parse(&Secret::new(secret)).unwrap_err();
            assert_eq!(error.class(), crate::Class::Configuration);
            assert!(secret.is_empty() || !error.chain_text().contains(&secret[6..]), "{error}");
        }
        assert!(sign(&[key(SECRET)], "a.b", TIMESTAMP, BODY).is_err());
        assert!(sign(&[key(SECRET)], "", TIMESTAMP, BODY).is_err());
    }

    /// The example of GitHub's documentation of webhook deliveries.
    #[test]
    fn the_hub_signature_meets_the_published_example() {
        let secret = Secret::new("It's a Secret to Everybody");
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(hub_sign(&secret, b"Hello, World!"), expected);
        assert!(hub_verify(&secret, b"Hello, World!", &expected.to_uppercase().replace("SHA256", "sha256")));
        assert!(!hub_verify(&secret, b"Hello, World", expected));
        assert!(!hub_verify(&secret, b"Hello, World!", &expected[..70]));
        assert!(!hub_verify(&Secret::new("other"), b"Hello, World!", expected));
    }
}
