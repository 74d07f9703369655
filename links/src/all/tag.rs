//! `links.tag`: adds fixed tags.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::register_link;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result};

use crate::text::Text;

/// Adds the same tags to every vCon that passes.
///
/// Tags lie in one attachment with the purpose `tags`, each as `name:value`. A tag that the vCon has already is not
/// added again, so that a vCon may pass this link any number of times.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// Labels. The label `sales` becomes the tag `sales:sales`: name and value are the same, as in vcon-server. Of a
    /// map only the names count.
    tags: Labels,
    /// Tags with a value of their own: `{team: sales}` becomes the tag `team:sales`.
    values: BTreeMap<String, Text>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "labels are a list of texts; tags with a value of their own stand under `values`, for example `values: {team: sales}`"
)]
#[schemars(inline)]
enum Labels {
    List(Vec<Text>),
    Map(BTreeMap<String, serde_json::Value>),
    One(Text),
}

impl Default for Labels {
    fn default() -> Self {
        Labels::List(Vec::new())
    }
}

struct Tag {
    tags: Vec<(String, String)>,
}

register_link!(Tag);

impl LinkPlugin for Tag {
    const MODULE: &'static str = "links.tag";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "\
tag:
  module: links.tag
  options:
    tags: [sales]
    values: {team: north}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let labels = match options.tags {
            Labels::List(labels) => labels.into_iter().map(Text::into_string).collect(),
            Labels::Map(labels) => labels.into_keys().collect(),
            Labels::One(label) => vec![label.into_string()],
        };
        if labels.iter().any(String::is_empty) {
            return Err(Error::configuration("option `tags` holds an empty label").help("remove it or give it a name"));
        }
        if let Some(name) = options.values.keys().find(|name| name.is_empty() || name.contains(':')) {
            return Err(Error::configuration(format!("option `values`: `{name}` cannot be the name of a tag"))
                .help("a tag is stored as `name:value`, so its name is not empty and has no `:`"));
        }
        let mut tags: Vec<_> = labels.into_iter().map(|label| (label.clone(), label)).collect();
        tags.extend(options.values.into_iter().map(|(name, value)| (name, value.into_string())));
        Ok(Tag { tags })
    }
}

#[async_trait]
impl Link for Tag {
    async fn run(&self, _: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        for (name, value) in &self.tags {
            context.add_tag(name, value);
        }
        Ok(Outcome::Continue)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use vconductor_core::Class;

    use super::*;
    use crate::link_stage::LinkStage;

    fn link(options: &Value) -> Result<Tag> {
        Tag::new("tag", serde_json::from_value(options.clone()).unwrap())
    }

    #[tokio::test]
    async fn labels_are_name_and_value() {
        for (options, expected) in [
            (json!({}), vec![]),
            (json!({"tags": []}), vec![]),
            (json!({"tags": ["iron", "maiden"]}), vec!["iron:iron", "maiden:maiden"]),
            (json!({"tags": {"iron": 1, "maiden": null}}), vec!["iron:iron", "maiden:maiden"]),
            (json!({"tags": "iron"}), vec!["iron:iron"]),
            (json!({"tags": [2024, true]}), vec!["2024:2024", "True:True"]),
            (json!({"tags": ["a", "a"]}), vec!["a:a"]),
            (json!({"tags": ["x"], "values": {"team": "sales", "year": 2024}}), vec!["x:x", "team:sales", "year:2024"]),
        ] {
            let vcon = Vcon::read(r#"{"uuid":"u","parties":[],"dialog":[]}"#).unwrap();
            let ran = LinkStage::new("u").run(&link(&options).unwrap(), &vcon).await;
            assert_eq!(ran.result.as_ref().unwrap(), &Outcome::Continue);
            let tags = ran.applied(&vcon).unwrap().tags().into_iter();
            let tags: Vec<_> = tags.map(|tag| format!("{}:{}", tag.name, tag.value.unwrap_or_default())).collect();
            assert_eq!(tags, expected, "{options}");
        }
    }

    #[test]
    fn names_that_cannot_be_read_back_are_refused() {
        for options in [json!({"tags": [""]}), json!({"values": {"": "x"}}), json!({"values": {"a:b": "x"}})] {
            assert_eq!(link(&options).err().unwrap().class(), Class::Configuration, "{options}");
        }
    }
}
