//! Sections of a configuration that are neither plugins nor chains: `http`, and those that nothing acts on.

use serde::Deserialize;
use vconductor_core::config::{Code, Config, Finding, Period, Size, Span};
use vconductor_core::http::HttpClient;
use vconductor_core::http::guard::Guard;
use vconductor_core::plugin::{Asked, Registry};
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

/// The section `media`: large bodies are kept apart from documents.
#[derive(Debug, Deserialize)]
pub(crate) struct Media {
    /// A body with more bytes is taken out.
    #[serde(default = "offload_over")]
    pub(crate) offload_over: Size,
    /// The storage that keeps it.
    pub(crate) storage: String,
}

fn offload_over() -> Size {
    Size(256 << 10)
}

/// What the section `media` asks for; `findings` says what is wrong with it.
pub(crate) fn media(config: &Config, findings: &mut Vec<Finding>) -> Option<Media> {
    config.media.as_ref().filter(|section| !section.node.is_null())?.read(&config.mode, findings)
}

fn check_media(config: &Config, findings: &mut Vec<Finding>) {
    let (Some(section), Some(media)) = (&config.media, media(config, findings)) else { return };
    let span = &section.node.get("storage").unwrap_or(&section.node).span;
    let Some(storage) = config.storage(&media.storage) else {
        let message = format!("`media.storage`: no storage is called `{}`", media.storage);
        findings.push(Finding::error(Code::UnknownStorage, span, message).help("define it under `storages`"));
        return;
    };
    // What is wrong with the storage itself is told where it is defined.
    let asked = Asked { name: &storage.name, module: &storage.module, options: &storage.options, mode: &config.mode };
    let registry = Registry::collect().ok();
    let entry = registry.as_ref().and_then(|registry| registry.storage(&storage.module));
    let built = entry.and_then(|entry| (entry.configure)(asked, &mut Vec::new()));
    if built.is_some_and(|built| built.media().is_none()) {
        let message = format!("`media.storage`: `{}` keeps documents only", media.storage);
        findings.push(Finding::error(Code::BadValue, span, message).help("name a storage of module `storage.s3`"));
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
    check_media(config, findings);
    let mut idle = |span: &Span, section: &str, why: &str| {
        let message = format!("`{section}` has no effect in this build: {why}");
        findings.push(Finding::warning(Code::NoEffect, span, message));
    };
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

fn guard(http: &Http) -> Result<Guard, Error> {
    let guard = Guard::default().allow_private(http.allow_private).allow_http(http.allow_http);
    http.allow.iter().try_fold(guard, |guard, destination| guard.allow(destination))
}
