//! `links.redact`: another version of the vCon, without what must not be seen.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::{Document, Kind, child_pointer};
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::prior::Prior;
use vconductor_core::redact::{Redaction, Rule, Target, redact};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use crate::new_version::{GoOnWith, NewVersion};

/// Makes a redacted version of the vCon: another vCon with a uuid of its own, which says in `redacted` what kind of
/// information it lacks and which vCon it was made from (draft-ietf-vcon-vcon-core-04, section 4.1.8).
///
/// The vCon that came stays as it is. The redacted version is stored and put on `lists`, in one step with the ledger of the
/// run: a crash makes neither none nor two of it. What is removed leaves a placeholder, so that no index changes its
/// meaning. What may still tell something of it is in the trace, or fails the run with `deny_warnings`. A vCon that uses an
/// extension which nobody here knows is refused, since nobody can tell what it holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// What kind of information is removed, for the member `type` of `redacted`: for example `PII`.
    #[serde(rename = "type")]
    kind: String,
    /// What is removed, as JSON pointers in which `*` stands for every index: `/parties/1`, `/dialog/*/body`. What a vCon
    /// does not have is passed over.
    #[serde(default)]
    remove: Vec<String>,
    /// Patterns whose matches are replaced by a mark in all texts: `email`, `url`, `card`, `iban`, `ssn`, `ip`, `phone`, or
    /// `NAME=REGEX`. Numbers, member names and binary content are not searched.
    #[serde(default)]
    rules: Vec<String>,
    /// Whether what was made from removed parts goes with them: analyses of a dialog, the name of a party in texts.
    #[serde(default = "yes")]
    with_dependents: bool,
    /// Whether the run fails, and nothing is made, when something may still tell what was removed.
    #[serde(default)]
    deny_warnings: bool,
    /// Extensions that may be used besides those known here, because nothing in them needs redaction.
    #[serde(default)]
    accept_extensions: Vec<String>,
    /// Whether the redacted version names the vCon that it was made from.
    #[serde(default = "yes")]
    name_original: bool,
    /// Where those who may see it find the vCon as it came: https, with `{uuid}` in the path. Its hash is written down.
    #[serde(default)]
    #[schemars(extend("x-template" = true))]
    url: Option<String>,
    /// The lists that the redacted version is put on, as a run of its own.
    #[serde(default)]
    lists: Vec<String>,
    /// Which version the chain goes on with.
    #[serde(default = "original")]
    go_on_with: GoOnWith,
    /// Whether a signed vCon is opened. Its signatures are not looked at: put `links.verify` before.
    #[serde(default)]
    open_signed: bool,
    /// The domain that the new uuid is made for, for example `${env:UUID8_DOMAIN_NAME}`.
    #[serde(default)]
    domain: Option<String>,
}

fn yes() -> bool {
    true
}

fn original() -> GoOnWith {
    GoOnWith::Original
}

struct Redact {
    redaction: Redaction,
    remove: Vec<String>,
    deny_warnings: bool,
    name_original: bool,
    version: NewVersion,
}

register_link!(Redact);

impl LinkPlugin for Redact {
    const MODULE: &'static str = "links.redact";
    /// Another vCon is made.
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
redact:
  module: links.redact
  options:
    type: PII
    remove: [/dialog/*/body, /dialog/*/url]
    rules: [email, phone, card]
    lists: [for_analysts]
";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        if options.kind.is_empty() {
            return Err(Error::configuration("`type` is empty").help("say what is removed, for example PII"));
        }
        if options.remove.is_empty() && options.rules.is_empty() {
            return Err(Error::configuration("neither `remove` nor `rules` says what is redacted")
                .help("write for example `remove: [/dialog/*/body]` or `rules: [email, phone]`"));
        }
        if let Some(pointer) = options.remove.iter().find(|pointer| !pointer.starts_with('/')) {
            return Err(Error::configuration(format!("`remove`: `{pointer}` is no JSON pointer"))
                .help("write it like /dialog/*/body"));
        }
        if options.url.is_some() && !options.name_original {
            return Err(Error::configuration("`url` says where the original is, and `name_original: false` hides it")
                .help("leave one of the two away"));
        }
        let mut redaction = Redaction::new(options.kind);
        redaction.with_dependents = options.with_dependents;
        redaction.accepted_extensions = options.accept_extensions;
        for rule in &options.rules {
            redaction.rules.push(Rule::parse(rule).map_err(|error| {
                Error::configuration(format!("`rules`: {}", error.chain_text()))
                    .help(error.help_text().unwrap_or("the syntax is that of the crate `regex`"))
            })?);
        }
        let (url, domain) = (options.url, options.domain.as_deref());
        let version = NewVersion::new(options.lists, options.go_on_with, options.open_signed, url, domain)?;
        let (deny_warnings, name_original) = (options.deny_warnings, options.name_original);
        Ok(Redact { redaction, remove: options.remove, deny_warnings, name_original, version })
    }
}

#[async_trait]
impl Link for Redact {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let content = self.version.content(vcon)?;
        let prior = if self.name_original { self.version.prior(vcon, &content)? } else { Prior::unavailable() };
        let mut redaction = self.redaction.clone();
        for pattern in &self.remove {
            redaction.targets.extend(expanded(pattern, content.document()).into_iter().map(Target::Pointer));
        }
        let (uuid, now) = self.version.identity(context).await?;
        let redacted = redact(&content, &prior, &redaction, &uuid, now)?;
        let warnings = redacted.warnings.iter().map(|warning| format!("{}: {}", warning.pointer, warning.message));
        let warnings: Vec<String> = warnings.collect();
        if self.deny_warnings && !warnings.is_empty() {
            return Err(Error::permanent(format!(
                "something may still tell what was redacted: {}",
                warnings.join("; ")
            ))
            .help("remove it too, or leave `deny_warnings` away"));
        }
        warnings.into_iter().for_each(|warning| context.note(warning));
        self.version.publish(&redacted.vcon, uuid, context)
    }

    fn facts(&self) -> Facts {
        Facts { pushes: self.version.lists.clone(), ..Facts::default() }
    }
}

/// The pointers that a pattern stands for in this document.
fn expanded(pattern: &str, document: &Document) -> Vec<String> {
    let mut found = vec![String::new()];
    for token in pattern.split('/').skip(1) {
        let mut next = Vec::new();
        for pointer in found {
            let Some(view) = document.get(&pointer) else { continue };
            if token == "*" && view.kind() == Kind::Array {
                next.extend((0..view.len()).map(|index| format!("{pointer}/{index}")));
            } else if token == "*" {
                next.extend(view.members().map(|(name, _)| child_pointer(&pointer, &name)));
            } else {
                next.extend(Some(format!("{pointer}/{token}")).filter(|inner| document.get(inner).is_some()));
            }
        }
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;
    use vconductor_core::jose::{Keys, SignOptions, sign};

    use super::*;
    use crate::authority::{Authority, Kind as KeyKind};
    use crate::link_stage::{LinkStage, Ran};

    const UUID: &str = "019f15a6-a752-826f-9dd8-dd37220d739c";

    fn link(options: Value) -> Result<Redact> {
        Redact::new("redact", serde_json::from_value(options).unwrap())
    }

    fn call() -> Vcon {
        let call = json!({
            "uuid": UUID, "created_at": "2026-09-10T14:00:00Z", "parties": [{"name": "Ann"}, {"tel": "+12025550101"}],
            "dialog": [
                {"type": "recording", "parties": [0, 1], "url": "https://media.example.com/a.wav", "content_hash": "sha512-x"},
                {"type": "text", "parties": [0], "body": "mail ann@example.com", "encoding": "none", "mediatype": "text/plain"},
            ],
            "analysis": [{"type": "transcript", "vendor": "v", "dialog": 0, "body": "secret", "encoding": "none"}],
        });
        Vcon::read(call.to_string()).unwrap()
    }

    fn made(ran: &Ran) -> Value {
        assert_eq!(ran.requested.edits, [], "the vCon that came stays as it is");
        let [made] = &ran.requested.made[..] else { panic!("{:?}", ran.result) };
        let value: Value = serde_json::from_slice(&made.document).unwrap();
        assert_eq!(value["uuid"], made.uuid);
        value
    }

    #[tokio::test]
    async fn another_vcon_is_made_and_put_on_its_list() {
        let redact = link(json!({
            "type": "PII", "remove": ["/dialog/*/url", "/parties/1", "/attachments/*"], "rules": ["email"],
            "lists": ["analysts"], "url": "https://archive.example.com/{uuid}.vcon",
        }));
        let (stage, call) = (LinkStage::new(UUID), call());
        let redact = redact.unwrap();
        let ran = stage.run(&redact, &call).await;
        assert_eq!(ran.result.as_ref().unwrap(), &Outcome::Continue);
        assert_eq!(ran.requested.made[0].lists, ["analysts"]);
        let value = made(&ran);
        assert_eq!((&value["redacted"]["type"], &value["redacted"]["uuid"]), (&json!("PII"), &json!(UUID)));
        assert_eq!(value["redacted"]["url"], format!("https://archive.example.com/{UUID}.vcon"));
        assert_eq!(
            value["redacted"]["content_hash"],
            vconductor_core::audio::content_hash(&call.to_bytes()),
            "of what lies there"
        );
        assert_eq!(value["created_at"], "2026-01-01T00:00:00Z");
        assert_eq!(value["parties"], json!([{"name": "Ann"}, {}]));
        assert_eq!(value["dialog"][0], json!({"type": "recording", "parties": [0, 1]}));
        assert_eq!(value["dialog"][1]["body"], "mail {{EMAIL}}");
        assert_eq!(value["analysis"][0], json!({"type": "transcript", "vendor": "v", "dialog": 0}));
        // A step that is executed again makes the same one.
        let again = stage.run(&redact, &call).await;
        assert_eq!(again.requested.made, ran.requested.made);
        stage.forget_parts();
        assert_ne!(stage.run(&redact, &call).await.requested.made, ran.requested.made);
    }

    #[tokio::test]
    async fn the_chain_may_go_on_with_it() {
        let redact = link(json!({"type": "PII", "remove": ["/dialog/0"], "go_on_with": "new", "name_original": false}));
        let ran = LinkStage::new(UUID).run(&redact.unwrap(), &call()).await;
        let value = made(&ran);
        assert_eq!(ran.result.unwrap(), Outcome::Switch(value["uuid"].as_str().unwrap().to_owned()));
        assert_eq!(value["redacted"], json!({"type": "PII"}));
    }

    #[tokio::test]
    async fn warnings_are_told_or_denied() {
        let options = |deny: bool| {
            let remove = ["/dialog/0/url"];
            json!({"type": "PII", "remove": remove, "with_dependents": false, "deny_warnings": deny})
        };
        let ran = LinkStage::new(UUID).run(&link(options(false)).unwrap(), &call()).await;
        assert!(ran.requested.notes.iter().any(|note| note.contains("/analysis/0")), "{:?}", ran.requested.notes);
        let ran = LinkStage::new(UUID).run(&link(options(true)).unwrap(), &call()).await;
        let error = ran.result.unwrap_err();
        assert!(error.class() == Class::Permanent && error.message().contains("/analysis/0"), "{error}");
        assert_eq!(ran.requested.made, []);
    }

    #[tokio::test]
    async fn a_signed_vcon_is_opened_only_when_that_is_said() {
        let signer = Authority::new().signer(KeyKind::P256, "a");
        let keys = Keys::read("k", signer.bundle().as_bytes()).unwrap();
        let signed = sign(&call(), &[keys.signer(None).unwrap()], &SignOptions::default()).unwrap();
        let options = |open: bool| json!({"type": "PII", "remove": ["/dialog/0"], "open_signed": open});
        let ran = LinkStage::new(UUID).run(&link(options(false)).unwrap(), &signed).await;
        assert!(ran.result.unwrap_err().help_text().unwrap().contains("links.verify"));
        let ran = LinkStage::new(UUID).run(&link(options(true)).unwrap(), &signed).await;
        assert_eq!(made(&ran)["dialog"][0], json!({"type": "recording"}));
    }

    #[test]
    fn what_cannot_work_is_found_by_check() {
        for wrong in [
            json!({"type": "PII"}),
            json!({"type": "", "rules": ["email"]}),
            json!({"type": "PII", "rules": ["emial"]}),
            json!({"type": "PII", "remove": ["dialog"]}),
            json!({"type": "PII", "rules": ["email"], "url": "http://example.com/{uuid}"}),
            json!({"type": "PII", "rules": ["email"], "url": "https://{uuid}.example.com/x"}),
            json!({"type": "PII", "rules": ["email"], "url": "https://example.com/{uuid}", "name_original": false}),
        ] {
            assert_eq!(link(wrong.clone()).err().unwrap().class(), Class::Configuration, "{wrong}");
        }
    }
}
