//! `completions`: what a shell needs to complete the command line.

use clap::Args;
use clap_complete::Shell;

use super::exit::{Exit, Result};
use super::output;

const EXAMPLES: &str = "\
Examples:
  vconductor completions bash > ~/.local/share/bash-completion/completions/vconductor
  vconductor completions zsh > ~/.zfunc/_vconductor
  vconductor completions fish > ~/.config/fish/completions/vconductor.fish";

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<Exit> {
        // Into memory first: the generator panics when its reader goes away.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "vconductor", &mut script);
        output::print_bytes(&script)?;
        Ok(Exit::Done)
    }
}
