//! `vcon verify`: who signed a vCon, and whether it is still what they signed.

use clap::Args;
use comfy_table::{Cell, Color};
use jiff::Timestamp;
use serde::Serialize;
use vconductor_core::http::HttpClient;
use vconductor_core::jose::{Chains, Payload, Reason, SignatureVerdict, Signers, Standing, Trust, Verdict, verify};
use vconductor_core::vcon::{Form, Vcon};

use super::{files, keys};
use crate::cli::exit::{Exit, Failure, Result};
use crate::cli::output::{self, BAD, Format, plain};

const EXAMPLES: &str = "\
Examples:
  vconductor vcon verify signed.vcon --trust root.pem
  vconductor vcon verify inbox/*.vcon --trust /etc/ssl/certs/ca-certificates.crt --output jsonl
  vconductor vcon verify signed.vcon --key signer.pub                       # a known key, whatever its certificate
  vconductor vcon verify old.vcon --trust fake_ca_root.crt --lenient-chain  # test chains of early vCon libraries
  vconductor vcon verify archive.vcon --trust root.pem --at 2024-06-01T00:00:00Z
  vconductor vcon verify signed.vcon --trust root.pem --payload - | jq .subject

A vCon is accepted when every signature in it is intact and at least one signer is trusted (--all-signers: every one). A
root inside of the file is never trusted because it is there: without --trust and --key nothing is accepted.

Exit codes: 0 all accepted, 65 a file is not accepted or cannot be read.";

/// Verify signed vCons
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Certificates to trust: roots, or signers themselves. A file of many is fine
    #[arg(long, value_name = "FILE")]
    trust: Vec<String>,
    /// A key to trust, whatever its certificate says: a file, or env:NAME
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
    /// Let certificates of X.509 version 1 issue others, as in the test chains of early vCon libraries
    #[arg(long)]
    lenient_chain: bool,
    /// When certificates must have been valid; by default now
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// Every signer must be trusted, not only one
    #[arg(long)]
    all_signers: bool,
    /// Fetch no certificate chains (x5u)
    #[arg(long)]
    offline: bool,
    /// Write the vCon inside to this file (- for stdout) when it is accepted
    #[arg(long, value_name = "PATH")]
    payload: Option<String>,
    /// The form of the output
    #[arg(long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    accepted: bool,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Verify {
    pub(crate) async fn run(&self) -> Result<Exit> {
        if self.payload.is_some() && self.files.len() > 1 {
            return Err(Failure::new(Exit::Usage, "--payload takes one file"));
        }
        let trust = Trust::nobody(self.at.unwrap_or_else(Timestamp::now))
            .anchors(&keys::read(&self.trust)?)
            .keys(&keys::read(&self.key)?)
            .lenient(self.lenient_chain);
        let http = HttpClient::builder().build()?;
        let signers = if self.all_signers { Signers::All } else { Signers::Any };
        let mut rows = Vec::new();
        let mut unread = false;
        for file in &self.files {
            match self.judge(file, &trust, &http).await.map_err(|failure| failure.within(file)) {
                Ok((vcon, verdict)) => {
                    let accepted = verdict.is_accepted(signers);
                    if let Some(path) = self.payload.as_deref().filter(|_| accepted) {
                        write_payload(path, &vcon)?;
                    }
                    rows.push(Row { file, accepted, verdict });
                }
                Err(failure) if self.files.len() == 1 => return Err(failure),
                Err(failure) => {
                    output::complain_of(&failure);
                    unread = true;
                }
            }
        }
        let refused = rows.iter().any(|row| !row.accepted);
        self.report(&rows)?;
        Ok(if refused || unread { Exit::Data } else { Exit::Done })
    }

    async fn judge(&self, file: &str, trust: &Trust, http: &HttpClient) -> Result<(Vcon, Verdict)> {
        let vcon = files::read(file)?;
        match vcon.form() {
            Form::Signed => {}
            Form::Unsigned => return Err(Failure::new(Exit::Data, "this vCon is not signed")),
            Form::Encrypted => {
                return Err(Failure::new(Exit::Data, "this vCon is encrypted").help("decrypt it first: `vcon decrypt`"));
            }
        }
        let chains = if self.offline { Chains::none() } else { Chains::fetch(vcon.document(), http).await };
        let verdict = verify(vcon.document(), trust, &chains);
        Ok((vcon, verdict))
    }

    fn report(&self, rows: &[Row<'_>]) -> Result<()> {
        // stdout belongs to the payload.
        if self.payload.as_deref() == Some("-") {
            for row in rows.iter().filter(|row| !row.accepted) {
                output::complain(BAD, "error", format!("{}: {}", row.file, plain(&row.verdict.refusal())), None);
            }
            return Ok(());
        }
        match self.output {
            Format::Json => output::print_json(&rows),
            Format::Jsonl => output::print_jsonl(rows),
            Format::Table => output::print(&table(rows)),
        }
    }
}

fn write_payload(path: &str, vcon: &Vcon) -> Result<()> {
    let payload = Payload::of(vcon.document()).map_err(|fault| Failure::new(Exit::Data, fault.to_string()))?;
    let inside = payload.innermost().map_err(|fault| Failure::new(Exit::Data, fault.to_string()))?;
    if path == "-" {
        // Byte for byte, also without a line break at the end: somebody may want to hash it.
        return output::print_bytes(&inside.to_bytes());
    }
    files::write_whole(std::path::Path::new(path), &inside.to_bytes())
        .map_err(|error| Failure::new(Exit::Findings, format!("{path} cannot be written: {error}")))
}

fn table(rows: &[Row<'_>]) -> String {
    let mut table = output::table(&["file", "verdict", "signer", "algorithm", "valid until", "why"]);
    for row in rows {
        let verdict = || match row.accepted {
            true => Cell::new("accepted").fg(Color::Green),
            false => Cell::new("refused").fg(Color::Red),
        };
        let mut whole: Vec<_> = row.verdict.faults.iter().map(|fault| plain(&fault.message)).collect();
        if row.verdict.signatures.is_empty() {
            let why = Cell::new(whole.join("; "));
            table.add_row([Cell::new(row.file), verdict(), Cell::new(""), Cell::new(""), Cell::new(""), why]);
        }
        for (number, signature) in row.verdict.signatures.iter().enumerate() {
            whole.push(why(signature));
            let first = number == 0;
            let certificate = signature.certificate.as_ref();
            let name = certificate.map_or("-".to_owned(), |certificate| plain(certificate.name()));
            let until = certificate.map_or("-".to_owned(), |certificate| format!("{:.0}", certificate.not_after()));
            table.add_row([
                Cell::new(if first { row.file } else { "" }),
                if first { verdict() } else { Cell::new("") },
                Cell::new(name),
                Cell::new(plain(signature.algorithm.as_deref().unwrap_or("-"))),
                Cell::new(until),
                Cell::new(whole.join("; ")),
            ]);
            whole.clear();
        }
    }
    output::table_text(&table)
}

/// The verdict on one signature, in words.
fn why(signature: &SignatureVerdict) -> String {
    match &signature.standing {
        Standing::Anchor { anchor, lenient: false } => format!("trusted through `{}`", plain(anchor)),
        Standing::Anchor { anchor, lenient: true } => {
            format!("trusted through `{}`, with a lenient chain (X.509 version 1)", plain(anchor))
        }
        Standing::Key { name } => format!("trusted key `{}`", plain(name)),
        Standing::Unasked => "intact, but nobody is trusted (--trust, --key)".to_owned(),
        Standing::Refused => {
            let faults: Vec<_> = signature.faults.iter().map(|fault| plain(&fault.message)).collect();
            let excusable = signature.faults.iter().any(|fault| fault.reason == Reason::LegacyCertificate);
            faults.join("; ") + if excusable { " (--lenient-chain lets them)" } else { "" }
        }
    }
}
