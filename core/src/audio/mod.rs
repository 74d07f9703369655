//! What a recording is: format, length, channels, rate, found from its bytes and never from its name.
//!
//! The containers with a simple header (WAV, Ogg) are read here, since telephony puts codecs into
//! them that no decoder of ours knows (GSM, ADPCM, Opus) and probing needs none. MP3, FLAC and M4A are
//! read by symphonia. Only headers and packet boundaries are looked at; nothing is decoded.

mod content_hash;
pub(crate) mod mp4;
mod ogg;
mod sniff;
pub(crate) mod stream;
pub(crate) mod wav;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{Cursor, Read, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

pub use content_hash::{content_hash, content_hash_of, matches_token};
pub(crate) use content_hash::{matches_token_of, sha256_of};
use sniff::Found;
use symphonia::core::io::MediaSource;

use crate::{Error, Result};

/// The container of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// MPEG audio, mostly layer III.
    Mp3,
    /// RIFF or RF64 WAVE.
    Wav,
    /// Ogg with Vorbis, Opus, Speex or FLAC.
    Ogg,
    /// Native FLAC.
    Flac,
    /// MP4 with AAC or ALAC.
    M4a,
}

impl Format {
    /// The media type, where possible from the list that the vCon draft recommends.
    pub fn mediatype(self) -> &'static str {
        match self {
            Format::Mp3 => "audio/x-mp3",
            Format::Wav => "audio/x-wav",
            Format::Ogg => "audio/ogg",
            Format::Flac => "audio/flac",
            Format::M4a => "audio/x-mp4",
        }
    }

    /// The usual file name extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Mp3 => "mp3",
            Format::Wav => "wav",
            Format::Ogg => "ogg",
            Format::Flac => "flac",
            Format::M4a => "m4a",
        }
    }
}

/// What was found out about a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioInfo {
    /// The container.
    pub format: Format,
    /// The codec, for example `pcm`, `mp3`, `opus`, `aac`; `unknown` for a WAV codec without a name here.
    pub codec: &'static str,
    /// Playing time of what is really there.
    pub duration: Duration,
    /// Channels; 1 is mono, 2 stereo.
    pub channels: u16,
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Average bits per second over the whole file; `None` for less than a millisecond of audio.
    pub bit_rate: Option<u32>,
    /// The file says that it is longer than it is: the recorder or an upload broke off.
    pub truncated: bool,
}

impl AudioInfo {
    /// The media type for the vCon's `mediatype` member.
    pub fn mediatype(&self) -> &'static str {
        self.format.mediatype()
    }
}

/// What the readers of the single formats find out.
struct Measured {
    codec: &'static str,
    seconds: f64,
    channels: u16,
    sample_rate: u32,
    truncated: bool,
}

/// Finds out what the recording in `bytes` is.
///
/// # Errors
/// Permanent, saying what the bytes look like, when they are not a recording in one of the known formats,
/// are damaged, or hold no audio.
pub fn probe(bytes: &[u8]) -> Result<AudioInfo> {
    probe_source(Cursor::new(bytes), bytes.len() as u64)
}

/// Finds out what the recording in a file is; reads what it needs and never the whole file into memory.
///
/// # Errors
/// As [`probe`]; retryable when reading fails.
pub fn probe_file(path: &Path) -> Result<AudioInfo> {
    let unreadable =
        |error: std::io::Error| Error::retryable(format!("cannot read {}", path.display())).caused_by(error);
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    probe_source(file, length).map_err(|error| error.within(path.display()))
}

/// Whether the bytes begin as a recording does; [`probe`] says whether it is a whole one.
pub fn is_recording(bytes: &[u8]) -> bool {
    matches!(sniff::sniff(&bytes[..bytes.len().min(sniff::HEAD)]), Found::Audio(_))
}

/// What bytes that begin no recording of ours look like, in words; `None` when they resemble nothing.
pub(crate) fn resembles(head: &[u8]) -> Option<&'static str> {
    match sniff::sniff(head) {
        Found::Else(what) if what != sniff::UNKNOWN => Some(what),
        _ => None,
    }
}

/// [`probe`] of `length` bytes that `source` yields.
///
/// # Errors
/// As [`probe`]; retryable when reading fails.
pub(crate) fn probe_source(mut source: impl MediaSource, length: u64) -> Result<AudioInfo> {
    let mut head = Vec::with_capacity(sniff::HEAD);
    (&mut source).take(sniff::HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
    let format = match sniff::sniff(&head) {
        Found::Audio(format) => format,
        Found::Else(what) => {
            return Err(Error::permanent(format!("not audio that we know: {what}"))
                .help("known are MP3, WAV, Ogg (Opus, Vorbis), FLAC and M4A"));
        }
    };
    source.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    // Third-party parsers on files from strangers: a bug in one must cost this file, not the process.
    let measured = catch_unwind(AssertUnwindSafe(|| match format {
        Format::Wav => wav::measure(source, length),
        Format::Ogg => ogg::measure(source, length),
        Format::Mp3 | Format::Flac => stream::measure_packets(format, source),
        Format::M4a => mp4::measure(source, length),
    }));
    let measured = measured.unwrap_or_else(|_| Err(broken(format, "its structure is inconsistent")))?;
    finish(format, &measured, length)
}

fn finish(format: Format, measured: &Measured, length: u64) -> Result<AudioInfo> {
    /// A year: beyond that the header lies.
    const LONGEST: f64 = 365.0 * 86_400.0;
    let seconds = measured.seconds;
    if measured.channels == 0 || measured.sample_rate == 0 || !(0.0..LONGEST).contains(&seconds) {
        return Err(broken(format, "its header holds impossible figures"));
    }
    if seconds == 0.0 {
        return Err(broken(format, "it holds no audio"));
    }
    Ok(AudioInfo {
        format,
        codec: measured.codec,
        duration: Duration::from_secs_f64(seconds),
        channels: measured.channels,
        sample_rate: measured.sample_rate,
        bit_rate: (seconds >= 0.001).then(|| (length as f64 * 8.0 / seconds) as u32),
        truncated: measured.truncated,
    })
}

pub(crate) fn broken(format: Format, why: impl std::fmt::Display) -> Error {
    Error::permanent(format!("broken {} recording: {why}", format.extension().to_uppercase()))
}

fn unreadable(error: std::io::Error) -> Error {
    Error::retryable("cannot read the recording").caused_by(error)
}

/// Fills `buffer`; `false` when the source ends before.
fn read_whole(source: &mut impl Read, buffer: &mut [u8]) -> Result<bool> {
    match source.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(unreadable(error)),
    }
}

fn u16_le(bytes: &[u8]) -> u16 {
    bytes.iter().take(2).rev().fold(0, |value, byte| value << 8 | u16::from(*byte))
}

fn u32_le(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_le(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
