//! `ingress.twilio`: recordings, calls and messages of Twilio.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::http::{Hosts, HttpClient, Request, Url};
use vconductor_core::ingress::proof::required;
use vconductor_core::ingress::{Answer, Call, Delivery, Event, Fetcher, Fields, Media, Recording, Refused};
use vconductor_core::plugin::{Ingress, IngressPlugin, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

use crate::twiml::{self, Json, Reading};

/// Where Twilio's own servers are: they get our credentials.
const API_HOSTS: [&str; 1] = ["*.twilio.com"];
/// Where they redirect to for media of messages: they get none.
const MEDIA_HOSTS: [&str; 2] = ["*.twiliocdn.com", "s3-external-1.amazonaws.com"];

/// Takes recordings, calls and messages of Twilio.
///
/// Use the address of this ingress as `recordingStatusCallback` of calls and recordings, as `statusCallback` of calls, and as the
/// webhook of a number or messaging service for messages that come in. A recording becomes a vCon when it is completed and
/// fetched; who spoke is asked of Twilio's API, unless a callback of the call has told. A call that ended `busy`, `failed`,
/// `no-answer` or `canceled` becomes a vCon without a recording. Status callbacks of messages that went out hold no text
/// and make no vCon.
///
/// Every request must carry Twilio's signature (`X-Twilio-Signature`), which is over the public address: `public_url` must be
/// what Twilio calls, letter for letter. For JSON bodies the hash in the query (`bodySHA256`) must be right, too.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The account, `AC...`. Callbacks of other accounts are refused.
    account_sid: String,
    /// The account's auth token: it signs the callbacks.
    auth_token: Secret,
    /// The other auth token, while one replaces the other.
    #[serde(default)]
    second_auth_token: Secret,
    /// The address that Twilio calls, for example `https://hooks.example.com/ingress/twilio_main`. A query that Twilio was
    /// given with it need not be written here.
    public_url: String,
    /// An API key (`SK...`) for fetching, in place of account and auth token.
    #[serde(default)]
    api_key: String,
    /// The secret of the API key.
    #[serde(default)]
    api_secret: Secret,
    /// The format in which recordings are fetched.
    #[serde(default)]
    format: Format,
    /// Twilio's API, for accounts in another region: `https://api.dublin.ie1.twilio.com`.
    #[serde(default = "api")]
    api: String,
    /// More hosts that media may be on, for recordings in a bucket of your own.
    #[serde(default)]
    media_hosts: Vec<String>,
}

fn api() -> String {
    "https://api.twilio.com".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Lossless, and two channels where the recording has them.
    #[default]
    Wav,
    /// A tenth of the size.
    Mp3,
}

struct Twilio {
    account_sid: String,
    tokens: Vec<Secret>,
    public_url: String,
    /// `user:password` of the API.
    credentials: Secret,
    format: Format,
    api: Url,
    api_hosts: Hosts,
    media_hosts: Hosts,
}

register_ingress!(Twilio);

impl IngressPlugin for Twilio {
    const MODULE: &'static str = "ingress.twilio";
    const EXAMPLE: &'static str = "\
twilio_main:
  module: ingress.twilio
  list: calls
  options:
    account_sid: \"${env:TWILIO_ACCOUNT_SID}\"
    auth_token: \"${env:TWILIO_AUTH_TOKEN}\"
    public_url: https://hooks.example.com/ingress/twilio_main
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        required("auth_token", &options.auth_token)?;
        if !options.account_sid.starts_with("AC") || !is_sid(&options.account_sid) {
            return Err(Error::configuration("`account_sid` is no account's SID")
                .help("copy it from Twilio's console: AC and 32 hexadecimal digits"));
        }
        let public = Url::parse(&options.public_url).ok();
        if !public.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.fragment().is_none()) {
            return Err(Error::configuration("`public_url` is no http or https URL")
                .help("write what Twilio calls, for example https://hooks.example.com/ingress/twilio_main"));
        }
        let api = Url::parse(&options.api).ok().filter(|url| url.host_str().is_some());
        let api =
            api.ok_or_else(|| Error::configuration("`api` is no URL").help(format!("usually {}", self::api())))?;
        let own = api.host_str().unwrap_or_default().to_owned();
        let api_hosts = Hosts::parse(API_HOSTS.into_iter().chain([own.as_str()]))?;
        let more = options.media_hosts.iter().map(String::as_str);
        let media_hosts = Hosts::parse(API_HOSTS.into_iter().chain(MEDIA_HOSTS).chain([own.as_str()]).chain(more))
            .map_err(|error| error.within("`media_hosts`"))?;
        let credentials = match (options.api_key.is_empty(), options.api_secret.is_empty()) {
            (true, true) => format!("{}:{}", options.account_sid, options.auth_token.expose()),
            (false, false) => format!("{}:{}", options.api_key, options.api_secret.expose()),
            _ => {
                return Err(Error::configuration("one of `api_key` and `api_secret` is missing")
                    .help("set both, or none of them"));
            }
        };
        let tokens = [options.auth_token, options.second_auth_token];
        Ok(Twilio {
            account_sid: options.account_sid,
            tokens: tokens.into_iter().filter(|token| !token.is_empty()).collect(),
            public_url: options.public_url,
            credentials: Secret::new(STANDARD.encode(credentials)),
            format: options.format,
            api,
            api_hosts,
            media_hosts,
        })
    }
}

#[async_trait]
impl Ingress for Twilio {
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        twiml::verify("x-twilio-signature", &self.tokens, &self.public_url, Json::Hashed, delivery)
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        let query = delivery.query_fields()?;
        let fields = if delivery.is_json() {
            Fields::of_object(&delivery.json()?).and(query)
        } else {
            delivery.form()?.and(query)
        };
        if fields.get("AccountSid").is_some_and(|account| account != self.account_sid) {
            return Err(Refused::unproved("it is about another account than `account_sid`"));
        }
        let reading = Reading { extension: if self.format == Format::Wav { "wav" } else { "mp3" } };
        reading.events(&fields)
    }

    /// Messages are answered by an empty document: nothing is said to who wrote.
    fn answer(&self, _: &Delivery) -> Answer {
        Answer { status: 200, mediatype: "text/xml", body: "<Response/>" }
    }

    async fn call(&self, recording: &Recording, fetcher: &Fetcher) -> Result<Option<Call>> {
        let sid = &recording.call.id;
        if !is_sid(sid) {
            return Ok(Some(Call::new(sid.as_str())));
        }
        let path = format!("/2010-04-01/Accounts/{}/Calls/{sid}.json", self.account_sid);
        let url = self.api.join(&path).map_err(|error| Error::permanent("no URL of a call").caused_by(error))?;
        let request = Request::get(url.as_str())?.trusted().provider();
        let answer = fetcher.json(self.with_credentials(request)?).await?;
        Ok(Some(twiml::call(&answer)))
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        let request = Request::get(&media.url)?.only_to(self.media_hosts.clone());
        // Credentials are for Twilio alone, whatever host a callback names.
        let ours = request.url().host_str().is_some_and(|host| self.api_hosts.contains(host));
        let request = if ours { self.with_credentials(request.provider())? } else { request };
        fetcher.media(request).await
    }

    /// Asks for the account.
    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let url = self.api.join(&format!("/2010-04-01/Accounts/{}.json", self.account_sid));
        let url = url.map_err(|error| Error::permanent("no URL of the account").caused_by(error));
        let request = url.and_then(|url| self.with_credentials(Request::get(url.as_str())?));
        vec![Probe::credentials(http, "twilio", request).await]
    }
}

impl Twilio {
    fn with_credentials(&self, request: Request) -> Result<Request> {
        request.secret_header("authorization", &Secret::new(format!("Basic {}", self.credentials.expose())))
    }
}

/// Two letters and 32 hexadecimal digits: it can be part of a path.
fn is_sid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 34 && bytes[..2].iter().all(u8::is_ascii_uppercase) && bytes[2..].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests;
