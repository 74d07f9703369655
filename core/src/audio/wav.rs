//! WAVE files: a list of chunks, of which `fmt ` says how and `data` says how much.

use std::io::{BufReader, Read, Seek, SeekFrom};

use super::{Format, Measured, broken, read_whole, u16_le, u32_le, u64_le, unreadable};
use crate::Result;

/// Chunks looked at before the file counts as broken; real ones have fewer than twenty.
const MOST_CHUNKS: usize = 1000;

/// Size that recorders write while they do not know it yet.
const UNKNOWN_SIZE: u64 = 0xffff_ffff;

/// The chunk `fmt `.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fmt {
    /// The codec's number; of WAVE_FORMAT_EXTENSIBLE that of its sub-format.
    pub(crate) tag: u16,
    pub(crate) channels: u16,
    pub(crate) sample_rate: u32,
    bytes_per_second: u32,
    /// Bytes of one sample of every channel, or of one block of a codec that packs several.
    pub(crate) block_bytes: u16,
    /// Bits of one sample.
    pub(crate) bits: u16,
    /// Samples per channel in a block.
    pub(crate) block_samples: u16,
}

/// Where the sound lies in a file, and how it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) fmt: Fmt,
    /// The first byte of sound.
    pub(crate) start: u64,
    /// Bytes of sound that are really there.
    pub(crate) bytes: u64,
    /// The file says that there are more.
    truncated: bool,
}

pub(super) fn measure(source: impl Read + Seek, length: u64) -> Result<Measured> {
    Ok(measured(&layout(source, length)?))
}

/// Reads the list of chunks up to the sound.
pub(crate) fn layout(source: impl Read + Seek, length: u64) -> Result<Layout> {
    let mut source = BufReader::new(source);
    let mut position = 12;
    let mut fmt = None;
    let mut long_size = None;
    for _ in 0..MOST_CHUNKS {
        source.seek(SeekFrom::Start(position)).map_err(unreadable)?;
        let mut header = [0; 8];
        if !read_whole(&mut source, &mut header)? {
            break;
        }
        let size = u64::from(u32_le(&header[4..]));
        position += 8;
        match &header[..4] {
            b"fmt " => fmt = Some(read_fmt(&mut source, size)?),
            b"ds64" => {
                let mut sizes = [0; 16];
                if read_whole(&mut source, &mut sizes)? {
                    long_size = Some(u64_le(&sizes[8..]));
                }
            }
            b"data" => {
                let fmt = fmt.ok_or_else(|| broken(Format::Wav, "its data comes before its format"))?;
                let claimed = if size == UNKNOWN_SIZE { long_size.unwrap_or(0) } else { size };
                let available = length.saturating_sub(position);
                // 0 where the recorder never came to write the size.
                let bytes = if claimed == 0 { available } else { claimed.min(available) };
                return Ok(Layout { fmt, start: position, bytes, truncated: claimed > available });
            }
            _ => {}
        }
        // Chunks start at even positions.
        position += size + size % 2;
    }
    Err(broken(Format::Wav, "it has no data chunk"))
}

fn read_fmt(source: &mut impl Read, size: u64) -> Result<Fmt> {
    let mut fmt = [0; 40];
    let known = &mut fmt[..size.clamp(16, 40) as usize];
    if !read_whole(source, known)? {
        return Err(broken(Format::Wav, "it ends in its header"));
    }
    let mut tag = u16_le(&fmt);
    if tag == 0xfffe {
        // WAVE_FORMAT_EXTENSIBLE: the true tag is the beginning of the sub-format's GUID.
        tag = u16_le(&fmt[24..]);
    }
    Ok(Fmt {
        tag,
        channels: u16_le(&fmt[2..]),
        sample_rate: u32_le(&fmt[4..]),
        bytes_per_second: u32_le(&fmt[8..]),
        block_bytes: u16_le(&fmt[12..]),
        bits: u16_le(&fmt[14..]),
        block_samples: u16_le(&fmt[18..]),
    })
}

fn measured(layout: &Layout) -> Measured {
    let Layout { fmt, bytes, truncated, .. } = layout;
    let (codec, samples_per_block) = match fmt.tag {
        1 => ("pcm", Some(1)),
        3 => ("pcm_float", Some(1)),
        6 => ("pcm_alaw", Some(1)),
        7 => ("pcm_mulaw", Some(1)),
        0x02 => ("adpcm_ms", Some(fmt.block_samples)),
        0x11 => ("adpcm_ima", Some(fmt.block_samples)),
        0x31 => ("gsm", Some(fmt.block_samples)),
        0x55 => ("mp3", None),
        0x64 => ("g726", None),
        _ => ("unknown", None),
    };
    let seconds = match samples_per_block.filter(|samples| *samples > 0 && fmt.block_bytes > 0) {
        Some(samples) => (bytes / u64::from(fmt.block_bytes)) as f64 * f64::from(samples) / f64::from(fmt.sample_rate),
        None => *bytes as f64 / f64::from(fmt.bytes_per_second),
    };
    Measured { codec, seconds, channels: fmt.channels, sample_rate: fmt.sample_rate, truncated: *truncated }
}
