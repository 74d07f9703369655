//! The link `links.shout`.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::document::{Edit, Json};
use vconductor_core::error::Result;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome};
use vconductor_core::register_link;
use vconductor_core::vcon::Vcon;

/// Writes the subject in capitals.
///
/// A vCon without a subject goes on as it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// Text to put behind the subject.
    ending: String,
}

struct Shout {
    options: Options,
}

register_link!(Shout);

impl LinkPlugin for Shout {
    const MODULE: &'static str = "links.shout";
    const EFFECT: Effect = Effect::Pure;
    const EDITS: bool = true;
    const EXAMPLE: &'static str = "loud:\n  module: links.shout\n  options:\n    ending: \"!\"";
    type Options = Options;

    fn new(_name: &str, options: Options) -> Result<Self> {
        Ok(Shout { options })
    }
}

#[async_trait]
impl Link for Shout {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if let Some(subject) = vcon.document().get("/subject").and_then(|subject| subject.as_str()) {
            let loud = subject.to_uppercase();
            let ending = &self.options.ending;
            let loud = if loud.ends_with(ending.as_str()) { loud } else { loud + ending };
            context.edit(Edit::set("/subject", Json::string(&loud)));
        }
        Ok(Outcome::Continue)
    }
}
