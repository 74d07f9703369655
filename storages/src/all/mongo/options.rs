//! Options of `storage.mongo`.

use std::time::Duration;

use mongodb::options::{ConnectionString, HostInfo};
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::Period;
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

/// Writes each vCon as one document to a collection of MongoDB (4.2 or newer), or of a server that speaks its protocol.
///
/// The document is that of vcon-server: the vCon with `_id` (its uuid), and with `created_at` and the `start` of each
/// dialog as dates. It is replaced as a whole, so that removed members vanish. One member is added, `_vconductor`: the
/// revision, so that an older write never replaces a newer one, and the source text of what BSON holds in another
/// spelling or not at all (times with an offset, integers beyond 64 bits, `1e3`, names with a dot or a leading `$`).
/// Loading takes `_id` and `_vconductor` out and puts those texts back. Such an integer is a double in the document, a
/// member with such a name is not in it but in `_vconductor`. A vCon above MongoDB's limit of 16 MB is refused.
///
/// A collection that does not exist gets an index on `created_at`. One that exists is used as it is; what a collection of
/// vcon-server lacks for fast listing: `db.vcons.createIndex({created_at: 1, _id: 1})`. The user needs the role
/// `readWrite`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The server or servers as a connection string, `mongodb://` or `mongodb+srv://`, with all that MongoDB's manual
    /// knows for it: `mongodb://user:password@db.example.com/?authSource=admin&tls=true&tlsCAFile=/ca.pem`. A write counts
    /// as saved when a majority has it, unless `w` says otherwise there. Default: `mongodb://localhost:27017/`.
    pub(super) url: Secret,
    /// The database. Default: `conserver`.
    pub(super) database: String,
    /// The collection. Default: `vcons`.
    pub(super) collection: String,
    /// The longest time for an answer of the server. Default: `30s`.
    #[schemars(extend("x-result" = false))]
    pub(super) timeout: Period,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: Secret::new("mongodb://localhost:27017/"),
            database: "conserver".to_owned(),
            collection: "vcons".to_owned(),
            timeout: Period(Duration::from_secs(30)),
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        // https://www.mongodb.com/docs/manual/reference/limits/, naming restrictions.
        let database = &self.database;
        if database.is_empty() || database.len() > 63 || database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
            return Err(Error::configuration(format!("option `database`: `{}` is no name", database.escape_debug()))
                .help("use 1 to 63 characters, none of them / \\ . $ \" or a space"));
        }
        let collection = &self.collection;
        if collection.is_empty() || collection.contains(['$', '\0']) || collection.starts_with("system.") {
            return Err(Error::configuration(format!(
                "option `collection`: `{}` is no name",
                collection.escape_debug()
            ))
            .help("use letters, digits, `_`, `-` and `.`, not starting with `system.`"));
        }
        if self.timeout.0.is_zero() {
            return Err(Error::configuration("option `timeout` is 0").help("write a time such as 30s"));
        }
        Ok(())
    }

    /// The connection string, read; and the place as people name it, without secrets.
    pub(super) fn address(&self) -> Result<(ConnectionString, String)> {
        // Neither the text nor the driver's words are repeated: they may hold a password.
        let address = ConnectionString::parse(self.url.expose()).map_err(|_| {
            Error::configuration("option `url` is no connection string of MongoDB").help(
                "write mongodb://user:password@host:27017/?authSource=admin, with special characters of the password as %XX",
            )
        })?;
        let hosts = match &address.host_info {
            HostInfo::HostIdentifiers(hosts) => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                format!("mongodb://{}", hosts.join(","))
            }
            HostInfo::DnsRecord(name) => format!("mongodb+srv://{name}"),
            _ => "mongodb".to_owned(),
        };
        Ok((address, format!("{hosts}/{}.{}", self.database, self.collection)))
    }
}
