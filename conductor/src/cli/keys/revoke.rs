//! `keys revoke`.

use clap::Args;
use serde_json::json;

use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, Format};

/// Forget a key: running servers let it in no more after two seconds
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Its id, as `keys list` tells it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    common: Common,
}

impl Revoke {
    pub(super) async fn run(&self) -> Result<Exit> {
        let store = self.common.open().await?.store;
        if !store.forget_key(&self.id).await? {
            let message = format!("no key {:?} in {}", self.id, store.describe());
            return Err(Failure::new(Exit::Findings, message).help("`vconductor keys list` tells the ids"));
        }
        let value = json!({"id": self.id, "revoked": true});
        match self.common.output {
            Format::Table => output::say(format_args!("key {} opens nothing any more", self.id)),
            Format::Json => output::print_json(&value)?,
            Format::Jsonl => output::print_jsonl([value])?,
        }
        Ok(Exit::Done)
    }
}
