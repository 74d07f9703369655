//! `ingress.asterisk`: call detail records and ARI events of Asterisk.

mod read;

use std::path::PathBuf;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::http::{Request, Url};
use vconductor_core::ingress::proof::{basic, required};
use vconductor_core::ingress::{Call, Delivery, Event, Fetcher, Media, Recording, Refused};
use vconductor_core::plugin::{Ingress, IngressPlugin};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

use self::read::Reading;

/// Takes call detail records and ARI events of Asterisk.
///
/// Asterisk posts nothing by itself, so somebody does it for it: the dialplan (`CURL` in a hangup handler), a reader of the CDR table,
/// or an ARI application. Three kinds of JSON are understood: a record with the columns of `cdr_custom` (`uniqueid`, `src`, `dst`,
/// `clid`, `start`, `answer`, `duration`, `billsec`, `disposition` ...), the ARI event `RecordingFinished`, and ARI events of channels.
///
/// A record that names a recording (in one of `recording_columns`) becomes a vCon with that file, which lies below
/// `recordings`. A recording that ARI has finished is fetched from `ari`; who spoke is told by a record or an event of the same
/// channel, or asked of ARI while the channel is there. A call that nobody took becomes a vCon without a recording.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The user of HTTP Basic.
    user: String,
    /// The password of HTTP Basic.
    password: Secret,
    /// The folder below which recordings are. Without one, no file is read.
    #[serde(default)]
    recordings: Option<PathBuf>,
    /// The columns that may hold the file of the recording; the first one that is set counts.
    #[serde(default = "recording_columns")]
    recording_columns: Vec<String>,
    /// The offset from UTC of times that are written without one, for example `+02:00`. Better let Asterisk write UTC: `usegmtime` = `yes`.
    #[serde(default)]
    offset: String,
    /// The address of ARI, for example `http://pbx.example.com:8088/ari`.
    #[serde(default)]
    ari: Option<String>,
    /// The user of ARI.
    #[serde(default)]
    ari_user: String,
    /// The password of ARI.
    #[serde(default)]
    ari_password: Secret,
}

fn recording_columns() -> Vec<String> {
    ["recordingfile", "recording"].map(str::to_owned).to_vec()
}

struct Asterisk {
    user: String,
    password: Secret,
    recordings: Option<PathBuf>,
    reading: Reading,
    ari: Option<(Url, Secret)>,
}

register_ingress!(Asterisk);

impl IngressPlugin for Asterisk {
    const MODULE: &'static str = "ingress.asterisk";
    const EXAMPLE: &'static str = "\
pbx:
  module: ingress.asterisk
  list: calls
  options:
    user: asterisk
    password: \"${env:ASTERISK_HOOK_PASSWORD}\"
    recordings: /var/spool/asterisk/monitor
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        required("password", &options.password)?;
        if options.user.trim().is_empty() || options.user.contains(':') {
            return Err(Error::configuration("`user` is empty, or has a colon").help("take another one"));
        }
        if let Some(folder) = options.recordings.as_ref().filter(|folder| !folder.is_absolute()) {
            return Err(Error::configuration(format!("`recordings`: `{}` is not an absolute path", folder.display()))
                .help("write the whole path: it must not depend on where the process was started"));
        }
        let offset = read::offset(&options.offset).ok_or_else(|| {
            Error::configuration("`offset` is no offset from UTC").help("write it as +02:00, or leave it out for UTC")
        })?;
        let ari = match options.ari {
            None => None,
            Some(address) => {
                required("ari_password", &options.ari_password)?;
                let url = Url::parse(&address).ok().filter(|url| url.host_str().is_some());
                let url = url.ok_or_else(|| {
                    Error::configuration("`ari` is no URL").help("write it as http://pbx.example.com:8088/ari")
                })?;
                let credentials = STANDARD.encode(format!("{}:{}", options.ari_user, options.ari_password.expose()));
                Some((url, Secret::new(format!("Basic {credentials}"))))
            }
        };
        let reading = Reading { columns: options.recording_columns, offset };
        Ok(Asterisk { user: options.user, password: options.password, recordings: options.recordings, reading, ari })
    }
}

#[async_trait]
impl Ingress for Asterisk {
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        basic(delivery, &self.user, &self.password)
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        self.reading.events(&delivery.json()?)
    }

    /// The channel, as long as it is there.
    async fn call(&self, recording: &Recording, fetcher: &Fetcher) -> Result<Option<Call>> {
        let Some(request) = self.ari(&["channels", &recording.call.id])? else { return Ok(None) };
        let channel = fetcher.json_if_any(request).await?;
        let told = channel.map(|channel| read::channel(&channel)).filter(Call::has_parties);
        Ok(told)
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        if let Some(name) = &media.id {
            let request = self.ari(&["recordings", "stored", name, "file"])?;
            let request = request.ok_or_else(|| {
                Error::permanent("the recording is stored by ARI, and `ari` names no address")
                    .help("set `ari`, `ari_user` and `ari_password`")
            })?;
            return fetcher.media(request).await;
        }
        let Some(folder) = &self.recordings else {
            return Err(Error::permanent("the recording is a file, and `recordings` names no folder")
                .help("set `recordings` to the folder below which Asterisk's recordings are"));
        };
        fetcher.file(folder, &media.url).await
    }
}

impl Asterisk {
    /// A request of ARI; `None`: it is not set up.
    fn ari(&self, path: &[&str]) -> Result<Option<Request>> {
        let Some((base, credentials)) = &self.ari else { return Ok(None) };
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Request::get(url.as_str())?.trusted().provider().secret_header("authorization", credentials).map(Some)
    }
}

#[cfg(test)]
mod tests;
