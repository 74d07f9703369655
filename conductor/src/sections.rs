//! Sections of a configuration that are neither plugins nor chains: `http`, and those that nothing acts on.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use vconductor_core::config::{Code, Config, Finding, Period, Size, Span};
use vconductor_core::http::HttpClient;
use vconductor_core::http::guard::Guard;
use vconductor_core::plugin::Services;
use vconductor_core::price::PriceTable;
use vconductor_core::recording::{MediaPolicy, Recordings};
use vconductor_core::{Error, Result};

use crate::follow;

/// The section `http`: the client that all links share.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Http {
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

/// The section `media`: recordings that vCons refer to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Media {
    /// Folders that `file:` URLs inside a vCon may point into.
    roots: Vec<PathBuf>,
    /// The largest recording.
    max_size: Option<Size>,
    /// The longest recording.
    max_duration: Option<Period>,
    /// The limit for fetching one.
    timeout: Option<Period>,
    /// How much of what was fetched is kept for the next link or run.
    cache_size: Option<Size>,
    /// Bodies with more bytes are to be taken out of documents.
    offload_over: Option<Size>,
    /// The storage that keeps them.
    storage: Option<String>,
}

impl Media {
    fn policy(self) -> Result<MediaPolicy> {
        if let Some(root) = self.roots.iter().find(|root| !root.is_absolute()) {
            return Err(Error::configuration(format!("`roots`: `{}` is not an absolute path", root.display()))
                .help("write the whole path: it must not depend on where the process was started"));
        }
        let default = MediaPolicy::default();
        Ok(MediaPolicy {
            roots: self.roots,
            max_bytes: self.max_size.map_or(default.max_bytes, |size| size.0),
            max_duration: self.max_duration.map_or(default.max_duration, |limit| limit.0),
            timeout: self.timeout.map_or(default.timeout, |limit| limit.0),
            cache_bytes: self.cache_size.map_or(default.cache_bytes, |size| size.0),
        })
    }
}

/// Adds what is wrong with these sections, and what this build does not act on.
pub(crate) fn check(config: &Config, findings: &mut Vec<Finding>) {
    if let Some(section) = &config.http
        && let Some(http) = section.read::<Http>(&config.mode, findings)
        && let Err(error) = guard(&http)
    {
        findings.push(Finding::error(Code::BadValue, &section.node.span, error.chain_text()));
    }
    let media =
        config.media.as_ref().and_then(|section| Some((section, section.read::<Media>(&config.mode, findings)?)));
    let mut offloads = None;
    if let Some((section, media)) = media {
        offloads = (media.offload_over.is_some() || media.storage.is_some()).then_some(&section.node.span);
        if let Err(error) = media.policy() {
            findings.push(Finding::error(Code::BadValue, &section.node.span, error.chain_text()));
        }
    }
    let mut idle = |span: &Span, section: &str, why: &str| {
        let message = format!("`{section}` has no effect in this build: {why}");
        findings.push(Finding::warning(Code::NoEffect, span, message));
    };
    if let Some(span) = offloads {
        idle(span, "media: offload_over", "recordings stay where they are");
    }
    if let Some(auth) = config.ingress_auth.first() {
        idle(&auth.list.span, "ingress_auth", "nothing is received over HTTP");
    }
    follow::check(config, findings);
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
pub(crate) fn services(config: &Config, http: HttpClient) -> Result<Services> {
    let prices = Arc::new(PriceTable::new(config.prices.clone())?);
    let media: Option<Media> = config.media.as_ref().and_then(|section| section.read(&config.mode, &mut Vec::new()));
    let recordings = Recordings::new(media.unwrap_or_default().policy()?);
    Ok(Services { prices, recordings, ..Services::alone(http)? })
}

fn guard(http: &Http) -> Result<Guard, Error> {
    let guard = Guard::default().allow_private(http.allow_private).allow_http(http.allow_http);
    http.allow.iter().try_fold(guard, |guard, destination| guard.allow(destination))
}
