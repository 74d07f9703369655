//! Decoding: samples as they come, never the whole.
//!
//! WAV with plain samples or GSM is read here, to the bit; what comes in packets is decoded by symphonia, Opus by
//! ropus. A damaged packet becomes silence of its length, so that what follows keeps its time.

mod gsm;
mod opus;
mod packets;
mod pcm;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::stored::Stored;
use crate::audio::{self, AudioInfo, Format};
use crate::{Error, Result};

/// Samples of one channel after the other, all equally many, from -1 to 1.
pub(super) type Block = Vec<Vec<f32>>;

/// Yields the samples of one recording.
trait Decode: Send + Sync {
    /// Adds the next samples to `block`, which has a vector per channel; false at the end.
    fn more(&mut self, block: &mut Block) -> Result<bool>;
}

/// A recording as samples.
pub(super) struct Decoder {
    decode: Box<dyn Decode>,
    format: Format,
    block: Block,
    /// Samples per channel at the start that are not played.
    skip: u64,
    /// Samples per channel that may still come: a file does not hold more than was measured.
    left: u64,
}

impl Decoder {
    /// Prepares decoding; `None` when there is no decoder for this codec.
    ///
    /// # Errors
    /// Permanent, when the recording is broken.
    pub(super) fn open(stored: &Stored, info: &AudioInfo) -> Result<Option<Self>> {
        let opened = guarded(info.format, || {
            if info.format == Format::Wav {
                if let Some(pcm) = pcm::Pcm::open(stored)? {
                    return Ok(Some((Box::new(pcm) as Box<dyn Decode>, 0)));
                }
                if let Some(gsm) = gsm::Gsm::open(stored)? {
                    return Ok(Some((Box::new(gsm) as Box<dyn Decode>, 0)));
                }
            }
            let Some(packets) = packets::Packets::open(stored, info)? else { return Ok(None) };
            let lead_in = match info.format {
                Format::M4a => audio::mp4::lead_in(stored.source(), stored.len())?,
                _ => 0.0,
            };
            Ok(Some((Box::new(packets) as Box<dyn Decode>, (lead_in * f64::from(info.sample_rate)).round() as u64)))
        })?;
        let Some((decode, skip)) = opened else { return Ok(None) };
        let left = (info.duration.as_secs_f64() * f64::from(info.sample_rate)).round() as u64;
        let block = vec![Vec::new(); usize::from(info.channels)];
        Ok(Some(Decoder { decode, format: info.format, block, skip, left }))
    }

    /// The next samples; `None` at the end.
    ///
    /// # Errors
    /// Permanent, when the recording is so damaged that nothing can be made of it; retryable when it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<&Block>> {
        loop {
            self.block.iter_mut().for_each(Vec::clear);
            let (decode, block) = (&mut self.decode, &mut self.block);
            if self.left == 0 || !guarded(self.format, || decode.more(block))? {
                return Ok(None);
            }
            let frames = self.block.first().map_or(0, Vec::len);
            let skipped = frames.min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            let kept = (frames - skipped).min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= kept as u64;
            if kept > 0 {
                for channel in &mut self.block {
                    channel.drain(..skipped);
                    channel.truncate(kept);
                }
                return Ok(Some(&self.block));
            }
        }
    }
}

/// Runs a parser of others on a file from strangers: a fault in it must cost this file, not the process.
fn guarded<T>(format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(audio::broken(format, "its decoder cannot make sense of it")))
}

fn damaged(format: Format) -> Error {
    audio::broken(format, "most of it cannot be decoded")
        .help("listen to it: it may have been cut or mixed up on its way")
}
