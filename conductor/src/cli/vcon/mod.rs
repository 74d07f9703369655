//! `vcon`: work on single vCon files.

mod convert;
mod diff;
mod files;

use clap::{Args, Subcommand};

use super::exit::{Exit, Result};

const ABOUT: &str = "\
Convert, compare, redact and amend vCon files

Works on files and pipes, without a store. No input is ever overwritten unless --in-place says so.";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon convert old.vcon --to core-04 > new.vcon
  vconductor vcon diff old.vcon new.vcon";

/// Convert, compare, redact and amend vCon files
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Vcon {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Convert(convert::Convert),
    Diff(diff::Diff),
}

impl Vcon {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            Action::Convert(convert) => convert.run(),
            Action::Diff(diff) => diff.run(),
        }
    }
}
