//! `explain`: the page of an error code.

use clap::Args;
use vconductor_core::config::{Code, nearest};

use super::exit::{Exit, Failure, Result};
use super::output;

const EXAMPLES: &str = "\
Examples:
  vconductor explain VC0402
  vconductor explain                 # all codes

Exit codes:
  0 shown   2 there is no such code";

/// Explain a code of a finding
///
/// Shows what a finding such as VC0402 means, an example, and the fix.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    /// The code; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

impl Explain {
    pub(crate) fn run(&self) -> Result<Exit> {
        let Some(text) = &self.code else {
            let titles = Code::ALL.iter().map(|code| code.page().lines().next().unwrap_or_default());
            let list: Vec<&str> = titles.map(|title| title.trim_start_matches("# ")).collect();
            output::print(&format!("{}\n", list.join("\n")))?;
            return Ok(Exit::Done);
        };
        let Some(code) = Code::parse(text) else {
            let failure = Failure::new(Exit::Usage, format!("there is no code `{text}`"));
            return Err(match nearest(&text.to_uppercase(), Code::ALL.iter().map(|code| code.as_str())) {
                Some(near) => failure.help(format!("did you mean {near}? `vconductor explain` lists all of them")),
                None => failure.help("`vconductor explain` lists all of them"),
            });
        };
        output::print(code.page())?;
        Ok(Exit::Done)
    }
}
