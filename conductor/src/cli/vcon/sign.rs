//! `vcon sign`: a JWS around a vCon.

use clap::{Args, ValueEnum};
use vconductor_core::jose::{Key, SignOptions, SignatureAlgorithm, sign};

use super::files::{self, Target};
use super::keys;
use crate::cli::exit::{Exit, Failure, Result};

const EXAMPLES: &str = "\
Examples:
  vconductor vcon sign call.vcon --key signer.pem --cert chain.pem > signed.vcon
  vconductor vcon sign calls/*.vcon --key env:SIGNING_KEY --cert chain.pem --out signed/
  vconductor vcon sign call.vcon --key ours.pem --key theirs.pem --cert chains.pem --out call.signed.vcon   # two signatures
  vconductor vcon sign call.vcon --key signer.pem --x5u https://pki.example.com/chain.pem --gzip
  vconductor vcon sign old.signed.vcon --key archive.pem --cert archive.crt   # again, around the old signature

Keys are PEM (PKCS #8, PKCS #1, SEC 1) or JWK: RSA of 2048 bits or more, P-256, Ed25519. A key finds its certificate chain
by itself in whatever --key and --cert hold.";

/// Sign vCons
///
/// A signed vCon is signed again around its signatures (the draft's way to keep an archive verifiable).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sign {
    /// Files; - for stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// A private key: a file, or env:NAME. Each gives a signature
    #[arg(long, required = true, value_name = "KEY")]
    key: Vec<String>,
    /// Certificates of the signers and of those who issued them
    #[arg(long, value_name = "FILE")]
    cert: Vec<String>,
    /// The algorithm; by default RS256, ES256 or EdDSA, as the key is
    #[arg(long, value_enum, value_name = "ALGORITHM")]
    alg: Option<Algorithm>,
    /// Name this URL instead of including the certificates
    #[arg(long, value_name = "URL")]
    x5u: Option<String>,
    /// Compress the payload
    #[arg(long)]
    gzip: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Algorithm {
    #[value(name = "RS256")]
    Rs256,
    #[value(name = "PS256")]
    Ps256,
    #[value(name = "ES256")]
    Es256,
    #[value(name = "EdDSA")]
    EdDsa,
}

impl From<Algorithm> for SignatureAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => SignatureAlgorithm::Rs256,
            Algorithm::Ps256 => SignatureAlgorithm::Ps256,
            Algorithm::Es256 => SignatureAlgorithm::Es256,
            Algorithm::EdDsa => SignatureAlgorithm::EdDsa,
        }
    }
}

impl Sign {
    pub(crate) fn run(&self) -> Result<Exit> {
        let mut all = keys::read(&self.key)?;
        all.add(keys::read(&self.cert)?);
        let signers: Vec<&Key> = all.private().collect();
        if signers.is_empty() {
            return Err(Failure::new(Exit::Usage, "--key holds no private key"));
        }
        let options = SignOptions { algorithm: self.alg.map(Into::into), gzip: self.gzip, x5u: self.x5u.clone() };
        files::each(&self.files, &self.target, |vcon| {
            let signed = sign(vcon, &signers, &options).map_err(files::of_the_file)?;
            let names: Vec<_> = signers.iter().map(|key| key.name()).collect();
            Ok((signed, format!("signed by {}", names.join(", "))))
        })
    }
}
