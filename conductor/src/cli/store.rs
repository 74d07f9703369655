//! Which store a command works on, and opening it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vconductor_core::store::embedded::{self, EmbeddedStore};
use vconductor_core::store::redis::{self, Encoding, RedisStore};
use vconductor_core::store::{Durability, Store};

use super::exit::{Exit, Failure, Result};
use super::output;

/// Where vCons live when nobody says anything.
const FALLBACK: &str = "embedded:./vconductor-data";

/// A store's URL and who named it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    url: String,
    by: &'static str,
}

/// How a conductor's life on a store is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// Silence after which it counts as dead.
    pub(crate) lease: Duration,
    /// The crash that makes a run a dead letter.
    pub(crate) poison_at: u32,
    /// How often it sweeps.
    pub(crate) sweep: Duration,
}

/// Opens the store: `--store` over `store:` of the configuration over `REDIS_URL` over the embedded one.
pub(crate) async fn open(flag: Option<&str>, configured: Option<&str>) -> Result<Arc<dyn Store>> {
    open_place(place(&chosen(flag, configured))?, None, Durability::default()).await
}

/// Opens the store as [`open`] does, for the HTTP API, which takes in what is as safe as this.
pub(crate) async fn open_to_serve(
    flag: Option<&str>,
    configured: Option<&str>,
    durability: Durability,
) -> Result<Arc<dyn Store>> {
    open_place(place(&chosen(flag, configured))?, None, durability).await
}

/// Opens the store as [`open_to_serve`] does, for a conductor.
pub(crate) async fn open_for_work(
    flag: Option<&str>,
    configured: Option<&str>,
    durability: Durability,
    life: Life,
) -> Result<Arc<dyn Store>> {
    open_place(place(&chosen(flag, configured))?, Some(life), durability).await
}

/// Opens the store as [`open`] does, to look into it: one that is not there is not made.
pub(crate) async fn open_existing(flag: Option<&str>, configured: Option<&str>) -> Result<Arc<dyn Store>> {
    let place = place(&chosen(flag, configured))?;
    if let Place::Directory(directory) = &place
        && !directory.exists()
    {
        return Err(Failure::new(Exit::Findings, format!("there is no store in {}", directory.display()))
            .help("name another one with --store, or take vCons in with `vconductor ingest`"));
    }
    open_place(place, None, Durability::default()).await
}

/// The store that would be opened, as people name it: without secrets.
pub(crate) fn name(flag: Option<&str>, configured: Option<&str>) -> String {
    shown(&chosen(flag, configured).url)
}

/// The folder for what this machine must remember besides the store.
pub(crate) fn folder(flag: Option<&str>, configured: Option<&str>) -> Result<PathBuf> {
    Ok(match place(&chosen(flag, configured))? {
        Place::Directory(directory) => directory,
        Place::Redis(_) => PathBuf::from(FALLBACK.trim_start_matches("embedded:")),
    })
}

/// The store that a command would work on as people name it, without secrets.
pub(crate) fn shown_choice(flag: Option<&str>, configured: Option<&str>) -> String {
    shown(&chosen(flag, configured).url)
}

/// Whether there is anything to open: an embedded store is made when it is first needed.
pub(crate) fn is_there(flag: Option<&str>, configured: Option<&str>) -> bool {
    !matches!(place(&chosen(flag, configured)), Ok(Place::Directory(directory)) if !directory.exists())
}

async fn open_place(place: Place, life: Option<Life>, durability: Durability) -> Result<Arc<dyn Store>> {
    match place {
        Place::Directory(_) if durability == Durability::Replica => {
            Err(Failure::new(Exit::Configuration, "an embedded store has no replica, but `durability` is replica")
                .help("what it takes in is on the disk: set `durability` to aof, or use a store on Redis"))
        }
        Place::Directory(directory) => {
            let mut settings = embedded::Settings { dead_letter_keep: dead_letter_keep()?, ..Default::default() };
            if let Some(life) = life {
                (settings.lease, settings.poison_at) = (life.lease, life.poison_at);
            }
            Ok(EmbeddedStore::open(&directory, settings)?)
        }
        Place::Redis(url) => {
            let mut settings = redis::Settings { durability, ..redis_settings()? };
            if let Some(life) = life {
                (settings.lease, settings.poison_at) = (life.lease, life.poison_at);
                // What would expire before the sweep after next is kept, also if that one comes late.
                settings.horizon = settings.horizon.max(life.sweep * 6);
            }
            let store = RedisStore::connect(&url, settings).await?;
            if let Some(risk) = store.risk().filter(|_| life.is_some()) {
                let help =
                    "set it to `noeviction`, so that a full server refuses what is new instead of losing what waits";
                output::complain(output::WARN, "warning", risk, Some(help));
            }
            Ok(store)
        }
    }
}

/// The settings of a Redis store that vcon-server's variables name.
fn redis_settings() -> Result<redis::Settings> {
    let defaults = redis::Settings::default();
    let duration = |name: &str, default: Duration| -> Result<Duration> {
        match std::env::var(name) {
            Err(_) => Ok(default),
            Ok(text) => Ok(seconds(name, &text)?.unwrap_or(default)),
        }
    };
    let encoding = match std::env::var("VCONDUCTOR_ENCODING").as_deref() {
        Err(_) | Ok("auto") => Encoding::Auto,
        Ok("string") => Encoding::String,
        Ok("json") => Encoding::Json,
        Ok(other) => {
            return Err(Failure::new(Exit::Configuration, format!("VCONDUCTOR_ENCODING is {other:?}"))
                .help("write auto, string or json"));
        }
    };
    Ok(redis::Settings {
        dead_letter_keep: dead_letter_keep()?,
        index_keep: duration("VCON_INDEX_EXPIRY", defaults.index_keep)?,
        context_keep: duration("VCON_CONTEXT_EXPIRY", defaults.context_keep)?,
        document_keep: duration("VCON_REDIS_EXPIRY", defaults.document_keep)?,
        sorted_set: std::env::var("VCON_SORTED_SET_NAME")
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or(defaults.sorted_set),
        encoding,
        ..defaults
    })
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

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The folder of an embedded store.
    Directory(PathBuf),
    /// The URL of a Redis; may hold a password.
    Redis(String),
}

fn place(choice: &Choice) -> Result<Place> {
    let Choice { url, by } = choice;
    let refused = |why: String| Failure::new(Exit::Configuration, format!("{why} (named by {by})"));
    match url.split_once(':') {
        Some(("embedded", "")) => {
            Err(refused("store `embedded:` names no directory".to_owned()).help(format!("write {FALLBACK}")))
        }
        Some(("embedded", path)) => Ok(Place::Directory(path.into())),
        Some((scheme, _)) if scheme.starts_with("redis") || scheme.starts_with("valkey") || scheme == "unix" => {
            Ok(Place::Redis(url.clone()))
        }
        _ => Err(refused(format!("store {:?} is of no known kind", shown(url)))
            .help(format!("write embedded:DIRECTORY, for example {FALLBACK}, or redis://HOST:PORT/DATABASE"))),
    }
}

/// A URL without what may be secret in it.
fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{}", host.split('?').next().unwrap_or(host))
}

/// How long dead letters are kept.
pub(crate) fn dead_letter_keep() -> Result<Option<Duration>> {
    match std::env::var("VCON_DLQ_EXPIRY") {
        Err(_) => Ok(embedded::Settings::default().dead_letter_keep),
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
    fn a_redis_keeps_its_password_to_itself() {
        let url = "redis://user:secret@host:6379/0?password=x";
        let choice = Choice { url: url.to_owned(), by: "REDIS_URL" };
        assert_eq!(place(&choice).unwrap(), Place::Redis(url.to_owned()));
        assert_eq!(shown(url), "redis://host:6379/0");
    }

    #[test]
    fn an_embedded_store_is_a_directory() {
        let of = |url: &str| place(&Choice { url: url.to_owned(), by: "--store" });
        assert_eq!(of("embedded:/var/lib/v").unwrap(), Place::Directory("/var/lib/v".into()));
        assert!(of("embedded:").is_err());
        assert!(of("./data").is_err());
    }
}
