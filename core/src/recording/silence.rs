//! How loud it is, and where it is silent for long enough to be cut.

use std::time::Duration;

use super::resample::RATE;

/// Samples of a frame, 10 ms: the grain of all cuts.
pub(super) const FRAME: usize = RATE as usize / 100;

/// The loudness of one channel, frame by frame.
#[derive(Default)]
struct Channel {
    /// Mean square of every whole frame.
    frames: Vec<f32>,
    /// Sum of squares of the frame that has begun, and its samples.
    begun: (f32, usize),
}

/// The loudness of all channels since the last cut.
pub(super) struct Levels {
    channels: Vec<Channel>,
    /// What is not louder is silence, as a mean square.
    threshold: f32,
    /// Frames that it must be silent for a cut.
    silence: usize,
}

impl Levels {
    pub(super) fn new(channels: usize, dbfs: f32, silence: Duration) -> Self {
        let channels = (0..channels).map(|_| Channel::default()).collect();
        let silence = usize::try_from(silence.as_millis() / 10).unwrap_or(usize::MAX).max(1);
        Levels { channels, threshold: 10_f32.powf(dbfs / 10.0), silence }
    }

    /// Listens to more samples of a channel.
    pub(super) fn push(&mut self, channel: usize, samples: &[f32]) {
        let channel = &mut self.channels[channel];
        let mut rest = samples;
        while !rest.is_empty() {
            let (sum, count) = channel.begun;
            let (now, later) = rest.split_at(rest.len().min(FRAME - count));
            let sum = now.iter().fold(sum, |sum, sample| sum + sample * sample);
            channel.begun = (sum, count + now.len());
            if channel.begun.1 == FRAME {
                channel.frames.push(sum / FRAME as f32);
                channel.begun = (0.0, 0);
            }
            rest = later;
        }
    }

    /// Whether the first `frames` frames of a channel, and what has begun behind them at the end, are all silent.
    pub(super) fn is_silent(&self, channel: usize, frames: usize) -> bool {
        let channel = &self.channels[channel];
        let is_end = frames >= channel.frames.len();
        let begun = is_end && channel.begun.0 > self.threshold * channel.begun.1 as f32;
        !begun && channel.frames.iter().take(frames).all(|level| *level <= self.threshold)
    }

    /// Forgets the first frames of all channels.
    pub(super) fn forget(&mut self, frames: usize) {
        for channel in &mut self.channels {
            channel.frames.drain(..frames.min(channel.frames.len()));
        }
    }

    /// The frame to cut at: the middle of the silence whose middle is nearest to `wanted` and lies from `earliest` to `latest`,
    /// else `wanted` itself. Silence is where the mean over the asked time is low enough in every channel, so that a click does
    /// not end it.
    pub(super) fn cut(&self, earliest: usize, wanted: usize, latest: usize) -> usize {
        let loudest = |frame: usize| {
            let levels = self.channels.iter().map(|channel| channel.frames.get(frame).copied().unwrap_or(f32::MAX));
            f64::from(levels.fold(0.0, f32::max))
        };
        let limit = f64::from(self.threshold) * self.silence as f64;
        let mut best: Option<usize> = None;
        let mut silent: Option<(usize, usize)> = None;
        let mut close = |silent: Option<(usize, usize)>| {
            if let Some((start, end)) = silent {
                let middle = (start + end) / 2;
                if best.is_none_or(|best| middle.abs_diff(wanted) < best.abs_diff(wanted)) {
                    best = Some(middle);
                }
            }
        };
        let mut sum = 0.0;
        for end in earliest + 1..=latest {
            sum += loudest(end - 1);
            let Some(start) = end.checked_sub(self.silence).filter(|start| *start >= earliest) else { continue };
            // The sum of what was added and taken away again may be a little below zero.
            if sum <= limit {
                silent = match silent {
                    Some((from, to)) if to >= start => Some((from, end)),
                    before => {
                        close(before);
                        Some((start, end))
                    }
                };
            }
            sum -= loudest(start);
        }
        close(silent);
        best.unwrap_or(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: [f32; FRAME] = [0.5; FRAME];
    const QUIET: [f32; FRAME] = [0.001; FRAME];

    /// Levels of one channel: frames that are loud but within the given ranges.
    fn levels(frames: usize, quiet: &[std::ops::Range<usize>]) -> Levels {
        let mut levels = Levels::new(1, -40.0, Duration::from_millis(100));
        for frame in 0..frames {
            let is_quiet = quiet.iter().any(|range| range.contains(&frame));
            levels.push(0, if is_quiet { &QUIET } else { &LOUD });
        }
        levels
    }

    #[test]
    fn a_cut_is_in_the_middle_of_the_nearest_silence() {
        let quiet = [10..30, 70..90, 118..130];
        assert_eq!(levels(200, &quiet).cut(60, 100, 150), 80);
        assert_eq!(levels(200, &quiet).cut(60, 105, 150), 124);
        assert_eq!(levels(200, &quiet).cut(95, 100, 117), 100, "none near: exactly where it is wanted");
        assert_eq!(levels(200, std::slice::from_ref(&(100..109))).cut(50, 100, 150), 100, "too short");
        assert_eq!(levels(200, std::slice::from_ref(&(0..200))).cut(60, 100, 140), 100, "silence all over");
        assert_eq!(
            levels(200, std::slice::from_ref(&(0..70))).cut(50, 100, 150),
            60,
            "only what lies in the window counts"
        );
    }

    #[test]
    fn a_click_does_not_end_a_silence_and_one_channel_is_not_all() {
        let mut clicking = levels(50, std::slice::from_ref(&(0..50)));
        clicking.push(0, &{
            let mut click = QUIET;
            click[0] = 0.3;
            click
        });
        (0..49).for_each(|_| clicking.push(0, &QUIET));
        assert_eq!(clicking.cut(0, 80, 100), 50, "one silence, with the click in it");

        let mut stereo = Levels::new(2, -40.0, Duration::from_millis(100));
        for frame in 0..100 {
            stereo.push(0, if (20..80).contains(&frame) { &QUIET } else { &LOUD });
            stereo.push(1, if (40..100).contains(&frame) { &QUIET } else { &LOUD });
        }
        assert_eq!(stereo.cut(0, 50, 100), 60, "both are silent from 40 to 80");
        assert!(!stereo.is_silent(0, 20) && !stereo.is_silent(1, 50));
        stereo.forget(40);
        assert!(stereo.is_silent(1, 60) && stereo.is_silent(0, 40) && !stereo.is_silent(0, 41));
    }

    #[test]
    fn samples_may_come_in_any_pieces() {
        let sound: Vec<f32> = (0..FRAME * 7 + 3).map(|n| (n as f32 * 0.7).sin()).collect();
        let mut whole = Levels::new(1, -40.0, Duration::from_secs(1));
        whole.push(0, &sound);
        let mut pieces = Levels::new(1, -40.0, Duration::from_secs(1));
        sound.chunks(37).for_each(|piece| pieces.push(0, piece));
        assert_eq!(whole.channels[0].frames, pieces.channels[0].frames);
        assert_eq!((whole.channels[0].frames.len(), whole.channels[0].begun.1), (7, 3));
    }
}
