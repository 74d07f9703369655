//! From any rate to the 16,000 samples per second that speech recognition works with.

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Resampler as _};

use super::decode::Block;
use crate::{Error, Result};

/// Samples per second of parts.
pub(super) const RATE: u32 = 16_000;

/// Samples per channel that are resampled at a time, at least.
const CHUNK: usize = 1024;

/// Rates that occur; others are a broken header, and would cost memory.
const RATES: std::ops::RangeInclusive<u32> = 1000..=400_000;

/// Brings blocks of samples to [`RATE`]. Sample `n` of what comes out is the sound at `n / RATE` seconds of what went in.
pub(super) struct Resampler {
    /// `None` where there is nothing to do.
    fft: Option<Fft<f32>>,
    rate: u64,
    /// What came in and is not resampled yet.
    waiting: Block,
    chunk: Block,
    /// Samples at the start that are the delay of the filter.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// For `channels` channels of this rate.
    ///
    /// # Errors
    /// Permanent, when no recording has this rate.
    pub(super) fn new(rate: u32, channels: usize) -> Result<Self> {
        if !RATES.contains(&rate) {
            return Err(Error::permanent(format!(
                "the recording has {rate} samples per second, which is not plausible"
            ))
            .help("its header is broken; have it written again"));
        }
        let fft = (rate != RATE).then(|| Fft::new(rate as usize, RATE as usize, CHUNK, channels, FixedSync::Both));
        let fft =
            fft.transpose().map_err(|error| Error::permanent("cannot resample the recording").caused_by(error))?;
        let (delay, frames) = fft.as_ref().map_or((0, 0), |fft| (fft.output_delay(), fft.output_frames_max()));
        let (waiting, chunk) = (vec![Vec::new(); channels], vec![vec![0.0; frames]; channels]);
        Ok(Resampler { fft, rate: rate.into(), waiting, chunk, delay, taken: 0, given: 0 })
    }

    /// Takes a block, and gives what it can to `sink`, channel by channel.
    pub(super) fn push(&mut self, block: &[Vec<f32>], sink: &mut impl FnMut(usize, &[f32])) -> Result<()> {
        self.taken += block.first().map_or(0, |channel| channel.len() as u64);
        let Some(needed) = self.fft.as_ref().map(|fft| fft.input_frames_next()) else {
            block.iter().enumerate().for_each(|(index, channel)| sink(index, channel));
            return Ok(());
        };
        for (waiting, channel) in self.waiting.iter_mut().zip(block) {
            waiting.extend_from_slice(channel);
        }
        let mut from = 0;
        while self.waiting.first().is_some_and(|channel| channel.len() - from >= needed) {
            self.convert(from, u64::MAX, sink)?;
            from += needed;
        }
        self.waiting.iter_mut().for_each(|channel| drop(channel.drain(..from)));
        Ok(())
    }

    /// Gives the rest.
    pub(super) fn finish(&mut self, sink: &mut impl FnMut(usize, &[f32])) -> Result<()> {
        let Some(needed) = self.fft.as_ref().map(|fft| fft.input_frames_next()) else { return Ok(()) };
        let total = (self.taken * u64::from(RATE)).div_ceil(self.rate);
        while self.given < total {
            self.waiting.iter_mut().for_each(|channel| channel.resize(needed, 0.0));
            self.convert(0, total, sink)?;
            self.waiting.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }

    /// Resamples one chunk of what waits, beginning at `from`, and gives it as long as `total` is not reached.
    fn convert(&mut self, from: usize, total: u64, sink: &mut impl FnMut(usize, &[f32])) -> Result<()> {
        let Some(fft) = &mut self.fft else { return Ok(()) };
        let channels = self.waiting.len();
        let (input, output) = (self.waiting[0].len(), self.chunk[0].len());
        let failed =
            |error: &dyn std::fmt::Display| Error::permanent(format!("cannot resample the recording: {error}"));
        let source = SequentialSliceOfVecs::new(&self.waiting, channels, input).map_err(|error| failed(&error))?;
        let mut target =
            SequentialSliceOfVecs::new_mut(&mut self.chunk, channels, output).map_err(|error| failed(&error))?;
        let at = rubato::Indexing::new().input_offset(from);
        let (_, made) = fft.process_into_buffer(&source, &mut target, Some(&at)).map_err(|error| failed(&error))?;
        let skipped = made.min(self.delay);
        self.delay -= skipped;
        let kept = (made - skipped).min(usize::try_from(total - self.given.min(total)).unwrap_or(usize::MAX));
        self.given += kept as u64;
        for (index, channel) in self.chunk.iter().enumerate() {
            sink(index, &channel[skipped..skipped + kept]);
        }
        Ok(())
    }
}
