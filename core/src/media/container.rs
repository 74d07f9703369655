//! Containers that may hold pictures, by symphonia's readers: which tracks there are, and how long they are.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use symphonia::core::codecs::CodecParameters;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::units::{Duration as Ticks, Time};
use symphonia::default::formats::{IsoMp4Reader, MkvReader};

use super::{Media, broken};
use crate::Result;

/// A year: beyond that the header lies.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Matroska or WebM, with or without pictures.
pub(super) fn matroska(bytes: &[u8]) -> Result<Media> {
    // The name of the kind stands among the first members of the header (RFC 9559, section 5.1).
    let is_webm = bytes[..bytes.len().min(64)].windows(4).any(|window| window == b"webm");
    // A parser of others on files from strangers: a fault in it must cost this file, not the process.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut reader = MkvReader::try_new(stream(bytes), FormatOptions::default()).ok()?;
        let has = |kind| reader.first_track(kind).is_some();
        let (pictures, sound) = (has(TrackType::Video), has(TrackType::Audio));
        let channels = channels(&reader);
        let duration = stated(&reader).or_else(|| walked(&mut reader));
        (pictures || sound).then_some((pictures, channels, duration))
    }));
    let (pictures, channels, duration) = read.unwrap_or(None).ok_or_else(|| broken("Matroska"))?;
    let mediatype = match (pictures, is_webm) {
        (true, true) => "video/webm",
        (true, false) => "video/x-matroska",
        (false, true) => "audio/webm",
        (false, false) => "audio/x-matroska",
    };
    Ok(Media { mediatype, duration, channels })
}

/// Whether an MP4 file has pictures, and how long it is then.
pub(super) fn mp4_pictures(bytes: &[u8]) -> Option<Option<Duration>> {
    if bytes.get(4..8) != Some(b"ftyp") {
        return None;
    }
    let read = catch_unwind(AssertUnwindSafe(|| {
        let reader = IsoMp4Reader::try_new(stream(bytes), FormatOptions::default()).ok()?;
        reader.first_track(TrackType::Video).is_some().then(|| stated(&reader))
    }));
    read.unwrap_or(None)
}

fn stream(bytes: &[u8]) -> MediaSourceStream<'_> {
    MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default())
}

fn channels(reader: &impl FormatReader) -> Option<u16> {
    match &reader.first_track(TrackType::Audio)?.codec_params {
        Some(CodecParameters::Audio(parameters)) => {
            u16::try_from(parameters.channels.as_ref()?.count()).ok().filter(|count| *count > 0)
        }
        _ => None,
    }
}

/// What the header says, of the whole or of its longest track.
fn stated(reader: &impl FormatReader) -> Option<Duration> {
    let whole = reader.media_info();
    let tracks = reader.tracks().iter().map(|track| (track.time_base, track.duration));
    let all = std::iter::once((whole.time_base, whole.duration)).chain(tracks);
    all.filter_map(|(base, ticks)| seconds(base?.calc_duration(ticks?))).max()
}

/// Where the last packet ends.
fn walked(reader: &mut impl FormatReader) -> Option<Duration> {
    let mut longest = None;
    while let Ok(Some(packet)) = reader.next_packet() {
        let base = reader.tracks().iter().find(|track| track.id == packet.track_id).and_then(|track| track.time_base);
        let end = packet.pts.get().saturating_add_unsigned(packet.dur.get());
        let end = base.and_then(|base| seconds(base.calc_duration(Ticks::from(u64::try_from(end).unwrap_or(0)))));
        longest = longest.max(end);
    }
    longest
}

fn seconds(time: Option<Time>) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(time?.as_secs_f64()).ok()?;
    (Duration::ZERO < duration && duration < LONGEST).then_some(duration)
}
