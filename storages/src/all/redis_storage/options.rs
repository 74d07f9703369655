//! Options of `storage.redis_storage`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::{self, Code, Finding, Period, Value};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

/// Where vcon-server looks for its Redis when nobody says anything.
const FALLBACK: &str = "redis://localhost:6379";

/// Writes each vCon to a string key on a Redis (6.2 or newer) or Valkey server.
///
/// The key is `<prefix>:<uuid>`, the value is the document byte for byte, the key expires after `expires`. Revisions and
/// an index by `created_at` lie beside it under names that start with `{<prefix>}:`; a user with an ACL needs both
/// patterns. What vcon-server wrote before is loaded and deleted like the rest, but not listed. A vCon is as safe as the
/// server makes it: against a crash of Redis itself set `appendfsync always` there.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The server: `redis://[user:password@]host[:port][/database]`, or `rediss://` for TLS. Default: the variable
    /// `REDIS_URL`, else `redis://localhost:6379`. In a file that is read as vcon-server reads it this option has no
    /// effect, as it has none there.
    pub(super) redis_url: Option<Secret>,
    /// What the keys start with. Default: `vcon_storage`.
    pub(super) prefix: String,
    /// How long a vCon is kept after it was last saved, in seconds or as `7d`; `0` keeps it for ever. Default: `604800`, a
    /// week.
    pub(super) expires: Period,
    /// The longest time for an answer of the server. Default: `30s`.
    #[schemars(extend("x-result" = false))]
    pub(super) timeout: Period,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            redis_url: None,
            prefix: "vcon_storage".to_owned(),
            expires: Period(Duration::from_secs(604_800)),
            timeout: Period(Duration::from_secs(30)),
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        if self.prefix.is_empty() {
            return Err(Error::configuration("option `prefix` is empty").help("name what the keys start with"));
        }
        if self.prefix == "vcon" {
            return Err(Error::configuration("option `prefix` is `vcon`, where conversations at work live")
                .help("choose another one, for example `vcon_storage`"));
        }
        if self.timeout.0.is_zero() {
            return Err(Error::configuration("option `timeout` is 0").help("write a time such as 30s"));
        }
        if !self.expires.0.is_zero() && self.expires.0 < Duration::from_secs(1) {
            return Err(Error::configuration("option `expires` is less than a second")
                .help("write a time such as 7d, or 0 to keep vCons for ever"));
        }
        Ok(())
    }

    /// The server's URL.
    pub(super) fn url(&self) -> Result<Secret> {
        let named = self.redis_url.clone().filter(|url| !url.is_empty());
        let environment = || std::env::var("REDIS_URL").ok().filter(|url| !url.trim().is_empty()).map(Secret::new);
        let url = named.or_else(environment).unwrap_or_else(|| Secret::new(FALLBACK));
        let known = ["redis://", "rediss://", "valkey://", "valkeys://", "unix://", "redis+unix://"];
        if known.iter().any(|scheme| url.expose().starts_with(scheme)) {
            return Ok(url);
        }
        // The text is not repeated: it may hold a password.
        Err(Error::configuration("option `redis_url` is no URL of a Redis server")
            .help("write redis://[user:password@]host[:port][/database], or rediss:// for TLS"))
    }
}

/// vcon-server ignores `redis_url` and writes to the Redis that it works on, so a URL that was copied from somewhere
/// must not take effect when the program is changed.
pub(super) fn as_vcon_server(mut options: config::Options, findings: &mut Vec<Finding>) -> config::Options {
    let Value::Mapping(entries) = &mut options.node.value else { return options };
    if let Some(index) = entries.iter().position(|(key, _)| key.name == "redis_url") {
        let (key, _) = entries.remove(index);
        let message = format!("compatibility mode: `{}.redis_url` has no effect, `REDIS_URL` has", options.path);
        findings.push(Finding::warning(Code::Compatibility, &key.span, message).help(
            "remove it, or use one of vConductor's keys (for example a top-level `store:`) to give it its effect",
        ));
    }
    options
}
