//! `links.sign`: signs the vCon.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::Edit;
use vconductor_core::jose::{self, Key, Keys, SignOptions, SignatureAlgorithm};
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::{Form, Vcon};
use vconductor_core::{Error, Result, register_link};

/// Signs the vCon: a JWS in the general JSON form of the vCon draft, around the document as it is, byte for byte.
///
/// From here on the vCon is signed: links that edit skip it (`on_signed`), storages and egress get the signed form. A vCon
/// that is signed already stays as it is unless `again` is set; an encrypted one always does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Private keys in PEM (PKCS #8, PKCS #1, SEC 1) or JWK: RSA of 2048 bits or more, P-256, or Ed25519. Give them by
    /// `${file:/run/secrets/signer.pem}` or `${env:SIGNING_KEY}`. A PEM text may hold the certificates too.
    keys: Vec<Secret>,
    /// Certificates in PEM: those of the keys, and those that issued them. Each key finds its own.
    #[serde(default)]
    certificates: Vec<String>,
    /// With which of several keys is signed: `newest` (the one whose certificate is the youngest; without certificates the
    /// last), `all` (one signature each), or the `kid` of a JWK.
    #[serde(default = "newest")]
    signer: String,
    /// The algorithm; by default RS256, ES256 or EdDSA, as the key is.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// An https URL where the certificate chain lies; it is named in place of the chain itself (`x5u`).
    #[serde(default)]
    x5u: Option<String>,
    /// Whether the payload is compressed.
    #[serde(default)]
    gzip: bool,
    /// Whether a signed vCon is signed again, around its signatures, as the draft has it for archives. One whose outermost
    /// signature is by the same key is left alone.
    #[serde(default)]
    again: bool,
}

fn newest() -> String {
    "newest".to_owned()
}

/// Signature algorithms.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
enum Algorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

struct Sign {
    signers: Vec<Key>,
    options: SignOptions,
    again: bool,
}

register_link!(Sign);

impl LinkPlugin for Sign {
    const MODULE: &'static str = "links.sign";
    /// Signing again gives a signature that is as good.
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = true;
    const ANY_FORM: bool = true;
    const EXAMPLE: &'static str = "\
sign:
  module: links.sign
  options:
    keys: [\"${file:/run/secrets/signer.key}\"]
    certificates: [\"${file:/etc/vconductor/signer-chain.crt}\"]
";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        let mut keys = Keys::read_all("keys", options.keys.iter().map(Secret::expose))?;
        keys.add(Keys::read_all("certificates", options.certificates.iter().map(String::as_str))?);
        let signers: Vec<Key> = match options.signer.as_str() {
            "all" => keys.private().cloned().collect(),
            "newest" => vec![keys.signer(None)?.clone()],
            name => vec![keys.signer(Some(name))?.clone()],
        };
        let algorithm = options.algorithm.map(|algorithm| match algorithm {
            Algorithm::Rs256 => SignatureAlgorithm::Rs256,
            Algorithm::Ps256 => SignatureAlgorithm::Ps256,
            Algorithm::Es256 => SignatureAlgorithm::Es256,
            Algorithm::EdDsa => SignatureAlgorithm::EdDsa,
        });
        let sign = Sign {
            signers,
            options: SignOptions { algorithm, gzip: options.gzip, x5u: options.x5u },
            again: options.again,
        };
        // Whatever is wrong with keys, certificates and algorithm shows before the first call comes.
        let trial = Vcon::read(r#"{"uuid":"00000000-0000-0000-0000-000000000000","parties":[]}"#)?;
        sign.sign(&trial)?;
        Ok(sign)
    }
}

impl Sign {
    fn sign(&self, vcon: &Vcon) -> Result<Vcon> {
        jose::sign(vcon, &self.signers.iter().collect::<Vec<_>>(), &self.options)
    }

    /// Whether the outermost signatures are by these signers already.
    fn is_signed_by_us(&self, vcon: &Vcon) -> Result<bool> {
        let trust = jose::Trust::nobody(jiff::Timestamp::now());
        let mut ours = Keys::default();
        for signer in &self.signers {
            ours.add(Keys::from(signer.clone()));
        }
        let verdict = jose::verify(vcon.document(), &trust.keys(&ours), &jose::Chains::none());
        Ok(verdict.is_accepted(jose::Signers::All))
    }
}

#[async_trait]
impl Link for Sign {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        match vcon.form() {
            Form::Unsigned => {}
            Form::Encrypted => {
                context.note("the vCon is encrypted: it stays as it is");
                return Ok(Outcome::Continue);
            }
            Form::Signed if !self.again => {
                context.note("the vCon is signed already");
                return Ok(Outcome::Continue);
            }
            Form::Signed if self.is_signed_by_us(vcon)? => {
                context.note("the vCon is signed by this key already");
                return Ok(Outcome::Continue);
            }
            Form::Signed => {}
        }
        let signed = self.sign(vcon).map_err(|error: Error| error.within("the vCon cannot be signed"))?;
        context.edit(Edit::Rewrap(signed.document().to_json()));
        Ok(Outcome::Continue)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;
    use vconductor_core::jose::Payload;

    use super::*;
    use crate::authority::{Authority, Kind};
    use crate::link_stage::LinkStage;

    const TEXT: &str = r#"{"uuid":"019e7046-e960-809c-9add-0bb4caa5cfa9", "n":1e3,"parties":[]}"#;

    fn link(options: Value) -> Result<Sign> {
        Sign::new("sign", serde_json::from_value(options).unwrap())
    }

    async fn run(link: &Sign, vcon: &Vcon) -> Vcon {
        let ran = LinkStage::new("u").run(link, vcon).await;
        assert_eq!(ran.result.as_ref().unwrap(), &Outcome::Continue);
        ran.applied(vcon).unwrap()
    }

    #[tokio::test]
    async fn what_comes_out_is_signed_and_holds_what_came_in() {
        let authority = Authority::new();
        let (old, new) = (authority.signer(Kind::Rsa, "old"), authority.signer(Kind::P256, "new"));
        let sign = link(json!({"keys": [old.bundle(), new.bundle()], "signer": "all", "gzip": true})).unwrap();
        let signed = run(&sign, &Vcon::read(TEXT).unwrap()).await;
        assert_eq!(signed.document().get("/signatures").unwrap().len(), 2);
        assert_eq!(Payload::of(signed.document()).unwrap().to_bytes(), TEXT);
        assert_eq!(run(&sign, &signed).await.to_bytes(), signed.to_bytes(), "signed once is enough");
    }

    #[tokio::test]
    async fn an_archive_is_signed_again_once() {
        let authority = Authority::new();
        let options = |signer: &crate::authority::Signer| json!({"keys": [signer.bundle()], "again": true});
        let first = link(options(&authority.signer(Kind::P256, "first"))).unwrap();
        let second = link(options(&authority.signer(Kind::Ed25519, "second"))).unwrap();
        let signed = run(&first, &Vcon::read(TEXT).unwrap()).await;
        let again = run(&second, &signed).await;
        assert_eq!(Payload::of(again.document()).unwrap().to_bytes(), signed.to_bytes());
        assert_eq!(run(&second, &again).await.to_bytes(), again.to_bytes(), "a resumed run signs no third time");
    }

    #[test]
    fn what_cannot_work_is_found_by_check() {
        let authority = Authority::new();
        let signer = authority.signer(Kind::P256, "a");
        for (options, expected) in [
            (json!({"keys": []}), "no private key"),
            (json!({"keys": ["${env:KEY}"]}), "keys[0]"),
            (json!({"keys": [signer.key]}), "no certificate"),
            (json!({"keys": [signer.bundle()], "algorithm": "RS256"}), "RS256"),
            (json!({"keys": [signer.bundle()], "signer": "b"}), "`b`"),
            (json!({"keys": [signer.bundle()], "x5u": "http://a.test"}), "https"),
            (json!({"keys": [signer.public]}), "no private key"),
        ] {
            let error = link(options.clone()).err().unwrap();
            assert_eq!(error.class(), Class::Configuration, "{options}");
            assert!(error.message().contains(expected), "{error}");
        }
    }
}
