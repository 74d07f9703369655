//! GSM 06.10 full rate in WAV, as Asterisk writes it: pairs of frames of 260 bits each, packed from the lowest bit up.
//!
//! The arithmetic is that of ETSI EN 300 961 (section 5.3), in 16 bits with saturation, so that every decoder gives the same samples.

use std::io::{BufReader, Read, Seek as _, SeekFrom, Take};

use super::{Block, Decode};
use crate::Result;
use crate::audio::wav;
use crate::recording::stored::{Source, Stored, unreadable};

/// The number of this codec in a WAV file.
const TAG: u16 = 0x31;

/// Bytes of a pair of frames.
const PAIR: usize = 65;

/// Samples of a frame, and of its four parts.
const FRAME: usize = 160;
const PART: usize = 40;

/// How far back the long-term filter reaches.
const PAST: usize = 120;

/// Bits of the eight log area ratios, and what turns them into numbers (tables 5.1 and 5.2).
const LAR_BITS: [u32; 8] = [6, 6, 5, 5, 4, 4, 3, 3];
const LAR_LEAST: [i16; 8] = [-32, -32, -16, -16, -8, -8, -4, -4];
const LAR_OFFSET: [i16; 8] = [0, 0, 4096, -5120, 188, -3584, -682, -2288];
const LAR_SCALE: [i16; 8] = [13_107, 13_107, 13_107, 13_107, 19_223, 17_476, 31_454, 29_708];
/// Gains of the long-term filter (table 5.3b).
const GAINS: [i16; 4] = [3277, 11_469, 21_299, 32_767];
/// Mantissas of the block maximum (table 5.6).
const MANTISSAS: [i16; 8] = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];

/// Reads pairs of frames.
pub(super) struct Gsm {
    source: BufReader<Take<Source>>,
    state: State,
}

impl Gsm {
    /// `None` when it is another codec, or another packing of this one.
    pub(super) fn open(stored: &Stored) -> Result<Option<Self>> {
        let layout = wav::layout(stored.source(), stored.len())?;
        let fmt = layout.fmt;
        if (fmt.tag, fmt.channels, usize::from(fmt.block_bytes)) != (TAG, 1, PAIR) {
            return Ok(None);
        }
        let mut source = stored.source();
        source.seek(SeekFrom::Start(layout.start)).map_err(unreadable)?;
        Ok(Some(Gsm { source: BufReader::new(source.take(layout.bytes)), state: State::default() }))
    }
}

impl Decode for Gsm {
    fn more(&mut self, block: &mut Block) -> Result<bool> {
        let mut pair = [0; PAIR];
        match self.source.read_exact(&mut pair) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(unreadable(error)),
        }
        let mut bits = Bits { bytes: &pair, at: 0 };
        for _ in 0..2 {
            let samples = self.state.frame(&mut bits);
            for channel in block.iter_mut() {
                channel.extend(samples.iter().map(|sample| f32::from(*sample) / 32_768.0));
            }
        }
        Ok(true)
    }
}

struct Bits<'a> {
    bytes: &'a [u8; PAIR],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: u32) -> i16 {
        (0..count).fold(0, |value, place| {
            let bit = self.bytes[self.at / 8] >> (self.at % 8) & 1;
            self.at += 1;
            value | i16::from(bit) << place
        })
    }
}

/// What a frame leaves for the next.
struct State {
    /// The long-term filter's past, with room for a part behind it.
    past: [i16; PAST + PART],
    lag: usize,
    ratios: [i16; 8],
    /// The short-term filter.
    lattice: [i16; 9],
    emphasis: i16,
}

impl Default for State {
    fn default() -> Self {
        State { past: [0; PAST + PART], lag: 40, ratios: [0; 8], lattice: [0; 9], emphasis: 0 }
    }
}

impl State {
    fn frame(&mut self, bits: &mut Bits<'_>) -> [i16; FRAME] {
        let ratios = ratios(bits);
        let mut samples = [0; FRAME];
        for part in samples.chunks_exact_mut(PART) {
            self.long_term(bits, part);
        }
        let before = std::mem::replace(&mut self.ratios, ratios);
        // The filter glides from the last frame's to this one's.
        let glide = |weigh: fn(i16, i16) -> i16| std::array::from_fn(|at| reflection(weigh(before[at], ratios[at])));
        self.short_term(
            &glide(|old, new| (old >> 2).saturating_add(new >> 2).saturating_add(old >> 1)),
            &mut samples[..13],
        );
        self.short_term(&glide(|old, new| (old >> 1).saturating_add(new >> 1)), &mut samples[13..27]);
        self.short_term(
            &glide(|old, new| (old >> 2).saturating_add(new >> 2).saturating_add(new >> 1)),
            &mut samples[27..40],
        );
        self.short_term(&glide(|_, new| new), &mut samples[40..]);
        for sample in &mut samples {
            self.emphasis = sample.saturating_add(times(self.emphasis, 28_180));
            *sample = self.emphasis.saturating_add(self.emphasis) & !7;
        }
        samples
    }

    /// The excitation of a part: pulses on a grid, and what was some time ago (sections 5.3.1 and 5.3.2).
    fn long_term(&mut self, bits: &mut Bits<'_>, part: &mut [i16]) {
        let lag = usize::try_from(bits.take(7)).unwrap_or(0);
        if (40..=PAST).contains(&lag) {
            self.lag = lag;
        }
        let gain = GAINS[usize::try_from(bits.take(2)).unwrap_or(0)];
        let grid = usize::try_from(bits.take(2)).unwrap_or(0);
        let (exponent, mantissa) = maximum(bits.take(6));
        let shift = 6 - exponent;
        let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
        let mut pulses = [0_i16; PART];
        for pulse in 0..13 {
            let code = (bits.take(3) << 1) - 7;
            pulses[grid + 3 * pulse] = times(MANTISSAS[mantissa], code << 12).saturating_add(half) >> shift;
        }
        for (at, pulse) in pulses.iter().enumerate() {
            let echo = times(gain, self.past[PAST + at - self.lag]);
            self.past[PAST + at] = pulse.saturating_add(echo);
        }
        part.copy_from_slice(&self.past[PAST..]);
        self.past.copy_within(PART.., 0);
    }

    /// The vocal tract (section 5.3.4).
    fn short_term(&mut self, reflections: &[i16; 8], samples: &mut [i16]) {
        for sample in samples {
            for (at, reflection) in reflections.iter().enumerate().rev() {
                *sample = sample.saturating_sub(times(*reflection, self.lattice[at]));
                self.lattice[at + 1] = self.lattice[at].saturating_add(times(*reflection, *sample));
            }
            self.lattice[0] = *sample;
        }
    }
}

/// The log area ratios of a frame (section 5.2.8).
fn ratios(bits: &mut Bits<'_>) -> [i16; 8] {
    std::array::from_fn(|at| {
        let code = bits.take(LAR_BITS[at]).saturating_add(LAR_LEAST[at]) << 10;
        let scaled = times(LAR_SCALE[at], code.saturating_sub(LAR_OFFSET[at]));
        scaled.saturating_add(scaled)
    })
}

/// A reflection coefficient from a log area ratio (section 5.2.9.2).
fn reflection(ratio: i16) -> i16 {
    let size = ratio.saturating_abs();
    let size = match size {
        ..11_059 => size << 1,
        ..20_070 => size + 11_059,
        _ => (size >> 2).saturating_add(26_112),
    };
    if ratio < 0 { -size } else { size }
}

/// Exponent, and index of the mantissa, of a block maximum (section 5.2.15).
fn maximum(code: i16) -> (i16, usize) {
    let mut exponent = if code > 15 { (code >> 3) - 1 } else { 0 };
    let mut mantissa = code - (exponent << 3);
    if mantissa == 0 {
        return (-4, 7);
    }
    while mantissa <= 7 {
        mantissa = mantissa << 1 | 1;
        exponent -= 1;
    }
    (exponent, usize::try_from(mantissa - 8).unwrap_or(0))
}

/// The product of two fractions, rounded (section 5.1).
fn times(a: i16, b: i16) -> i16 {
    let product = (i32::from(a) * i32::from(b) + 16_384) >> 15;
    i16::try_from(product).unwrap_or(i16::MAX)
}
