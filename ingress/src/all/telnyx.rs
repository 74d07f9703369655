//! `ingress.telnyx`: calls, recordings and messages of Telnyx.

mod read;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use vconductor_core::http::signature::TOLERANCE;
use vconductor_core::http::{Hosts, HttpClient, Request, Url};
use vconductor_core::ingress::proof::{Ed25519Key, fresh};
use vconductor_core::ingress::{Call, Delivery, Event, Fetcher, Media, Recording, Refused};
use vconductor_core::plugin::{Ingress, IngressPlugin, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

use crate::twiml::Reading;

/// Where recordings and media of messages are: signed URLs of buckets, and Telnyx's own hosts.
const MEDIA_HOSTS: [&str; 2] = ["*.amazonaws.com", "*.telnyx.com"];

/// Takes calls, recordings and messages of Telnyx.
///
/// Use the address of this ingress as the webhook of voice applications and messaging profiles. A recording
/// (`call.recording.saved`) becomes a vCon when it is fetched; who spoke is known from the events of the same call
/// (`call.initiated`, `call.answered`, `call.hangup`), which come here in any order. A call that nobody took becomes a vCon
/// without a recording; so does each message that came in (`message.received`) or went out (`message.finalized`). TeXML
/// callbacks are understood, too.
///
/// Every request must carry Telnyx's signature over its time and body, not older than five minutes. The addresses of
/// recordings are signed for ten minutes; with `api_key` a recording that is fetched later is asked for anew.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The public key of the account (Mission Control, Keys & Credentials): 32 bytes in base64.
    public_key: String,
    /// An API key (`KEY...`), to ask for recordings anew.
    #[serde(default)]
    api_key: Secret,
    /// The format in which recordings are fetched.
    #[serde(default)]
    format: Format,
    /// Telnyx's API.
    #[serde(default = "api")]
    api: String,
    /// More hosts that recordings may be on, for a bucket of your own.
    #[serde(default)]
    media_hosts: Vec<String>,
}

fn api() -> String {
    "https://api.telnyx.com".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// WAV, where the recording was made in it.
    #[default]
    Wav,
    /// MP3, where the recording was made in it.
    Mp3,
}

impl Format {
    fn as_str(self) -> &'static str {
        match self {
            Format::Wav => "wav",
            Format::Mp3 => "mp3",
        }
    }
}

struct Telnyx {
    public_key: Ed25519Key,
    api_key: Option<Secret>,
    format: Format,
    api: Url,
    media_hosts: Hosts,
}

register_ingress!(Telnyx);

impl IngressPlugin for Telnyx {
    const MODULE: &'static str = "ingress.telnyx";
    const EXAMPLE: &'static str = "\
telnyx_main:
  module: ingress.telnyx
  list: calls
  options:
    public_key: \"${env:TELNYX_PUBLIC_KEY}\"
    api_key: \"${env:TELNYX_API_KEY}\"
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let public_key = Ed25519Key::parse(&options.public_key).map_err(|error| error.within("`public_key`"))?;
        let api = Url::parse(&options.api).ok().filter(|url| url.host_str().is_some());
        let api =
            api.ok_or_else(|| Error::configuration("`api` is no URL").help(format!("usually {}", self::api())))?;
        let more = options.media_hosts.iter().map(String::as_str);
        let media_hosts =
            Hosts::parse(MEDIA_HOSTS.into_iter().chain(more)).map_err(|error| error.within("`media_hosts`"))?;
        let api_key = Some(options.api_key).filter(|key| !key.is_empty());
        Ok(Telnyx { public_key, api_key, format: options.format, api, media_hosts })
    }
}

#[async_trait]
impl Ingress for Telnyx {
    /// Signed is `{timestamp}|{body}` (Telnyx's documentation, "Webhook signing").
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        let signature = delivery.proof("telnyx-signature-ed25519")?;
        let timestamp = delivery.proof("telnyx-timestamp")?;
        fresh(timestamp, delivery.at, TOLERANCE)?;
        let message = [timestamp.as_bytes(), b"|", &delivery.body].concat();
        if self.public_key.verifies(&message, signature) {
            return Ok(());
        }
        Err(Refused::unproved("the signature is not by the key of `public_key`"))
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        if delivery.is_json() {
            return read::events(&delivery.json()?, self.format.as_str());
        }
        let fields = delivery.form()?;
        Reading { extension: self.format.as_str() }.events(&fields)
    }

    /// Newer recordings say who spoke. Where they do not, the events of the call do.
    async fn call(&self, recording: &Recording, fetcher: &Fetcher) -> Result<Option<Call>> {
        let Some(found) = self.recording(recording.media.id.as_deref(), fetcher).await? else { return Ok(None) };
        let mut call = read::call(&found);
        call.id.clone_from(&recording.call.id);
        Ok(Some(call).filter(Call::has_parties))
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        // A signed URL is refused by its bucket when there is a key besides the signature, so there is none.
        let request = |url: &str| Ok::<_, Error>(Request::get(url)?.only_to(self.media_hosts.clone()));
        if let Some(bytes) = fetcher.signed_media(request(&media.url)?).await?.filter(|bytes| !bytes.is_empty()) {
            return Ok(bytes);
        }
        let found = self.recording(media.id.as_deref(), fetcher).await?;
        if found.is_none() && self.api_key.is_some() && media.id.is_some() {
            return Err(Error::retryable("Telnyx does not know the recording yet"));
        }
        let Some(found) = found else {
            return Err(Error::permanent("the address of the recording is not valid any more")
                .help("it was signed for ten minutes; set `api_key`, so that recordings can be asked for anew"));
        };
        let urls = &found["download_urls"];
        let url = urls[self.format.as_str()].as_str().or_else(|| urls.as_object()?.values().find_map(Value::as_str));
        let url = url.ok_or_else(|| Error::retryable("Telnyx names no address of the recording yet"))?;
        fetcher.media(request(url)?).await
    }

    /// Asks for the balance.
    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let Some(key) = &self.api_key else { return Vec::new() };
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v2", "balance"]);
        }
        let request = Request::get(url.as_str()).and_then(|request| request.bearer(key));
        vec![Probe::credentials(http, "telnyx", request).await]
    }
}

impl Telnyx {
    /// The recording as the API has it; `None` without a key or an id to ask for.
    async fn recording(&self, id: Option<&str>, fetcher: &Fetcher) -> Result<Option<Value>> {
        let (Some(key), Some(id)) = (&self.api_key, id) else { return Ok(None) };
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v2", "recordings", id]);
        }
        let request = Request::get(url.as_str())?.trusted().provider().bearer(key)?;
        let answer = fetcher.json_if_any(request).await?;
        Ok(answer.and_then(|mut answer| answer.get_mut("data").map(Value::take)))
    }
}

#[cfg(test)]
mod tests;
