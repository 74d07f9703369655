//! `keys create`.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use vconductor_core::clock::Millis;
use vconductor_core::store::Tenant;

use crate::api::{NewKey, Scope};
use crate::cli::age;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, Format};

const EXAMPLES: &str = "\
Examples:
  vconductor keys create dashboard --scope read
  vconductor keys create crm --scope read --scope write --expires 90d
  vconductor keys create acme-crm --scope read --scope write --tenant acme
  KEY=$(vconductor keys create crm --scope write --quiet)

Scopes:
  read          read vCons, queues and figures
  write         take in, change and delete vCons, move them between lists
  ingress:LIST  hand vCons in on one list, and nothing else
  admin         everything";

/// Make a key; it is shown this once
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Create {
    /// What people call it, for example who uses it
    #[arg(value_name = "NAME")]
    name: String,
    /// What it opens; may be given several times
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<Scope>,
    /// Bind it to a tenant: what it posts is his, and it reads and changes nothing else
    #[arg(long, value_name = "TENANT")]
    tenant: Option<Tenant>,
    /// When it ends, for example 90d; it never ends where this is left out
    #[arg(long, value_name = "TIME", value_parser = age::duration)]
    expires: Option<Duration>,
    #[command(flatten)]
    common: Common,
}

impl Create {
    pub(super) async fn run(&self) -> Result<Exit> {
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) || self.name.len() > 200 {
            return Err(Failure::new(Exit::Usage, "a name has 1 to 200 bytes and no control characters"));
        }
        if self.tenant.is_some() && self.scope.contains(&Scope::Admin) {
            let message = "a key that is bound to a tenant cannot have the scope admin";
            return Err(Failure::new(Exit::Usage, message).help("give it read, write or ingress:LIST"));
        }
        let store = self.common.open_or_make().await?.store;
        let now = age::now();
        let end = |expires: Duration| now.saturating_add(Millis::try_from(expires.as_millis()).unwrap_or(Millis::MAX));
        let (name, tenant) = (self.name.trim(), self.tenant.clone());
        let NewKey { key, stored } = NewKey::make(name, &self.scope, tenant, now, self.expires.map(end))?;
        store.keep_key(&stored).await?;
        let value = json!({
            "id": stored.id, "name": stored.name, "key": key.expose(), "scopes": stored.scopes,
            "tenant": stored.tenant, "expires_at": stored.expires_at.map(age::moment),
        });
        match self.common.output {
            Format::Table => {
                output::say(format_args!("key {} in {}; it is not shown again", stored.id, store.describe()));
                output::print(&format!("{}\n", key.expose()))?;
            }
            Format::Json => output::print_json(&value)?,
            Format::Jsonl => output::print_jsonl([value])?,
        }
        Ok(Exit::Done)
    }
}
