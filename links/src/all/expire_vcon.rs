//! `links.expire_vcon`: limits how long a vCon is kept.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::vcon::Vcon;
use vconductor_core::{Result, register_link};

/// Limits how long the store keeps a vCon. The storages of the chain are not affected: what they hold stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// Time after the vCon's last run, in seconds; the default is one day.
    seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { seconds: 86_400 }
    }
}

struct ExpireVcon {
    keep: Duration,
}

register_link!(ExpireVcon);

impl LinkPlugin for ExpireVcon {
    const MODULE: &'static str = "links.expire_vcon";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
week:
  module: links.expire_vcon
  options:
    seconds: 604800
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        Ok(ExpireVcon { keep: Duration::from_secs(options.seconds) })
    }
}

#[async_trait]
impl Link for ExpireVcon {
    async fn run(&self, _: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        context.keep(self.keep);
        Ok(Outcome::Continue)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::link_stage::LinkStage;

    #[tokio::test]
    async fn a_day_unless_said_otherwise() {
        let vcon = Vcon::read(r#"{"uuid":"u"}"#).unwrap();
        for (options, seconds) in [(json!({}), 86_400), (json!({"seconds": 60}), 60), (json!({"seconds": 0}), 0)] {
            let link = ExpireVcon::new("expire", serde_json::from_value(options).unwrap()).unwrap();
            let ran = LinkStage::new("u").run(&link, &vcon).await;
            assert_eq!(ran.result.unwrap(), Outcome::Continue);
            assert_eq!(ran.requested.keep, Some(Duration::from_secs(seconds)));
        }
    }
}
