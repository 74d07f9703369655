//! The proofs that `ingress.generic` knows.

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::http::signature::{
    SigningKey, TOLERANCE, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP, verify,
};
use vconductor_core::ingress::proof::{
    basic, bearer, fresh, hmac_sha1, hmac_sha256, is_base64, is_hexadecimal, required, same,
};
use vconductor_core::ingress::{Delivery, Refused};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

use super::Options;

/// An HMAC in a header, as many systems send it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignatureOptions {
    /// The shared secret.
    secret: Secret,
    /// The header, for example `x-hub-signature-256`.
    header: String,
    /// What stands before the digest in the header, for example `sha256=` or `v0=`.
    #[serde(default)]
    prefix: String,
    /// The hash.
    #[serde(default)]
    hash: Hash,
    /// How the digest is written.
    #[serde(default)]
    encoding: Encoding,
    /// What is signed: `{body}`, or with a time, which must then be fresh: `v0:{timestamp}:{body}`.
    #[serde(default = "body_alone")]
    signed: String,
    /// The header that holds the time, in seconds since the Unix epoch.
    #[serde(default)]
    timestamp_header: Option<String>,
}

fn body_alone() -> String {
    "{body}".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Hash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-1, where the sender knows no better.
    Sha1,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    /// Hexadecimal.
    #[default]
    Hex,
    /// Base64.
    Base64,
}

/// What proves a delivery.
pub(super) enum Proof {
    Bearer(Secret),
    Header { name: String, token: Secret },
    Basic { user: String, password: Secret },
    StandardWebhooks(Vec<SigningKey>),
    Signature(Signature),
}

/// An HMAC, checked and ready.
pub(super) struct Signature {
    options: SignatureOptions,
    /// What stands around the body in what is signed, with the place of the time.
    before: Vec<Piece>,
    after: Vec<Piece>,
}

enum Piece {
    Literal(String),
    Timestamp,
}

impl Proof {
    /// The one proof that is set up.
    pub(super) fn new(options: Options) -> Result<Self> {
        let mut proofs = Vec::new();
        if !options.token.is_empty() {
            required("token", &options.token)?;
            proofs.push(match options.token_header {
                None => Proof::Bearer(options.token),
                Some(name) => Proof::Header { name: name.to_ascii_lowercase(), token: options.token },
            });
        }
        if !options.password.is_empty() || !options.user.is_empty() {
            required("password", &options.password)?;
            proofs.push(Proof::Basic { user: options.user, password: options.password });
        }
        if !options.secret.is_empty() {
            let keys = options.secret.iter().map(SigningKey::parse);
            let keys = keys.collect::<Result<_>>().map_err(|error| error.within("`secret`"))?;
            proofs.push(Proof::StandardWebhooks(keys));
        }
        if let Some(signature) = options.signature {
            proofs.push(Proof::Signature(Signature::new(signature)?));
        }
        match proofs.len() {
            1 => Ok(proofs.swap_remove(0)),
            0 => Err(Error::configuration("no proof is set up, so that everybody could send")
                .help("set `token`, `user` and `password`, `secret` (Standard Webhooks), or `signature`")),
            _ => Err(Error::configuration("more than one proof is set up, and which one counts is not clear")
                .help("keep one of `token`, `password`, `secret` and `signature`")),
        }
    }

    pub(super) fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        match self {
            Proof::Bearer(token) => bearer(delivery, token),
            Proof::Header { name, token } => {
                let given = delivery.proof(name)?;
                if same(given.as_bytes(), token.expose().as_bytes()) {
                    Ok(())
                } else {
                    Err(Refused::unproved("the token is wrong"))
                }
            }
            Proof::Basic { user, password } => basic(delivery, user, password),
            Proof::StandardWebhooks(keys) => {
                let (id, signatures) = (delivery.proof(WEBHOOK_ID)?, delivery.proof(WEBHOOK_SIGNATURE)?);
                let timestamp = fresh(delivery.proof(WEBHOOK_TIMESTAMP)?, delivery.at, TOLERANCE)?;
                let now = delivery.at.div_euclid(1000);
                if verify(keys, id, timestamp, &delivery.body, signatures, now) {
                    Ok(())
                } else {
                    Err(Refused::unproved("no signature is by a secret that is configured"))
                }
            }
            Proof::Signature(signature) => signature.verify(delivery),
        }
    }
}

impl Signature {
    fn new(options: SignatureOptions) -> Result<Self> {
        required("signature.secret", &options.secret)?;
        if options.header.trim().is_empty() {
            return Err(Error::configuration("`signature.header` is empty").help("name the header of the signature"));
        }
        let Some((before, after)) = options.signed.split_once("{body}") else {
            return Err(Error::configuration("`signature.signed` does not sign the body")
                .help("write {body} where it stands, for example v0:{timestamp}:{body}"));
        };
        let (before, after) = (pieces(before), pieces(after));
        let timed = before.iter().chain(&after).any(|piece| matches!(piece, Piece::Timestamp));
        if timed != options.timestamp_header.is_some() {
            return Err(Error::configuration("`signature.signed` and `signature.timestamp_header` do not fit")
                .help("a time counts only when it is signed: name its header, and write {timestamp} where it stands"));
        }
        Ok(Signature { options, before, after })
    }

    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        let options = &self.options;
        let given = delivery.proof(&options.header)?;
        let timestamp = match &options.timestamp_header {
            Some(name) => {
                let timestamp = delivery.proof(name)?;
                fresh(timestamp, delivery.at, TOLERANCE)?;
                timestamp
            }
            None => "",
        };
        let text = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone().into_bytes(),
            Piece::Timestamp => timestamp.as_bytes().to_vec(),
        };
        let before: Vec<u8> = self.before.iter().flat_map(text).collect();
        let after: Vec<u8> = self.after.iter().flat_map(text).collect();
        let parts: [&[u8]; 3] = [&before, &delivery.body, &after];
        let digest = match options.hash {
            Hash::Sha256 => hmac_sha256(&options.secret, &parts).to_vec(),
            Hash::Sha1 => hmac_sha1(&options.secret, &parts).to_vec(),
        };
        let is_it = |given: &str| match options.encoding {
            Encoding::Hex => is_hexadecimal(&digest, given),
            Encoding::Base64 => is_base64(&digest, given),
        };
        match given.trim().strip_prefix(options.prefix.as_str()) {
            Some(given) if is_it(given) => Ok(()),
            _ => Err(Refused::unproved("the signature is wrong")),
        }
    }
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (index, literal) in text.split("{timestamp}").enumerate() {
        if index > 0 {
            pieces.push(Piece::Timestamp);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
    }
    pieces
}
