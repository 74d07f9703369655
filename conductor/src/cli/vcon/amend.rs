//! `vcon amend`: a version with more in it.

use clap::Args;
use jiff::Timestamp;
use vconductor_core::amend::{amend, belongs_to_version};
use vconductor_core::document::{Edit, Json, diff};
use vconductor_core::prior::Prior;
use vconductor_core::vcon::Vcon;

use super::files::{self, Target, of_the_file};
use crate::cli::configuration::counted;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::intake::generator;

const ABOUT: &str = "\
Amend vCons

Makes a new version with the given changes: a full copy with a uuid of its own and a reference to the one it was made \
from. So something is added to a signed vCon, which itself stays as it is:
  vconductor vcon verify call.vcon --trust root.pem | vconductor vcon amend - --tag topic:refund";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon amend call.vcon --set /subject='Refund' --tag topic:refund > amended.vcon
  vconductor vcon amend call.vcon --append /analysis='{\"type\":\"summary\",\"vendor\":\"acme\",\"body\":\"...\",\"encoding\":\"none\"}'
  vconductor vcon amend call.vcon --from corrected.vcon --url https://archive.example.com/call.vcon
  vconductor vcon amend call.vcon --edits edits.jsonl --out amended.vcon      # edits as `exec` links write them

A value is JSON; what is no JSON is taken as text.

Exit codes:
  0 done   65 a file cannot be read or amended";

/// Amend vCons
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Amend {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Put a value at a JSON pointer
    #[arg(long, value_name = "POINTER=VALUE")]
    set: Vec<String>,
    /// Add an element to the list at a JSON pointer
    #[arg(long, value_name = "POINTER=VALUE")]
    append: Vec<String>,
    /// Remove what is at a JSON pointer
    #[arg(long, value_name = "POINTER")]
    remove: Vec<String>,
    /// Add a tag
    #[arg(long, value_name = "NAME:VALUE")]
    tag: Vec<String>,
    /// Make the edits in this file, one JSON document per line
    #[arg(long, value_name = "FILE")]
    edits: Option<String>,
    /// Take the content of this vCon
    #[arg(long, value_name = "FILE")]
    from: Option<String>,
    /// Where the input lies (https); its hash is written down
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Amend {
    pub(crate) fn run(&self) -> Result<Exit> {
        let given = self.given()?;
        let from = match &self.from {
            Some(file) => Some(files::read(file).map_err(|failure| failure.within(file))?),
            None => None,
        };
        if given.is_empty() && from.is_none() {
            return Err(Failure::new(Exit::Usage, "no change was given")
                .help("give it with --set, --append, --remove, --tag, --edits or --from"));
        }
        let generator = generator();
        files::each(&self.files, &self.target, |vcon| {
            let mut changes = from.as_ref().map(|from| content_of(vcon, from)).unwrap_or_default();
            changes.extend_from_slice(&given);
            let prior = self.prior(vcon).map_err(of_the_file)?;
            let uuid = generator.next().to_string();
            let (amended, _) = amend(vcon, &prior, &changes, &uuid, Timestamp::now()).map_err(of_the_file)?;
            Ok((amended, format!("amended, {}", counted(changes.len() as u64, "change"))))
        })
    }

    fn prior(&self, vcon: &Vcon) -> vconductor_core::Result<Prior> {
        let prior = Prior::of(vcon)?;
        match &self.url {
            Some(url) => prior.at(url, &vcon.to_bytes()),
            None => Ok(prior),
        }
    }

    /// The changes of the command line, in the order of its help.
    fn given(&self) -> Result<Vec<Edit>> {
        let mut edits = Vec::new();
        for text in &self.set {
            let (pointer, value) = assignment("--set", text)?;
            edits.push(Edit::set(pointer, value));
        }
        for text in &self.append {
            let (pointer, value) = assignment("--append", text)?;
            edits.push(Edit::append(pointer, value));
        }
        edits.extend(self.remove.iter().map(Edit::remove));
        for text in &self.tag {
            let Some((name, value)) = text.split_once(':') else {
                return Err(Failure::new(Exit::Usage, format!("--tag: `{text}` has no value")).help("write NAME:VALUE"));
            };
            edits.push(Edit::tag(name, value));
        }
        if let Some(file) = &self.edits {
            edits.extend(read_edits(file)?);
        }
        Ok(edits)
    }
}

fn assignment<'a>(option: &str, text: &'a str) -> Result<(&'a str, Json)> {
    let Some((pointer, value)) = text.split_once('=') else {
        return Err(Failure::new(Exit::Usage, format!("{option}: `{text}` has no value")).help("write POINTER=VALUE"));
    };
    Ok((pointer, Json::parse(value.to_owned()).unwrap_or_else(|_| Json::string(value))))
}

fn read_edits(file: &str) -> Result<Vec<Edit>> {
    let bad = |message: String| Failure::new(Exit::Data, format!("{file}: {message}"));
    let text = std::fs::read_to_string(file).map_err(|error| bad(format!("cannot be read: {error}")))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read = lines.map(|(number, line)| {
        serde_json::from_str(line).map_err(|error| {
            bad(format!("line {}: {error}", number + 1))
                .help("an edit is like {\"op\": \"set\", \"pointer\": \"/subject\", \"value\": \"Refund\"}")
        })
    });
    read.collect()
}

/// The edits that give `vcon` the content of `from`, but for what makes it a version of its own.
fn content_of(vcon: &Vcon, from: &Vcon) -> Vec<Edit> {
    diff(vcon.document(), from.document()).into_iter().filter(|edit| !belongs_to_version(edit)).collect()
}
