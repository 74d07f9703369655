//! `run`
use super::exit::{Exit, Result};
use clap::Args;
/// Run
#[derive(Debug, Args)]
pub(crate) struct Run {}
impl Run {
    pub(crate) async fn run(&self) -> Result<Exit> {
        Ok(Exit::Done)
    }
}
