//! Options of `storage.postgres`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::Period;
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

/// The longest name of a PostgreSQL object, in bytes.
const LONGEST_NAME: usize = 63;

/// Writes vCons to a table of a PostgreSQL database, version 12 or newer.
///
/// The table is that of vcon-server: `id` and `uuid`, `vcon` (the version that the document names), `created_at` and
/// `updated_at` (UTC), `subject`, `vcon_json` (the document as JSONB). It gets two columns more: `revision`, so that an
/// older write never replaces a newer one, and `original`, which is empty but for the documents that JSONB cannot hold as
/// they are (`\u0000`, surrogates without a partner): those are loaded from it, and `vcon_json` has U+FFFD instead.
/// JSONB keeps values, not spelling: `1e3` comes back as `1000`, members come back in another order.
///
/// The table is made at the first use, with a GIN index on `vcon_json` and an index on `created_at`. A table that exists
/// is used as it is and gets the two columns; its indexes are yours. What a table of vcon-server lacks for fast listing:
/// `CREATE INDEX CONCURRENTLY ON vcons (created_at, id)`. The user needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on the
/// table, and to make it `CREATE` in the schema.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The server as `postgres://user:password@host:5432/database?sslmode=verify-full`, instead of the options `host`,
    /// `port`, `user`, `password` and `database`.
    pub(super) url: Option<Secret>,
    /// The server's name or address; a path that starts with `/` is the folder of its socket. Default: `localhost`.
    pub(super) host: Option<String>,
    /// The server's port. Default: `5432`.
    pub(super) port: Option<u16>,
    /// The user. Default: `postgres`.
    pub(super) user: Option<String>,
    /// The user's password. Default: none.
    pub(super) password: Option<Secret>,
    /// The database; it must exist. Default: `vcon_db`.
    pub(super) database: Option<String>,
    /// The table. Default: `vcons`.
    pub(super) table_name: Option<String>,
    /// Whether the connection is encrypted: `disable`, `prefer` (if the server can), `require` (encrypted, but the server's
    /// certificate is not looked at), `verify-full` (encrypted, certificate and host name are checked). Default:
    /// `verify-full` with `ca_certs`, else `prefer`.
    #[schemars(extend("x-result" = false))]
    pub(super) sslmode: Option<SslMode>,
    /// A PEM file with the authorities to trust. Default: those of the operating system.
    #[schemars(extend("x-result" = false))]
    pub(super) ca_certs: Option<PathBuf>,
    /// At most so many connections at once. Default: `8`.
    #[schemars(extend("x-result" = false))]
    pub(super) connections: Option<usize>,
    /// The longest time for an answer of the server. Default: `30s`.
    #[schemars(extend("x-result" = false))]
    pub(super) timeout: Option<Period>,
}

/// Whether a connection is encrypted, as libpq names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SslMode {
    /// Never.
    Disable,
    /// If the server can.
    Prefer,
    /// Always, with any certificate.
    Require,
    /// Always, with a certificate for this host that a trusted authority signed.
    VerifyFull,
}

/// Where the server is and how it is spoken to, checked.
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) sslmode: SslMode,
    pub(super) ca_certs: Option<PathBuf>,
    /// The server and database as people name them, without secrets.
    pub(super) place: String,
}

impl Options {
    pub(super) fn table(&self) -> Result<&str> {
        let table = self.table_name.as_deref().unwrap_or("vcons");
        if table.is_empty() || table.len() > LONGEST_NAME || table.contains('\0') {
            return Err(Error::configuration(format!("option `table_name`: `{}` is no name", table.escape_debug()))
                .help(format!("use 1 to {LONGEST_NAME} characters, without the schema (it follows `search_path`)")));
        }
        Ok(table)
    }

    pub(super) fn timeout(&self) -> Result<Duration> {
        let timeout = self.timeout.map_or(Duration::from_secs(30), |period| period.0);
        if timeout.is_zero() {
            return Err(Error::configuration("option `timeout` is 0").help("write a time such as 30s"));
        }
        Ok(timeout)
    }

    pub(super) fn connections(&self) -> Result<usize> {
        match self.connections.unwrap_or(8) {
            0 => Err(Error::configuration("option `connections` is 0").help("one is the least, 8 the default")),
            connections => Ok(connections),
        }
    }

    /// The server that they name.
    pub(super) fn target(&self) -> Result<Target> {
        let named = self.url.as_ref().filter(|url| !url.is_empty());
        let (mut config, in_url) = match named {
            Some(url) => {
                self.refuse_parts()?;
                from_url(url.expose())?
            }
            None => (self.from_parts(), InUrl::default()),
        };
        let sslmode = match in_url.sslmode {
            Some(_) if self.sslmode.is_some() => return Err(twice("sslmode")),
            Some(mode) => Some(mode),
            None => self.sslmode,
        };
        let ca_certs = match in_url.ca_certs {
            Some(_) if self.ca_certs.is_some() => return Err(twice("ca_certs")),
            Some(file) => Some(file),
            None => self.ca_certs.clone(),
        };
        let sslmode = match (sslmode, &ca_certs) {
            (None, None) => SslMode::Prefer,
            (None, Some(_)) => SslMode::VerifyFull,
            (Some(mode), Some(_)) if mode != SslMode::VerifyFull => {
                return Err(Error::configuration("option `ca_certs` has no effect with this `sslmode`")
                    .help("write `sslmode: verify-full`, or remove `ca_certs`"));
            }
            (Some(mode), _) => mode,
        };
        config.ssl_mode(match sslmode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            SslMode::Require | SslMode::VerifyFull => tokio_postgres::config::SslMode::Require,
        });
        if config.get_application_name().is_none() {
            config.application_name("vconductor");
        }
        let place = place(&config);
        Ok(Target { config, sslmode, ca_certs, place })
    }

    fn from_parts(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config
            .host(self.host.as_deref().unwrap_or("localhost"))
            .port(self.port.unwrap_or(5432))
            .user(self.user.as_deref().unwrap_or("postgres"))
            .dbname(self.database.as_deref().unwrap_or("vcon_db"));
        if let Some(password) = self.password.as_ref().filter(|password| !password.is_empty()) {
            config.password(password.expose());
        }
        config
    }

    /// Two places that say where the server is are one too many.
    fn refuse_parts(&self) -> Result<()> {
        let parts = [
            ("host", self.host.is_some()),
            ("port", self.port.is_some()),
            ("user", self.user.is_some()),
            ("password", self.password.is_some()),
            ("database", self.database.is_some()),
        ];
        match parts.iter().find(|(_, given)| *given) {
            Some((name, _)) => Err(twice(name)),
            None => Ok(()),
        }
    }
}

fn twice(name: &str) -> Error {
    Error::configuration(format!("option `{name}` says again what option `url` says"))
        .help(format!("remove `{name}`, or write all of it without `url`"))
}

/// What a URL says about TLS.
#[derive(Default)]
struct InUrl {
    sslmode: Option<SslMode>,
    ca_certs: Option<PathBuf>,
}

/// Reads a URL. Its text is never repeated: it may hold a password.
fn from_url(url: &str) -> Result<(tokio_postgres::Config, InUrl)> {
    let help = "write postgres://user:password@host:5432/database, with special characters as %XX";
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Error::configuration("option `url` is no URL of a PostgreSQL server").help(help));
    }
    // The library knows fewer values of `sslmode` than libpq, and not `sslrootcert`.
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (mut in_url, mut rest) = (InUrl::default(), Vec::new());
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", mode)) => in_url.sslmode = Some(mode_of(mode)?),
            Some(("sslrootcert", file)) => in_url.ca_certs = Some(PathBuf::from(file)),
            _ => rest.push(parameter),
        }
    }
    let address = if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
    let config: tokio_postgres::Config = address.parse().map_err(|error: tokio_postgres::Error| {
        Error::configuration("option `url` cannot be read").caused_by(error).help(help)
    })?;
    let missing = match (config.get_hosts().is_empty(), config.get_user(), config.get_dbname()) {
        (true, _, _) => "host",
        (_, None, _) => "user",
        (_, _, None) => "database",
        _ => return Ok((config, in_url)),
    };
    Err(Error::configuration(format!("option `url` names no {missing}")).help(help))
}

fn mode_of(text: &str) -> Result<SslMode> {
    Ok(match text {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(Error::configuration(format!("option `url`: sslmode `{}` is not known", text.escape_debug()))
                .help("use disable, prefer, require or verify-full"));
        }
    })
}

fn place(config: &tokio_postgres::Config) -> String {
    use tokio_postgres::config::Host;
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(number, host)| {
        let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            Host::Unix(folder) => format!("{}:{port}", folder.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}
