//! `links.verify`: who signed the vCon, and whether it is still what they signed.

use async_trait::async_trait;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::Edit;
use vconductor_core::jose::{self, Chains, Keys, Payload, Signers, Trust, Verdict};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Stops};
use vconductor_core::vcon::{Form, Vcon};
use vconductor_core::{Error, Result, register_link};

/// Verifies the signatures of a signed vCon, and opens it where `unwrap` says so.
///
/// A vCon is accepted when every signature in it is intact and a signer is trusted: its certificate chain leads to one of
/// `trust`, or its key is one of `keys`. Certificates must be valid now. The chain goes on with an accepted vCon; what
/// becomes of another one, `on_refused` says. An unsigned vCon is refused, unless `unsigned` lets it pass; an encrypted one
/// is always refused: `links.decrypt` belongs before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Certificates in PEM to trust: roots, or signers themselves, for example `${file:/etc/vconductor/roots.pem}`. One text
    /// may hold many. A root that comes inside of a vCon is never trusted for that.
    trust: Vec<String>,
    /// Public keys in PEM or JWK to trust, whatever their certificates say.
    #[serde(default)]
    keys: Vec<String>,
    /// How many signers must be trusted.
    #[serde(default)]
    signers: Required,
    /// Whether certificates of X.509 version 1 may issue others, as in the test chains of early vCon libraries. Then every
    /// signer could make further ones: not for production.
    #[serde(default)]
    lenient_chain: bool,
    /// Whether certificate chains that lie behind a URL (`x5u`) are fetched: https only, from public addresses only.
    #[serde(default = "yes")]
    #[schemars(extend("x-result" = false))]
    fetch: bool,
    /// What becomes of a vCon that is not accepted.
    #[serde(default)]
    on_refused: Refused,
    /// The list that a vCon which is not accepted is pushed to when `on_refused` is `stop`.
    #[serde(default)]
    refused_list: Option<String>,
    /// Whether an unsigned vCon passes.
    #[serde(default)]
    unsigned: Unsigned,
    /// Whether an accepted vCon is opened: from here on it is unsigned and can be edited. The signatures are gone with it:
    /// keep the signed form (a storage in an earlier chain) where it is needed as evidence.
    #[serde(default)]
    unwrap: bool,
    /// A tag to add to an opened vCon; its value is the signer's name.
    #[serde(default)]
    tag: Option<String>,
}

fn yes() -> bool {
    true
}

/// How many signers must be trusted.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Required {
    /// One of them.
    #[default]
    Any,
    /// Every one.
    All,
}

/// What becomes of a vCon that is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Refused {
    /// A dead letter with the reason.
    #[default]
    Fail,
    /// The chain ends without storages and egress.
    Stop,
    /// The chain goes on; the reason is in the trace. It is not opened.
    Continue,
}

/// What becomes of an unsigned vCon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unsigned {
    /// It is not accepted.
    #[default]
    Refuse,
    /// It passes.
    Pass,
}

struct Verify {
    options: Options,
    anchors: Keys,
    keys: Keys,
}

register_link!(Verify);

impl LinkPlugin for Verify {
    const MODULE: &'static str = "links.verify";
    /// What was accepted once is not asked again in the same run: it may be opened by then, or its certificate expired.
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const ANY_FORM: bool = true;
    const EXAMPLE: &'static str = "\
verify:
  module: links.verify
  options:
    trust: [\"${file:/etc/vconductor/roots.crt}\"]
    on_refused: stop
    refused_list: quarantine
";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        let anchors = Keys::read_all("trust", options.trust.iter().map(String::as_str))?;
        let keys = Keys::read_all("keys", options.keys.iter().map(String::as_str))?;
        if Trust::nobody(Timestamp::UNIX_EPOCH).anchors(&anchors).keys(&keys).is_empty() {
            return Err(Error::configuration("neither `trust` nor `keys` names anybody to trust")
                .help("give the root certificate of the signers in `trust`"));
        }
        if options.tag.is_some() && !options.unwrap {
            return Err(Error::configuration("`tag` needs `unwrap: true`: a signed vCon is not edited"));
        }
        if options.refused_list.is_some() && options.on_refused != Refused::Stop {
            return Err(Error::configuration("`refused_list` needs `on_refused: stop`"));
        }
        Ok(Verify { options, anchors, keys })
    }
}

#[async_trait]
impl Link for Verify {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        match vcon.form() {
            Form::Signed => {}
            Form::Unsigned if self.options.unsigned == Unsigned::Pass => {
                context.note("the vCon is not signed");
                return Ok(Outcome::Continue);
            }
            Form::Unsigned => return self.refused("the vCon is not signed", context),
            Form::Encrypted => return self.refused("the vCon is encrypted: put `links.decrypt` before", context),
        }
        let now = Timestamp::from_millisecond(context.clock.now())
            .map_err(|error| Error::permanent("the clock is out of range").caused_by(error))?;
        let trust = Trust::nobody(now).anchors(&self.anchors).keys(&self.keys).lenient(self.options.lenient_chain);
        let chains = match self.options.fetch {
            true => Chains::fetch(vcon.document(), context.http).await,
            false => Chains::none(),
        };
        let verdict = jose::verify(vcon.document(), &trust, &chains);
        let signers = match self.options.signers {
            Required::Any => Signers::Any,
            Required::All => Signers::All,
        };
        if !verdict.is_accepted(signers) {
            if let Some(what) = chains.unavailable_for_now() {
                return Err(Error::retryable(format!("the certificate chain behind `x5u` is not to be had: {what}")));
            }
            return self.refused(&verdict.refusal(), context);
        }
        let signer = signer(&verdict);
        context.note(format!("signed by `{signer}`"));
        if self.options.unwrap {
            let inside = Payload::of(vcon.document())?.innermost()?;
            context.edit(Edit::Rewrap(inside.document().to_json()));
            if let Some(tag) = &self.options.tag {
                context.add_tag(tag, signer);
            }
        }
        Ok(Outcome::Continue)
    }

    fn facts(&self) -> Facts {
        let stops = if self.options.on_refused == Refused::Stop { Stops::Sometimes } else { Stops::Never };
        Facts { pushes: self.options.refused_list.iter().cloned().collect(), ..Facts::stopping(stops) }
    }
}

impl Verify {
    fn refused(&self, why: &str, context: &LinkContext<'_>) -> Result<Outcome> {
        match self.options.on_refused {
            Refused::Fail => Err(Error::permanent(format!("the vCon is not accepted: {why}"))),
            Refused::Stop => {
                context.note(format!("not accepted: {why}"));
                if let Some(list) = &self.options.refused_list {
                    context.push(list);
                }
                Ok(Outcome::Stop)
            }
            Refused::Continue => {
                context.note(format!("not accepted, and passed on all the same: {why}"));
                Ok(Outcome::Continue)
            }
        }
    }
}

/// The name of the first trusted signer.
fn signer(verdict: &Verdict) -> String {
    let trusted = verdict.signatures.iter().find(|signature| signature.is_trusted());
    let name = trusted.map(|signature| match (&signature.certificate, &signature.standing) {
        (_, jose::Standing::Key { name }) => name.clone(),
        (Some(certificate), _) => certificate.name().to_owned(),
        _ => String::new(),
    });
    name.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;
    use vconductor_core::document::Document;
    use vconductor_core::jose::{SignOptions, sign};

    use super::*;
    use crate::authority::{Authority, Kind};
    use crate::link_stage::LinkStage;

    const TEXT: &str = r#"{"uuid":"019e7046-e960-809c-9add-0bb4caa5cfa9", "n":1e3,"parties":[]}"#;

    fn link(options: Value) -> Result<Verify> {
        Verify::new("verify", serde_json::from_value(options).unwrap())
    }

    fn signed(authority: &Authority, x5u: Option<&str>) -> Vcon {
        let keys = Keys::read("k", authority.signer(Kind::P256, "a.example.com").bundle().as_bytes()).unwrap();
        let options = SignOptions { x5u: x5u.map(str::to_owned), ..SignOptions::default() };
        sign(&Vcon::read(TEXT).unwrap(), &[keys.signer(None).unwrap()], &options).unwrap()
    }

    fn altered(vcon: &Vcon) -> Vcon {
        let mut value = vcon.document().root().to_value();
        value["signatures"][0]["signature"] = json!("AAAA");
        Vcon::from_document(Document::from_value(&value).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn an_accepted_vcon_passes_and_is_opened_when_asked() {
        let authority = Authority::new();
        let vcon = signed(&authority, None);
        let ran = LinkStage::new("u").run(&link(json!({"trust": [authority.root]})).unwrap(), &vcon).await;
        assert_eq!(ran.result.unwrap(), Outcome::Continue);
        assert!(ran.requested.edits.is_empty());
        assert_eq!(ran.requested.notes, ["signed by `a.example.com`"]);
        let open = link(json!({"trust": [authority.root], "unwrap": true})).unwrap();
        let ran = LinkStage::new("u").run(&open, &vcon).await;
        assert_eq!(ran.applied(&vcon).unwrap().to_bytes(), TEXT, "byte for byte");
        let tagging = link(json!({"trust": [authority.root], "unwrap": true, "tag": "signer"})).unwrap();
        let opened = LinkStage::new("u").run(&tagging, &vcon).await.applied(&vcon).unwrap();
        assert_eq!(opened.tags()[0].value.as_deref(), Some("a.example.com"));
    }

    #[tokio::test]
    async fn what_is_refused_fails_stops_or_goes_on() {
        let authority = Authority::new();
        let other = Authority::new();
        let good = signed(&authority, None);
        for (vcon, why) in [
            (altered(&good), "changed"),
            (signed(&other, None), "no trust anchor"),
            (Vcon::read(TEXT).unwrap(), "not signed"),
            (Vcon::read(r#"{"ciphertext":"","recipients":[]}"#).unwrap(), "encrypted"),
        ] {
            let fail = link(json!({"trust": [authority.root], "unwrap": true})).unwrap();
            let error = LinkStage::new("u").run(&fail, &vcon).await.result.unwrap_err();
            assert_eq!(error.class(), Class::Permanent);
            assert!(error.message().contains(why), "{error}");
            let options = json!({"trust": [authority.root], "on_refused": "stop", "refused_list": "quarantine"});
            let ran = LinkStage::new("u").run(&link(options).unwrap(), &vcon).await;
            assert_eq!((ran.result.unwrap(), ran.requested.pushes), (Outcome::Stop, vec!["quarantine".to_owned()]));
            let options = json!({"trust": [authority.root], "on_refused": "continue", "unwrap": true});
            let ran = LinkStage::new("u").run(&link(options).unwrap(), &vcon).await;
            assert_eq!(ran.result.unwrap(), Outcome::Continue);
            assert!(ran.requested.edits.is_empty() && ran.requested.notes[0].contains(why), "never opened");
        }
        let passing = link(json!({"trust": [authority.root], "unsigned": "pass"})).unwrap();
        assert!(LinkStage::new("u").run(&passing, &Vcon::read(TEXT).unwrap()).await.result.is_ok());
    }

    #[tokio::test]
    async fn a_chain_that_cannot_be_fetched_now_is_tried_again_later() {
        let authority = Authority::new();
        let vcon = signed(&authority, Some("https://pki.example.com/chain.pem"));
        let fetching = link(json!({"trust": [authority.root]})).unwrap();
        let error = LinkStage::new("u").run(&fetching, &vcon).await.result.unwrap_err();
        assert!(error.is_retryable() && error.message().contains("x5u"), "{error}");
        let private = signed(&authority, Some("https://127.0.0.1:1/chain.pem"));
        let error = LinkStage::new("u").run(&fetching, &private).await.result.unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "the guard keeps us from private addresses: {error}");
        let offline = link(json!({"trust": [authority.root], "fetch": false})).unwrap();
        let error = LinkStage::new("u").run(&offline, &vcon).await.result.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
    }

    #[test]
    fn what_cannot_work_is_found_by_check() {
        let root = Authority::new().root;
        for options in [
            json!({"trust": []}),
            json!({"trust": ["x"]}),
            json!({"trust": [root], "tag": "signer"}),
            json!({"trust": [root], "refused_list": "quarantine"}),
        ] {
            assert_eq!(link(options.clone()).err().unwrap().class(), Class::Configuration, "{options}");
        }
        assert!(link(json!({"trust": [], "keys": [Kind::Ed25519.key().public_key_pem()]})).is_ok());
    }
}
