//! Keys and certificates named on the command line.

use vconductor_core::jose::Keys;

use crate::cli::exit::{Exit, Failure, Result};

/// The beginning of a name that stands for an environment variable.
const ENVIRONMENT: &str = "env:";

/// Reads all keys and certificates; each argument is a file or `env:NAME`.
///
/// # Errors
/// 2 when it is not there, 78 when it holds nothing that can be used.
pub(crate) fn read(arguments: &[String]) -> Result<Keys> {
    let mut keys = Keys::default();
    for argument in arguments {
        keys.add(Keys::read(name(argument), &source(argument)?)?);
    }
    Ok(keys)
}

/// The name under which messages and `--signer` know the key: the variable's, or the file's without folder and ending.
fn name(argument: &str) -> &str {
    match argument.strip_prefix(ENVIRONMENT) {
        Some(variable) => variable,
        None => std::path::Path::new(argument).file_stem().and_then(|stem| stem.to_str()).unwrap_or(argument),
    }
}

fn source(argument: &str) -> Result<Vec<u8>> {
    if let Some(variable) = argument.strip_prefix(ENVIRONMENT) {
        let value = std::env::var(variable).map_err(|_| {
            Failure::new(Exit::Usage, format!("the environment variable {variable} is not set"))
                .help("put the key itself (PEM or JWK) into it, or name a file")
        });
        return value.map(String::into_bytes);
    }
    std::fs::read(argument).map_err(|error| Failure::new(Exit::Usage, format!("{argument} cannot be read: {error}")))
}
