//! What a file of sound or video is, as far as a vCon tells: media type, length, channels. Found from the bytes.
//!
//! Recordings that [`crate::audio`] measures exactly are left to it. Of Matroska, WebM and MP4 with pictures the header tells
//! (read by symphonia), or the packets where a browser recorded without knowing the end. What else is known by its first
//! bytes only is passed on unchanged, with its media type.

mod container;
mod magic;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::audio::{self, Format};
use crate::{Error, Result};

/// What is known of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Its media type, where possible one that the vCon draft recommends (core-04, section 4.3.5).
    pub mediatype: &'static str,
    /// How long it plays; `None` when that cannot be told.
    pub duration: Option<Duration>,
    /// The channels of its sound; `None` when that cannot be told, or there is no sound.
    pub channels: Option<u16>,
}

/// Whether the bytes begin as sound or video does; [`probe`] says whether it is whole.
pub fn is_media(bytes: &[u8]) -> bool {
    audio::is_recording(bytes) || magic::is_matroska(bytes) || magic::mediatype(bytes).is_some()
}

/// Finds out what the bytes are.
///
/// # Errors
/// Permanent, saying what the bytes look like, when they are neither sound nor video, or a recording that is damaged.
pub fn probe(bytes: &[u8]) -> Result<Media> {
    if magic::is_matroska(bytes) {
        return container::matroska(bytes);
    }
    let error = match audio::probe(bytes) {
        Ok(found) => {
            let mediatype = match found.format {
                Format::M4a if container::mp4_pictures(bytes).is_some() => "video/x-mp4",
                Format::Ogg if magic::has_theora(bytes) => "video/ogg",
                _ => found.mediatype(),
            };
            return Ok(Media { mediatype, duration: Some(found.duration), channels: Some(found.channels) });
        }
        Err(error) => error,
    };
    // Pictures without sound.
    if let Some(duration) = container::mp4_pictures(bytes) {
        return Ok(Media { mediatype: "video/x-mp4", duration, channels: None });
    }
    match magic::mediatype(bytes) {
        Some(mediatype) => Ok(Media { mediatype, duration: None, channels: None }),
        None => Err(error),
    }
}

/// The media type of sound and video that only its first bytes tell of.
pub(crate) fn by_magic(head: &[u8]) -> Option<&'static str> {
    let is_webm = || head[..head.len().min(64)].windows(4).any(|window| window == b"webm");
    match head {
        _ if !magic::is_matroska(head) => magic::mediatype(head),
        _ if is_webm() => Some("video/webm"),
        _ => Some("video/x-matroska"),
    }
}

fn broken(what: &str) -> Error {
    Error::permanent(format!("broken {what} recording: its structure is inconsistent"))
}
