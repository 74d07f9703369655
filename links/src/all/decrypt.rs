//! `links.decrypt`: opens the encrypted vCon.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::Edit;
use vconductor_core::jose::{self, Keys, Reason};
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::{Form, Vcon};
use vconductor_core::{Error, Result, register_link};

/// Decrypts an encrypted vCon; the signed vCon inside takes its place. `links.verify` belongs behind it.
///
/// A vCon that is not encrypted passes as it is. One that none of the keys opens, or that was altered, becomes a dead
/// letter (or what `on_error` says).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Private RSA keys in PEM or JWK, by `${file:...}` or `${env:...}`. All are tried, so that old ones can stay while keys
    /// are changed.
    keys: Vec<Secret>,
}

struct Decrypt {
    keys: Keys,
}

register_link!(Decrypt);

impl LinkPlugin for Decrypt {
    const MODULE: &'static str = "links.decrypt";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = true;
    const ANY_FORM: bool = true;
    const EXAMPLE: &'static str = "\
decrypt:
  module: links.decrypt
  options:
    keys: [\"${file:/run/secrets/vcon-2026.key}\", \"${file:/run/secrets/vcon-2025.key}\"]
";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        let keys = Keys::read_all("keys", options.keys.iter().map(Secret::expose))?;
        if keys.private().next().is_none() {
            return Err(Error::configuration("`keys` holds no private key")
                .help("give one as PEM or JWK, for example `\"${file:/run/secrets/key.pem}\"`"));
        }
        Ok(Decrypt { keys })
    }
}

#[async_trait]
impl Link for Decrypt {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if vcon.form() != Form::Encrypted {
            context.note("the vCon is not encrypted");
            return Ok(Outcome::Continue);
        }
        let decrypted = jose::decrypt(vcon.document(), &self.keys).map_err(|fault| {
            let missing = fault.reason == Reason::NotDecryptable;
            let error = Error::from(fault);
            if missing { error.help("add the recipient's private key to `keys` if it is meant for us") } else { error }
        })?;
        context.note(format!("decrypted with key `{}`", decrypted.key));
        context.edit(Edit::Rewrap(decrypted.vcon.document().to_json()));
        Ok(Outcome::Continue)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;
    use vconductor_core::jose::{EncryptOptions, SignOptions, encrypt, sign};

    use super::*;
    use crate::authority::{Authority, Kind};
    use crate::link_stage::LinkStage;

    fn link(options: Value) -> Result<Decrypt> {
        Decrypt::new("decrypt", serde_json::from_value(options).unwrap())
    }

    #[tokio::test]
    async fn the_signed_vcon_inside_takes_its_place() {
        let signer = Authority::new().signer(Kind::Rsa, "a");
        let keys = Keys::read("k", signer.bundle().as_bytes()).unwrap();
        let key = keys.signer(None).unwrap();
        let unsigned = Vcon::read(r#"{"uuid":"019e7046-e960-809c-9add-0bb4caa5cfa9","parties":[]}"#).unwrap();
        let signed = sign(&unsigned, &[key], &SignOptions::default()).unwrap();
        let encrypted = encrypt(&signed, &[key], &EncryptOptions::default()).unwrap();
        let rotated = link(json!({"keys": [Kind::Rsa.key().serialize_pem(), signer.key]})).unwrap();
        let ran = LinkStage::new("u").run(&rotated, &encrypted).await;
        assert_eq!(ran.applied(&encrypted).unwrap().to_bytes(), signed.to_bytes());
        assert_eq!(ran.requested.notes, ["decrypted with key `keys[1]`"]);
        for passing in [&signed, &unsigned] {
            let ran = LinkStage::new("u").run(&rotated, passing).await;
            assert!(ran.result.is_ok() && ran.requested.edits.is_empty());
        }
        let foreign = link(json!({"keys": [Kind::Rsa.key().serialize_pem()]})).unwrap();
        let error = LinkStage::new("u").run(&foreign, &encrypted).await.result.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.message().contains("none of the given keys"), "{error}");
    }

    #[test]
    fn what_cannot_work_is_found_by_check() {
        for options in
            [json!({"keys": []}), json!({"keys": ["x"]}), json!({"keys": [Kind::Rsa.key().public_key_pem()]})]
        {
            assert_eq!(link(options.clone()).err().unwrap().class(), Class::Configuration, "{options}");
        }
    }
}
