//! Which store a command works on, and opening it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vconductor_core::store::Store;
use vconductor_core::store::embedded::{EmbeddedStore, Settings};

use super::exit::{Exit, Failure, Result};

/// Where vCons live when nobody says anything.
const FALLBACK: &str = "embedded:./vconductor-data";

/// A store's URL and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    url: String,
    by: &'static str,
}

/// Opens the store: `--store` over `store:` of the configuration over `REDIS_URL` over the embedded one.
pub(crate) fn open(flag: Option<&str>, configured: Option<&str>) -> Result<Arc<dyn Store>> {
    let settings = Settings { dead_letter_keep: dead_letter_keep()?, ..Settings::default() };
    let store = EmbeddedStore::open(&directory(&chosen(flag, configured))?, settings)?;
    Ok(store)
}

/// Opens the store as [`open`] does, to look into it: one that is not there is not made.
pub(crate) fn open_existing(flag: Option<&str>, configured: Option<&str>) -> Result<Arc<dyn Store>> {
    let directory = directory(&chosen(flag, configured))?;
    if !directory.exists() {
        return Err(Failure::new(Exit::Findings, format!("there is no store in {}", directory.display()))
            .help("name another one with --store, or take vCons in with `vconductor ingest`"));
    }
    open(flag, configured)
}

fn chosen(flag: Option<&str>, configured: Option<&str>) -> Choice {
    choose(flag, configured, std::env::var("REDIS_URL").ok().as_deref())
}

fn choose(flag: Option<&str>, configured: Option<&str>, environment: Option<&str>) -> Choice {
    let named = |url: Option<&str>, by| {
        let url = url.map(str::trim).filter(|url| !url.is_empty())?;
        Some(Choice { url: url.to_owned(), by })
    };
    named(flag, "--store")
        .or_else(|| named(configured, "`store:` in the configuration"))
        .or_else(|| named(environment, "REDIS_URL"))
        .unwrap_or_else(|| Choice { url: FALLBACK.to_owned(), by: "default" })
}

/// The directory of an embedded store.
fn directory(choice: &Choice) -> Result<PathBuf> {
    let Choice { url, by } = choice;
    let refused = |why: String| Failure::new(Exit::Configuration, format!("{why} (named by {by})"));
    match url.split_once(':') {
        Some(("embedded", "")) => {
            Err(refused("store `embedded:` names no directory".to_owned()).help(format!("write {FALLBACK}")))
        }
        Some(("embedded", path)) => Ok(path.into()),
        Some(("redis" | "rediss" | "unix" | "redis+unix", _)) => {
            Err(refused(format!("store {} is a Redis, and this build has only the embedded store", shown(url)))
                .help(format!("add --store {FALLBACK} to work without a server; it beats all other settings")))
        }
        _ => Err(refused(format!("store {url:?} is of no known kind"))
            .help(format!("write embedded:DIRECTORY, for example {FALLBACK}"))),
    }
}

/// A URL without what may be secret in it.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{}", host.split('?').next().unwrap_or(host))
}

/// How long dead letters are kept.
fn dead_letter_keep() -> Result<Option<Duration>> {
    match std::env::var("VCON_DLQ_EXPIRY") {
        Err(_) => Ok(Settings::default().dead_letter_keep),
        Ok(text) => seconds("VCON_DLQ_EXPIRY", &text),
    }
}

/// A number of seconds in a variable; 0 means for ever.
pub(crate) fn seconds(name: &str, text: &str) -> Result<Option<Duration>> {
    match text.trim().parse() {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
        Err(_) => Err(Failure::new(Exit::Configuration, format!("{name} is not a number of seconds: {text:?}"))
            .help("0 means for ever; leave the variable out for the default")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_names_the_store() {
        let (flag, configured, environment) = (Some("embedded:a"), Some("embedded:b"), Some("redis://c"));
        assert_eq!(choose(flag, configured, environment).url, "embedded:a");
        assert_eq!(choose(None, configured, environment).url, "embedded:b");
        assert_eq!(choose(None, Some(" "), environment).by, "REDIS_URL");
        assert_eq!(choose(None, None, Some("")).url, FALLBACK);
    }

    #[test]
    fn a_redis_is_refused_without_its_password() {
        let choice = Choice { url: "redis://user:secret@host:6379/0?password=x".to_owned(), by: "REDIS_URL" };
        let Err(Failure::Told { exit, message, help }) = directory(&choice) else { panic!("it was accepted") };
        assert_eq!(exit, Exit::Configuration);
        assert_eq!(
            message,
            "store redis://host:6379/0 is a Redis, and this build has only the embedded store (named by REDIS_URL)"
        );
        assert!(help.unwrap().contains("--store embedded:"));
    }

    #[test]
    fn an_embedded_store_is_a_directory() {
        let of = |url: &str| directory(&Choice { url: url.to_owned(), by: "--store" });
        assert_eq!(of("embedded:/var/lib/v").unwrap(), PathBuf::from("/var/lib/v"));
        assert!(of("embedded:").is_err());
        assert!(of("./data").is_err());
    }
}
