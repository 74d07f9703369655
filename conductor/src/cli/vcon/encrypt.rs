//! `vcon encrypt`: a JWE around a signed vCon.

use clap::{Args, ValueEnum};
use vconductor_core::jose::{ContentEncryption, EncryptOptions, Key, KeyEncryption, encrypt};

use super::files::{self, Target};
use super::keys;
use crate::cli::exit::{Exit, Result};

const EXAMPLES: &str = "\
Examples:
  vconductor vcon encrypt signed.vcon --to partner.crt --out partner.vcon
  vconductor vcon encrypt signed.vcon --to partner.crt --to archive.jwk --enc A256GCM > both.vcon
  vconductor vcon sign call.vcon --key signer.pem | vconductor vcon encrypt - --to partner.crt --gzip > partner.vcon";

/// Encrypt signed vCons, for one recipient or several
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Encrypt {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Who can read it: a certificate or a public RSA key, as a file or env:NAME
    #[arg(long, required = true, value_name = "KEY")]
    to: Vec<String>,
    /// How the content is encrypted
    #[arg(long, value_enum, default_value = "A256CBC-HS512", value_name = "ALGORITHM")]
    enc: Content,
    /// How the content's key is encrypted
    #[arg(long, value_enum, default_value = "RSA-OAEP", value_name = "ALGORITHM")]
    alg: Wrapping,
    /// Compress before
    #[arg(long)]
    gzip: bool,
    /// Write `enc` into a protected header, for readers that look for it only there (joserfc)
    #[arg(long)]
    protect_enc: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Content {
    #[value(name = "A256CBC-HS512")]
    A256CbcHs512,
    #[value(name = "A256GCM")]
    A256Gcm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wrapping {
    #[value(name = "RSA-OAEP")]
    RsaOaep,
    #[value(name = "RSA-OAEP-256")]
    RsaOaep256,
}

impl Encrypt {
    pub(crate) fn run(&self) -> Result<Exit> {
        let all = keys::read(&self.to)?;
        let recipients: Vec<&Key> = all.keys().iter().collect();
        let content = match self.enc {
            Content::A256CbcHs512 => ContentEncryption::A256CbcHs512,
            Content::A256Gcm => ContentEncryption::A256Gcm,
        };
        let key = match self.alg {
            Wrapping::RsaOaep => KeyEncryption::RsaOaep,
            Wrapping::RsaOaep256 => KeyEncryption::RsaOaep256,
        };
        let options = EncryptOptions { content, key, gzip: self.gzip, protect_enc: self.protect_enc };
        files::each(&self.files, &self.target, |vcon| {
            let encrypted = encrypt(vcon, &recipients, &options).map_err(files::of_the_file)?;
            let names: Vec<_> = recipients.iter().map(|key| key.name()).collect();
            Ok((encrypted, format!("encrypted for {}", names.join(", "))))
        })
    }
}
