//! The options of the HTTP API, the same for every command that serves it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use vconductor_core::config::{Config, parse_size};
use vconductor_core::http::HttpClient;
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Asked, Registry, Storage};
use vconductor_core::secret::Secret;
use vconductor_core::store::Durability;

use super::configuration::Configuration;
use super::exit::{Exit, Failure, Result};
use super::{rewrite, store};
use crate::api::{Configured, Jwt, JwtSource, Keys, Limits, Settings, TlsFiles};

/// Room for bodies, in bodies of the largest size.
const BODIES: usize = 4;

/// How the HTTP API is served.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "HTTP API")]
pub(crate) struct Options {
    /// The certificate with which it speaks TLS, and those between it and its root (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Take tokens (JWT) that were signed with a key of this set (JWKS); tokens of a shared secret: VCONDUCTOR_JWT_SECRET
    #[arg(long, value_name = "FILE|URL")]
    jwt_keys: Option<String>,
    /// What `iss` of a token must be
    #[arg(long, value_name = "TEXT")]
    jwt_issuer: Option<String>,
    /// What `aud` of a token must name
    #[arg(long, value_name = "TEXT")]
    jwt_audience: Option<String>,
    /// The largest body, also after inflation
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64MB")]
    max_body: usize,
    /// At most so many calls per second with one key; more are refused with 429
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate_limit: Option<u32>,
    /// Refuse vCons for a list with 429 while N wait on it; may be given several times
    #[arg(long, value_name = "LIST=N", value_parser = list_limit)]
    list_limit: Vec<(String, u64)>,
    /// How safe a vCon must be before it is answered with 2xx: memory (the store has it), aof (it is in Redis's file, on the
    /// disk), replica (a replica of Redis has it, too); goes over `durability:` in the configuration. The embedded store
    /// always is at aof
    #[arg(long, value_name = "LEVEL", value_parser = str::parse::<Durability>)]
    durability: Option<Durability>,
    /// Write calls that change something or are refused to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    audit_log: Option<PathBuf>,
}

impl Options {
    /// The API as the options, the environment and the configuration ask for it.
    pub(crate) fn settings(
        &self,
        address: SocketAddr,
        configuration: Option<&Configuration>,
        registry: &Registry,
    ) -> Result<Settings> {
        let mut settings = Settings::new(address, Keys::from_environment()?);
        settings.jwt = self.jwt()?;
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        settings.tls = files.map(|(certificate, key)| TlsFiles { certificate, key });
        let defaults = Limits::default();
        let bodies = defaults.bodies.max(self.max_body.saturating_mul(BODIES));
        settings.limits = Limits { body: self.max_body, bodies, calls_per_second: self.rate_limit, ..defaults };
        settings.list_limits = self.list_limit.iter().cloned().collect();
        settings.audit.clone_from(&self.audit_log);
        settings.form = form()?;
        if let Ok(text) = std::env::var("VCON_REDIS_EXPIRY") {
            settings.keep = store::seconds("VCON_REDIS_EXPIRY", &text)?;
        }
        if let Some((configuration, config)) = configuration.and_then(|all| Some((all, all.usable()?))) {
            let Configured { configuration, ingress_auth, lists, storages } =
                configured(configuration, config, registry, true);
            settings.configuration = Some(configuration);
            (settings.ingress_auth, settings.lists) = (ingress_auth, lists);
            settings.storages = storages.unwrap_or_default();
        }
        Ok(settings)
    }
}

impl Options {
    /// How safe a vCon must be before it is answered with 2xx.
    pub(crate) fn durability(&self, config: Option<&Config>) -> Durability {
        self.durability.or_else(|| config?.durability).unwrap_or_default()
    }

    fn jwt(&self) -> Result<Option<Jwt>> {
        let secret = std::env::var("VCONDUCTOR_JWT_SECRET").ok().filter(|secret| !secret.is_empty());
        let source = match (&self.jwt_keys, secret) {
            (None, None) if self.jwt_issuer.is_some() || self.jwt_audience.is_some() => {
                return Err(Failure::new(Exit::Usage, "an issuer or audience of tokens, but no keys for them")
                    .help("name them with --jwt-keys, or set VCONDUCTOR_JWT_SECRET"));
            }
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return Err(Failure::new(Exit::Usage, "--jwt-keys and VCONDUCTOR_JWT_SECRET are both there")
                    .help("tokens are signed with key pairs or with a secret: keep one of them"));
            }
            (None, Some(secret)) => JwtSource::Secret(Secret::new(secret)),
            (Some(place), None) if place.starts_with("https://") || place.starts_with("http://") => {
                JwtSource::Url(place.clone(), HttpClient::builder().build()?)
            }
            (Some(place), None) => JwtSource::File(PathBuf::from(place)),
        };
        let (issuer, audience) = (self.jwt_issuer.clone(), self.jwt_audience.clone());
        Ok(Some(Jwt { source, issuer, audience }))
    }
}

/// What of the API a configuration decides; with its storages, if they are asked for.
pub(crate) fn configured(
    configuration: &Configuration,
    config: &Config,
    registry: &Registry,
    with_storages: bool,
) -> Configured {
    Configured {
        configuration: rewrite::for_api(configuration, config),
        ingress_auth: config.ingress_auth.clone(),
        lists: lists(config),
        storages: with_storages.then(|| storages(config, registry)),
    }
}

/// The lists that a configuration names.
fn lists(config: &Config) -> BTreeSet<String> {
    let of_chains = config.chains.iter().flat_map(|chain| chain.ingress_lists.iter().chain(&chain.egress_lists));
    let names = of_chains.chain(config.ingress_auth.iter().map(|auth| &auth.list));
    names.map(|name| name.value.clone()).collect()
}

/// The storages of a configuration in its order. What is wrong with one was told when the configuration was checked.
fn storages(config: &Config, registry: &Registry) -> Vec<(String, Arc<dyn Storage>)> {
    let build = |storage: &vconductor_core::config::PluginConfig| {
        let entry = registry.storage(&storage.module)?;
        let asked =
            Asked { name: &storage.name, module: &storage.module, options: &storage.options, mode: &config.mode };
        Some((storage.name.value.clone(), (entry.configure)(asked, &mut Vec::new())?))
    };
    config.storages.iter().filter_map(build).collect()
}

/// The form in which vCons are handed out, by vcon-server's variable.
fn form() -> Result<Egress> {
    let Ok(text) = std::env::var("EGRESS_FORMAT_VERSION") else { return Ok(Egress::AsIs) };
    serde_json::from_value(serde_json::Value::String(text.trim().to_owned())).map_err(|_| {
        Failure::new(Exit::Configuration, format!("EGRESS_FORMAT_VERSION is {text:?}"))
            .help("write 0.0.1, string-bodies, core-04 or as_is, or leave it out")
    })
}

fn size(text: &str) -> Result<usize, String> {
    let bytes = parse_size(text).and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "write a number with a unit, for example 64MB or 1GB".to_owned())
}

fn list_limit(text: &str) -> Result<(String, u64), String> {
    let parsed = text.rsplit_once('=').and_then(|(list, most)| Some((list.to_owned(), most.parse().ok()?)));
    parsed.filter(|(list, _)| !list.is_empty()).ok_or_else(|| "write LIST=N, for example calls=10000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_people_write_them() {
        assert_eq!(list_limit("calls=10"), Ok(("calls".to_owned(), 10)));
        assert_eq!(list_limit("a=b=10"), Ok(("a=b".to_owned(), 10)));
        assert!(list_limit("calls").is_err() && list_limit("=1").is_err() && list_limit("calls=x").is_err());
        assert_eq!(size("2MB"), Ok(2 << 20));
        assert!(size("0").is_err() && size("much").is_err());
    }
}
