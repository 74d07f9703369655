//! `ingress.bandwidth`: calls, recordings and messages of Bandwidth.

mod read;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::http::{Hosts, Request};
use vconductor_core::ingress::proof::{basic, required};
use vconductor_core::ingress::{Delivery, Event, Fetcher, Media, Refused};
use vconductor_core::plugin::{Ingress, IngressPlugin};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

/// Bandwidth's own hosts: they get our credentials.
const HOSTS: [&str; 1] = ["*.bandwidth.com"];

/// Takes calls, recordings and messages of Bandwidth.
///
/// Use the address of this ingress as `recordingAvailableUrl`, as the status URL of voice applications (`disconnect`) and as the
/// callback URL of messaging applications, each with the user and password set here. A recording becomes a vCon when it is
/// available (`recordingAvailable`; `recordingComplete` comes before its file can be fetched). A call that nobody took becomes
/// one without a recording, and so does each message that came in, or went out and was delivered.
///
/// Bandwidth signs nothing: every request must carry HTTP Basic with `user` and `password`, so the address must be https.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The account's number. Callbacks of other accounts are refused.
    account: String,
    /// The user that callbacks carry.
    user: String,
    /// The password that callbacks carry.
    password: Secret,
    /// The user of Bandwidth's API, to fetch recordings.
    api_user: String,
    /// The password of Bandwidth's API.
    api_password: Secret,
    /// More hosts that recordings may be fetched from. They get no credentials.
    #[serde(default)]
    media_hosts: Vec<String>,
    /// More hosts that recordings may be fetched from with the credentials of the API, for a proxy of your own.
    #[serde(default)]
    api_hosts: Vec<String>,
}

struct Bandwidth {
    account: String,
    user: String,
    password: Secret,
    credentials: Secret,
    api_hosts: Hosts,
    media_hosts: Hosts,
}

register_ingress!(Bandwidth);

impl IngressPlugin for Bandwidth {
    const MODULE: &'static str = "ingress.bandwidth";
    const EXAMPLE: &'static str = "\
bandwidth_main:
  module: ingress.bandwidth
  list: calls
  options:
    account: \"9900000\"
    user: hooks
    password: \"${env:BANDWIDTH_HOOK_PASSWORD}\"
    api_user: \"${env:BANDWIDTH_USER}\"
    api_password: \"${env:BANDWIDTH_PASSWORD}\"
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        required("password", &options.password)?;
        required("api_password", &options.api_password)?;
        for (name, value) in [("account", &options.account), ("user", &options.user), ("api_user", &options.api_user)] {
            if value.trim().is_empty() {
                return Err(Error::configuration(format!("`{name}` is empty")).help("write it as Bandwidth has it"));
            }
        }
        if options.user.contains(':') {
            return Err(
                Error::configuration("`user` has a colon, which HTTP Basic cannot carry").help("take another one")
            );
        }
        let ours = HOSTS.into_iter().chain(options.api_hosts.iter().map(String::as_str));
        let api_hosts = Hosts::parse(ours.clone()).map_err(|error| error.within("`api_hosts`"))?;
        let more = options.media_hosts.iter().map(String::as_str);
        let media_hosts = Hosts::parse(ours.chain(more)).map_err(|error| error.within("`media_hosts`"))?;
        let credentials = STANDARD.encode(format!("{}:{}", options.api_user, options.api_password.expose()));
        Ok(Bandwidth {
            account: options.account,
            user: options.user,
            password: options.password,
            credentials: Secret::new(format!("Basic {credentials}")),
            api_hosts,
            media_hosts,
        })
    }
}

#[async_trait]
impl Ingress for Bandwidth {
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        basic(delivery, &self.user, &self.password)
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        read::events(&delivery.json()?, &self.account)
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        let request = Request::get(&media.url)?.only_to(self.media_hosts.clone());
        // Credentials are for Bandwidth alone, whatever host a callback names.
        let ours = request.url().host_str().is_some_and(|host| self.api_hosts.contains(host));
        let request =
            if ours { request.provider().secret_header("authorization", &self.credentials)? } else { request };
        fetcher.media(request).await
    }
}

#[cfg(test)]
mod tests;
