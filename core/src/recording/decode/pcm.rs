//! WAV files with plain samples: linear of 8 to 32 bits, floating point, A-law and mu-law.

use std::io::{BufReader, Read, Seek as _, SeekFrom, Take};

use super::{Block, Decode};
use crate::Result;
use crate::audio::wav;
use crate::recording::stored::{Source, Stored, unreadable};

/// Samples per channel that are decoded at a time.
const FRAMES: usize = 4096;

/// How a sample is written; all little-endian.
#[derive(Clone, Copy)]
enum Sample {
    /// Around 128.
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
    /// The values of the 256 codes.
    Law(&'static [f32; 256]),
}

/// Reads plain samples.
pub(super) struct Pcm {
    source: BufReader<Take<Source>>,
    sample: Sample,
    /// Bytes of one sample.
    width: usize,
    channels: usize,
    buffer: Vec<u8>,
}

impl Pcm {
    /// `None` when the samples are not plain.
    pub(super) fn open(stored: &Stored) -> Result<Option<Self>> {
        let layout = wav::layout(stored.source(), stored.len())?;
        let channels = usize::from(layout.fmt.channels);
        let bits = layout.fmt.bits;
        let sample = match (layout.fmt.tag, bits.div_ceil(8)) {
            (1, 1) => Sample::U8,
            (1, 2) => Sample::I16,
            (1, 3) => Sample::I24,
            (1, 4) => Sample::I32,
            (3, 4) => Sample::F32,
            (3, 8) => Sample::F64,
            (6, 1) => Sample::Law(&A_LAW),
            (7, 1) => Sample::Law(&MU_LAW),
            _ => return Ok(None),
        };
        let width = usize::from(bits.div_ceil(8));
        if usize::from(layout.fmt.block_bytes) != width * channels {
            return Ok(None);
        }
        let mut source = stored.source();
        source.seek(SeekFrom::Start(layout.start)).map_err(unreadable)?;
        let source = BufReader::with_capacity(64 * 1024, source.take(layout.bytes));
        Ok(Some(Pcm { source, sample, width, channels, buffer: vec![0; FRAMES * width * channels] }))
    }
}

impl Decode for Pcm {
    fn more(&mut self, block: &mut Block) -> Result<bool> {
        let mut filled = 0;
        while filled < self.buffer.len() {
            match self.source.read(&mut self.buffer[filled..]).map_err(unreadable)? {
                0 => break,
                count => filled += count,
            }
        }
        // What is cut off in the middle of a sample is none.
        let frames = self.buffer[..filled].chunks_exact(self.width * self.channels);
        let is_more = frames.len() > 0;
        for frame in frames {
            for (bytes, channel) in frame.chunks_exact(self.width).zip(block.iter_mut()) {
                channel.push(self.sample.read(bytes));
            }
        }
        Ok(is_more)
    }
}

impl Sample {
    fn read(self, bytes: &[u8]) -> f32 {
        match (self, bytes) {
            (Sample::U8, &[a]) => (f32::from(a) - 128.0) / 128.0,
            (Sample::I16, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
            (Sample::I24, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
            (Sample::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
            (Sample::F32, &[a, b, c, d]) => bounded(f32::from_le_bytes([a, b, c, d])),
            (Sample::F64, &[a, b, c, d, e, f, g, h]) => bounded(f64::from_le_bytes([a, b, c, d, e, f, g, h]) as f32),
            (Sample::Law(table), &[a]) => table[usize::from(a)],
            _ => 0.0,
        }
    }
}

/// Files may hold anything, also what is no number; it would spread through the resampler.
fn bounded(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

static A_LAW: [f32; 256] = law(true);
static MU_LAW: [f32; 256] = law(false);

/// The values of all codes of A-law or mu-law (ITU-T G.711, tables 1 and 2).
const fn law(is_a: bool) -> [f32; 256] {
    let mut table = [0.0; 256];
    let mut code = 0;
    while code < 256 {
        let value = if is_a { a_law(code as u8) } else { mu_law(code as u8) };
        table[code] = value as f32 / 32_768.0;
        code += 1;
    }
    table
}

/// Every other bit is inverted on the wire; the sign bit is set for positive values.
const fn a_law(code: u8) -> i32 {
    let code = code ^ 0x55;
    let (segment, step) = ((code >> 4 & 7) as i32, (code & 15) as i32);
    let magnitude = if segment == 0 { step * 16 + 8 } else { (step * 16 + 0x108) << (segment - 1) };
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

/// All bits are inverted on the wire; the sign bit is set for negative values.
const fn mu_law(code: u8) -> i32 {
    let code = !code;
    let (segment, step) = ((code >> 4 & 7) as i32, (code & 15) as i32);
    let magnitude = ((step * 8 + 0x84) << segment) - 0x84;
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published end values: 8031 and 4032 of 14 and 13 bits, here in 16.
    #[test]
    fn the_laws_have_their_published_values() {
        let value = |table: &[f32; 256], code: u8| (table[usize::from(code)] * 32_768.0) as i32;
        assert_eq!([0x80, 0x00, 0xff, 0x7f].map(|code| value(&MU_LAW, code)), [32_124, -32_124, 0, 0]);
        assert_eq!([0xaa, 0x2a, 0xd5, 0x55].map(|code| value(&A_LAW, code)), [32_256, -32_256, 8, -8]);
        for table in [&A_LAW, &MU_LAW] {
            let mut sorted = table.to_vec();
            sorted.sort_by(f32::total_cmp);
            assert!(sorted.iter().zip(sorted.iter().rev()).all(|(low, high)| *low == -*high), "both signs alike");
        }
    }
}
