//! `links.encrypt`: encrypts the signed vCon.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::Edit;
use vconductor_core::jose::{self, ContentEncryption, EncryptOptions, Key, KeyEncryption, KeyKind, Keys};
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::vcon::{Form, Vcon};
use vconductor_core::{Error, Result, register_link};

/// Encrypts the signed vCon for one recipient or several: a JWE in the general JSON form of the vCon draft.
///
/// The draft wants a signed vCon inside, so that `links.sign` belongs before. From here on the vCon is encrypted: links
/// that read or edit see nothing of it, storages and egress get the encrypted form. One that is encrypted already stays as
/// it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Who can read it: certificates or public RSA keys, in PEM or JWK, for example `${file:/etc/vconductor/partner.crt}`.
    recipients: Vec<String>,
    /// How the content is encrypted.
    #[serde(default)]
    encryption: Encryption,
    /// How the content's key is encrypted for each recipient.
    #[serde(default)]
    key_encryption: Wrapping,
    /// Whether the vCon is compressed before.
    #[serde(default)]
    gzip: bool,
    /// Whether `enc` stands in a protected header, for readers that look for it only there (joserfc), instead of
    /// in the unprotected one, where the draft has it.
    #[serde(default)]
    protect_enc: bool,
}

/// Content encryption.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
enum Encryption {
    /// What the draft recommends.
    #[default]
    #[serde(rename = "A256CBC-HS512")]
    A256CbcHs512,
    /// Faster.
    #[serde(rename = "A256GCM")]
    A256Gcm,
}

/// Key encryption.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
enum Wrapping {
    /// What the draft recommends.
    #[default]
    #[serde(rename = "RSA-OAEP")]
    RsaOaep,
    /// With SHA-256.
    #[serde(rename = "RSA-OAEP-256")]
    RsaOaep256,
}

struct Encrypt {
    recipients: Vec<Key>,
    options: EncryptOptions,
}

register_link!(Encrypt);

impl LinkPlugin for Encrypt {
    const MODULE: &'static str = "links.encrypt";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = true;
    const ANY_FORM: bool = true;
    const EXAMPLE: &'static str = "\
encrypt:
  module: links.encrypt
  options:
    recipients: [\"${file:/etc/vconductor/partner.crt}\"]
";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        let keys = Keys::read_all("recipients", options.recipients.iter().map(String::as_str))?;
        let recipients = keys.keys().to_vec();
        if recipients.is_empty() {
            return Err(Error::configuration("`recipients` is empty").help("give the certificate or public key of one"));
        }
        if let Some(other) = recipients.iter().find(|key| key.public().kind() != KeyKind::Rsa) {
            let (name, kind) = (other.name(), other.public().kind().as_str());
            return Err(Error::configuration(format!(
                "`{name}` is a key of the kind {kind}; recipients need RSA keys"
            )));
        }
        let content = match options.encryption {
            Encryption::A256CbcHs512 => ContentEncryption::A256CbcHs512,
            Encryption::A256Gcm => ContentEncryption::A256Gcm,
        };
        let key = match options.key_encryption {
            Wrapping::RsaOaep => KeyEncryption::RsaOaep,
            Wrapping::RsaOaep256 => KeyEncryption::RsaOaep256,
        };
        let (gzip, protect_enc) = (options.gzip, options.protect_enc);
        Ok(Encrypt { recipients, options: EncryptOptions { content, key, gzip, protect_enc } })
    }
}

#[async_trait]
impl Link for Encrypt {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if vcon.form() == Form::Encrypted {
            context.note("the vCon is encrypted already");
            return Ok(Outcome::Continue);
        }
        let recipients: Vec<&Key> = self.recipients.iter().collect();
        let encrypted = jose::encrypt(vcon, &recipients, &self.options)?;
        context.edit(Edit::Rewrap(encrypted.document().to_json()));
        Ok(Outcome::Continue)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;
    use vconductor_core::jose::{SignOptions, decrypt, sign};

    use super::*;
    use crate::authority::{Authority, Kind};
    use crate::link_stage::LinkStage;

    fn link(options: Value) -> Result<Encrypt> {
        Encrypt::new("encrypt", serde_json::from_value(options).unwrap())
    }

    #[tokio::test]
    async fn each_recipient_reads_what_was_signed() {
        let authority = Authority::new();
        let (one, two) = (authority.signer(Kind::Rsa, "one"), authority.signer(Kind::Rsa, "two"));
        let options = json!({"recipients": [one.chain, two.public], "encryption": "A256GCM", "gzip": true});
        let encrypt = link(options).unwrap();
        let unsigned = Vcon::read(r#"{"uuid":"019e7046-e960-809c-9add-0bb4caa5cfa9","parties":[]}"#).unwrap();
        let error = LinkStage::new("u").run(&encrypt, &unsigned).await.result.unwrap_err();
        assert_eq!((error.class(), error.help_text()), (Class::Permanent, Some("sign it first")));
        let keys = Keys::read("k", one.bundle().as_bytes()).unwrap();
        let signed = sign(&unsigned, &[keys.signer(None).unwrap()], &SignOptions::default()).unwrap();
        let ran = LinkStage::new("u").run(&encrypt, &signed).await;
        let encrypted = ran.applied(&signed).unwrap();
        for key in [&one.key, &two.key] {
            let keys = Keys::read("k", key.as_bytes()).unwrap();
            assert_eq!(decrypt(encrypted.document(), &keys).unwrap().vcon.to_bytes(), signed.to_bytes());
        }
        let ran = LinkStage::new("u").run(&encrypt, &encrypted).await;
        assert!(ran.requested.edits.is_empty() && ran.result.is_ok(), "a resumed run encrypts no second time");
    }

    #[test]
    fn what_cannot_work_is_found_by_check() {
        for options in [
            json!({"recipients": []}),
            json!({"recipients": ["nothing"]}),
            json!({"recipients": [Kind::P256.key().public_key_pem()]}),
        ] {
            assert_eq!(link(options.clone()).err().unwrap().class(), Class::Configuration, "{options}");
        }
    }
}
