//! `check`
use super::exit::{Exit, Result};
use clap::Args;
/// Check
#[derive(Debug, Args)]
pub(crate) struct Check {}
impl Check {
    pub(crate) fn run(&self) -> Result<Exit> {
        Ok(Exit::Done)
    }
}
