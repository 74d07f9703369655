//! `vcon redact`: a version with less in it.

use clap::Args;
use jiff::Timestamp;
use vconductor_core::prior::Prior;
use vconductor_core::redact::{Redaction, Rule, Target as Part, redact};
use vconductor_core::vcon::Vcon;

use super::files::{self, Target, of_the_file};
use crate::cli::configuration::counted;
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::intake::generator;
use crate::cli::output::{self, WARN, plain};

const ABOUT: &str = "\
Redact vCons

Makes a new version without what is named, with a uuid of its own and a reference to the one it was made from. Removed \
parties, dialogs, analyses and attachments leave a placeholder, so that no index changes. What still tells something of \
what was removed is warned of: read the warnings before the result is given away.

A signed vCon is verified first, and the redacted version signed anew:
  vconductor vcon verify call.vcon --trust root.pem | vconductor vcon redact - --party 1";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon redact call.vcon --party 1 --with-dependents > redacted.vcon
  vconductor vcon redact call.vcon --dialog 0 --type audio --deny-warnings --out redacted.vcon
  vconductor vcon redact calls/*.vcon --rule card --rule email --rule 'order=ORD-[0-9]+' --out redacted/
  vconductor vcon redact call.vcon --pointer /attachments/2/body --no-original

Rules with a name: email, url, card, iban, ssn, ip, phone. What they match becomes {{EMAIL}} and so on; numbers, member
names and binary content are not searched.

Exit codes:
  0 done   1 warnings, with --deny-warnings   65 a file cannot be read or redacted";

/// Redact vCons
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Redact {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Remove a party
    #[arg(long, value_name = "INDEX")]
    party: Vec<usize>,
    /// Remove a dialog
    #[arg(long, value_name = "INDEX")]
    dialog: Vec<usize>,
    /// Remove what a dialog says; who took part and when stays
    #[arg(long, value_name = "INDEX")]
    dialog_content: Vec<usize>,
    /// Remove an analysis
    #[arg(long, value_name = "INDEX")]
    analysis: Vec<usize>,
    /// Remove an attachment
    #[arg(long, value_name = "INDEX")]
    attachment: Vec<usize>,
    /// Remove what is at a JSON pointer
    #[arg(long, value_name = "POINTER")]
    pointer: Vec<String>,
    /// Replace what matches in all texts: the name of a rule, or NAME=REGEX
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// Also remove what was made from the removed: analyses, names in texts
    #[arg(long)]
    with_dependents: bool,
    /// The kind of information that is removed
    #[arg(long = "type", value_name = "TYPE", default_value = "PII")]
    kind: String,
    /// Refer to this version instead of the input
    #[arg(long, value_name = "UUID", conflicts_with = "no_original")]
    uuid_of_original: Option<String>,
    /// Say that no less redacted version exists
    #[arg(long, conflicts_with = "url")]
    no_original: bool,
    /// Where the input lies for those who may see it (https); its hash is written down
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Redact a vCon that uses this extension, though nobody here knows what it holds
    #[arg(long, value_name = "NAME")]
    accept_extension: Vec<String>,
    /// Write nothing when there are warnings
    #[arg(long)]
    deny_warnings: bool,
    #[command(flatten)]
    target: Target,
}

impl Redact {
    pub(crate) fn run(&self) -> Result<Exit> {
        let redaction = self.redaction()?;
        let generator = generator();
        files::each(&self.files, &self.target, |vcon| {
            let prior = self.prior(vcon).map_err(of_the_file)?;
            let uuid = generator.next().to_string();
            let redacted = redact(vcon, &prior, &redaction, &uuid, Timestamp::now()).map_err(of_the_file)?;
            for warning in &redacted.warnings {
                let place = if warning.pointer.is_empty() { "the vCon" } else { &warning.pointer };
                output::complain(WARN, "warning", format_args!("{}: {}", plain(place), warning.message), None);
            }
            let warnings = counted(redacted.warnings.len() as u64, "warning");
            if self.deny_warnings && !redacted.warnings.is_empty() {
                return Err(Failure::new(Exit::Findings, format!("{warnings}, and nothing was written"))
                    .help("remove what they name, or leave --deny-warnings away"));
            }
            Ok((redacted.vcon, format!("redacted, {warnings}")))
        })
    }

    fn redaction(&self) -> Result<Redaction> {
        let parts = [
            (&self.party, Part::Party as fn(usize) -> Part),
            (&self.dialog, Part::Dialog),
            (&self.dialog_content, Part::DialogContent),
            (&self.analysis, Part::Analysis),
            (&self.attachment, Part::Attachment),
        ];
        let mut redaction = Redaction::new(&self.kind);
        redaction.targets = parts.into_iter().flat_map(|(indices, part)| indices.iter().copied().map(part)).collect();
        redaction.targets.extend(self.pointer.iter().cloned().map(Part::Pointer));
        redaction.with_dependents = self.with_dependents;
        redaction.accepted_extensions.clone_from(&self.accept_extension);
        for rule in &self.rule {
            redaction.rules.push(Rule::parse(rule).map_err(|error| {
                let failure = Failure::new(Exit::Usage, format!("--rule: {}", error.chain_text()));
                match error.help_text() {
                    Some(help) => failure.help(help),
                    None => failure,
                }
            })?);
        }
        if redaction.targets.is_empty() && redaction.rules.is_empty() {
            return Err(Failure::new(Exit::Usage, "nothing to redact was named")
                .help("name it with --party, --dialog, --analysis, --attachment, --pointer or --rule"));
        }
        Ok(redaction)
    }

    fn prior(&self, vcon: &Vcon) -> vconductor_core::Result<Prior> {
        let prior = match &self.uuid_of_original {
            Some(uuid) => Prior::by_uuid(uuid)?,
            None if self.no_original => Prior::unavailable(),
            None => Prior::of(vcon)?,
        };
        match &self.url {
            Some(url) => prior.at(url, &vcon.to_bytes()),
            None => Ok(prior),
        }
    }
}
