//! Sections of a configuration that are neither plugins nor chains: `http`, `media`, and those that nothing acts on.

mod media;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::{Code, Config, Finding, Period, Size};
use vconductor_core::http::HttpClient;
use vconductor_core::http::guard::Guard;
use vconductor_core::plugin::Services;
use vconductor_core::price::PriceTable;
use vconductor_core::recording::Recordings;
use vconductor_core::store::Coordination;
use vconductor_core::{Error, Result};

pub(crate) use self::media::{Media, OffloadConfig, offload};
use crate::{follow, ingress};

/// The section `http`: the client that all links share.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Http {
    /// The limit for making a connection.
    connect_timeout: Option<Period>,
    /// The limit for a whole call.
    timeout: Option<Period>,
    /// The most bytes that an answer may have.
    max_body: Option<Size>,
    /// Hosts (`media.example.com`, `*.example.com`) and networks (`10.0.0.0/8`) that URLs inside a vCon may reach beside
    /// public ones.
    allow: Vec<String>,
    /// Whether URLs inside a vCon may reach private addresses.
    allow_private: bool,
    /// Whether they may be http.
    allow_http: bool,
}

/// Adds what is wrong with these sections, and what this build does not act on.
pub(crate) fn check(config: &Config, findings: &mut Vec<Finding>) {
    if let Some(section) = &config.http
        && let Some(http) = section.read::<Http>(&config.mode, findings)
        && let Err(error) = guard(&http)
    {
        findings.push(Finding::error(Code::BadValue, &section.node.span, error.chain_text()));
    }
    media::check(config, findings);
    follow::check(config, findings);
    ingress::check(config, findings);
}

/// The client that all links share, as the section `http` wants it.
///
/// # Errors
/// A configuration error that [`check`] has told already, or TLS that cannot be set up.
pub(crate) fn http_client(config: &Config) -> Result<HttpClient> {
    let http: Http = match &config.http {
        Some(section) => section.read(&config.mode, &mut Vec::new()).unwrap_or_default(),
        None => Http::default(),
    };
    let mut builder = HttpClient::builder().guard(guard(&http)?);
    if let Some(limit) = http.connect_timeout {
        builder = builder.connect_timeout(limit.0);
    }
    if let Some(limit) = http.timeout {
        builder = builder.timeout(limit.0);
    }
    if let Some(size) = http.max_body {
        builder = builder.max_body(usize::try_from(size.0).unwrap_or(usize::MAX));
    }
    builder.build()
}

/// What links share, with the operator's own prices and rules for recordings.
///
/// # Errors
/// If the price table that comes with the program is damaged, or a configuration error that [`check`] has told already.
pub(crate) fn services(config: &Config, http: HttpClient, coordination: Arc<dyn Coordination>) -> Result<Services> {
    let prices = Arc::new(PriceTable::new(config.prices.clone())?);
    let recordings = Recordings::new(media::policy(config)?);
    Ok(Services { prices, recordings, coordination, ..Services::alone(http)? })
}

fn guard(http: &Http) -> Result<Guard, Error> {
    let guard = Guard::default().allow_private(http.allow_private).allow_http(http.allow_http);
    http.allow.iter().try_fold(guard, |guard, destination| guard.allow(destination))
}
