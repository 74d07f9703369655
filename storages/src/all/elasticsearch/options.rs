//! Options of `storage.elasticsearch`.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::Period;
use vconductor_core::migrate::Egress;
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result};

/// Writes the parts of each vCon to indices of Elasticsearch (8 or 9) or OpenSearch (2), to be searched.
///
/// Every party, dialog, analysis and attachment is a document of its own, with id `<uuid>_<position>`: in
/// `<index_prefix>vcon_parties_<role>` (or `vcon_parties` without a role), `vcon_dialog`, `vcon_analysis_<type>` and
/// `vcon_attachments_<type>`, as vcon-server has it. JSON bodies are written as JSON, so that their members can be
/// searched; each document also says `vcon_id`, `started_at` (the start of the first dialog) and `tenant_id`. A part that
/// does not fit the mapping that its index has grown is written with its body as text in `body_text`, or, where even that
/// does not fit, as text in `part_text`. Other than vcon-server it writes vCons without a dialog, too, and a delete takes
/// the parts of that uuid alone. Parts that a newer revision does not have are removed.
/// `<index_prefix>vcon_revisions` remembers revision, time and parts of every vCon; an older revision never replaces a
/// newer one. Of a signed or encrypted vCon only that is written: its parts are not known, or not proven. The user needs
/// the rights `create_index`, `index`, `delete`, `read` and `maintenance` on `<index_prefix>vcon_*`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Options {
    /// The server, for example `https://search.example.com:9200`. Either this or `cloud_id` must be given.
    pub(super) url: String,
    /// The id of a deployment on Elastic Cloud, instead of `url`.
    pub(super) cloud_id: String,
    /// An API key, as Elasticsearch shows it (`encoded`).
    pub(super) api_key: Option<Secret>,
    /// The user, where there is no API key.
    pub(super) username: String,
    /// The user's password.
    pub(super) password: Option<Secret>,
    /// A file with the certificates of the authorities to trust beside the public ones (PEM).
    #[schemars(extend("x-result" = false))]
    pub(super) ca_certs: Option<PathBuf>,
    /// Whether the server's certificate is checked. `false` lets anybody between us and the server read and change
    /// everything. Default: `true`.
    #[schemars(extend("x-result" = false))]
    pub(super) verify: bool,
    /// What the names of indices start with; lower case.
    pub(super) index_prefix: String,
    /// Whether the whole document is kept as well, so that vCons can be read back from here. It is not searchable and
    /// doubles the space. Default: `false`, as vcon-server has it.
    pub(super) documents: bool,
    /// Whether an index template is installed, under which dates and numbers that are none do not make the mapping refuse
    /// a part. Needs the right `manage_index_templates`. Default: `false`.
    pub(super) index_template: bool,
    /// The longest time for an answer of the server. Default: `60s`.
    #[schemars(extend("x-result" = false))]
    pub(super) timeout: Period,
    /// In which form vCons are split: `as_is` (the default), `0.0.1` (the names of that version, as vcon-server's egress
    /// writes them), `string-bodies` (as vcon-server stores it) or `core-04` (the newest draft).
    pub(super) format: Egress,
    /// Accepted and not used, as in vcon-server.
    pub(super) index: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: String::new(),
            cloud_id: String::new(),
            api_key: None,
            username: String::new(),
            password: None,
            ca_certs: None,
            verify: true,
            index_prefix: String::new(),
            documents: false,
            index_template: false,
            timeout: Period(Duration::from_secs(60)),
            format: Egress::AsIs,
            index: None,
        }
    }
}

impl Options {
    /// The options with what is empty taken as not given, as an empty variable of the environment leaves it.
    pub(super) fn checked(mut self) -> Result<Self> {
        for secret in [&mut self.api_key, &mut self.password] {
            *secret = secret.take().filter(|secret| !secret.is_empty());
        }
        self.ca_certs = self.ca_certs.take().filter(|path| !path.as_os_str().is_empty());
        self.index_prefix = self.index_prefix.trim().to_owned();
        let wrong = |message: &str, help: &str| Err(Error::configuration(message).help(help));
        match (self.url.is_empty(), self.cloud_id.is_empty()) {
            (true, true) => {
                return wrong("neither option `url` nor `cloud_id` is given", "write url: https://host:9200");
            }
            (false, false) if self.api_key.is_some() => self.url.clear(),
            (false, false) => return wrong("options `url` and `cloud_id` are both given", "take one of them out"),
            _ => {}
        }
        let known = self.url.is_empty() || self.url.starts_with("https://") || self.url.starts_with("http://");
        // The text is not repeated: it may hold a password.
        if !known || self.url.contains('@') {
            return wrong(
                "option `url` is no URL of a server",
                "write https://host:9200; user and password go to `username` and `password`",
            );
        }
        if self.api_key.as_ref().is_some_and(|key| !key.expose().bytes().all(|byte| byte.is_ascii_graphic())) {
            return wrong(
                "option `api_key` is no API key",
                "write the value `encoded` that Elasticsearch showed, in one line",
            );
        }
        if self.username.is_empty() && self.password.is_some() {
            return wrong("option `password` is given without `username`", "name the user");
        }
        if self.timeout.0.is_zero() {
            return wrong("option `timeout` is 0", "write a time such as 60s");
        }
        let prefix = &self.index_prefix;
        let forbidden = |c: char| c.is_uppercase() || c.is_control() || "\\/*?\"<>| ,#:".contains(c);
        if prefix.starts_with(['-', '_', '+', '.']) || prefix.contains(forbidden) || prefix.len() > 100 {
            return wrong(
                "option `index_prefix` cannot begin the name of an index",
                "use small letters, digits, `-` and `_`, and begin with a letter or digit",
            );
        }
        Ok(self)
    }
}
