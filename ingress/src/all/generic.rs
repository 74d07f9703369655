//! `ingress.generic`: any system that posts JSON or forms.

mod mapped;
mod proof;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vconductor_core::http::{Hosts, Request};
use vconductor_core::ingress::proof::{hexadecimal, sha256};
use vconductor_core::ingress::{Delivery, Event, Fetcher, Fields, Media, Refused};
use vconductor_core::jq::Program;
use vconductor_core::plugin::{Ingress, IngressPlugin};
use vconductor_core::secret::Secret;
use vconductor_core::{Error, Result, register_ingress};

use self::mapped::Mapped;
use self::proof::Proof;

/// Takes the webhooks of any system: `map` says what they mean.
///
/// The jq program gets `{"body": ..., "form": {...}, "query": {...}, "headers": {...}}`: the body if it is JSON, the fields of a
/// form, those of the query, and the headers in lower case without `authorization` and `cookie`. It answers with one object,
/// a list of them, or null for what makes no conversation. An object has:
///
/// - `id`: what makes it the same when it is sent again. Without one, the headers `webhook-id` and `idempotency-key` count, then
///   the hash of the body.
/// - `from`, `to`: numbers, addresses or names; `to` may be a list. `direction`: `inbound` or `outbound`.
/// - `start` (RFC 3339, RFC 2822 or Unix time), `duration` (seconds), `tags` (an object).
/// - `recording`: the URL of a recording that is to be fetched, on one of `media_hosts`. `call`: the call it is of.
/// - or `text`: a message, with `application` such as `sms`.
/// - or `disposition`: a call that did not come about: `no-answer`, `busy`, `failed`, `congestion`, `hung-up`.
/// - or none of these, with `call`: facts for the recording of that call, which comes later.
/// - or `vcon`: a vCon. `uuid` and `created_at` are filled in, and dialogs with `url` and no `content_hash` get their content.
///
/// One proof must be set up: `token`, `password`, `secret` or `signature`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Options {
    /// The jq program that makes conversations of a request.
    map: String,
    /// A token that is sent as `Authorization: Bearer`, or as the header `token_header`.
    #[serde(default)]
    token: Secret,
    /// The header that holds the token itself, such as `x-telegram-bot-api-secret-token`.
    #[serde(default)]
    token_header: Option<String>,
    /// The user of HTTP Basic.
    #[serde(default)]
    user: String,
    /// The password of HTTP Basic.
    #[serde(default)]
    password: Secret,
    /// The secrets of Standard Webhooks, `whsec_` and base64: mostly one, and two while one replaces the other.
    #[serde(default)]
    secret: Vec<Secret>,
    /// An HMAC of the body in a header.
    #[serde(default)]
    signature: Option<proof::SignatureOptions>,
    /// The hosts that recordings are fetched from: `media.example.com`, or `*.example.com` for all names below one.
    #[serde(default)]
    media_hosts: Vec<String>,
    /// A token that these hosts get as `Authorization: Bearer`. Hosts that they redirect to do not get it.
    #[serde(default)]
    media_token: Secret,
}

struct Generic {
    map: Program,
    proof: Proof,
    media_hosts: Hosts,
    media_token: Secret,
}

register_ingress!(Generic);

impl IngressPlugin for Generic {
    const MODULE: &'static str = "ingress.generic";
    const EXAMPLE: &'static str = "\
dialler:
  module: ingress.generic
  list: calls
  options:
    secret: [\"${env:DIALLER_SECRET}\"]
    media_hosts: [recordings.example.com]
    map: |
      .body | select(.type == \"call.recorded\") | .data
        | {id, from: .caller, to: .agent, direction, start: .started_at, recording: .url, tags: {queue}}
";
    type Options = Options;

    fn new(_: &str, options: Options) -> Result<Self> {
        let map = Program::compile(&options.map).map_err(|error| {
            Error::configuration(format!("`map` is no jq program: {error}"))
                .at(error.offset)
                .help("try it with the jq command first")
        })?;
        let media_hosts = Hosts::parse(&options.media_hosts).map_err(|error| error.within("`media_hosts`"))?;
        let media_token = options.media_token.clone();
        Ok(Generic { map, proof: Proof::new(options)?, media_hosts, media_token })
    }
}

#[async_trait]
impl Ingress for Generic {
    fn verify(&self, delivery: &Delivery) -> Result<(), Refused> {
        self.proof.verify(delivery)
    }

    fn read(&self, delivery: &Delivery) -> Result<Vec<Event>, Refused> {
        let output = self.map.first(&input(delivery)?).map_err(|error| Refused::unreadable(error.message()))?;
        let all = match output {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(Vec::new()),
            Some(Value::Array(all)) => all,
            Some(one) => vec![one],
        };
        let fallback = id_of(delivery);
        let several = all.len() > 1;
        let read = |(index, one): (usize, Value)| {
            let mapped: Mapped = serde_json::from_value(one)
                .map_err(|error| Refused::unreadable(format!("what `map` answered: {error}")))?;
            let fallback = if several { format!("{fallback}/{index}") } else { fallback.clone() };
            mapped.event(fallback)
        };
        all.into_iter().enumerate().map(read).collect()
    }

    async fn media(&self, media: &Media, fetcher: &Fetcher) -> Result<Bytes> {
        let mut request = Request::get(&media.url)?.only_to(self.media_hosts.clone());
        if !self.media_token.is_empty() {
            request = request.bearer(&self.media_token)?.provider();
        }
        fetcher.media(request).await
    }
}

/// What the jq program sees.
fn input(delivery: &Delivery) -> Result<Value, Refused> {
    let body = if delivery.is_json() || (delivery.mediatype().is_empty() && !delivery.body.is_empty()) {
        delivery.json()?
    } else {
        Value::Null
    };
    let headers = delivery.headers.iter().filter(|(name, _)| !matches!(name.as_str(), "authorization" | "cookie"));
    let headers: Map<String, Value> = headers
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), Value::from(value.to_str().ok()?))))
        .collect();
    Ok(json!({
        "body": body, "form": object(&delivery.form()?), "query": object(&delivery.query_fields()?), "headers": headers,
    }))
}

/// Fields as an object; of those that are there more than once the first one.
fn object(fields: &Fields) -> Value {
    let mut object = Map::new();
    for (name, value) in fields.all() {
        object.entry(name.clone()).or_insert_with(|| Value::from(value.as_str()));
    }
    Value::Object(object)
}

/// What tells that a delivery came before.
fn id_of(delivery: &Delivery) -> String {
    let named = ["webhook-id", "idempotency-key"].into_iter().find_map(|name| delivery.header(name));
    match named.filter(|id| (1..=200).contains(&id.len())) {
        Some(id) => id.to_owned(),
        None => hexadecimal(&sha256(&delivery.body)),
    }
}

#[cfg(test)]
mod tests;
