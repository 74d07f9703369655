//! The cluster: one function that asks it something, with classed errors.
//!
//! The client's own methods ask for media types that OpenSearch does not know, so requests are sent through its
//! transport, as plain JSON.

use std::time::Duration;

use bytes::Bytes;
use elasticsearch::auth::Credentials;
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Method;
use elasticsearch::http::headers::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use elasticsearch::http::transport::{CloudConnectionPool, SingleNodeConnectionPool, Transport, TransportBuilder};
use serde_json::Value;
use tokio::sync::OnceCell;
use vconductor_core::{Error, Result};

use super::fault::{fault, unanswered};
use super::options::Options;

pub(super) struct Cluster {
    options: Options,
    /// The server as people name it, without secrets.
    pub(super) place: String,
    /// Made at the first use, since it reads the file of certificates.
    transport: OnceCell<Transport>,
}

/// What the server answered: a status below 300, or one that the caller knows how to take.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Cluster {
    /// Opens no socket and reads no file.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let place = if options.url.is_empty() {
            CloudConnectionPool::new(&options.cloud_id).map_err(|error| {
                Error::configuration("option `cloud_id` is no id of a deployment")
                    .help("copy it from the page of the deployment")
                    .caused_by(error)
            })?;
            "the deployment of `cloud_id`".to_owned()
        } else {
            url(&options.url)?;
            options.url.clone()
        };
        Ok(Cluster { options: options.clone(), place, transport: OnceCell::new() })
    }

    /// Asks the server. `taken` are the statuses from 300 on that are no error.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<Bytes>, taken: &[u16]) -> Result<Answer> {
        let transport = self.transport.get_or_try_init(|| async { connect(&self.options) }).await?;
        let mut headers = HeaderMap::new();
        if path.contains("_bulk") {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        }
        let limit = Some(self.options.timeout.0);
        let failed = |error: elasticsearch::Error| unanswered(&self.place, &error, error.is_timeout());
        let response = transport.send(method, path, headers, None::<&()>, body, limit).await.map_err(failed)?;
        let status = response.status_code().as_u16();
        let wait = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
        let bytes = response.bytes().await.map_err(failed)?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
        };
        if status < 300 || taken.contains(&status) {
            return Ok(Answer { status, body });
        }
        Err(fault(&self.place, status, &body, wait.map(Duration::from_secs)))
    }
}

fn url(text: &str) -> Result<elasticsearch::http::Url> {
    // A path behind the host, as proxies want it, is kept only with a `/` at its end.
    let text = format!("{}/", text.trim_end_matches('/'));
    elasticsearch::http::Url::parse(&text).map_err(|error| {
        Error::configuration("option `url` is no URL of a server").help("write https://host:9200").caused_by(error)
    })
}

fn connect(options: &Options) -> Result<Transport> {
    let builder = if options.url.is_empty() {
        let pool = CloudConnectionPool::new(&options.cloud_id)
            .map_err(|error| Error::configuration("option `cloud_id` is no id of a deployment").caused_by(error))?;
        TransportBuilder::new(pool)
    } else {
        TransportBuilder::new(SingleNodeConnectionPool::new(url(&options.url)?))
    };
    let validation = match (&options.ca_certs, options.verify) {
        (_, false) => CertificateValidation::None,
        (None, true) => CertificateValidation::Default,
        (Some(path), true) => {
            let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
                Error::configuration(format!(
                    "option `ca_certs`: `{}` holds no certificate that can be read",
                    path.display()
                ))
                .help("name a file with certificates in PEM; `verify: false` does without, and is not safe")
                .caused_by(error)
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.into()))?;
            CertificateValidation::Full(Certificate::from_pem(&pem).map_err(|error| unusable(error.into()))?)
        }
    };
    let mut builder = builder.cert_validation(validation).enable_meta_header(false);
    let user = Some(&options.username).filter(|user| !user.is_empty());
    match (&options.api_key, user) {
        (Some(key), _) => builder = builder.auth(Credentials::EncodedApiKey(key.expose().to_owned())),
        (None, Some(user)) => {
            let password = options.password.as_ref().map(|password| password.expose().to_owned());
            builder = builder.auth(Credentials::Basic(user.clone(), password.unwrap_or_default()));
        }
        (None, None) => {}
    }
    builder.build().map_err(|error| {
        Error::configuration("no connection to Elasticsearch can be prepared")
            .help("check option `ca_certs`")
            .caused_by(error)
    })
}
