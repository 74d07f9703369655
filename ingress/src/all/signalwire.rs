//! `ingress.signalwire`: recordings, calls and messages of SignalWire's cXML.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::http::{Hosts, Request, Url};
use vconductor_core::ingress::proof::required;
use vconductor_core::ingress::{Answer, Call, Delivery, Event, Fetcher, Fields, Media, Recording, Refused};
use vconductor_core::plugin::{Ingress, IngressPlugin};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

use crate::twiml::{self, Json, Reading};

/// The header of the signature, and what it was called before.
const SIGNATURES: [&str; 2] = ["x-signalwire-signature", "x-twilio-signature"];
/// Where recordings and media of messages are.
const MEDIA_HOSTS: [&str; 2] = ["*.signalwire.com", "*.amazonaws.com"];

/// Takes recordings, calls and messages of SignalWire's cXML (its compatibility API).
///
/// Use the address of this ingress as `RecordingStatusCallback` and `StatusCallback`, and as the webhook of a number for messages
/// that come in. What becomes a vCon is the same as with `ingress.twilio`, whose callbacks these are.
///
/// Every request must carry SignalWire's signature (`X-SignalWire-Signature`), which is over the public address: `public_url` must
/// be what SignalWire calls, letter for letter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The space: `example.signalwire.com`.
    space: String,
    /// The project's id. Callbacks of other projects are refused.
    project: String,
    /// The project's signing key: it signs the callbacks.
    signing_key: Secret,
    /// A token of the project (`PT...`) with the right to read calls and recordings.
    api_token: Secret,
    /// The address that SignalWire calls, for example `https://hooks.example.com/ingress/signalwire_main`.
    public_url: String,
    /// The format in which recordings are fetched.
    #[serde(default)]
    format: Format,
    /// The API, when it is not at the space's own address.
    #[serde(default)]
    api: Option<String>,
    /// More hosts that media may be on.
    #[serde(default)]
    media_hosts: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Lossless.
    #[default]
    Wav,
    /// A tenth of the size.
    Mp3,
}

struct SignalWire {
    project: String,
    keys: [Secret; 1],
    public_url: String,
    credentials: Secret,
    format: Format,
    api: Url,
    api_hosts: Hosts,
    media_hosts: Hosts,
}

register_ingress!(SignalWire);

impl IngressPlugin for SignalWire {
    const MODULE: &'static str = "ingress.signalwire";
    const EXAMPLE: &'static str = "\
signalwire_main:
  module: ingress.signalwire
  list: calls
  options:
    space: example.signalwire.com
    project: \"${env:SIGNALWIRE_PROJECT}\"
    signing_key: \"${env:SIGNALWIRE_SIGNING_KEY}\"
    api_token: \"${env:SIGNALWIRE_TOKEN}\"
    public_url: https://hooks.example.com/ingress/signalwire_main
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        required("signing_key", &options.signing_key)?;
        required("api_token", &options.api_token)?;
        if options.project.trim().is_empty() {
            return Err(Error::configuration("`project` is empty").help("copy the project's id from the dashboard"));
        }
        let public = Url::parse(&options.public_url).ok();
        if !public.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none()) {
            return Err(Error::configuration("`public_url` is no http or https URL")
                .help("write what SignalWire calls, for example https://hooks.example.com/ingress/signalwire_main"));
        }
        let space = Hosts::parse([&options.space]).map_err(|error| error.within("`space`"))?;
        let api = options.api.unwrap_or_else(|| format!("https://{}", options.space));
        let api = Url::parse(&api).ok().filter(|url| url.host_str().is_some());
        let api =
            api.ok_or_else(|| Error::configuration("`api` is no URL").help("leave it out, or write https://..."))?;
        let own = api.host_str().unwrap_or_default().to_owned();
        let api_hosts =
            if space.contains(&own) { space } else { Hosts::parse([own.as_str(), options.space.as_str()])? };
        let more = options.media_hosts.iter().map(String::as_str);
        let media_hosts = Hosts::parse(MEDIA_HOSTS.into_iter().chain([own.as_str()]).chain(more))
            .map_err(|error| error.within("`media_hosts`"))?;
        let credentials = STANDARD.encode(format!("{}:{}", options.project, options.api_token.expose()));
        Ok(SignalWire {
            project: options.project,
            keys: [options.signing_key],
            public_url: options.public_url,
            credentials: Secret::new(format!("Basic {credentials}")),
            format: options.format,
            api,
            api_hosts,
            media_hosts,
        })
    }
}

#[async_trait]
impl Ingress for SignalWire {
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        let header = SIGNATURES.into_iter().find(|name| delivery.headers.contains_key(*name)).unwrap_or(SIGNATURES[0]);
        twiml::verify(header, &self.keys, &self.public_url, Json::Appended, delivery)
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        let query = delivery.query_fields()?;
        let fields = if delivery.is_json() {
            Fields::of_object(&delivery.json()?).and(query)
        } else {
            delivery.form()?.and(query)
        };
        if fields.get("AccountSid").is_some_and(|account| account != self.project) {
            return Err(Refused::unproved("it is about another project than `project`"));
        }
        Reading { extension: if self.format == Format::Wav { "wav" } else { "mp3" } }.events(&fields)
    }

    /// Messages are answered by an empty document: nothing is said to who wrote.
    fn answer(&self, _: &Delivery) -> Answer {
        Answer { status: 200, mediatype: "text/xml", body: "<Response/>" }
    }

    async fn call(&self, recording: &Recording, fetcher: &Fetcher) -> Result<Option<Call>> {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            let call = format!("{}.json", recording.call.id);
            path.pop_if_empty().extend(["api", "laml", "2010-04-01", "Accounts", &self.project, "Calls", &call]);
        }
        let request = Request::get(url.as_str())?.trusted().provider();
        let answer = fetcher.json(request.secret_header("authorization", &self.credentials)?).await?;
        Ok(Some(twiml::call(&answer)))
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        let request = Request::get(&media.url)?.only_to(self.media_hosts.clone());
        // Credentials are for the space alone, whatever host a callback names.
        let ours = request.url().host_str().is_some_and(|host| self.api_hosts.contains(host));
        let request =
            if ours { request.provider().secret_header("authorization", &self.credentials)? } else { request };
        fetcher.media(request).await
    }
}

#[cfg(test)]
mod tests;
