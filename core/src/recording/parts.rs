//! Cutting: one pass over the recording, with no more in memory than a part of every channel.

use std::time::Duration;

use super::cut::{Channels, Cut, Part};
use super::decode::Decoder;
use super::resample::{RATE, Resampler};
use super::silence::{FRAME, Levels};
use super::wave::{HEADER, WIDTH, Wave};
use super::{Recording, blocking};
use crate::{Error, Result};

/// Bytes that the samples of all channels may take while a part grows; some more for what lies behind a cut.
const MOST_IN_MEMORY: usize = 24 * 1024 * 1024;

/// Channels that can be separated.
const MOST_CHANNELS: u16 = 32;

/// The shortest part: vendors refuse a tenth of a second.
const SHORTEST: usize = RATE as usize;

/// The parts of a recording. They are made one after the other when they are asked for; of several channels the parts
/// of one stretch of time come together. As an iterator it decodes where it is called;
/// [`next_part`](Self::next_part) does that where it may block.
#[derive(Debug)]
pub struct Parts {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The recording itself.
    Whole(Recording, Option<u16>),
    Cut(Box<Cutter>),
    Over,
}

impl Parts {
    pub(super) fn of(recording: Recording, cut: &Cut) -> Result<Self> {
        let info = recording.info().cloned();
        let is_small = recording.len() <= cut.max_bytes;
        let state = match &info {
            Some(info) => {
                let separate = cut.channels == Channels::Separate;
                let is_short = info.duration <= cut.max_duration;
                let channel = (separate && info.channels == 1).then_some(0);
                if is_small && is_short && (!separate || info.channels == 1) {
                    State::Whole(recording, channel)
                } else {
                    match Decoder::open(&recording.shared.stored, info)? {
                        Some(decoder) => {
                            State::Cut(Box::new(Cutter::new(decoder, info.channels, info.sample_rate, cut)?))
                        }
                        None if is_small => State::Whole(recording, channel),
                        None => return Err(undecoded(&format!("{} in {}", info.codec, info.format.extension()), cut)),
                    }
                }
            }
            None if is_small => State::Whole(recording, None),
            None => return Err(undecoded(recording.mediatype(), cut)),
        };
        Ok(Parts { state })
    }

    /// The next part; decodes where it may block.
    ///
    /// # Errors
    /// Permanent, when the recording turns out to be broken. No more parts come then.
    pub async fn next_part(&mut self) -> Option<Result<Part>> {
        let mut taken = Parts { state: std::mem::replace(&mut self.state, State::Over) };
        let next = blocking(move || {
            let part = taken.next();
            Ok((taken, part))
        });
        match next.await {
            Ok((taken, part)) => {
                *self = taken;
                part
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Iterator for Parts {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = match &mut self.state {
            State::Whole(recording, channel) => {
                let whole = whole(recording, *channel);
                self.state = State::Over;
                return Some(whole);
            }
            State::Cut(cutter) => cutter.next().transpose(),
            State::Over => None,
        };
        if !matches!(part, Some(Ok(_))) {
            self.state = State::Over;
        }
        part
    }
}

fn whole(recording: &Recording, channel: Option<u16>) -> Result<Part> {
    Ok(Part {
        index: 0,
        channel,
        offset: Duration::ZERO,
        duration: recording.info().map_or(Duration::ZERO, |info| info.duration),
        silent: false,
        bytes: recording.shared.stored.read_all()?,
        mediatype: recording.mediatype().to_owned(),
        file_name: recording.file_name(),
    })
}

fn undecoded(what: &str, cut: &Cut) -> Error {
    Error::permanent(format!("the recording is larger than {} bytes, and {what} cannot be decoded here", cut.max_bytes))
        .help("have it recorded as WAV, MP3, FLAC, Ogg or M4A, or take a vendor that accepts larger files")
}

/// Cuts decoded sound.
struct Cutter {
    decoder: Decoder,
    resampler: Resampler,
    levels: Levels,
    /// What was decoded and not given yet, per channel of what is given.
    waves: Vec<Wave>,
    is_mixed: bool,
    mixed: Vec<Vec<f32>>,
    /// The longest part in samples.
    limit: usize,
    /// Samples in front of the waves.
    start: u64,
    index: usize,
    is_at_end: bool,
    /// A cut is made: how many samples, and for which channel next.
    given: Option<(usize, usize)>,
}

impl Cutter {
    fn new(decoder: Decoder, channels: u16, rate: u32, cut: &Cut) -> Result<Self> {
        let is_mixed = cut.channels == Channels::Mixed;
        if !is_mixed && channels > MOST_CHANNELS {
            return Err(Error::permanent(format!("{channels} channels cannot be separated, only {MOST_CHANNELS}"))
                .help("mix them"));
        }
        let sequences = if is_mixed { 1 } else { usize::from(channels) };
        let by_size = usize::try_from(cut.max_bytes).unwrap_or(usize::MAX).saturating_sub(HEADER) / WIDTH;
        let by_time =
            usize::try_from(cut.max_duration.as_millis()).unwrap_or(usize::MAX).saturating_mul(RATE as usize / 1000);
        let by_memory = MOST_IN_MEMORY / WIDTH / sequences;
        let limit = by_size.min(by_time).min(by_memory) / FRAME * FRAME;
        if limit < 2 * SHORTEST {
            return Err(Error::configuration("parts of less than 2 s are no use")
                .help("raise the limits of size and duration: a second of sound has 32,000 bytes"));
        }
        Ok(Cutter {
            decoder,
            resampler: Resampler::new(rate, sequences)?,
            levels: Levels::new(sequences, cut.silence_dbfs, cut.silence),
            waves: (0..sequences).map(|_| Wave::with_capacity(0)).collect(),
            is_mixed,
            mixed: vec![Vec::new()],
            limit,
            start: 0,
            index: 0,
            is_at_end: false,
            given: None,
        })
    }

    fn next(&mut self) -> Result<Option<Part>> {
        let (samples, channel) = match self.given {
            Some(given) => given,
            None => {
                while !self.is_at_end && self.waves[0].len() < self.limit + SHORTEST {
                    self.decode()?;
                }
                match self.place() {
                    0 => return Ok(None),
                    samples => (samples, 0),
                }
            }
        };
        let part = self.part(samples, channel);
        self.given = Some((samples, channel + 1)).filter(|_| channel + 1 < self.waves.len());
        if self.given.is_none() {
            self.levels.forget(samples / FRAME);
            self.start += samples as u64;
            self.index += 1;
        }
        Ok(Some(part))
    }

    /// Adds a block of decoded sound to the waves, or the rest of the resampler at the end.
    fn decode(&mut self) -> Result<()> {
        let (waves, levels) = (&mut self.waves, &mut self.levels);
        let mut sink = |channel: usize, samples: &[f32]| {
            waves[channel].push(samples);
            levels.push(channel, samples);
        };
        match self.decoder.next()? {
            None => {
                self.is_at_end = true;
                self.resampler.finish(&mut sink)
            }
            Some(block) if self.is_mixed => {
                mix(block, &mut self.mixed[0]);
                self.resampler.push(&self.mixed, &mut sink)
            }
            Some(block) => self.resampler.push(block, &mut sink),
        }
    }

    /// Where to cut next, in samples; 0 when there is nothing left.
    fn place(&self) -> usize {
        let samples = self.waves[0].len();
        if samples <= self.limit {
            return samples;
        }
        // What is left behind the cut must not be too short for a part.
        let latest = self.limit.min(samples - SHORTEST) / FRAME;
        let mark = self.limit / FRAME * 4 / 5;
        let wanted = mark.min(latest);
        self.levels.cut((mark - mark / 4).min(wanted), wanted, latest) * FRAME
    }

    fn part(&mut self, samples: usize, channel: usize) -> Part {
        let silent = self.levels.is_silent(channel, samples.div_ceil(FRAME));
        let number = u16::try_from(channel).ok().filter(|_| !self.is_mixed);
        let prefix = number.map_or_else(String::new, |number| format!("channel-{number}-"));
        Part {
            index: self.index,
            channel: number,
            offset: duration(self.start),
            duration: duration(samples as u64),
            silent,
            bytes: self.waves[channel].cut(samples, 0),
            mediatype: "audio/x-wav".to_owned(),
            file_name: format!("{prefix}part-{:03}.wav", self.index),
        }
    }
}

impl std::fmt::Debug for Cutter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cutter").field("start", &self.start).field("index", &self.index).finish_non_exhaustive()
    }
}

/// The mean of all channels.
fn mix(block: &[Vec<f32>], mixed: &mut Vec<f32>) {
    mixed.clear();
    let Some((first, others)) = block.split_first() else { return };
    mixed.extend_from_slice(first);
    for other in others {
        mixed.iter_mut().zip(other).for_each(|(sum, sample)| *sum += sample);
    }
    let share = 1.0 / block.len() as f32;
    mixed.iter_mut().for_each(|sample| *sample *= share);
}

/// A sample lasts 62,500 ns.
fn duration(samples: u64) -> Duration {
    Duration::from_nanos(samples * (1_000_000_000 / u64::from(RATE)))
}
