//! Signing vCons: JWS in general JSON serialisation (RFC 7515, section 7.2.1; draft-ietf-vcon-vcon-core-04, section 5).

use serde_json::{Map, Value, json};

use super::algorithm::SignatureAlgorithm;
use super::encoding::{encode, encode_standard, gzip};
use super::keys::Key;
use super::payload::Payload;
use crate::document::Document;
use crate::vcon::{Form, Vcon};
use crate::{Error, Result};

/// How to sign.
#[derive(Debug, Clone, Default)]
pub struct SignOptions {
    /// The algorithm; by default what the key is made for: RS256, ES256 or EdDSA.
    pub algorithm: Option<SignatureAlgorithm>,
    /// Whether the payload is compressed.
    pub gzip: bool,
    /// Where the certificate chain lies, in place of the chain itself. An https URL.
    pub x5u: Option<String>,
}

/// Signs a vCon with each of `keys`. A signed vCon is signed again around its signatures, as the draft has it for
/// archives.
///
/// The unprotected header has `alg`, `uuid` and the chain, where the draft wants them. No name stands in two headers, as
/// RFC 7515 wants it; the protected one binds the certificate by its thumbprint.
///
/// # Errors
/// Permanent: the vCon is encrypted, or has no uuid. Configuration: a key has no private half, no certificate chain (and
/// there is no `x5u`), or is of another kind than the algorithm.
pub fn sign(vcon: &Vcon, keys: &[&Key], options: &SignOptions) -> Result<Vcon> {
    let uuid = signable_uuid(vcon)?;
    if keys.is_empty() {
        return Err(Error::configuration("no private key was given to sign with")
            .help("give one as PEM or JWK, from a file or the environment"));
    }
    let text = vcon.to_bytes();
    let payload = if options.gzip { encode(&gzip(&text)) } else { encode(&text) };
    let signatures: Result<Vec<Value>> = keys
        .iter()
        .map(|key| {
            signature(&payload, &uuid, key, options).map_err(|error| error.within(format_args!("key `{}`", key.name())))
        })
        .collect();
    let signed = json!({"payload": payload, "signatures": signatures?});
    Vcon::from_document(Document::from_value(&signed)?)
}

fn signable_uuid(vcon: &Vcon) -> Result<String> {
    let uuid = match vcon.form() {
        Form::Unsigned => vcon.id(),
        Form::Signed => Payload::of(vcon.document())?.innermost()?.id(),
        Form::Encrypted => {
            return Err(Error::permanent("an encrypted vCon cannot be signed")
                .help("sign it first, then encrypt it; to renew a signature, decrypt it first"));
        }
    };
    uuid.ok_or_else(|| Error::permanent("a vCon without `uuid` cannot be signed").help("give it a `uuid`"))
}

fn signature(payload: &str, uuid: &str, key: &Key, options: &SignOptions) -> Result<Value> {
    let bound = options.algorithm.or(key.algorithm);
    let algorithm = bound.unwrap_or_else(|| key.public.kind().signs_with());
    let mut header = Map::new();
    header.insert("alg".to_owned(), algorithm.as_str().into());
    header.insert("uuid".to_owned(), uuid.into());
    match (&options.x5u, key.chain.is_empty()) {
        (Some(url), _) if url.starts_with("https://") => header.insert("x5u".to_owned(), url.as_str().into()),
        (Some(_), _) => return Err(Error::configuration("`x5u` is not an https URL")),
        (None, false) => {
            let chain = key.chain.iter().map(|certificate| encode_standard(certificate.der()).into());
            header.insert("x5c".to_owned(), Value::Array(chain.collect()))
        }
        (None, true) => {
            return Err(Error::configuration("no certificate belongs to it, and a signed vCon says by one who signed")
                .help(
                    "give the certificate chain too (PEM, the key's own certificate first), or the URL where it lies",
                ));
        }
    };
    let mediatype = if options.gzip { "application/vcon+gzip" } else { "application/vcon" };
    let mut protected = json!({"cty": mediatype});
    if let Some(own) = key.chain.first() {
        protected["x5t#S256"] = encode(&own.thumbprint()).into();
    }
    let protected = encode(protected.to_string().as_bytes());
    let private = key.private.as_ref().ok_or_else(|| Error::configuration("the private half is not there"))?;
    let signature = private.sign(algorithm, format!("{protected}.{payload}").as_bytes());
    let signature = signature.ok_or_else(|| {
        let kind = key.public.kind();
        Error::configuration(format!("a key of the kind {} cannot sign with {algorithm}", kind.as_str()))
            .help(format!("use {}", kind.signs_with()))
    })?;
    Ok(json!({"header": header, "protected": protected, "signature": encode(&signature)}))
}
