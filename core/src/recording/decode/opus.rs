//! Opus packets (RFC 6716), as an Ogg file carries them (RFC 7845).

use opus_decoder::{OpusDecoder, OpusMultistreamDecoder};

use super::Block;

/// Samples per second; Opus in Ogg is always counted so.
pub(super) const RATE: u32 = 48_000;

/// Samples per channel of the longest packet, 120 ms.
const LONGEST: usize = 5760;

/// Channels that are decoded; families 0 and 1 have no more than eight.
const MOST_CHANNELS: usize = 8;

enum Streams {
    One(Box<OpusDecoder>),
    Many(OpusMultistreamDecoder),
}

/// Decodes the packets of one stream.
pub(super) struct Opus {
    streams: Streams,
    channels: usize,
    /// What the header says that samples are to be multiplied with.
    gain: f32,
    buffer: Vec<f32>,
}

impl Opus {
    /// A decoder for the stream with this identification header (RFC 7845, section 5.1); `None` when it is none that we decode.
    pub(super) fn new(head: &[u8]) -> Option<Self> {
        if !head.starts_with(b"OpusHead") {
            return None;
        }
        let channels = usize::from(*head.get(9)?);
        let gain = i16::from_le_bytes(head.get(16..18)?.try_into().ok()?);
        let streams = match *head.get(18)? {
            0 => Streams::One(Box::new(OpusDecoder::new(RATE, channels).ok()?)),
            _ if channels > MOST_CHANNELS => return None,
            _ => {
                let (&streams, &coupled) = (head.get(19)?, head.get(20)?);
                let mapping = head.get(21..21 + channels)?;
                let many = OpusMultistreamDecoder::new(RATE, channels, streams.into(), coupled.into(), mapping);
                Streams::Many(many.ok()?)
            }
        };
        let gain = 10_f32.powf(f32::from(gain) / 256.0 / 20.0);
        Some(Opus { streams, channels, gain, buffer: vec![0.0; LONGEST * channels] })
    }

    /// Adds the samples of a packet without the first `trim.0` and the last `trim.1`; false when it is damaged.
    pub(super) fn decode(&mut self, packet: &[u8], trim: (usize, usize), block: &mut Block) -> bool {
        let decoded = match &mut self.streams {
            // An empty packet would be taken for a lost one.
            _ if packet.is_empty() => return false,
            Streams::One(decoder) => decoder.decode_float(packet, &mut self.buffer, false),
            Streams::Many(decoder) => decoder.decode_float(packet, &mut self.buffer, false),
        };
        let Ok(frames) = decoded else { return false };
        let kept = trim.0..frames.saturating_sub(trim.1);
        for frame in self.buffer.chunks_exact(self.channels).take(kept.end).skip(kept.start) {
            for (sample, channel) in frame.iter().zip(block.iter_mut()) {
                channel.push((sample * self.gain).clamp(-1.0, 1.0));
            }
        }
        true
    }
}
