//! Sections of a configuration that are neither plugins nor chains: `http`, and those that nothing acts on.

use std::sync::Arc;

use serde::Deserialize;
use vconductor_core::config::{Code, Config, Finding, Period, Size, Span};
use vconductor_core::http::HttpClient;
use vconductor_core::http::guard::Guard;
use vconductor_core::plugin::{Asked, Registry, Services};
use vconductor_core::price::PriceTable;
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

/// What the section `media` asks for; `None` without it, or when `findings` says what is wrong.
pub(crate) fn media(config: &Config, findings: &mut Vec<Finding>) -> Option<Media> {
    let section = config.media.as_ref().filter(|section| !section.node.is_null())?;
    let media: Media = section.read(&config.mode, findings)?;
    let span = &section.node.get("storage").unwrap_or(&section.node).span;
    let Some(storage) = config.storage(&media.storage) else {
        let message = format!("`media.storage`: no storage is called `{}`", media.storage);
        findings.push(Finding::error(Code::UnknownStorage, span, message).help("define it under `storages`"));
        return None;
    };
    // What is wrong with the storage itself is told where it is defined.
    let asked = Asked { name: &storage.name, module: &storage.module, options: &storage.options, mode: &config.mode };
    let registry = Registry::collect().ok();
    let entry = registry.as_ref().and_then(|registry| registry.storage(&storage.module));
    let built = entry.and_then(|entry| (entry.configure)(asked, &mut Vec::new()))?;
    if built.media().is_none() {
        let message = format!("`media.storage`: `{}` keeps documents only", media.storage);
        findings.push(Finding::error(Code::BadValue, span, message).help("name a storage of module `storage.s3`"));
        return None;
    }
    Some(media)
}

/// Adds what is wrong with these sections, and what this build does not act on.
pub(crate) fn check(config: &Config, findings: &mut Vec<Finding>) {
    if let Some(section) = &config.http
        && let Some(http) = section.read::<Http>(&config.mode, findings)
        && let Err(error) = guard(&http)
    {
        findings.push(Finding::error(Code::BadValue, &section.node.span, error.chain_text()));
    }
    media(config, findings);
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

/// What links share, with the operator's own prices.
///
/// # Errors
/// If the price table that comes with the program is damaged.
pub(crate) fn services(config: &Config, http: HttpClient) -> Result<Services> {
    let prices = Arc::new(PriceTable::new(config.prices.clone())?);
    Ok(Services { prices, ..Services::alone(http)? })
}

fn guard(http: &Http) -> Result<Guard, Error> {
    let guard = Guard::default().allow_private(http.allow_private).allow_http(http.allow_http);
    http.allow.iter().try_fold(guard, |guard, destination| guard.allow(destination))
}

#[cfg(test)]
mod tests {
    use vconductor_core::config::{ProcessEnvironment, load_text};
    use vconductor_links as _;
    use vconductor_storages as _;

    use super::*;

    /// Code, place and words of what is said about a section `media`.
    fn said(media: &str) -> Vec<String> {
        let text = format!(
            "media: {media}\nstorages:\n  s3: {{module: storage.s3, options: {{aws_bucket: b}}}}\n  files: {{module: \
             storage.file}}\n"
        );
        let config = load_text("a.yml", &text, &ProcessEnvironment).config.unwrap();
        let mut found = Vec::new();
        check(&config, &mut found);
        found.iter().map(|finding| format!("{} {} {}", finding.code, finding.span, finding.message)).collect()
    }

    #[test]
    fn media_go_to_a_storage_that_keeps_them() {
        assert_eq!(said("{offload_over: 1MB, storage: s3}"), Vec::<String>::new());
        for (media, code, words) in [
            ("{storage: s4}", "VC0403 a.yml:1:18", "no storage is called `s4`"),
            ("{storage: files}", "VC0305 a.yml:1:18", "`files` keeps documents only"),
            ("{offload_over: 1MB}", "VC0304", "storage"),
            ("{offload_over: much, storage: s3}", "VC0303", "a size"),
            ("{over: 1MB, storage: s3}", "VC0302", "over"),
        ] {
            let found = said(media);
            assert!(found.len() == 1 && found[0].starts_with(code) && found[0].contains(words), "{media}: {found:?}");
        }
    }
}
