//! `vcon`: work on single vCon files.

mod amend;
mod convert;
mod decrypt;
pub(super) mod diff;
mod encrypt;
pub(super) mod files;
mod import;
pub(super) mod keys;
mod redact;
mod sign;
mod transcript;
mod verify;

use clap::{Args, Subcommand};

use super::exit::{Exit, Result};

const ABOUT: &str = "\
Make, convert, compare, redact, amend, sign, verify, encrypt and decrypt vCon files

List the transcripts and write them in other forms. Works on files and pipes, without a store. No input is ever overwritten unless --in-place says so.";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon import mailbox.mbox --out threads/
  vconductor vcon convert old.vcon --to core-04 > new.vcon
  vconductor vcon diff old.vcon new.vcon
  vconductor vcon redact call.vcon --party 1 --with-dependents > redacted.vcon
  vconductor vcon amend call.vcon --tag topic:refund > amended.vcon
  vconductor vcon sign call.vcon --key signer.pem --cert chain.pem > signed.vcon
  vconductor vcon verify signed.vcon --trust root.pem
  vconductor vcon encrypt signed.vcon --to partner.crt --out partner.vcon
  vconductor vcon decrypt partner.vcon --key partner.key | vconductor vcon verify - --trust root.pem";

/// Make, convert, compare, redact, amend, sign, verify, encrypt and decrypt vCon files
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Vcon {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Convert(convert::Convert),
    Diff(diff::Diff),
    Import(import::Import),
    Transcript(transcript::ShowTranscript),
    Redact(redact::Redact),
    Amend(amend::Amend),
    Sign(sign::Sign),
    Verify(verify::Verify),
    Encrypt(encrypt::Encrypt),
    Decrypt(decrypt::Decrypt),
}

impl Vcon {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            Action::Convert(convert) => convert.run(),
            Action::Diff(diff) => diff.run(),
            Action::Import(import) => import.run(),
            Action::Transcript(transcript) => transcript.run(),
            Action::Redact(redact) => redact.run(),
            Action::Amend(amend) => amend.run(),
            Action::Sign(sign) => sign.run(),
            Action::Verify(verify) => verify.run().await,
            Action::Encrypt(encrypt) => encrypt.run(),
            Action::Decrypt(decrypt) => decrypt.run(),
        }
    }
}
