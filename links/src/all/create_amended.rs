//! `links.create_amended`: another version of the vCon, that can be added to.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use vconductor_core::amend::{amend, belongs_to_version};
use vconductor_core::document::Edit;
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

use crate::new_version::{GoOnWith, NewVersion};

/// Makes an amended version of the vCon: a full copy with a uuid of its own, which names in `amended` the vCon that it was
/// made from (draft-ietf-vcon-vcon-core-04, section 4.1.9). So something is added to a signed vCon, which itself stays as
/// it is: `links.verify`, then this link with `open_signed`, then the links that edit, then `links.sign`.
///
/// The amended version is stored and put on `lists`, in one step with the ledger of the run: a crash makes neither none nor
/// two of it. The chain goes on with it, unless `go_on_with` says otherwise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Values to put at JSON pointers of the new version.
    #[serde(default)]
    set: Map<String, Value>,
    /// Tags to add to the new version, each as `name:value`.
    #[serde(default)]
    tags: Vec<String>,
    /// Where the vCon lies as it came: https, with `{uuid}` in the path. Its hash is written down.
    #[serde(default)]
    #[schemars(extend("x-template" = true))]
    url: Option<String>,
    /// The lists that the amended version is put on, as a run of its own.
    #[serde(default)]
    lists: Vec<String>,
    /// Which version the chain goes on with.
    #[serde(default = "new_one")]
    go_on_with: GoOnWith,
    /// Whether a signed vCon is opened. Its signatures are not looked at: put `links.verify` before.
    #[serde(default)]
    open_signed: bool,
    /// The domain that the new uuid is made for, for example `${env:UUID8_DOMAIN_NAME}`.
    #[serde(default)]
    domain: Option<String>,
}

fn new_one() -> GoOnWith {
    GoOnWith::New
}

struct CreateAmended {
    changes: Vec<Edit>,
    version: NewVersion,
}

register_link!(CreateAmended);

impl LinkPlugin for CreateAmended {
    const MODULE: &'static str = "links.create_amended";
    /// Another vCon is made.
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
amend:
  module: links.create_amended
  options:
    tags: [\"reviewed:yes\"]
    open_signed: true
";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        let mut changes: Vec<Edit> =
            options.set.into_iter().map(|(pointer, value)| Edit::set(pointer, value)).collect();
        for tag in &options.tags {
            let (name, value) = tag.split_once(':').unwrap_or((tag, tag));
            changes.push(Edit::tag(name, value));
        }
        for change in &changes {
            if let Edit::Set { pointer, .. } = change
                && (!pointer.starts_with('/') || belongs_to_version(change))
            {
                return Err(Error::configuration(format!("`set`: `{pointer}` cannot be set")).help(
                    "write a JSON pointer such as /subject; uuid, created_at and references are written by the link",
                ));
            }
        }
        if options.lists.is_empty() && options.go_on_with == GoOnWith::Original {
            return Err(Error::configuration("nobody would work on the amended version")
                .help("name a list in `lists`, or leave `go_on_with` away"));
        }
        let (url, domain) = (options.url, options.domain.as_deref());
        let version = NewVersion::new(options.lists, options.go_on_with, options.open_signed, url, domain)?;
        Ok(CreateAmended { changes, version })
    }
}

#[async_trait]
impl Link for CreateAmended {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let content = self.version.content(vcon)?;
        let prior = self.version.prior(vcon, &content)?;
        let (uuid, now) = self.version.identity(context).await?;
        let changes: Vec<Edit> = self
            .changes
            .iter()
            .map(|change| match change {
                Edit::AddTag { name, value, .. } => {
                    Edit::AddTag { name: name.clone(), value: value.clone(), start: Some(now) }
                }
                other => other.clone(),
            })
            .collect();
        let (amended, _) = amend(&content, &prior, &changes, &uuid, now)?;
        self.version.publish(&amended, uuid, context)
    }

    fn facts(&self) -> Facts {
        Facts { pushes: self.version.lists.clone(), ..Facts::default() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vconductor_core::Class;
    use vconductor_core::jose::{Keys, SignOptions, sign};

    use super::*;
    use crate::authority::{Authority, Kind};
    use crate::link_stage::LinkStage;

    const UUID: &str = "019f15a6-a752-826f-9dd8-dd37220d739c";

    fn link(options: Value) -> Result<CreateAmended> {
        CreateAmended::new("amend", serde_json::from_value(options).unwrap())
    }

    fn call() -> Vcon {
        let call = json!({"uuid": UUID, "created_at": "2026-09-10T14:00:00Z", "x": 1.5, "parties": [{"name": "Ann"}]});
        Vcon::read(call.to_string()).unwrap()
    }

    #[tokio::test]
    async fn a_copy_is_made_with_the_changes_and_the_chain_goes_on_with_it() {
        let options = json!({"set": {"/subject": "Refund"}, "tags": ["reviewed:yes"], "lists": ["amended"]});
        let (link, stage) = (link(options).unwrap(), LinkStage::new(UUID));
        let ran = stage.run(&link, &call()).await;
        let [made] = &ran.requested.made[..] else { panic!("{:?}", ran.result) };
        assert_eq!(ran.result.unwrap(), Outcome::Switch(made.uuid.clone()));
        let value: Value = serde_json::from_slice(&made.document).unwrap();
        assert_eq!((&value["uuid"], &value["amended"]), (&json!(made.uuid), &json!({"uuid": UUID})));
        assert_eq!(
            (&value["subject"], &value["x"], &value["parties"]),
            (&json!("Refund"), &json!(1.5), &json!([{"name": "Ann"}]))
        );
        assert_eq!(value["attachments"][0]["body"], "[\"reviewed:yes\"]");
        assert_eq!((&made.lists[..], &ran.requested.edits[..]), (&["amended".to_owned()][..], &[][..]));
        assert_eq!(stage.run(&link, &call()).await.requested.made[0], *made, "the same in every execution");
    }

    #[tokio::test]
    async fn a_signed_vcon_stays_as_it_is() {
        let signer = Authority::new().signer(Kind::P256, "a");
        let keys = Keys::read("k", signer.bundle().as_bytes()).unwrap();
        let signed = sign(&call(), &[keys.signer(None).unwrap()], &SignOptions::default()).unwrap();
        let url = "https://archive.example.com/{uuid}";
        let open = link(json!({"open_signed": true, "url": url})).unwrap();
        let ran = LinkStage::new(UUID).run(&open, &signed).await;
        let value: Value = serde_json::from_slice(&ran.requested.made[0].document).unwrap();
        assert_eq!(value["amended"]["content_hash"], vconductor_core::audio::content_hash(&signed.to_bytes()));
        assert_eq!((&value["amended"]["uuid"], &value["x"]), (&json!(UUID), &json!(1.5)));
        assert!(ran.requested.edits.is_empty());
        let error = LinkStage::new(UUID).run(&link(json!({})).unwrap(), &signed).await.result.unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
    }

    #[test]
    fn what_cannot_work_is_found_by_check() {
        for wrong in [
            json!({"set": {"/uuid": "x"}}),
            json!({"set": {"subject": "x"}}),
            json!({"set": {"": {}}}),
            json!({"go_on_with": "original"}),
            json!({"url": "https://example.com/"}),
        ] {
            assert_eq!(link(wrong.clone()).err().unwrap().class(), Class::Configuration, "{wrong}");
        }
    }
}
