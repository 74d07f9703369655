//! What was fetched: a recording that we can read, one that we pass on unchanged, or something else.

use std::io::Read as _;
use std::sync::Arc;

use super::stored::{Stored, unreadable};
use super::{Recording, Shared};
use crate::audio::{self, AudioInfo};
use crate::{Error, Result, media};

/// Bytes that tell what a file is.
const HEAD: u64 = 4096;

/// Media types of what we do not read, with the extension by which vendors know it.
const EXTENSIONS: &[(&str, &str)] = &[
    ("video/webm", "webm"),
    ("audio/webm", "webm"),
    ("video/x-matroska", "mkv"),
    ("audio/aiff", "aiff"),
    ("audio/aac", "aac"),
    ("audio/AMR", "amr"),
    ("audio/AMR-WB", "awb"),
    ("audio/basic", "au"),
    ("audio/x-caf", "caf"),
    ("video/x-msvideo", "avi"),
    ("video/x-ms-asf", "wma"),
    ("video/x-flv", "flv"),
    ("video/mpeg", "mpg"),
    ("video/mp2t", "ts"),
];

/// Finds out what was fetched. Reads all of it, and blocks. What the dialog says counts only where the bytes say nothing.
///
/// # Errors
/// Permanent, when it is a broken recording or something that is certainly none: nobody shall pay for the transcription
/// of a login page.
pub(super) fn identify(stored: Stored, mediatype: Option<&str>, filename: Option<&str>) -> Result<Recording> {
    let (info, mediatype, extension) = match audio::probe_source(stored.source(), stored.len()) {
        Ok(info) => {
            let (mediatype, extension) = (info.mediatype().to_owned(), info.format.extension().to_owned());
            (Some(info), mediatype, extension)
        }
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => {
            let mut head = Vec::new();
            stored.source().take(HEAD).read_to_end(&mut head).map_err(unreadable)?;
            let (mediatype, extension) = unread(&head, error, mediatype, filename)?;
            (None, mediatype, extension)
        }
    };
    let hash = audio::sha256_of(stored.source()).map_err(unreadable)?;
    Ok(Recording { shared: Arc::new(Shared { stored, info, hash, mediatype, extension }) })
}

/// Media type and extension of what we do not read, or `error` when it is no recording.
fn unread(head: &[u8], error: Error, mediatype: Option<&str>, filename: Option<&str>) -> Result<(String, String)> {
    if audio::is_recording(head) {
        return Err(error);
    }
    let found = media::by_magic(head);
    if found.is_none() && audio::resembles(head).is_some() {
        return Err(error);
    }
    let mediatype = found.or(mediatype).unwrap_or("application/octet-stream");
    let known = EXTENSIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(mediatype));
    let named = || {
        let (_, extension) = filename?.rsplit_once('.')?;
        let is_plain = (1..=5).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_plain.then(|| extension.to_ascii_lowercase())
    };
    let extension = known.map(|(_, extension)| (*extension).to_owned()).or_else(named);
    Ok((mediatype.to_owned(), extension.unwrap_or_else(|| "bin".to_owned())))
}

/// Refuses what is longer than it may be.
pub(super) fn check_length(info: Option<&AudioInfo>, longest: std::time::Duration) -> Result<()> {
    match info {
        Some(info) if info.duration > longest => {
            let (found, allowed) = (info.duration.as_secs() / 60, longest.as_secs() / 60);
            Err(Error::permanent(format!("the recording is {found} minutes long, and {allowed} are allowed"))
                .help("raise `media: max_duration` if such recordings are expected"))
        }
        _ => Ok(()),
    }
}
