//! `storage.webhook`: sends finished vCons to receivers over HTTP.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::clock::{Clock as _, SystemClock};
use vconductor_core::config::Period;
use vconductor_core::http::signature::{self, SigningKey, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use vconductor_core::http::{HttpClient, Request, Url};
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Capabilities, SaveItem, Storage, StoragePlugin};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_storage};

/// Sends each finished vCon as a POST with the JSON document as its body.
///
/// A vCon counts as saved when every receiver answered 2xx. Every call has the headers `Idempotency-Key` and
/// `webhook-id`, the same at every repetition, so that a receiver can tell a repeated delivery; with `secret` also
/// `webhook-timestamp` and `webhook-signature` as the Standard Webhooks specification says. The document is sent as it
/// is, unless `format` says otherwise: vcon-server relabels version `0.0.1` as `0.3.0` here without converting any member,
/// which we do not imitate.
#[derive(Debug, Deserialize, JsonSchema)]
struct Options {
    /// The URLs of all receivers; also `webhook_urls`.
    #[serde(rename = "webhook-urls", alias = "webhook_urls")]
    webhook_urls: Vec<String>,
    /// Headers for every call, for example `Authorization`. Values are kept secret. Default: none.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    /// The longest time for one call. Default: `30s`.
    #[serde(default = "default_timeout")]
    #[schemars(extend("x-result" = false))]
    timeout: Period,
    /// The key of the signature: `whsec_` and base64 of 24 or more random bytes. Default: no signature.
    #[serde(default)]
    secret: Option<Secret>,
    /// In which form the vCon is sent: `as_is` (byte for byte, the default), `0.0.1` (the names of that version, as
    /// vcon-server's egress writes them), `string-bodies` (as vcon-server stores it) or `core-04` (the newest draft). A
    /// signed or encrypted vCon is sent as it is.
    #[serde(default)]
    format: Egress,
}

fn default_timeout() -> Period {
    Period(Duration::from_secs(30))
}

struct Webhook {
    /// Complete but for body, id and signature.
    requests: Vec<Request>,
    key: Option<SigningKey>,
    format: Egress,
    client: OnceLock<HttpClient>,
}

register_storage!(Webhook);

impl StoragePlugin for Webhook {
    const MODULE: &'static str = "storage.webhook";
    const EXAMPLE: &'static str =
        "crm:\n  module: storage.webhook\n  options:\n    webhook-urls: [\"https://crm.example.com/vcons\"]\n";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        if options.webhook_urls.is_empty() {
            return Err(Error::configuration("option `webhook-urls` is empty").help("name at least one receiver"));
        }
        if options.timeout.0.is_zero() {
            return Err(Error::configuration("option `timeout` is 0").help("write a time such as 30s"));
        }
        let mut requests = Vec::with_capacity(options.webhook_urls.len());
        for (position, url) in options.webhook_urls.iter().enumerate() {
            let named = |problem: &str| {
                // The text is not repeated: it may hold a password.
                Error::configuration(format!("option `webhook-urls`: number {} {problem}", position + 1))
                    .help("write an absolute URL such as https://crm.example.com/vcons")
            };
            let scheme = Url::parse(url).map(|url| url.scheme().to_owned());
            if !matches!(scheme.as_deref(), Ok("http" | "https")) {
                return Err(named("is no http or https URL"));
            }
            let mut request = Request::post(url).map_err(|error| named("is no URL").caused_by(error))?;
            request = request.trusted().timeout(options.timeout.0);
            for (name, value) in &options.headers {
                request = request.secret_header(name, value).map_err(|error| error.within("option `headers`"))?;
            }
            requests.push(request);
        }
        let secret = options.secret.as_ref().filter(|secret| !secret.is_empty());
        let key = secret.map(SigningKey::parse).transpose().map_err(|error| error.within("option `secret`"))?;
        Ok(Webhook { requests, key, format: options.format, client: OnceLock::new() })
    }
}

impl Webhook {
    fn client(&self) -> Result<&HttpClient> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = HttpClient::builder().build()?;
        Ok(self.client.get_or_init(|| client))
    }

    async fn deliver(&self, request: &Request, item: &SaveItem) -> Result<()> {
        let body = self.format.text(&item.vcon)?;
        let mut request = request.clone().body("application/json", body.clone())?;
        request = request.header("Idempotency-Key", &item.effect_id)?.header(WEBHOOK_ID, &item.effect_id)?;
        if let Some(key) = &self.key {
            let now = SystemClock.now() / 1000;
            let signature = signature::sign(std::slice::from_ref(key), &item.effect_id, now, &body)?;
            request = request.header(WEBHOOK_TIMESTAMP, &now.to_string())?.header(WEBHOOK_SIGNATURE, &signature)?;
        }
        self.client()?.send(&request).await.map(drop)
    }
}

#[async_trait]
impl Storage for Webhook {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Every receiver gets its call, also when an earlier one fails: one that is away for a day keeps nothing from
    /// the others. The repetition calls all of them again, with the same id.
    async fn save(&self, item: &SaveItem) -> Result<()> {
        let mut failed: Option<Error> = None;
        for request in &self.requests {
            if let Err(error) = self.deliver(request, item).await
                // A retry may mend the retryable one only; what it cannot mend is then what is left.
                && failed.as_ref().is_none_or(|first| !first.is_retryable() && error.is_retryable())
            {
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Connects to every receiver without sending a vCon: any answer will do, as a receiver need not know HEAD.
    async fn health(&self) -> Result<()> {
        for request in &self.requests {
            let probe = Request::new(vconductor_core::http::Method::HEAD, request.url().as_str())?.trusted();
            self.client()?.exchange(&probe).await?;
        }
        Ok(())
    }
}
