//! `vcon`: work on single vCon files.

mod decrypt;
mod encrypt;
mod files;
pub(super) mod keys;
mod sign;
mod verify;

use clap::{Args, Subcommand};

use super::exit::{Exit, Result};

const ABOUT: &str = "\
Sign, verify, encrypt and decrypt vCon files

Works on files and pipes, without a store. No input is ever overwritten unless --in-place says so.";

const EXAMPLES: &str = "\
Examples:
  vconductor vcon sign call.vcon --key signer.pem --cert chain.pem > signed.vcon
  vconductor vcon verify signed.vcon --trust root.pem
  vconductor vcon encrypt signed.vcon --to partner.crt --out partner.vcon
  vconductor vcon decrypt partner.vcon --key partner.key | vconductor vcon verify - --trust root.pem";

/// Sign, verify, encrypt and decrypt vCon files
#[derive(Debug, Args)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Vcon {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Sign(sign::Sign),
    Verify(verify::Verify),
    Encrypt(encrypt::Encrypt),
    Decrypt(decrypt::Decrypt),
}

impl Vcon {
    pub(crate) async fn run(&self) -> Result<Exit> {
        match &self.action {
            Action::Sign(sign) => sign.run(),
            Action::Verify(verify) => verify.run().await,
            Action::Encrypt(encrypt) => encrypt.run(),
            Action::Decrypt(decrypt) => decrypt.run(),
        }
    }
}
