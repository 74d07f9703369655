//! Encrypting signed vCons: JWE in general JSON serialisation (RFC 7516, section 7.2.1; draft-ietf-vcon-vcon-core-04,
//! section 6).

use serde_json::{Value, json};

use super::algorithm::{ContentEncryption, KeyEncryption};
use super::content::random;
use super::encoding::{encode, gzip};
use super::keys::Key;
use super::payload::Payload;
use crate::document::Document;
use crate::vcon::{Form, Vcon};
use crate::{Error, Result};

/// How to encrypt.
#[derive(Debug, Clone)]
pub struct EncryptOptions {
    /// For the content; by default A256CBC-HS512.
    pub content: ContentEncryption,
    /// For the content key; by default RSA-OAEP.
    pub key: KeyEncryption,
    /// Whether the signed vCon is compressed before.
    pub gzip: bool,
    /// Where `enc` stands: in the unprotected header, as the draft lists it, or in a protected one, where readers made
    /// after the compact form of RFC 7516 look for it. Not in both: RFC 7516, section 7.2.1, forbids a name twice.
    pub protect_enc: bool,
}

impl Default for EncryptOptions {
    fn default() -> Self {
        EncryptOptions {
            content: ContentEncryption::A256CbcHs512,
            key: KeyEncryption::RsaOaep,
            gzip: false,
            protect_enc: false,
        }
    }
}

/// Encrypts a signed vCon, so that the holder of any of the private keys can read it.
///
/// Headers stand where the draft has them: `cty`, `enc` and `uuid` for all, `alg` per recipient. There is no protected
/// header unless one is asked for, as the draft has none: what an attacker could change in the headers is checked
/// against the content.
///
/// # Errors
/// Permanent: the vCon is not signed. Configuration: there is no recipient, or its key is none of RSA.
pub fn encrypt(vcon: &Vcon, recipients: &[&Key], options: &EncryptOptions) -> Result<Vcon> {
    if vcon.form() != Form::Signed {
        let what = match vcon.form() {
            Form::Encrypted => "the vCon is encrypted already",
            _ => "an unsigned vCon is not encrypted: the draft wants the signed form inside",
        };
        return Err(Error::permanent(what).help("sign it first"));
    }
    if recipients.is_empty() {
        return Err(Error::configuration("no recipient was given").help("give the public key or certificate of one"));
    }
    let uuid = Payload::of(vcon.document()).ok().and_then(|payload| payload.innermost().ok()?.id());
    let content_key = random(options.content.key_length())?;
    let wrapped: Result<Vec<Value>> = recipients
        .iter()
        .map(|recipient| {
            let encrypted = recipient.public.encrypt(options.key, &content_key).ok_or_else(|| {
                let kind = recipient.public.kind().as_str();
                Error::configuration(format!(
                    "key `{}` is of the kind {kind}: nothing can be encrypted for it",
                    recipient.name()
                ))
                .help("recipients need RSA keys")
            })?;
            Ok(json!({"header": {"alg": options.key.as_str()}, "encrypted_key": encode(&encrypted)}))
        })
        .collect();
    let text = vcon.to_bytes();
    let (plaintext, mediatype) = match options.gzip {
        true => (gzip(&text), "application/vcon+gzip"),
        false => (text.to_vec(), "application/vcon"),
    };
    let enc = json!({"enc": options.content.as_str()});
    let mut unprotected = json!({"cty": mediatype});
    let mut encrypted = json!({});
    match options.protect_enc {
        true => encrypted["protected"] = encode(enc.to_string().as_bytes()).into(),
        false => unprotected["enc"] = enc["enc"].clone(),
    }
    if let Some(uuid) = uuid {
        unprotected["uuid"] = uuid.into();
    }
    let authenticated = encrypted["protected"].as_str().unwrap_or_default().to_owned();
    let sealed = options.content.seal(&content_key, authenticated.as_bytes(), plaintext)?;
    encrypted["unprotected"] = unprotected;
    encrypted["recipients"] = wrapped?.into();
    encrypted["iv"] = encode(&sealed.iv).into();
    encrypted["ciphertext"] = encode(&sealed.ciphertext).into();
    encrypted["tag"] = encode(&sealed.tag).into();
    Vcon::from_document(Document::from_value(&encrypted)?)
}
