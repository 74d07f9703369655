//! `ingress.freeswitch`: the call detail records of FreeSWITCH's mod_json_cdr.

mod read;

use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::http::{Hosts, Request};
use vconductor_core::ingress::proof::{basic, required};
use vconductor_core::ingress::{Delivery, Event, Fetcher, Media, Refused};
use vconductor_core::plugin::{Ingress, IngressPlugin};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

use self::read::Reading;

/// Takes the call detail records of FreeSWITCH's mod_json_cdr.
///
/// Set its `url` to the address of this ingress, `auth-scheme` to `basic` and `cred` to user and password. Every form of `encode` is
/// understood. A call with a recording becomes a vCon with it; one that nobody took becomes a vCon without; one that went well
/// and was not recorded makes none. The recording is the value of one of `recording_variables`, or else what the call's
/// log of applications says that `record_session` wrote.
///
/// A recording is a file below `recordings`, which this process must be able to read, or a URL on one of `media_hosts`. With
/// several servers, mount their folders below one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The user in `cred`.
    user: String,
    /// The password in `cred`.
    password: Secret,
    /// The folder below which recordings are. Without one, no file is read.
    #[serde(default)]
    recordings: Option<PathBuf>,
    /// The hosts that recordings are fetched from: `media.example.com`, or `*.example.com` for all names below one.
    #[serde(default)]
    media_hosts: Vec<String>,
    /// The channel variables that may hold the file or the URL of the recording; the first one that is set counts.
    #[serde(default = "recording_variables")]
    recording_variables: Vec<String>,
    /// Whether values are URL-encoded, as mod_json_cdr's `encode-values` has it.
    #[serde(default = "yes")]
    encode_values: bool,
}

fn recording_variables() -> Vec<String> {
    ["recording_url", "record_file", "recording_file", "cc_record_filename"].map(str::to_owned).to_vec()
}

fn yes() -> bool {
    true
}

struct FreeSwitch {
    user: String,
    password: Secret,
    recordings: Option<PathBuf>,
    media_hosts: Hosts,
    reading: Reading,
}

register_ingress!(FreeSwitch);

impl IngressPlugin for FreeSwitch {
    const MODULE: &'static str = "ingress.freeswitch";
    const EXAMPLE: &'static str = "\
pbx:
  module: ingress.freeswitch
  list: calls
  options:
    user: freeswitch
    password: \"${env:FREESWITCH_CDR_PASSWORD}\"
    recordings: /var/lib/freeswitch/recordings
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        required("password", &options.password)?;
        if options.user.trim().is_empty() || options.user.contains(':') {
            return Err(Error::configuration("`user` is empty, or has a colon")
                .help("write what stands before the colon of `cred`"));
        }
        if let Some(folder) = options.recordings.as_ref().filter(|folder| !folder.is_absolute()) {
            return Err(Error::configuration(format!("`recordings`: `{}` is not an absolute path", folder.display()))
                .help("write the whole path: it must not depend on where the process was started"));
        }
        let media_hosts = Hosts::parse(&options.media_hosts).map_err(|error| error.within("`media_hosts`"))?;
        let reading = Reading { variables: options.recording_variables, encoded: options.encode_values };
        Ok(FreeSwitch {
            user: options.user,
            password: options.password,
            recordings: options.recordings,
            media_hosts,
            reading,
        })
    }
}

#[async_trait]
impl Ingress for FreeSwitch {
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        basic(delivery, &self.user, &self.password)
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        self.reading.events(&read::record(delivery)?)
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        if media.url.starts_with("http://") || media.url.starts_with("https://") {
            return fetcher.media(Request::get(&media.url)?.only_to(self.media_hosts.clone())).await;
        }
        let Some(folder) = &self.recordings else {
            return Err(Error::permanent("the recording is a file, and `recordings` names no folder")
                .help("set `recordings` to the folder below which FreeSWITCH's recordings are"));
        };
        fetcher.file(folder, &media.url).await
    }
}

#[cfg(test)]
mod tests;
