//! `validate`: do vCons follow the draft?

mod inputs;
mod record;
mod seals;
mod table;

use clap::Args;
use vconductor_core::format::Limits;
use vconductor_core::http::{Guard, HttpClient};
use vconductor_core::jose::KeySeals;
use vconductor_core::validate::{Level, Mode, Report, Validator};

use self::inputs::Source;
use self::record::Record;
use super::configuration::counted;
use super::exit::{Exit, Result};
use super::output::{self, BAD, Format, GOOD, WARN, styled};

const ABOUT: &str = "\
Check vCons against the draft (draft-ietf-vcon-vcon-core-04)

PATH is a vCon of any form (.json, .vcon, signed, encrypted, compressed), a bundle (.vconz, every vCon in it is checked), \
vCons line by line (.jsonl), a directory (recursive), a pattern, or - for stdin. Each finding has the number of its check, \
a JSON pointer, what is wrong and what to do; docs/reference/checks.md lists all checks.

Without --strict a file fails only when no reader should work with it: unreadable, unsafe or unidentifiable. Everything \
else is a warning then. With --strict every MUST of the draft counts.";

const EXAMPLES: &str = "\
Examples:
  vconductor validate call.vcon
  vconductor validate --strict export/ --output jsonl | jq -r 'select(.errors != []) | .file'
  vconductor validate signed.vcon --trust root.pem              # is the signature right, and whose?
  vconductor validate sealed.vcon --key private.pem             # decrypts to look inside
  vconductor validate --fetch call.vcon                         # compares recordings with their content_hash

Exit codes:
  0 no file fails   2 wrong command line   65 a file fails";

/// Check vCons against the draft
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Validate {
    /// Fail on everything that the draft says MUST
    #[arg(long)]
    strict: bool,
    /// Certificates or public keys (PEM or JWK) to trust: roots, or signers themselves; may be given several times
    #[arg(long, value_name = "FILE")]
    trust: Vec<String>,
    /// A private key (PEM or JWK, or env:NAME) to decrypt with; may be given several times
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Let certificates of X.509 version 1 issue others, as in the test chains of early vCon libraries
    #[arg(long)]
    lenient_chain: bool,
    /// Fetch what vCons refer to by URL (https, public addresses): compare content with its content_hash, verify with
    /// chains of certificates (x5u)
    #[arg(long)]
    fetch: bool,
    /// A host or network that --fetch may ask though it is not public
    #[arg(long, value_name = "HOST", requires = "fetch")]
    allow: Vec<String>,
    /// Show hints too: advice that may be left alone for a good reason
    #[arg(long)]
    hints: bool,
    /// The form of the output; `jsonl` gives a line per vCon
    #[arg(long, value_enum, default_value_t)]
    output: Format,
    /// Files, directories, patterns, or - for stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

/// How many there were.
#[derive(Debug, Default)]
struct Tally {
    vcons: usize,
    failed: usize,
    errors: usize,
    warnings: usize,
}

impl Validate {
    pub(crate) async fn run(&self) -> Result<Exit> {
        let seals = seals::open(&self.trust, &self.key, self.lenient_chain)?;
        let validator = self.validator(&seals);
        let client = if self.fetch { Some(self.client()?) } else { None };
        let mut tally = Tally::default();
        let mut records = Vec::new();
        for source in inputs::sources(&self.paths, &validator.limits) {
            let reports = match source {
                Source::Bytes { name, bytes } => {
                    let mut reports = validator.check(bytes.clone());
                    if let Some(client) = &client
                        && let Some(chains) = seals::chains(&reports, client).await
                    {
                        reports = self.validator(&seals.clone().with_chains(chains)).check(bytes);
                    }
                    let named =
                        |entry: Option<String>| entry.map_or_else(|| name.clone(), |entry| format!("{name}!{entry}"));
                    reports.into_iter().map(|(entry, report)| (named(entry), report)).collect()
                }
                Source::Unreadable { name, why } => vec![(name, Report::unreadable(validator.mode, &why))],
            };
            for (name, mut report) in reports {
                if let Some(client) = &client {
                    validator.fetch(&mut report, client).await;
                }
                tally.count(&report);
                self.tell(&name, &report, &mut records)?;
            }
        }
        match self.output {
            Format::Table => output::print(&tally.line())?,
            Format::Json => output::print_json(&records)?,
            Format::Jsonl => {}
        }
        Ok(if tally.failed > 0 { Exit::Data } else { Exit::Done })
    }

    fn validator<'a>(&self, seals: &'a KeySeals) -> Validator<'a> {
        let mode = if self.strict { Mode::Strict } else { Mode::Tolerant };
        Validator { mode, limits: Limits::default(), supported: Vec::new(), seals: Some(seals) }
    }

    fn tell(&self, name: &str, report: &Report, records: &mut Vec<Record>) -> Result<()> {
        match self.output {
            Format::Table => output::print(&table::text(name, report, self.hints)),
            Format::Json => {
                records.push(Record::of(name, report));
                Ok(())
            }
            Format::Jsonl => output::print_jsonl([Record::of(name, report)]),
        }
    }

    fn client(&self) -> Result<HttpClient> {
        let guard = self.allow.iter().try_fold(Guard::default(), |guard, host| guard.allow(host))?;
        Ok(HttpClient::builder().guard(guard).build()?)
    }
}

impl Tally {
    fn count(&mut self, report: &Report) {
        self.vcons += 1;
        self.failed += usize::from(report.fails());
        let mut inmost = Some(report);
        while let Some(report) = inmost {
            self.errors += report.of_level(Level::Error).count();
            self.warnings += report.of_level(Level::Warning).count();
            inmost = report.payload.as_deref();
        }
    }

    fn line(&self) -> String {
        let style = match (self.failed, self.warnings) {
            (0, 0) => GOOD,
            (0, _) => WARN,
            _ => BAD,
        };
        let checked = counted(self.vcons as u64, "document");
        let (errors, warnings) = (counted(self.errors as u64, "error"), counted(self.warnings as u64, "warning"));
        format!("{}\n", styled(style, format_args!("{checked} checked, {} failed: {errors}, {warnings}", self.failed)))
    }
}
