//! `.vconz`: vCons and their media in one ZIP (draft-miller-vcon-zip-bundle-00).
//!
//! `manifest.json` names the format; `vcons/<uuid>.json` are the vCons, `files/<content_hash>.<ext>` the media, named by
//! the hash that their vCons know them by. Nothing is ever written to disk under a name from the archive, but names that
//! would leave a folder are refused all the same: they are made to harm whoever unpacks.

use std::collections::HashSet;
use std::io::{Cursor, Read};

use bytes::Bytes;
use uuid::Uuid;
use zip::ZipArchive;
use zip::result::ZipError;

use super::Limits;
use super::inline::with_media;
use crate::audio::matches_token;
use crate::document::Document;
use crate::vcon::Vcon;
use crate::{Error, Result};

/// Whether `bytes` start like a ZIP: with an entry, or with the end of an empty one.
pub fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// A bundle, read whole.
#[derive(Debug, Default)]
pub struct Bundle {
    /// The vCons in the order of the archive.
    pub vcons: Vec<BundledVcon>,
    /// The media.
    pub files: Vec<BundledFile>,
    /// What breaks the format.
    pub faults: Vec<Fault>,
}

/// A vCon of a bundle.
#[derive(Debug, Clone)]
pub struct BundledVcon {
    /// The entry, such as `vcons/019f15a6-a752-826f-9dd8-dd37220d739c.json`.
    pub name: String,
    /// Its text.
    pub bytes: Bytes,
}

/// A media file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundledFile {
    /// The entry, such as `files/sha512-....mp3`.
    pub name: String,
    /// Its content.
    pub bytes: Bytes,
}

impl BundledFile {
    /// The hash that the name gives, as vCons spell it.
    pub(super) fn content_hash(&self) -> &str {
        hash_in(self.name.rsplit('/').next().unwrap_or_default())
    }
}

fn hash_in(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

/// One thing that breaks the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The entry; empty for the bundle as a whole.
    pub entry: String,
    /// What is wrong.
    pub message: String,
}

impl Bundle {
    /// Reads a bundle into memory and checks its rules.
    ///
    /// # Errors
    /// Permanent: no readable ZIP, or more entries or bytes than `limits` allow.
    pub fn open(bytes: Bytes, limits: &Limits) -> Result<Bundle> {
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
        if archive.len() > limits.entries {
            return Err(Error::permanent(format!(
                "{} entries are more than the {} that are read of a bundle",
                archive.len(),
                limits.entries
            )));
        }
        let mut bundle = Bundle::default();
        if archive.has_duplicate_names() {
            bundle.fault("", "two entries have one name; readers would see different ones");
        }
        if archive.has_overlapping_entries().unwrap_or(true) {
            return Err(Error::permanent("entries of the ZIP share their data, as in a ZIP bomb"));
        }
        let mut left = limits.inflated;
        let mut manifest = None;
        let mut uuids = HashSet::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|error| unreadable(&error))?;
            let name = String::from_utf8_lossy(entry.name_raw()).into_owned();
            if let Some(why) = unsafe_name(&name) {
                bundle.fault(&name, why);
                continue;
            }
            if name.ends_with('/') {
                continue;
            }
            let mut content = Vec::new();
            let read = (&mut entry).take(left.saturating_add(1)).read_to_end(&mut content);
            left = left.checked_sub(content.len() as u64).ok_or_else(|| limits.grows_too_large())?;
            if let Err(error) = read {
                bundle.fault(&name, format!("cannot be unpacked: {error}"));
                continue;
            }
            match name.split_once('/') {
                None if name == "manifest.json" => manifest = Some(content),
                Some(("vcons", file)) => {
                    if let Some(fault) = misnamed(file, &content, &mut uuids) {
                        bundle.fault(&name, fault);
                    }
                    bundle.vcons.push(BundledVcon { name, bytes: content.into() });
                }
                Some(("files", file)) => {
                    if let Some(fault) = wrong_hash(file, &content) {
                        bundle.fault(&name, fault);
                    }
                    bundle.files.push(BundledFile { name, bytes: content.into() });
                }
                _ => {}
            }
        }
        match manifest {
            None => bundle.fault("manifest.json", "is missing"),
            Some(text) => {
                if let Some(fault) = wrong_manifest(text) {
                    bundle.fault("manifest.json", fault);
                }
            }
        }
        Ok(bundle)
    }

    fn fault(&mut self, entry: &str, message: impl Into<String>) {
        self.faults.push(Fault { entry: entry.to_owned(), message: message.into() });
    }

    /// The vCons one after another, when nothing is wrong with the bundle. Those that are not signed or encrypted get the
    /// media that they refer to as inline content, and keep the URL in `meta.original`.
    ///
    /// # Errors
    /// Permanent, with the first fault.
    pub fn into_sound_vcons(self) -> Result<impl ExactSizeIterator<Item = Result<BundledVcon>>> {
        if let Some(fault) = self.faults.first() {
            return Err(Error::permanent(format!("the bundle is broken: {fault}"))
                .help("`vconductor validate` says all that is wrong with it"));
        }
        let files = self.files;
        Ok(self.vcons.into_iter().map(move |BundledVcon { name, bytes }| {
            let bytes = with_media(bytes, &files).map_err(|error| error.within(&name))?;
            Ok(BundledVcon { name, bytes })
        }))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.entry.as_str() {
            "" => f.write_str(&self.message),
            entry => write!(f, "`{entry}` {}", self.message),
        }
    }
}

fn unreadable(error: &ZipError) -> Error {
    Error::permanent(format!("the ZIP cannot be read: {error}"))
        .help("it was cut off or changed on its way; send it again")
}

/// Why nobody should unpack an entry of that name.
fn unsafe_name(name: &str) -> Option<&'static str> {
    if name.contains('\0') || name.contains('\\') {
        return Some("has a NUL or backslash in its name");
    }
    if name.starts_with('/') || name.get(1..2) == Some(":") {
        return Some("has an absolute name");
    }
    name.split('/').any(|part| part == ".." || part == ".").then_some("would be unpacked outside of its folder")
}

fn wrong_manifest(text: Vec<u8>) -> Option<String> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => return Some(error.chain_text()),
    };
    let says =
        |name: &str, value: &str| document.root().get(name).is_some_and(|view| view.as_str().as_deref() == Some(value));
    match (says("format", "vcon-bundle"), says("version", "1.0")) {
        (true, true) => None,
        (false, _) => Some("does not say \"format\": \"vcon-bundle\"".to_owned()),
        (true, false) => Some("does not say \"version\": \"1.0\", the one that is known".to_owned()),
    }
}

/// What is wrong with the name of a vCon: it must be the vCon's uuid, and no other entry's.
fn misnamed(file: &str, content: &[u8], uuids: &mut HashSet<Uuid>) -> Option<String> {
    let Some(uuid) = file.strip_suffix(".json").and_then(|stem| Uuid::try_parse(stem).ok()) else {
        return Some("should be named <uuid>.json".to_owned());
    };
    if !uuids.insert(uuid) {
        return Some("is the second entry of that uuid".to_owned());
    }
    // What cannot be read is told when the vCon itself is.
    let inside = Vcon::read(Bytes::copy_from_slice(content)).ok()?.uuid();
    match inside {
        Some(inside) if inside != uuid => Some(format!("holds the vCon {inside}")),
        _ => None,
    }
}

/// What is wrong with the name of a media file: it must start with the content hash of its bytes.
fn wrong_hash(file: &str, content: &[u8]) -> Option<String> {
    match matches_token(content, hash_in(file)) {
        Some(true) => None,
        Some(false) => Some("does not hold the bytes that the hash in its name says".to_owned()),
        None => Some("should be named by the content hash of its bytes, such as sha512-....mp3".to_owned()),
    }
}
