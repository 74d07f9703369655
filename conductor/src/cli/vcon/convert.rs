//! `vcon convert`: a vCon in another form.

use std::cell::RefCell;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use vconductor_core::migrate::{self, Options, Written, shape};
use vconductor_core::vcon::{Form, Vcon};

use super::files::{self, Target, write_whole};
use crate::cli::configuration::counted;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::intake::generator;
use crate::cli::output::{self, DIM, STRONG, plain, styled};

const ABOUT: &str = "\
Convert vCons to another form

Reads vCons of every draft, judged by their shape and not by their `vcon` member. What a form has no place for stays as it \
is; a value that must be replaced is kept in `meta.original`. Signed and encrypted vCons are never rewritten.";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon convert old.vcon --to core-04 > new.vcon
  vconductor vcon convert calls/*.json --to core-04 --out converted/ --explain
  vconductor vcon convert call.vcon --to 0.0.1 --out call.old.vcon      # as vcon-server hands out to old readers
  vconductor vcon convert call.vcon --to string-bodies                  # as vcon-server stores
  vconductor vcon convert old.vcon --to core-04 --changes changes.jsonl --out new.vcon

Exit codes:
  0 all were converted   65 a file cannot be read or converted";

/// Convert vCons to another form
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The form
    #[arg(long, value_enum, value_name = "FORM", default_value_t)]
    to: To,
    /// Say on stderr what is changed and why
    #[arg(long)]
    explain: bool,
    /// Write the recorded changes to this file, one JSON document per line
    #[arg(long, value_name = "FILE")]
    changes: Option<PathBuf>,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum To {
    /// The newest draft; what a vCon must have and lacks (uuid, created_at) is added and marked
    #[default]
    #[value(name = "core-04")]
    Core04,
    /// As vcon-server stores: newer names, JSON bodies as text in a string
    StringBodies,
    /// As vcon-server hands out with EGRESS_FORMAT_VERSION=0.0.1
    #[value(name = "0.0.1")]
    Old,
}

impl Convert {
    pub(crate) fn run(&self) -> Result<Exit> {
        let generator = generator();
        let options = Options { generator: Some(&generator), now: Some(Timestamp::now()) };
        let record = RefCell::new(String::new());
        let exit = files::each(&self.files, &self.target, |vcon| {
            let target = match self.to {
                To::Core04 => migrate::Target::Core04,
                To::StringBodies => migrate::Target::StringBodies,
                To::Old => migrate::Target::V0_0_1,
            };
            let written = migrate::write(vcon, target, &options).map_err(files::of_the_file)?;
            if self.explain {
                explain(vcon, &written);
            }
            self.record(&written, &mut record.borrow_mut())?;
            let [changes, kept] = [written.changes.len(), written.kept.len()].map(|count| count as u64);
            let what = format!("{}, {}", counted(changes, "change"), counted(kept, "member"));
            Ok((written.vcon, format!("{what} kept")))
        })?;
        if let Some(path) = &self.changes {
            write_whole(path, record.into_inner().trim_end().as_bytes()).map_err(|error| {
                Failure::new(Exit::Findings, format!("{} cannot be written: {error}", path.display()))
            })?;
        }
        Ok(exit)
    }

    fn record(&self, written: &Written, lines: &mut String) -> Result<()> {
        if self.changes.is_none() {
            return Ok(());
        }
        for change in &written.changes {
            let mut line = serde_json::to_value(change).map_err(std::io::Error::from)?;
            if let Some(uuid) = written.vcon.id() {
                line["uuid"] = uuid.into();
            }
            lines.push_str(&format!("{line}\n"));
        }
        Ok(())
    }
}

/// What was found, done and left.
fn explain(vcon: &Vcon, written: &Written) {
    let name = vcon.id().unwrap_or_else(|| "a vCon without uuid".to_owned());
    if vcon.form() == Form::Unsigned {
        output::say(format_args!("{} is of {}", styled(STRONG, name), shape(vcon.document().root())));
    }
    for change in &written.changes {
        let section = match change.section.starts_with(|first: char| first.is_ascii_digit()) {
            true => format!("core-04, {}", change.section),
            false => change.section.to_owned(),
        };
        output::say(format_args!(
            "  {} {} {}",
            plain(&change.pointer),
            change.reason,
            styled(DIM, format_args!("({section})"))
        ));
    }
    for kept in &written.kept {
        output::say(format_args!("  {} {} {}", plain(&kept.pointer), styled(DIM, "kept:"), kept.reason));
    }
}
