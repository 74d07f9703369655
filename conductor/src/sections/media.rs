//! The section `media`: where recordings may come from, and where large bodies are kept apart from documents.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use vconductor_core::config::{Code, Config, Finding, Period, Size, nearest};
use vconductor_core::plugin::{Asked, Registry};
use vconductor_core::recording::MediaPolicy;
use vconductor_core::{Error, Result};

/// A body with more bytes is taken out, where the configuration names a storage and no size.
const OFFLOAD_OVER: Size = Size(256 << 10);

/// The section `media`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Media {
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
    /// A body with more bytes is taken out of its document.
    offload_over: Option<Size>,
    /// The storage that keeps it.
    storage: Option<String>,
}

/// Bodies that are kept apart from their documents.
#[derive(Debug)]
pub(crate) struct OffloadConfig {
    /// A body with more bytes is taken out.
    pub(crate) over: u64,
    /// The storage that keeps it.
    pub(crate) storage: String,
}

impl Media {
    /// The section as it stands; what is wrong with it goes to `findings`.
    fn read(config: &Config, findings: &mut Vec<Finding>) -> Option<Media> {
        let section = config.media.as_ref().filter(|section| !section.node.is_null())?;
        section.read(&config.mode, findings)
    }

    fn policy(&self) -> Result<MediaPolicy> {
        if let Some(root) = self.roots.iter().find(|root| !root.is_absolute()) {
            return Err(Error::configuration(format!("`roots`: `{}` is not an absolute path", root.display()))
                .help("write the whole path: it must not depend on where the process was started"));
        }
        let default = MediaPolicy::default();
        Ok(MediaPolicy {
            roots: self.roots.clone(),
            max_bytes: self.max_size.map_or(default.max_bytes, |size| size.0),
            max_duration: self.max_duration.map_or(default.max_duration, |limit| limit.0),
            timeout: self.timeout.map_or(default.timeout, |limit| limit.0),
            cache_bytes: self.cache_size.map_or(default.cache_bytes, |size| size.0),
        })
    }
}

/// Adds what is wrong with the section.
pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    let (Some(section), Some(media)) = (&config.media, Media::read(config, findings)) else { return };
    if let Err(error) = media.policy() {
        findings.push(Finding::error(Code::BadValue, &section.node.span, error.chain_text()));
    }
    offload_of(config, media, findings);
}

/// Where recordings may come from.
///
/// # Errors
/// A configuration error that [`check`] has told already.
pub(super) fn policy(config: &Config) -> Result<MediaPolicy> {
    Media::read(config, &mut Vec::new()).unwrap_or_default().policy()
}

/// Which bodies are kept apart; `None`: none, or `findings` says what is wrong.
pub(crate) fn offload(config: &Config, findings: &mut Vec<Finding>) -> Option<OffloadConfig> {
    let media = Media::read(config, findings)?;
    offload_of(config, media, findings)
}

fn offload_of(config: &Config, media: Media, findings: &mut Vec<Finding>) -> Option<OffloadConfig> {
    let section = config.media.as_ref()?;
    let name = match (media.storage, media.offload_over) {
        (Some(name), _) => name,
        (None, None) => return None,
        (None, Some(_)) => {
            let message = "`media` lacks the key `storage`, which `offload_over` needs";
            let finding = Finding::error(Code::MissingKey, &section.node.span, message);
            findings.push(finding.help("name a storage of module `storage.s3`"));
            return None;
        }
    };
    let span = &section.node.get("storage").unwrap_or(&section.node).span;
    let Some(storage) = config.storage(&name) else {
        let message = format!("`media.storage`: no storage is called `{name}`");
        let names: Vec<&str> = config.storages.iter().map(|storage| &*storage.name).collect();
        let finding = Finding::error(Code::UnknownStorage, span, message).nearest(nearest(&name, names));
        findings.push(match finding.nearest {
            Some(_) => finding,
            None => finding.help("define it under `storages`"),
        });
        return None;
    };
    // What is wrong with the storage itself is told where it is defined.
    let asked = Asked { name: &storage.name, module: &storage.module, options: &storage.options, mode: &config.mode };
    let registry = Registry::collect().ok();
    let entry = registry.as_ref().and_then(|registry| registry.storage(&storage.module));
    let built = entry.and_then(|entry| (entry.configure)(asked, &mut Vec::new()))?;
    if built.media().is_none() {
        let message = format!("`media.storage`: `{name}` keeps documents only");
        findings.push(Finding::error(Code::BadValue, span, message).help("name a storage of module `storage.s3`"));
        return None;
    }
    Some(OffloadConfig { over: media.offload_over.unwrap_or(OFFLOAD_OVER).0, storage: name })
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
        for good in ["{offload_over: 1MB, storage: s3}", "{storage: s3, roots: [/recordings]}", "{max_size: 1GB}", ""] {
            assert_eq!(said(good), Vec::<String>::new());
        }
        for (media, code, words) in [
            ("{storage: s4}", "VC0403 a.yml:1:18", "no storage is called `s4`"),
            ("{storage: files}", "VC0305 a.yml:1:18", "`files` keeps documents only"),
            ("{offload_over: 1MB}", "VC0304", "storage"),
            ("{offload_over: much, storage: s3}", "VC0303", "a size"),
            ("{over: 1MB, storage: s3}", "VC0302", "over"),
            ("{roots: [recordings]}", "VC0305", "not an absolute path"),
        ] {
            let found = said(media);
            assert!(found.len() == 1 && found[0].starts_with(code) && found[0].contains(words), "{media}: {found:?}");
        }
    }
}
