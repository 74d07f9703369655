//! `vcon decrypt`: the signed vCon inside of an encrypted one.

use clap::Args;
use vconductor_core::Error;
use vconductor_core::jose::decrypt;
use vconductor_core::vcon::Form;

use super::files::{self, Target};
use super::keys;
use crate::cli::exit::{Exit, Failure, Result};

const EXAMPLES: &str = "\
Examples:
  vconductor vcon decrypt partner.vcon --key partner.key > signed.vcon
  vconductor vcon decrypt inbox/*.vcon --key old.key --key new.key --out signed/
  vconductor vcon decrypt partner.vcon --key env:VCON_KEY | vconductor vcon verify - --trust root.pem

The result is the signed vCon: its signatures are checked by `vcon verify`.

Exit codes: 65 when a file is not encrypted, is for somebody else, or was altered.";

/// Decrypt vCons with whichever of the keys fits
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Decrypt {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// A private RSA key: a file, or env:NAME. Several are tried
    #[arg(long, required = true, value_name = "KEY")]
    key: Vec<String>,
    #[command(flatten)]
    target: Target,
}

impl Decrypt {
    pub(crate) fn run(&self) -> Result<Exit> {
        let keys = keys::read(&self.key)?;
        if keys.private().next().is_none() {
            return Err(Failure::new(Exit::Usage, "--key holds no private key"));
        }
        files::each(&self.files, &self.target, |vcon| {
            if vcon.form() != Form::Encrypted {
                return Err(Failure::new(Exit::Data, "this vCon is not encrypted"));
            }
            let decrypted = decrypt(vcon.document(), &keys).map_err(|fault| files::of_the_file(Error::from(fault)))?;
            Ok((decrypted.vcon, format!("decrypted with {}", decrypted.key)))
        })
    }
}
