//! `keys`: the keys of the HTTP API.

mod create;
mod list;
mod revoke;

use clap::{Args, Subcommand};

use super::exit::{Exit, Result};

const ABOUT: &str = "\
Create, list and revoke keys of the HTTP API

A key is shown once, when it is made; the store keeps only its hash. To change one, make another, give it to its owner, \
and revoke the old one when `last used` stands still.";

const EXAMPLES: &str = "\
Examples:
  vconductor keys create dashboard --scope read
  vconductor keys create crm --scope read --scope write --expires 90d
  vconductor keys create partner --scope ingress:calls      # may only hand vCons in on `calls`
  vconductor keys create acme-crm --scope read --tenant acme  # reads vCons of the tenant `acme`
  vconductor keys list
  vconductor keys revoke 0f3a9c1b2d4e";

/// Create, list and revoke keys of the HTTP API
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(create::Create),
    List(list::List),
    Revoke(revoke::Revoke),
}

impl Keys {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            Action::Create(create) => create.run().await,
            Action::List(list) => list.run().await,
            Action::Revoke(revoke) => revoke.run().await,
        }
    }
}
