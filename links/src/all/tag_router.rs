//! `links.tag_router`: sends a vCon to other chains by its tags.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::plugin::{Effect, Facts, Link, LinkContext, LinkPlugin, Outcome, Stops};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Result, register_link};

/// Pushes a vCon to lists by the names of its tags, so that other chains take it up.
///
/// Each tag name that has a route gives one push when the run ends. A tag that the vCon carries several times counts
/// once; two different tags with the same list give two pushes, which are two runs of the chain behind it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// The list for each tag name. Without any, every vCon goes on in this chain.
    tag_routes: BTreeMap<String, String>,
    /// Whether the vCon also goes on in this chain. With false it ends here even when none of its tags has a route.
    forward_original: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { tag_routes: BTreeMap::new(), forward_original: true }
    }
}

struct TagRouter {
    options: Options,
}

register_link!(TagRouter);

impl LinkPlugin for TagRouter {
    const MODULE: &'static str = "links.tag_router";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
route:
  module: links.tag_router
  options:
    tag_routes:
      sales: sales_calls
    forward_original: false
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        Ok(TagRouter { options })
    }
}

#[async_trait]
impl Link for TagRouter {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let routes = &self.options.tag_routes;
        if routes.is_empty() {
            return Ok(Outcome::Continue);
        }
        let mut seen = BTreeSet::new();
        for tag in vcon.tags() {
            // `plain` without a colon in a list of tags has no name.
            if tag.value.is_some()
                && let Some(list) = routes.get(&tag.name)
                && seen.insert(tag.name)
            {
                context.push(list);
            }
        }
        if seen.is_empty() {
            context.note("no tag has a route");
        }
        Ok(if self.options.forward_original { Outcome::Continue } else { Outcome::Stop })
    }

    fn facts(&self) -> Facts {
        let routes = &self.options.tag_routes;
        let stops = if routes.is_empty() || self.options.forward_original { Stops::Never } else { Stops::Always };
        Facts { pushes: routes.values().cloned().collect(), ..Facts::stopping(stops) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::link_stage::LinkStage;

    async fn route(options: Value, attachments: Value) -> (Outcome, Vec<String>) {
        let link = TagRouter::new("router", serde_json::from_value(options).unwrap()).unwrap();
        let vcon = Vcon::read(json!({"uuid": "u", "attachments": attachments}).to_string()).unwrap();
        let ran = LinkStage::new("u").run(&link, &vcon).await;
        (ran.result.unwrap(), ran.requested.pushes)
    }

    #[tokio::test]
    async fn tags_of_every_shape_are_routed_once() {
        let options = json!({"tag_routes": {"a": "list_a", "b": "list_b"}});
        for (attachments, lists) in [
            (json!([]), vec![]),
            (json!(null), vec![]),
            (json!([{"purpose": "tags", "body": ["a:1", "c:2"]}]), vec!["list_a"]),
            (json!([{"type": "tags", "body": ["b:x:y", "a:1"]}]), vec!["list_b", "list_a"]),
            (json!([{"purpose": "tags", "body": "[\"a:1\"]", "encoding": "json"}]), vec!["list_a"]),
            (json!([{"purpose": "tags", "body": {"a": 1}}]), vec!["list_a"]),
            (json!([{"purpose": "tags", "body": ["a", 7, null]}]), vec![]),
            (json!([{"purpose": "notes", "body": ["a:1"]}]), vec![]),
            (json!([{"purpose": "tags", "body": ["a:1", "a:2"]}, {"type": "tags", "body": ["a:3"]}]), vec!["list_a"]),
        ] {
            let (outcome, pushed) = route(options.clone(), attachments.clone()).await;
            assert_eq!(
                (outcome, pushed),
                (Outcome::Continue, lists.into_iter().map(str::to_owned).collect()),
                "{attachments}"
            );
        }
    }

    #[tokio::test]
    async fn the_chain_ends_only_when_told_to_and_with_routes() {
        let tags = json!([{"purpose": "tags", "body": ["a:1"]}]);
        let with = |routes: Value| json!({"tag_routes": routes, "forward_original": false});
        assert_eq!(route(with(json!({"a": "l"})), tags.clone()).await, (Outcome::Stop, vec!["l".to_owned()]));
        assert_eq!(route(with(json!({"z": "l"})), tags.clone()).await, (Outcome::Stop, vec![]));
        assert_eq!(route(with(json!({})), tags.clone()).await, (Outcome::Continue, vec![]));
        assert_eq!(route(json!({}), tags).await, (Outcome::Continue, vec![]));
    }
}
