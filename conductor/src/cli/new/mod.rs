//! `new`: starts a chain or a link that passes its tests.

mod chain;
mod found;
mod link;

use std::path::Path;

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure, Result};
use super::output;

const ABOUT: &str = "\
Start a chain, or a link of your own

What is written passes its own chain tests, so that each later change is one from something that works.";

const EXAMPLES: &str = "\
Examples:
  vconductor new chain deepgram,analyze/webhook,s3      # calls.yml and calls_test.yml
  vconductor new link word_count                        # a link in Python
  vconductor new link word_count --language rust --source ../vconductor";

/// Start a chain, or a link of your own
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct New {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Chain(chain::NewChain),
    Link(link::NewLink),
}

impl New {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.what {
            What::Chain(chain) => chain.run().await,
            What::Link(link) => link.run(),
        }
    }
}

/// Writes files into a folder, all or none of them where one is there already.
fn write(folder: &Path, files: &[(String, String)], force: bool) -> Result<()> {
    let there = files.iter().map(|(name, _)| folder.join(name)).find(|path| path.exists());
    if let Some(path) = there.filter(|_| !force) {
        return Err(Failure::new(Exit::Usage, format!("{} is there already", path.display()))
            .help("choose another name with --name, or --force to write over it"));
    }
    for (name, content) in files {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, content));
        written.map_err(|error| Failure::new(Exit::Data, format!("{} cannot be written: {error}", path.display())))?;
    }
    Ok(())
}

/// Refuses what cannot be the name of a file and of an entry in YAML.
fn check_name(name: &str) -> Result<()> {
    let begins = name.starts_with(|first: char| first.is_ascii_lowercase());
    let rest = name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
    if begins && rest {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, format!("`{name}` is no name for it"))
        .help("use small letters, digits and `_`, and begin with a letter"))
}

/// Tells what was written, and what to do with it.
fn tell(folder: &Path, files: &[(String, String)], next: &[String]) {
    for (name, _) in files {
        output::say(format!("wrote {}", folder.join(name).display()));
    }
    output::say("next:");
    for command in next {
        output::say(format!("  {command}"));
    }
}
