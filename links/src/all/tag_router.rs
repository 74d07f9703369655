//! `links.tag_router`: sends a vCon to other chains by its tags.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Result, register_link};

/// Pushes a vCon to lists by the names of its tags, so that other chains take it up.
///
/// Each tag name that has a route gives one push when the run ends. A tag that the vCon carries several times counts
/// once; two different tags with the same list give two pushes, which are two runs of the chain behind it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// The list for each tag name. Default: none, then every vCon goes on in this chain.
    tag_routes: BTreeMap<String, String>,
    /// Whether the vCon also goes on in this chain. Default: true. With false it ends here even when none of its tags
    /// has a route.
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
    const EXAMPLE: &'static str =
        "module: links.tag_router\noptions:\n  tag_routes:\n    sales: sales_calls\n  forward_original: false\n";
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
            if let Some(list) = routes.get(&tag.name)
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
}
