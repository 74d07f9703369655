//! Opus packets (RFC 6716), as an Ogg file carries them (RFC 7845).

use ropus::OpusMSDecoder;

use super::Block;

/// Samples per second; Opus in Ogg is always counted so.
pub(super) const RATE: u32 = 48_000;

/// Samples per channel of the longest packet, 120 ms.
const LONGEST: usize = 5760;

/// Channels that are decoded; families 0 and 1 have no more than eight.
const MOST_CHANNELS: usize = 8;

/// Decodes the packets of one stream.
pub(super) struct Opus {
    decoder: Box<OpusMSDecoder>,
    channels: usize,
    /// Samples per channel at the start that the decoder needs to find its feet; they are not played.
    skip: usize,
    /// What the header says that samples are to be multiplied with.
    gain: f32,
    buffer: Vec<i16>,
}

impl Opus {
    /// A decoder for the stream with this identification header (RFC 7845, section 5.1); `None` when it is none that we decode.
    pub(super) fn new(head: &[u8]) -> Option<Self> {
        if !head.starts_with(b"OpusHead") {
            return None;
        }
        let channels = usize::from(*head.get(9)?);
        let skip = u16::from_le_bytes(head.get(10..12)?.try_into().ok()?);
        let gain = i16::from_le_bytes(head.get(16..18)?.try_into().ok()?);
        let (streams, coupled, mapping) = match *head.get(18)? {
            // One stream, coupled when it is stereo.
            0 if channels <= 2 => (1, channels.saturating_sub(1), [0, 1].get(..channels)?),
            0 => return None,
            _ => (usize::from(*head.get(19)?), usize::from(*head.get(20)?), head.get(21..21 + channels)?),
        };
        if channels > MOST_CHANNELS || streams > MOST_CHANNELS {
            return None;
        }
        let count = |count: usize| i32::try_from(count).unwrap_or(0);
        let decoder = OpusMSDecoder::new(RATE as i32, count(channels), count(streams), count(coupled), mapping).ok()?;
        Some(Opus {
            decoder: Box::new(decoder),
            channels,
            skip: skip.into(),
            gain: 10_f32.powf(f32::from(gain) / 256.0 / 20.0) / 32_768.0,
            buffer: vec![0; LONGEST * channels],
        })
    }

    /// Adds the samples of a packet; false when it is damaged.
    pub(super) fn decode(&mut self, packet: &[u8], block: &mut Block) -> bool {
        let Ok(length) = i32::try_from(packet.len()) else { return false };
        // An empty packet would be taken for a lost one.
        if packet.is_empty() {
            return false;
        }
        let decoded = self.decoder.decode(Some(packet), length, &mut self.buffer, LONGEST as i32, false);
        let Some(frames) = decoded.ok().and_then(|frames| usize::try_from(frames).ok()) else { return false };
        let skipped = frames.min(self.skip);
        self.skip -= skipped;
        for frame in self.buffer.chunks_exact(self.channels).take(frames).skip(skipped) {
            for (sample, channel) in frame.iter().zip(block.iter_mut()) {
                channel.push((f32::from(*sample) * self.gain).clamp(-1.0, 1.0));
            }
        }
        true
    }
}
