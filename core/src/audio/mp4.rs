//! MP4 files: the length that is played, which only the track header knows.
//!
//! An encoder starts with samples that are not to be played; an edit list skips them. The track header's
//! duration has the edits applied, the packets have not.

use std::io::{BufReader, Read, Seek, SeekFrom};

use symphonia::core::io::{MediaSource, ReadOnlySource};

use super::stream::measure_packets;
use super::{Format, Measured, broken, read_whole, unreadable};
use crate::Result;

/// Boxes looked at before the file counts as broken.
const MOST_BOXES: usize = 10_000;

/// What the box structure tells.
#[derive(Default)]
struct Outline {
    has_movie: bool,
    /// Ticks per second of the durations in track headers.
    time_scale: u32,
    /// Duration of the first audio track; zero in fragmented files.
    audio: Option<u64>,
    /// What the encoder put in front of the first audio track's sound, in seconds.
    lead_in: f64,
    /// A box reaches beyond the end of the file.
    cut: bool,
}

pub(super) fn measure(mut source: impl MediaSource, length: u64) -> Result<Measured> {
    let outline = outline(&mut source, length)?;
    if !outline.has_movie {
        return Err(broken(Format::M4a, "it has no movie header (`moov`): the end of the file is missing"));
    }
    source.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    let mut measured = if outline.cut {
        // The reader refuses a box that is longer than the file, but not one in a stream without end.
        measure_packets(Format::M4a, ReadOnlySource::new(source))?
    } else {
        measure_packets(Format::M4a, source)?
    };
    measured.truncated |= outline.cut;
    if let Some(ticks) = outline.audio.filter(|ticks| *ticks > 0)
        && outline.time_scale > 0
        && !measured.truncated
    {
        measured.seconds = measured.seconds.min(ticks as f64 / f64::from(outline.time_scale));
    }
    Ok(measured)
}

/// Seconds at the start of the sound that are decoded but not played: the first edit of the track begins behind them
/// (ISO 14496-12, section 8.6.6).
///
/// # Errors
/// As [`crate::audio::probe`].
pub(crate) fn lead_in(mut source: impl Read + Seek, length: u64) -> Result<f64> {
    Ok(outline(&mut source, length)?.lead_in)
}

fn outline(source: &mut (impl Read + Seek), length: u64) -> Result<Outline> {
    let mut source = BufReader::new(source);
    let mut outline = Outline::default();
    let mut track = None;
    let (mut edit, mut ticks) = (0, 0);
    let mut open = vec![length];
    let mut position = 0;
    for _ in 0..MOST_BOXES {
        while open.len() > 1 && open.last().is_some_and(|end| position + 8 > *end) {
            position = open.pop().unwrap_or(length);
        }
        source.seek(SeekFrom::Start(position)).map_err(unreadable)?;
        let mut header = [0; 16];
        if position + 8 > length || !read_whole(&mut source, &mut header[..8])? {
            break;
        }
        let mut content = position + 8;
        let end = match u32_be(&header) {
            0 => length,
            1 => {
                if !read_whole(&mut source, &mut header[8..])? {
                    break;
                }
                content += 8;
                position.saturating_add(u64_be(&header[8..]))
            }
            size => position + u64::from(size),
        };
        if end < content {
            return Err(broken(Format::M4a, "a box is shorter than its header"));
        }
        outline.cut |= end > length;
        let parent_end = *open.last().unwrap_or(&length);
        match &header[4..8] {
            b"moov" | b"trak" | b"mdia" | b"edts" => {
                if &header[4..8] == b"trak" {
                    (edit, ticks) = (0, 0);
                }
                outline.has_movie |= &header[4..8] == b"moov";
                open.push(end.min(parent_end));
                position = content;
                continue;
            }
            b"mvhd" => outline.time_scale = versioned(&mut source, 12, 20)?.unwrap_or(0) as u32,
            b"tkhd" => track = duration(&mut source)?,
            b"elst" => edit = first_edit(&mut source)?,
            b"mdhd" => ticks = versioned(&mut source, 12, 20)?.unwrap_or(0),
            b"hdlr" => {
                let mut handler = [0; 12];
                if read_whole(&mut source, &mut handler)? && handler.ends_with(b"soun") && outline.audio.is_none() {
                    outline.audio = track.take();
                    outline.lead_in = if ticks > 0 { edit as f64 / ticks as f64 } else { 0.0 };
                }
            }
            _ => {}
        }
        position = end.min(parent_end);
    }
    Ok(outline)
}

/// The 32 bits at `short` of a box of version 0, or at `long` of one of version 1.
fn versioned(source: &mut impl Read, short: usize, long: usize) -> Result<Option<u64>> {
    let mut content = [0; 36];
    if !read_whole(source, &mut content)? {
        return Ok(None);
    }
    let offset = if content[0] == 0 { short } else { long };
    Ok(Some(u64::from(u32_be(&content[offset..]))))
}

/// Where the first edit that plays something begins, in ticks of its track.
fn first_edit(source: &mut impl Read) -> Result<u64> {
    let mut head = [0; 8];
    if !read_whole(source, &mut head)? {
        return Ok(0);
    }
    // Entries before the first real one are pauses (-1).
    for _ in 0..u32_be(&head[4..]).min(16) {
        let mut entry = [0; 20];
        let (size, at) = if head[0] == 0 { (12, 4) } else { (20, 8) };
        if !read_whole(source, &mut entry[..size])? {
            break;
        }
        let begin = if head[0] == 0 { u64::from(u32_be(&entry[at..])) } else { u64_be(&entry[at..]) };
        let is_pause = begin == u64::from(u32::MAX) || begin == u64::MAX;
        if !is_pause {
            return Ok(begin);
        }
    }
    Ok(0)
}

/// The duration in a track header: 32 bits in version 0, 64 in version 1.
fn duration(source: &mut impl Read) -> Result<Option<u64>> {
    let mut content = [0; 36];
    if !read_whole(source, &mut content)? {
        return Ok(None);
    }
    Ok(Some(if content[0] == 0 { u64::from(u32_be(&content[20..])) } else { u64_be(&content[28..]) }))
}

fn u32_be(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_be(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}
