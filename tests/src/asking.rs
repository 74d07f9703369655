//! A link for tests that asks a server as providers' links do: 401, 402 and 403 are configuration faults.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::Result;
use vconductor_core::http::Request;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::register_link;
use vconductor_core::vcon::Vcon;

/// Sends the vCon to `<url>/<uuid>` and adds the tag `asked`. A vCon without dialogs is none of its business.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AskingOptions {
    /// Where it asks.
    url: String,
    /// Whether it uses what was kept of earlier instead of asking.
    reuses: bool,
}

struct Asking {
    options: AskingOptions,
}

register_link!(Asking);

impl LinkPlugin for Asking {
    const MODULE: &'static str = "links.asking";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "asking: {module: links.asking, options: {url: 'https://asked.example/ask'}}";
    type Options = AskingOptions;

    fn new(_name: &str, options: AskingOptions) -> Result<Self> {
        Ok(Asking { options })
    }
}

#[async_trait]
impl Link for Asking {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        let document: serde_json::Value = serde_json::from_slice(&vcon.to_bytes()).unwrap_or_default();
        if document["dialog"].as_array().is_none_or(Vec::is_empty) {
            return Ok(Outcome::Continue);
        }
        if self.options.reuses {
            context.reuse();
        } else {
            let url = format!("{}/{}", self.options.url, context.step.uuid);
            let request = Request::post(&url)?.provider().trusted().body("application/json", vcon.to_bytes())?;
            context.http.send(&request).await?;
        }
        context.add_tag("asked", "asked");
        Ok(Outcome::Continue)
    }
}
