//! Where the server is: a store's URL, and finding the master behind Sentinel.
//!
//! | URL | what it reaches |
//! |---|---|
//! | `redis://[user:password@]host[:port][/database]` | a server; `rediss://` over TLS, `valkey://` and `valkeys://` are the same |
//! | `unix:///path/to/socket[?db=1&user=..&pass=..]` | a server on this machine |
//! | `redis+sentinel://[user:password@]host[:port][,host[:port]..]/master[/database]` | the master that these Sentinels name; `rediss+sentinel://` over TLS |
//!
//! Parameters after `?`: `protocol=resp2` or `resp3`; over TLS `ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` (PEM
//! files) and `ssl_cert_reqs=none`, by the names that redis-py gives them, so that a `REDIS_URL` of vcon-server is
//! understood; for Sentinels that ask for a password of their own `sentinel_username` and `sentinel_password`.

use std::path::Path;
use std::time::Duration;

use redis::{
    Client, ClientTlsConfig, Connection, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, cmd,
};
use reqwest::Url;

use crate::error::{Error, Result};

/// Where Sentinels listen when nothing else is said.
const SENTINEL_PORT: u16 = 26379;
/// What Redis's answer to `SENTINEL get-master-addr-by-name` is read as.
type Found = Option<(String, u16)>;

/// Parameters that mean something here.
const KNOWN: [&str; 10] = [
    "protocol",
    "db",
    "user",
    "pass",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_cert_reqs",
    "sentinel_username",
    "sentinel_password",
];
/// Parameters of redis-py that say how that client works; they say nothing about the server.
const CLIENTS_OWN: [&str; 10] = [
    "decode_responses",
    "encoding",
    "health_check_interval",
    "max_connections",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "ssl_check_hostname",
    "timeout",
];

/// See the module's description.
#[derive(Debug)]
pub(super) struct Address {
    reach: Reach,
    /// The server as people name it, without secrets.
    pub(super) place: String,
}

#[derive(Debug)]
enum Reach {
    Server(Client),
    Sentinels {
        sentinels: Vec<Client>,
        master: String,
        /// How to speak with the master; host and port are put in.
        template: ConnectionInfo,
    },
}

impl Address {
    /// Reads a store's URL, and the files that it names.
    ///
    /// # Errors
    ///
    /// Configuration, if it cannot be used.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| unusable("it has no scheme"))?;
        match scheme {
            "redis" | "rediss" | "valkey" | "valkeys" => Self::server(url),
            "unix" | "redis+unix" | "valkey+unix" => Self::socket(url),
            "redis+sentinel" | "valkey+sentinel" => Self::sentinels("redis", rest),
            "rediss+sentinel" | "valkeys+sentinel" => Self::sentinels("rediss", rest),
            "redis+cluster" | "rediss+cluster" | "valkey+cluster" | "valkeys+cluster" => Err(no_cluster()),
            _ => Err(unusable("its scheme is not one of Redis")),
        }
    }

    fn server(url: &str) -> Result<Self> {
        let parts = read(url)?;
        let mut info = encrypt(info(strip(&parts).as_str())?, &parts)?;
        if let Some(db) = parameter(&parts, "db") {
            let db = db.parse().map_err(|_| unusable("`db` is not a number"))?;
            let settings = info.redis_settings().clone().set_db(db);
            info = info.set_redis_settings(settings);
        }
        let place = name(parts.scheme(), &info.addr().to_string(), info.redis_settings().db());
        Ok(Address { reach: Reach::Server(open(info)?), place })
    }

    fn socket(url: &str) -> Result<Self> {
        read(url)?;
        let info = info(url)?;
        let place = name("unix", &info.addr().to_string(), info.redis_settings().db());
        Ok(Address { reach: Reach::Server(open(info)?), place })
    }

    fn sentinels(scheme: &str, rest: &str) -> Result<Self> {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let at = if user.is_empty() { String::new() } else { format!("{user}@") };
        // The rest is that of an ordinary URL, with the master's name in front of the database.
        let parts = read(&format!("{scheme}://{at}master{rest}"))?;
        let mut path = parts.path().trim_matches('/').splitn(2, '/');
        let master = path.next().filter(|name| !name.is_empty());
        let master = master.ok_or_else(|| {
            unusable("it does not name the master").help(
                "write redis+sentinel://host:port,host:port/MASTER/database, with the name from `sentinel monitor`",
            )
        })?;
        let database = path.next().unwrap_or("0");
        let query = parts.query().map(|query| format!("?{query}")).unwrap_or_default();
        let parts = read(&format!("{scheme}://{at}master/{database}{query}"))?;
        let template = encrypt(info(strip(&parts).as_str())?, &parts)?;

        let mut own = RedisConnectionInfo::default();
        if let Some(user) = parameter(&parts, "sentinel_username") {
            own = own.set_username(user);
        }
        if let Some(password) = parameter(&parts, "sentinel_password") {
            own = own.set_password(password);
        }
        let mut sentinels = Vec::new();
        for host in hosts.split(',').filter(|host| !host.is_empty()) {
            let mut one = read(&format!("{scheme}://{host}"))?;
            if one.port().is_none() {
                // Only a URL without a host has no place for a port, and that was refused.
                one.set_port(Some(SENTINEL_PORT)).unwrap_or_default();
            }
            let info = info(one.as_str())?.set_redis_settings(own.clone());
            sentinels.push(open(at_addr(&template, info.addr()).set_redis_settings(own.clone()))?);
        }
        if sentinels.is_empty() {
            return Err(unusable("it names no Sentinel"));
        }
        let place = name(&format!("{scheme}+sentinel"), &format!("{hosts}/{master}"), template.redis_settings().db());
        Ok(Address { reach: Reach::Sentinels { sentinels, master: master.to_owned(), template }, place })
    }

    /// Whether the server is found through Sentinel and may be another one later.
    pub(super) fn moves(&self) -> bool {
        matches!(self.reach, Reach::Sentinels { .. })
    }

    /// The server to connect to now. Waits for each Sentinel at most so long; blocks.
    pub(super) fn client(&self, patience: Duration) -> RedisResult<Client> {
        match &self.reach {
            Reach::Server(client) => Ok(client.clone()),
            Reach::Sentinels { sentinels, master, template } => {
                let mut failed = None;
                for sentinel in sentinels {
                    match ask(sentinel, master, patience) {
                        Ok(Some((host, port))) => {
                            return Client::open(at_addr(template, &ConnectionAddr::Tcp(host, port)));
                        }
                        Ok(None) => {
                            let error = (
                                ErrorKind::MasterNameNotFoundBySentinel,
                                "Sentinel does not know the master",
                                master.clone(),
                            );
                            failed = Some(RedisError::from(error));
                        }
                        // What one that could be reached says is worth more.
                        Err(error) if failed.is_none() => failed = Some(error),
                        Err(_) => {}
                    }
                }
                Err(failed.unwrap_or_else(|| (ErrorKind::InvalidClientConfig, "no Sentinel").into()))
            }
        }
    }

    /// A connection that needs no runtime. Everything on it is waited for at most so long.
    pub(super) fn connect_blocking(&self, patience: Duration) -> RedisResult<Connection> {
        blocking(&self.client(patience)?, patience)
    }
}

fn ask(sentinel: &Client, master: &str, patience: Duration) -> RedisResult<Found> {
    let mut question = cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(master);
    question.query(&mut blocking(sentinel, patience)?)
}

fn blocking(client: &Client, patience: Duration) -> RedisResult<Connection> {
    let connection = client.get_connection_with_timeout(patience)?;
    connection.set_read_timeout(Some(patience))?;
    connection.set_write_timeout(Some(patience))?;
    Ok(connection)
}

/// The same way of speaking, at another place.
fn at_addr(template: &ConnectionInfo, place: &ConnectionAddr) -> ConnectionInfo {
    let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) = place else {
        return template.clone();
    };
    let addr = match template.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host.clone(), *port),
    };
    template.clone().set_addr(addr)
}

/// Reads a URL and refuses parameters that nobody knows.
fn read(url: &str) -> Result<Url> {
    let parts = Url::parse(url).map_err(|error| unusable(&error.to_string()))?;
    if let Some((unknown, _)) =
        parts.query_pairs().find(|(name, _)| !KNOWN.contains(&&**name) && !CLIENTS_OWN.contains(&&**name))
    {
        return Err(unusable(&format!("it has a parameter {unknown:?}"))
            .help(format!("known are {}", KNOWN.map(|name| format!("`{name}`")).join(", "))));
    }
    Ok(parts)
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// The URL with what the client library itself understands.
fn strip(url: &Url) -> Url {
    let mut bare = url.clone();
    let protocol = parameter(url, "protocol");
    bare.set_query(protocol.map(|protocol| format!("protocol={protocol}")).as_deref());
    if parameter(url, "ssl_cert_reqs").as_deref() == Some("none") {
        bare.set_fragment(Some("insecure"));
    }
    bare
}

fn info(url: &str) -> Result<ConnectionInfo> {
    crate::tls::decide();
    url.into_connection_info().map_err(|error| unusable(&detail(&error)))
}

fn open(info: ConnectionInfo) -> Result<Client> {
    Client::open(info).map_err(|error| unusable(&detail(&error)))
}

/// Puts in the certificates that the URL names.
fn encrypt(info: ConnectionInfo, url: &Url) -> Result<ConnectionInfo> {
    let file = |name: &str| parameter(url, name).map(|path| pem(name, &path)).transpose();
    let (root_cert, client_cert, client_key) = (file("ssl_ca_certs")?, file("ssl_certfile")?, file("ssl_keyfile")?);
    if root_cert.is_none() && client_cert.is_none() && client_key.is_none() {
        return Ok(info);
    }
    let client_tls = match (client_cert, client_key) {
        (Some(client_cert), Some(client_key)) => Some(ClientTlsConfig { client_cert, client_key }),
        (None, None) => None,
        _ => return Err(unusable("`ssl_certfile` and `ssl_keyfile` are needed together")),
    };
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(unusable("it names certificates but not TLS").help("write rediss:// (two s) for TLS"));
    }
    let client = Client::build_with_tls(info, TlsCertificates { client_tls, root_cert });
    let client = client.map_err(|error| {
        unusable(&detail(&error)).help("`ssl_ca_certs`, `ssl_certfile` and `ssl_keyfile` name PEM files")
    })?;
    Ok(client.get_connection_info().clone())
}

fn pem(name: &str, path: &str) -> Result<Vec<u8>> {
    std::fs::read(Path::new(path)).map_err(|error| {
        Error::configuration(format!("the file {path:?} of `{name}` in the Redis URL cannot be read"))
            .help("look at its name and rights")
            .caused_by(error)
    })
}

fn name(scheme: &str, at: &str, db: i64) -> String {
    if db == 0 { format!("{scheme}://{at}") } else { format!("{scheme}://{at}/{db}") }
}

fn no_cluster() -> Error {
    Error::configuration("the store does not work on a Redis Cluster").help(super::probe::INSTEAD_OF_A_CLUSTER)
}

/// The text of a client error; it names kinds and numbers, never the URL.
fn detail(error: &RedisError) -> String {
    error.detail().map_or_else(|| error.to_string(), str::to_owned)
}

fn unusable(why: &str) -> Error {
    Error::configuration(format!("the Redis URL cannot be used: {why}")).help(
        "write redis://[user:password@]host[:port][/database], rediss:// for TLS, unix:///path for a socket, \
         or redis+sentinel://host:port,host:port/master/database",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> String {
        Address::parse(url).map_or_else(|error| error.chain_text(), |address| address.place)
    }

    #[test]
    fn places_are_named_without_secrets() {
        assert_eq!(place("redis://host"), "redis://host:6379");
        assert_eq!(place("redis://user:secret@host:7/3?protocol=resp3"), "redis://host:7/3");
        assert_eq!(place("redis://host?db=4"), "redis://host:6379/4");
        assert_eq!(place("rediss://:secret@host"), "rediss://host:6379");
        assert_eq!(place("valkey://host/0"), "valkey://host:6379");
        assert_eq!(place("unix:///run/redis.sock?db=2&pass=secret"), "unix:///run/redis.sock/2");
        assert_eq!(place("redis+sentinel://u:secret@a,b:7/main/2"), "redis+sentinel://a,b:7/main/2");
        assert_eq!(place("rediss+sentinel://a/main?sentinel_password=secret"), "rediss+sentinel://a/main");
        assert_eq!(place("redis://host?socket_timeout=5&decode_responses=True"), "redis://host:6379");
    }

    #[test]
    fn what_cannot_be_used_is_refused_and_keeps_its_secrets() {
        for (url, why) in [
            ("redis://u:secret@host/x", "database"),
            ("redis://u:secret@host?protokol=resp3", "protokol"),
            ("redis://u:secret@host?protocol=resp4", "resp4"),
            ("redis://u:secret@host:port", "port"),
            ("http://u:secret@host", "scheme"),
            ("redis+cluster://u:secret@host:7000,other:7000", "Redis Cluster"),
            ("redis://u:secret@host?ssl_ca_certs=/nowhere.pem", "/nowhere.pem"),
            ("redis+sentinel://u:secret@a,b", "master"),
            ("redis+sentinel://u:secret@/main", "Sentinel"),
        ] {
            let error = Address::parse(url).expect_err(url);
            let text = error.chain_text();
            assert_eq!(error.class(), crate::error::Class::Configuration);
            assert!(text.contains(why) && !text.contains("secret"), "{url}: {text}");
            assert!(error.help_text().is_some(), "{url}");
        }
    }

    #[test]
    fn sentinels_have_their_own_password_and_port() {
        let address = Address::parse("redis+sentinel://u:p@a,b:7/main/2?sentinel_password=s").unwrap();
        let Reach::Sentinels { sentinels, master, template } = &address.reach else { panic!("no Sentinels") };
        assert_eq!(master, "main");
        assert_eq!((template.redis_settings().username(), template.redis_settings().db()), (Some("u"), 2));
        let places: Vec<_> = sentinels.iter().map(|client| client.get_connection_info().addr().to_string()).collect();
        assert_eq!(places, ["a:26379", "b:7"]);
        let own = sentinels[0].get_connection_info().redis_settings();
        assert_eq!((own.username(), own.password(), own.db()), (None, Some("s"), 0));
    }
}
