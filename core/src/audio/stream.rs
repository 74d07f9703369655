//! MP3 and FLAC, and the packets of M4A, by symphonia's readers.
//!
//! Every packet boundary is walked instead of believing a header: an MP3 without one has no other exact
//! length, and a recording that broke off says in its header how long it should have become.

use std::io::{Read as _, SeekFrom};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_AAC, CODEC_ID_ALAC, CODEC_ID_FLAC, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};
use symphonia::core::errors::Error as ParseError;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream};
use symphonia::core::units::Duration as Ticks;
use symphonia::default::formats::{FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader};

use super::sniff::{HEAD, mp3_start};
use super::{Format, Measured, broken, unreadable};
use crate::Result;

pub(super) fn measure_packets(format: Format, source: impl MediaSource) -> Result<Measured> {
    let reader = open(format, source)?;
    measure(format, reader.ok_or_else(|| broken(format, "it is of a kind that is not supported"))?)
}

/// A reader of the packets in `source`, which is a file of this format at its start; `None` for kinds of it that no reader of
/// ours knows.
///
/// # Errors
/// Permanent, when its header is broken.
pub(crate) fn open<'s>(
    format: Format,
    mut source: impl MediaSource + 's,
) -> Result<Option<Box<dyn FormatReader + 's>>> {
    if format == Format::Mp3 {
        let mut head = Vec::with_capacity(HEAD);
        (&mut source).take(HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
        let start = id3_length(&head).unwrap_or_else(|| mp3_start(&head).unwrap_or(0) as u64);
        source.seek(SeekFrom::Start(start)).map_err(unreadable)?;
    }
    let (source, options) = (buffered(source), FormatOptions::default());
    let reader: Result<Box<dyn FormatReader + 's>, ParseError> = match format {
        Format::Mp3 => MpaReader::try_new(source, options).map(|reader| Box::new(reader) as _),
        Format::Flac => FlacReader::try_new(source, options).map(|reader| Box::new(reader) as _),
        Format::M4a => IsoMp4Reader::try_new(source, options).map(|reader| Box::new(reader) as _),
        Format::Ogg => OggReader::try_new(source, options).map(|reader| Box::new(reader) as _),
        Format::Wav => WavReader::try_new(source, options).map(|reader| Box::new(reader) as _),
    };
    match reader {
        Ok(reader) => Ok(Some(reader)),
        Err(ParseError::Unsupported(_)) => Ok(None),
        Err(error) => Err(explain(format, &error)),
    }
}

fn buffered<'s>(source: impl MediaSource + 's) -> MediaSourceStream<'s> {
    MediaSourceStream::new(Box::new(source), Default::default())
}

fn measure(format: Format, mut reader: Box<dyn FormatReader + '_>) -> Result<Measured> {
    let track = reader.default_track(TrackType::Audio).ok_or_else(|| broken(format, "it has no audio track"))?.clone();
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
        return Err(broken(format, "its codec is not described"));
    };
    let sample_rate = parameters.sample_rate.unwrap_or(0);
    let (ticks, failed) = walk(&mut *reader, &track);
    let time_base = track.time_base.ok_or_else(|| broken(format, "it has no time base"))?;
    let seconds = time_base.calc_duration_saturating(Ticks::from(ticks)).as_secs_f64();
    let claimed = match format {
        // Without a Xing header this is symphonia's guess from the bit rate, no claim of the file.
        Format::Mp3 => None,
        _ => track.num_frames.filter(|_| sample_rate > 0).map(|frames| frames as f64 / f64::from(sample_rate)),
    };
    Ok(Measured {
        codec: codec_name(format, parameters.codec),
        seconds,
        channels: channels(parameters),
        sample_rate,
        truncated: failed || claimed.is_some_and(|claimed| claimed > seconds + 0.25),
    })
}

/// The length of all packets of the track that are there, and whether the last one is damaged.
fn walk(reader: &mut dyn FormatReader, track: &Track) -> (u64, bool) {
    let mut ticks = 0_u64;
    loop {
        match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == track.id => ticks = ticks.saturating_add(packet.dur.get()),
            Ok(Some(_)) => {}
            Ok(None) => return (ticks, false),
            Err(_) => return (ticks, true),
        }
    }
}

fn channels(parameters: &AudioCodecParameters) -> u16 {
    parameters.channels.as_ref().and_then(|channels| u16::try_from(channels.count()).ok()).unwrap_or(0)
}

fn codec_name(format: Format, codec: AudioCodecId) -> &'static str {
    match codec {
        CODEC_ID_AAC => "aac",
        CODEC_ID_ALAC => "alac",
        CODEC_ID_FLAC => "flac",
        CODEC_ID_OPUS => "opus",
        _ if format == Format::Mp3 => "mp3",
        _ => "unknown",
    }
}

fn explain(format: Format, error: &ParseError) -> crate::Error {
    match error {
        ParseError::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
            broken(format, format_args!("reading stopped: {error}"))
        }
        ParseError::IoError(_) => broken(format, "it ends in its header"),
        other => broken(format, other),
    }
}

/// Bytes of the ID3v2 tag at the start (id3.org, ID3v2.4 section 3.1), of which there may be a cover picture's worth.
fn id3_length(head: &[u8]) -> Option<u64> {
    let header = head.get(..10).filter(|header| header.starts_with(b"ID3"))?;
    let size = header[6..10].iter().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
    let footer = if header[5] & 0x10 == 0 { 0 } else { 10 };
    Some(10 + size + footer)
}
