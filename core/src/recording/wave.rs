//! WAV files as they grow: the header is written last, in front of samples that never move.

use bytes::Bytes;

use super::resample::RATE;

/// Bytes of the header: RIFF, a plain `fmt `, and the start of `data`.
pub(super) const HEADER: usize = 44;

/// Bytes of a sample.
pub(super) const WIDTH: usize = 2;

/// Samples of one channel with room for a header in front.
pub(super) struct Wave {
    bytes: Vec<u8>,
}

impl Wave {
    pub(super) fn with_capacity(samples: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER + samples * WIDTH);
        bytes.resize(HEADER, 0);
        Wave { bytes }
    }

    /// Samples that it holds.
    pub(super) fn len(&self) -> usize {
        (self.bytes.len() - HEADER) / WIDTH
    }

    /// Adds samples from -1 to 1. Those that were read from 16 bits become what they were.
    pub(super) fn push(&mut self, samples: &[f32]) {
        let scaled = samples.iter().map(|sample| (sample * 32_768.0).round() as i16);
        self.bytes.extend(scaled.flat_map(i16::to_le_bytes));
    }

    /// Takes the first samples as a file and keeps the others, with room for `capacity` in all.
    pub(super) fn cut(&mut self, samples: usize, capacity: usize) -> Bytes {
        let end = HEADER + samples * WIDTH;
        let mut rest = Wave::with_capacity(capacity.max(self.len() - samples));
        rest.bytes.extend_from_slice(&self.bytes[end..]);
        let mut bytes = std::mem::replace(&mut self.bytes, rest.bytes);
        bytes.truncate(end);
        bytes[..HEADER].copy_from_slice(&header(samples));
        bytes.into()
    }
}

/// The header of a file with 16 bits, one channel (Microsoft's `WAVEFORMATEX` without an extension).
fn header(samples: usize) -> [u8; HEADER] {
    // A part is far below 4 GB: `MOST_IN_MEMORY`.
    let size = u32::try_from(samples * WIDTH).unwrap_or(u32::MAX);
    let mut header = [0; HEADER];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&(size.saturating_add(36)).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&1_u16.to_le_bytes());
    put(&RATE.to_le_bytes());
    put(&(RATE * WIDTH as u32).to_le_bytes());
    put(&(WIDTH as u16).to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&size.to_le_bytes());
    header
}
