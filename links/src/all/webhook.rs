//! `links.webhook`: tells others about a vCon.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use vconductor_core::http::signature::{HUB_SIGNATURE, SigningKey, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use vconductor_core::http::signature::{hub_sign, sign};
use vconductor_core::http::{HttpClient, Request};
use vconductor_core::layers::instruments::webhook_attempted;
use vconductor_core::migrate::Egress;
use vconductor_core::plugin::{Effect, Link, LinkContext, LinkPlugin, Outcome, Probe};
use vconductor_core::secret::Secret;
use vconductor_core::vcon::Vcon;
use vconductor_core::{Error, Result, register_link};

/// Sends the vCon as JSON to one or more URLs by POST.
///
/// Only an answer 2xx counts as delivered. 408, 409, 425, 429 and 5xx, time-outs and broken connections are tried again
/// with back-off (`Retry-After` is obeyed); redirects are not followed; every other answer is final. One endpoint that
/// fails does not keep the others from being told, and one that was told is not told again in the same run.
///
/// Each message carries `webhook-id` and `Idempotency-Key`, which stay the same over all attempts. With a secret it is
/// signed as Standard Webhooks 1.0.0 says (`webhook-signature`); `X-Hub-Signature-256` signs the body alone, with the
/// text of the first secret as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(default)]
struct Options {
    /// The endpoints: a URL, or a map of `url`, `secret` and `headers`. One that is listed twice is told once.
    /// Without any, nothing is sent.
    // Endpoints have their own entries in the ledger: changing the list must not tell the others again.
    #[serde(rename = "webhook-urls", alias = "webhook_urls")]
    #[schemars(extend("x-result" = false, "x-alias" = ["webhook_urls"]))]
    webhook_urls: Vec<Endpoint>,
    /// Headers to send to every endpoint, for example `Authorization`.
    #[schemars(extend("x-result" = false))]
    headers: BTreeMap<String, Secret>,
    /// The signing secret: `whsec_` and base64 of 24 to 64 random bytes. Without one, messages are not signed.
    secret: Secret,
    /// More signing secrets, while one replaces the other: receivers accept a message that any of them signed.
    #[schemars(extend("x-result" = false))]
    secrets: Vec<Secret>,
    /// The limit for one call, in seconds.
    #[schemars(extend("x-result" = false))]
    timeout: f64,
    /// What identifies a message for the receiver. `effect`: one id for each run, step and endpoint, so that a vCon
    /// that is processed anew is a new message. `uuid`: the vCon's uuid, so that a receiver takes each vCon once,
    /// however often it is processed.
    idempotency_key: IdempotencyKey,
    /// What is sent. `full`: the vCon. `thin`: a note that it was processed, `{"type": "vcon.processed", "timestamp":
    /// ..., "data": {"uuid": ...}}`.
    payload: Payload,
    /// In which form the vCon is sent. `as_is`: byte for byte. `0.0.1`: with the names of that version, as vcon-server
    /// sends it with `EGRESS_FORMAT_VERSION=0.0.1`; `${env:EGRESS_FORMAT_VERSION:-}` reads that variable.
    /// `string-bodies`: as vcon-server stores it. `core-04`: migrated to the newest draft. A signed or encrypted vCon
    /// is sent as it is.
    format: Egress,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            webhook_urls: Vec::new(),
            headers: BTreeMap::new(),
            secret: Secret::default(),
            secrets: Vec::new(),
            timeout: 30.0,
            idempotency_key: IdempotencyKey::Effect,
            payload: Payload::Full,
            format: Egress::AsIs,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
enum Endpoint {
    Url(String),
    Map(EndpointOptions),
}

#[derive(Deserialize, JsonSchema)]
#[schemars(inline)]
struct EndpointOptions {
    /// The URL.
    url: String,
    /// The signing secret of this endpoint, in place of those for all.
    #[serde(default)]
    secret: Secret,
    /// Headers for this endpoint, over those for all.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum IdempotencyKey {
    Effect,
    Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Payload {
    Full,
    Thin,
}

/// An endpoint, ready to be called.
struct Target {
    /// For the ledger, metrics and notes: it holds nothing of the URL but the host.
    name: String,
    host: String,
    request: Request,
    mediatype: String,
    keys: Vec<SigningKey>,
    hub_secret: Option<Secret>,
}

struct Webhook {
    targets: Vec<Target>,
    idempotency_key: IdempotencyKey,
    payload: Payload,
    format: Egress,
}

register_link!(Webhook);

impl LinkPlugin for Webhook {
    const MODULE: &'static str = "links.webhook";
    const EFFECT: Effect = Effect::External;
    const EDITS: bool = false;
    const EXAMPLE: &'static str = "\
tell:
  module: links.webhook
  options:
    webhook-urls:
      - https://hooks.example.com/vcons
    headers:
      Authorization: Bearer ${env:WEBHOOK_TOKEN}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let timeout = Duration::try_from_secs_f64(options.timeout).ok().filter(|limit| !limit.is_zero());
        let timeout = timeout.ok_or_else(|| {
            Error::configuration(format!("option `timeout`: {} is no time limit", options.timeout))
                .help("write a number of seconds above 0")
        })?;
        // At the option that holds them, and not at each endpoint that is signed for.
        for (name, secret) in
            std::iter::once(("secret", &options.secret)).chain(options.secrets.iter().map(|one| ("secrets", one)))
        {
            if !secret.is_empty() {
                SigningKey::parse(secret).map_err(|error| error.within(format_args!("option `{name}`")))?;
            }
        }
        let mut seen = BTreeSet::new();
        let mut targets = Vec::new();
        for (index, endpoint) in options.webhook_urls.iter().enumerate() {
            let target = Target::new(endpoint, &options, timeout)
                .map_err(|error| error.within(format_args!("option `webhook-urls`, entry {}", index + 1)))?;
            if seen.insert(target.name.clone()) {
                targets.push(target);
            }
        }
        let (idempotency_key, payload, format) = (options.idempotency_key, options.payload, options.format);
        Ok(Webhook { targets, idempotency_key, payload, format })
    }
}

impl Target {
    fn new(endpoint: &Endpoint, options: &Options, timeout: Duration) -> Result<Target> {
        let (url, own_secret, own_headers) = match endpoint {
            Endpoint::Url(url) => (url, None, None),
            Endpoint::Map(map) => (&map.url, Some(&map.secret), Some(&map.headers)),
        };
        let mut request = Request::post(url)
            .map_err(|error| {
                Error::configuration("not a URL").caused_by(error).help("write it like https://host/path")
            })?
            .trusted()
            .timeout(timeout);
        // `localhost:8080/hook` reads as a URL with the scheme `localhost`.
        if !matches!(request.url().scheme(), "http" | "https") {
            return Err(Error::configuration("not an http or https URL").help("write it like https://host/path"));
        }
        let mut mediatype = "application/json";
        for (name, value) in options.headers.iter().chain(own_headers.into_iter().flatten()) {
            request = request.secret_header(name, value)?;
            if name.eq_ignore_ascii_case("content-type") {
                mediatype = value.expose();
            }
        }
        let secrets: Vec<&Secret> = match own_secret.filter(|secret| !secret.is_empty()) {
            Some(own) => vec![own],
            None => std::iter::once(&options.secret).chain(&options.secrets).filter(|one| !one.is_empty()).collect(),
        };
        let keys = secrets.iter().map(|secret| SigningKey::parse(secret)).collect::<Result<_>>()?;
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let hash = Sha256::digest(request.url().as_str());
        let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let hub_secret = secrets.first().map(|secret| (*secret).clone());
        let mediatype = mediatype.to_owned();
        Ok(Target { name: format!("{host} {hash}"), host, request, mediatype, keys, hub_secret })
    }
}

#[async_trait]
impl Link for Webhook {
    async fn run(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Outcome> {
        if self.targets.is_empty() {
            context.note("no `webhook-urls`: nothing was sent");
            return Ok(Outcome::Continue);
        }
        let body = self.body(vcon, context)?;
        let mut failures = Vec::new();
        for target in &self.targets {
            if context.cancel.is_cancelled() {
                return Err(Error::retryable("stopped before all endpoints were told"));
            }
            let mut delivered = false;
            let deliver = async {
                let status = self.deliver(target, &body, context).await?;
                delivered = true;
                Ok(status)
            };
            match context.once::<u16, _>(&target.name, deliver).await {
                Ok(_) => {}
                // The delivery could not be written down: each further one would be repeated as well.
                Err(error) if delivered => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        let total = self.targets.len();
        let failed = failures.len();
        // The retryable first: it brings the step back, and only the failed endpoints are called again.
        let first = failures.iter().position(Error::is_retryable).unwrap_or(0);
        match failures.into_iter().nth(first) {
            None => Ok(Outcome::Continue),
            Some(error) if total == 1 => Err(error),
            Some(error) => Err(error.within(format_args!("{failed} of {total} endpoints failed"))),
        }
    }

    async fn probe(&self, http: &HttpClient) -> Vec<Probe> {
        let mut probes = Vec::with_capacity(self.targets.len());
        for target in &self.targets {
            probes.push(Probe::address(http, target.request.url()).await);
        }
        probes
    }
}

impl Webhook {
    fn body(&self, vcon: &Vcon, context: &LinkContext<'_>) -> Result<Bytes> {
        if self.payload == Payload::Full {
            return self.format.text(vcon);
        }
        // The time at which the run began, from its id: the same in every attempt, as the message's id is.
        let began = context.step.run.0.get_timestamp().map(|time| time.to_unix().0 as i64);
        let seconds = began.unwrap_or_else(|| context.clock.now() / 1000);
        let timestamp = Timestamp::from_second(seconds)
            .map_err(|error| Error::permanent("the time of the run is out of range").caused_by(error))?;
        let uuid = &context.step.uuid;
        let message = json!({"type": "vcon.processed", "timestamp": timestamp.to_string(), "data": {"uuid": uuid}});
        Ok(message.to_string().into())
    }

    /// Calls one endpoint once and returns the status of its 2xx.
    async fn deliver(&self, target: &Target, body: &Bytes, context: &LinkContext<'_>) -> Result<u16> {
        let id = match self.idempotency_key {
            IdempotencyKey::Effect => context.effect_id(&target.name),
            IdempotencyKey::Uuid => context.step.uuid.clone(),
        };
        let timestamp = context.clock.now() / 1000;
        let mut request = target
            .request
            .clone()
            .body(&target.mediatype, body.clone())?
            .header(WEBHOOK_ID, &id)?
            .header("Idempotency-Key", &id)?
            .header(WEBHOOK_TIMESTAMP, &timestamp.to_string())?;
        if let Some(secret) = &target.hub_secret {
            request = request
                .header(WEBHOOK_SIGNATURE, &sign(&target.keys, &id, timestamp, body)?)?
                .header(HUB_SIGNATURE, &hub_sign(secret, body))?;
        }
        let answer = context.http.exchange(&request).await;
        let status = answer.as_ref().ok().map(|answer| answer.status.as_u16());
        webhook_attempted(&target.host, status);
        let answer = context.http.require_success(&request, answer?)?;
        Ok(answer.status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use serde_json::Value;
    use vconductor_core::Class;
    use vconductor_core::http::signature::{hub_verify, verify};

    use super::*;
    use crate::link_stage::{Answer, LinkStage, NOW, Receiver};

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const OTHER_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TEXT: &str = r#"{"uuid": "u", "unknown": 1e3, "parties":[ ]}"#;

    fn webhook(options: Value) -> Result<Webhook> {
        Webhook::new("webhook", serde_json::from_value(options).unwrap())
    }

    async fn run(stage: &LinkStage, link: &Webhook) -> Result<Outcome> {
        stage.run(link, &Vcon::read(TEXT).unwrap()).await.result
    }

    #[tokio::test]
    async fn the_vcon_goes_out_as_it_is_with_headers_and_signatures() {
        let receiver = Receiver::start().await.unwrap();
        let link = webhook(json!({
            "webhook-urls": [format!("{}/a", receiver.url)], "headers": {"X-Team": "sales"},
            "secret": SECRET, "secrets": [OTHER_SECRET],
        }));
        let stage = LinkStage::new("u");
        assert_eq!(run(&stage, &link.unwrap()).await.unwrap(), Outcome::Continue);
        let calls = receiver.received();
        let call = &calls[0];
        assert_eq!((calls.len(), call.path.as_str(), &call.body[..]), (1, "/a", TEXT.as_bytes()));
        assert_eq!(call.header("content-type"), "application/json");
        assert_eq!(call.header("x-team"), "sales");
        assert!(call.header("user-agent").starts_with("vconductor/"));
        let id = call.header("webhook-id");
        assert_eq!((id.len(), id), (32, call.header("idempotency-key")));
        assert_eq!(call.header("webhook-timestamp"), (NOW / 1000).to_string());
        for secret in [SECRET, OTHER_SECRET] {
            let keys = [SigningKey::parse(&Secret::new(secret)).unwrap()];
            assert!(verify(&keys, id, NOW / 1000, &call.body, call.header("webhook-signature"), NOW / 1000));
        }
        assert!(hub_verify(&Secret::new(SECRET), &call.body, call.header("x-hub-signature-256")));
    }

    /// Every rule of vcon-server's egress at the receiver: names, bodies, what is added.
    #[tokio::test]
    async fn a_receiver_of_0_0_1_gets_its_names() {
        let receiver = Receiver::start().await.unwrap();
        let vcon = json!({
            "uuid": "u", "vcon": "0.4.0", "created_at": "2024-01-02T03:04:05Z", "critical": ["x"], "unknown": 1.5,
            "dialog": [{"mediatype": "text/plain", "schema": "s", "critical": [], "body": "[1]", "encoding": "json"}],
            "analysis": [{"mediatype": "m", "schema": "new", "schema_version": "old", "body": "{\"a\":1}", "encoding": "json"}],
            "attachments": [{"purpose": "tags", "body": "[\"a:b\"]", "encoding": "json"}, {"purpose": "p", "type": "t", "body": "{", "encoding": "json"}],
        });
        let expected = json!({
            "uuid": "u", "vcon": "0.0.1", "created_at": "2024-01-02T03:04:05Z", "must_support": ["x"], "unknown": 1.5,
            "dialog": [{"mimetype": "text/plain", "schema_version": "s", "must_support": [], "body": "[1]", "encoding": "json"}],
            "analysis": [{"mimetype": "m", "schema_version": "old", "body": {"a": 1}, "encoding": "none"}],
            "attachments": [{"type": "tags", "body": ["a:b"], "encoding": "none"}, {"purpose": "p", "type": "t", "body": "{", "encoding": "json"}],
            "group": [], "redacted": {}, "appended": null,
        });
        let options = json!({"webhook-urls": [receiver.url], "format": "0.0.1"});
        let ran = LinkStage::new("u").run(&webhook(options).unwrap(), &Vcon::read(vcon.to_string()).unwrap()).await;
        assert_eq!(ran.result.unwrap(), Outcome::Continue);
        let sent: Value = serde_json::from_slice(&receiver.received()[0].body).unwrap();
        assert_eq!(sent, expected);
        assert!(ran.requested.edits.is_empty(), "what is stored stays as it is");
        assert!(serde_json::from_value::<Options>(json!({"format": "0.0.2"})).is_err());
        assert!(webhook(json!({"format": ""})).unwrap().format == Egress::AsIs);
    }

    #[tokio::test]
    async fn options_choose_payload_key_and_endpoint_settings() {
        let receiver = Receiver::start().await.unwrap();
        let link = webhook(json!({
            "webhook_urls": [{
                "url": receiver.url, "secret": OTHER_SECRET,
                "headers": {"Content-Type": "application/vcon+json", "x-a": "own"},
            }],
            "headers": {"x-a": "all", "x-b": "all"}, "secret": SECRET, "idempotency_key": "uuid", "payload": "thin",
        }));
        let stage = LinkStage::new("u");
        run(&stage, &link.unwrap()).await.unwrap();
        let call = &receiver.received()[0];
        assert_eq!(call.json()["type"], "vcon.processed");
        assert_eq!(call.json()["data"], json!({"uuid": "u"}));
        assert!(call.json()["timestamp"].as_str().unwrap().parse::<Timestamp>().is_ok());
        assert_eq!((call.header("webhook-id"), call.header("idempotency-key")), ("u", "u"));
        assert_eq!((call.header("x-a"), call.header("x-b")), ("own", "all"));
        assert_eq!(call.header("content-type"), "application/vcon+json");
        assert!(hub_verify(&Secret::new(OTHER_SECRET), &call.body, call.header("x-hub-signature-256")));
    }

    #[tokio::test]
    async fn each_endpoint_is_told_once_however_often_the_step_is_tried() {
        let receiver = Receiver::start().await.unwrap();
        let urls = ["/a", "/gone", "/b", "/c", "/a"].map(|path| format!("{}{path}", receiver.url));
        let link = webhook(json!({"webhook-urls": urls})).unwrap();
        receiver.will_answer("/gone", Answer::status(410));
        receiver.will_answer("/b", Answer::status(500));
        receiver.will_answer("/b", Answer::status(429).header("retry-after", "9"));
        let stage = LinkStage::new("u");
        let error = run(&stage, &link).await.unwrap_err();
        assert!(error.is_retryable() && error.message().contains("2 of 4 endpoints failed"), "{error}");
        let error = run(&stage, &link).await.unwrap_err();
        assert_eq!(error.wait(), Some(Duration::from_secs(9)));
        assert_eq!(run(&stage, &link).await.unwrap(), Outcome::Continue);
        assert_eq!(run(&stage, &link).await.unwrap(), Outcome::Continue);
        assert_eq!(["/a", "/gone", "/b", "/c"].map(|path| receiver.calls(path)), [1, 2, 3, 1]);
        let ids = |path: &str| -> BTreeSet<String> {
            let calls = receiver.received().into_iter().filter(|call| call.path == path);
            calls.map(|call| call.header("webhook-id").to_owned()).collect()
        };
        assert_eq!(ids("/b").len(), 1, "an id stays the same over all attempts");
        assert!(ids("/a").is_disjoint(&ids("/b")));
        assert_eq!(stage.parts().len(), 4);
    }

    #[tokio::test]
    async fn only_2xx_is_delivered() {
        let receiver = Receiver::start().await.unwrap();
        let link = webhook(json!({"webhook-urls": [receiver.url], "timeout": 0.3})).unwrap();
        for (answer, class) in [
            (Answer::status(200), None),
            (Answer::status(202), None),
            (Answer::status(302).header("location", "/else"), Some(Class::Permanent)),
            (Answer::status(400), Some(Class::Permanent)),
            (Answer::status(401), Some(Class::Permanent)),
            (Answer::status(408), Some(Class::Retryable)),
            (Answer::status(425), Some(Class::Retryable)),
            (Answer::status(429), Some(Class::Retryable)),
            (Answer::status(410), Some(Class::Permanent)),
            (Answer::status(500), Some(Class::Retryable)),
            (Answer::status(200).after(Duration::from_secs(5)), Some(Class::Retryable)),
        ] {
            receiver.will_answer("/", answer.clone());
            let result = run(&LinkStage::new("u"), &link).await;
            assert_eq!(result.as_ref().err().map(vconductor_core::Error::class), class, "{answer:?}");
        }
        assert_eq!(receiver.calls("/else"), 0, "redirects are not followed");
        let closed = webhook(json!({"webhook-urls": ["http://127.0.0.1:1/"]})).unwrap();
        assert!(run(&LinkStage::new("u"), &closed).await.unwrap_err().is_retryable());
    }

    #[tokio::test]
    async fn nothing_secret_gets_into_errors_notes_and_parts() {
        let receiver = Receiver::start().await.unwrap();
        let url = format!("{}/hook?token=query-secret", receiver.url.replace("http://", "http://user:url-password@"));
        let options =
            json!({"webhook-urls": [url], "headers": {"Authorization": "Bearer header-secret"}, "secret": SECRET});
        let echo = format!("you sent header-secret and query-secret and {SECRET}");
        receiver.will_answer("/hook?token=query-secret", Answer::status(400).body(&echo));
        let link = webhook(options).unwrap();
        let stage = LinkStage::new("u");
        let error = run(&stage, &link).await.unwrap_err();
        run(&stage, &link).await.unwrap();
        let shown = format!("{} {error:?} {:?}", error.chain_text(), stage.parts());
        for secret in ["header-secret", "query-secret", "url-password"] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_stops_the_deliveries() {
        let receiver = Receiver::start().await.unwrap();
        let urls = ["/a", "/b"].map(|path| format!("{}{path}", receiver.url));
        let stage = LinkStage::new("u");
        stage.store_is_down.store(true, Ordering::SeqCst);
        assert!(run(&stage, &webhook(json!({"webhook-urls": urls})).unwrap()).await.unwrap_err().is_retryable());
        assert_eq!(receiver.received().len(), 1);
    }

    #[tokio::test]
    async fn without_urls_the_chain_goes_on_with_a_note() {
        let ran = LinkStage::new("u").run(&webhook(json!({})).unwrap(), &Vcon::read(TEXT).unwrap()).await;
        assert_eq!(ran.result.unwrap(), Outcome::Continue);
        assert_eq!(ran.requested.notes, ["no `webhook-urls`: nothing was sent"]);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for options in [
            json!({"webhook-urls": ["hooks/vcons"]}),
            json!({"webhook-urls": ["localhost:8080/vcons"]}),
            json!({"webhook-urls": ["https://a.test"], "secret": "short"}),
            json!({"webhook-urls": ["https://a.test"], "headers": {"a b": "c"}}),
            json!({"webhook-urls": ["https://a.test"], "headers": {"a": "c\n"}}),
            json!({"timeout": 0}),
            json!({"timeout": -1}),
        ] {
            let error = webhook(options.clone()).err().unwrap();
            assert_eq!(error.class(), Class::Configuration, "{options}");
        }
    }
}
