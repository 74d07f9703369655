//! Ogg files: pages of one or more streams; the last page's position is the length (RFC 3533, RFC 7845).

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek};

use super::{Format, Measured, broken, read_whole, u16_le, u32_le, u64_le, unreadable};
use crate::Result;

/// Streams kept track of; a file with more is not a recording.
const MOST_STREAMS: usize = 64;

/// Opus positions always count 48,000 per second, whatever the input was (RFC 7845, section 4).
const OPUS_RATE: u32 = 48_000;

struct Stream {
    codec: &'static str,
    channels: u16,
    rate: u32,
    /// Samples at the start that are decoded but not played.
    skip: u64,
    /// Position at the end of the last page.
    end: u64,
}

pub(super) fn measure(source: impl Read + Seek, length: u64) -> Result<Measured> {
    let mut source = BufReader::with_capacity(64 * 1024, source);
    let mut streams = BTreeMap::new();
    let mut first = None;
    let mut position = 0;
    let mut truncated = false;
    while position < length {
        let Some(page) = read_page(&mut source)? else {
            // Cut in a page header, or something else follows.
            truncated = true;
            break;
        };
        if page.starts_stream && streams.len() < MOST_STREAMS {
            let mut packet = [0; 64];
            let packet = &mut packet[..page.body.min(64) as usize];
            if !read_whole(&mut source, packet)? {
                truncated = true;
                break;
            }
            if let Some(stream) = identify(packet) {
                streams.insert(page.serial, stream);
                first.get_or_insert(page.serial);
            }
        }
        position += page.header + page.body;
        if position > length {
            truncated = true;
            break;
        }
        if let (Some(stream), Some(end)) = (streams.get_mut(&page.serial), page.end) {
            stream.end = stream.end.max(end);
        }
        let behind = position - source.stream_position().map_err(unreadable)?.min(position);
        source.seek_relative(i64::try_from(behind).unwrap_or(i64::MAX)).map_err(unreadable)?;
    }
    // Streams one after the other (a chain, as radio recorders write) add up.
    let seconds = |stream: &Stream| stream.end.saturating_sub(stream.skip) as f64 / f64::from(stream.rate);
    let total = streams.values().map(seconds).sum();
    let Some(stream) = first.and_then(|serial| streams.remove(&serial)) else {
        return Err(broken(Format::Ogg, "it holds no Vorbis, Opus, Speex or FLAC stream"));
    };
    Ok(Measured { codec: stream.codec, seconds: total, channels: stream.channels, sample_rate: stream.rate, truncated })
}

struct Page {
    serial: u32,
    starts_stream: bool,
    /// Position after the last packet that ends in this page, if one does.
    end: Option<u64>,
    /// Bytes of header and body.
    header: u64,
    body: u64,
}

/// The header of the next page; `None` when there is none.
fn read_page(source: &mut (impl Read + Seek)) -> Result<Option<Page>> {
    let mut header = [0; 27];
    if !read_whole(source, &mut header)? || !header.starts_with(b"OggS\0") {
        return Ok(None);
    }
    let mut segments = [0; 255];
    let segments = &mut segments[..usize::from(header[26])];
    if !read_whole(source, segments)? {
        return Ok(None);
    }
    let end = u64_le(&header[6..]);
    Ok(Some(Page {
        serial: u32_le(&header[14..]),
        starts_stream: header[5] & 2 != 0,
        // Positions are signed; -1 means that no packet ends here.
        end: i64::try_from(end).is_ok().then_some(end),
        header: 27 + segments.len() as u64,
        body: segments.iter().map(|size| u64::from(*size)).sum(),
    }))
}

/// Reads a stream's first packet.
fn identify(packet: &[u8]) -> Option<Stream> {
    let byte = |offset: usize| packet.get(offset).map(|byte| u16::from(*byte));
    let word = |offset: usize| packet.get(offset..offset + 4).map(u32_le);
    let stream = if packet.starts_with(b"\x01vorbis") {
        Stream { codec: "vorbis", channels: byte(11)?, rate: word(12)?, skip: 0, end: 0 }
    } else if packet.starts_with(b"OpusHead") {
        let skip = u64::from(u16_le(packet.get(10..12)?));
        Stream { codec: "opus", channels: byte(9)?, rate: OPUS_RATE, skip, end: 0 }
    } else if packet.starts_with(b"Speex   ") {
        Stream { codec: "speex", channels: u16::try_from(word(48)?).ok()?, rate: word(36)?, skip: 0, end: 0 }
    } else if packet.starts_with(b"\x7fFLAC") {
        // Mapping header (13 bytes), block header (4), then STREAMINFO with 20 bits rate and 3 bits channels.
        let &[a, b, c, ..] = packet.get(27..30)? else { return None };
        let rate = u32::from(a) << 12 | u32::from(b) << 4 | u32::from(c) >> 4;
        Stream { codec: "flac", channels: u16::from(c >> 1 & 7) + 1, rate, skip: 0, end: 0 }
    } else {
        return None;
    };
    (stream.rate > 0).then_some(stream)
}
