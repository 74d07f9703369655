//! What a vendor accepts, and what it gets.

use std::time::Duration;

use bytes::Bytes;

/// How a vendor wants a recording. The default is what transcription services commonly take.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    /// The most bytes of a part.
    pub max_bytes: u64,
    /// The longest part. Cuts are wanted at four fifths of it, and lie at most a quarter of that to either side, so that
    /// none is longer (vcon-server cuts within 25 % of its mark: contract, section 2.8).
    pub max_duration: Duration,
    /// What is not louder counts as silence, in decibels relative to full scale.
    pub silence_dbfs: f32,
    /// How long it must be silent for a cut.
    pub silence: Duration,
    /// What becomes of several channels.
    pub channels: Channels,
}

impl Default for Cut {
    fn default() -> Self {
        Cut {
            max_bytes: 25_000_000,
            max_duration: Duration::from_secs(600),
            silence_dbfs: -40.0,
            silence: Duration::from_secs(2),
            channels: Channels::Mixed,
        }
    }
}

/// What becomes of several channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One sequence of parts, the mean of all channels.
    Mixed,
    /// A sequence of parts for each channel, all cut at the same places.
    Separate,
}

/// A part of a recording.
#[derive(Clone)]
pub struct Part {
    /// Its number in its sequence, from 0.
    pub index: usize,
    /// The channel it is of; `None` where all channels are in it.
    pub channel: Option<u16>,
    /// Where it begins in the recording, exact to the sample.
    pub offset: Duration,
    /// How long it is; zero where that cannot be told.
    pub duration: Duration,
    /// Nowhere louder than [`Cut::silence_dbfs`]: there is nothing in it to transcribe. False where that cannot be told.
    pub silent: bool,
    /// The file for the vendor.
    pub bytes: Bytes,
    /// Its media type.
    pub mediatype: String,
    /// A name for it, with the right extension.
    pub file_name: String,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("file_name", &self.file_name)
            .field("channel", &self.channel)
            .field("offset", &self.offset)
            .field("duration", &self.duration)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}
