//! `keys list`.

use clap::Args;
use comfy_table::Cell;
use serde_json::json;
use vconductor_core::clock::Millis;
use vconductor_core::store::{StoredKey, Tenant};

use crate::cli::age;
use crate::cli::desk::Common;
use crate::cli::exit::{Exit, Result};
use crate::cli::output::{self, Format};

/// List the keys, without what opens
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    common: Common,
}

impl List {
    pub(super) async fn run(&self) -> Result<Exit> {
        let store = self.common.open().await?.store;
        let keys = store.keys().await?;
        if keys.is_empty() {
            output::say(format_args!("no keys in {}", store.describe()));
        }
        match self.common.output {
            Format::Table if keys.is_empty() => {}
            Format::Table => output::print(&table(&keys))?,
            Format::Json => output::print_json(&keys.iter().map(value).collect::<Vec<_>>())?,
            Format::Jsonl => output::print_jsonl(keys.iter().map(value))?,
        }
        Ok(Exit::Done)
    }
}

fn value(key: &StoredKey) -> serde_json::Value {
    json!({
        "id": key.id, "name": key.name, "scopes": key.scopes, "tenant": key.tenant,
        "created_at": age::moment(key.created_at),
        "expires_at": key.expires_at.map(age::moment), "expired": is_expired(key), "used_at": key.used_at.map(age::moment),
    })
}

fn is_expired(key: &StoredKey) -> bool {
    key.expires_at.is_some_and(|end| end <= age::now())
}

fn table(keys: &[StoredKey]) -> String {
    let mut table = output::table(&["ID", "NAME", "SCOPES", "TENANT", "CREATED", "EXPIRES", "LAST USED"]);
    let ago = |at: Option<Millis>| at.map_or_else(|| "never".to_owned(), |at| format!("{} ago", age::age(at)));
    for key in keys {
        let end = match key.expires_at {
            None => "never".to_owned(),
            Some(_) if is_expired(key) => "has expired".to_owned(),
            Some(end) => age::moment(end),
        };
        table.add_row([
            Cell::new(&key.id),
            Cell::new(output::plain(&key.name)),
            Cell::new(output::plain(&key.scopes.join(", "))),
            Cell::new(key.tenant.as_ref().map_or("", Tenant::as_str)),
            Cell::new(ago(Some(key.created_at))),
            Cell::new(end),
            Cell::new(ago(key.used_at)),
        ]);
    }
    output::table_text(&table)
}
