//! Recordings that come in packets: MP3, FLAC, AAC, ALAC, Vorbis, Opus, and ADPCM in WAV.

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as ParseError;
use symphonia::core::formats::{FormatReader, TrackType};
use symphonia::core::io::ReadOnlySource;
use symphonia::core::packet::Packet;
use symphonia::core::units::TimeBase;
use symphonia::default::get_codecs;

use super::opus::{self, Opus};
use super::{Block, Decode, damaged};
use crate::Result;
use crate::audio::{self, AudioInfo, Format};
use crate::recording::stored::Stored;

/// Packets that are tried before a codec counts as one that we cannot decode.
const TRIED: usize = 50;

/// Damaged packets that a short recording may have.
const FEW: u64 = 50;

/// Milliseconds between packets that are no gap: codecs with blocks of two lengths are not exact.
const GAP: i64 = 100;

/// The longest silence that stands for a damaged packet, in seconds; real packets are below.
const LONGEST_PACKET: u64 = 1;

enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(Opus),
}

/// Reads and decodes packets.
pub(super) struct Packets {
    reader: Box<dyn FormatReader>,
    format: Format,
    rate: u32,
    track: u32,
    time_base: Option<TimeBase>,
    codec: Codec,
    /// Samples that were decoded to see whether it can be done.
    first: Block,
    planes: Block,
    /// Where the next packet should begin, in ticks of the track, and one that begins later.
    expected: Option<i64>,
    early: Option<Packet>,
    decoded: u64,
    damaged: u64,
}

impl Packets {
    /// `None` when there is no decoder for it.
    pub(super) fn open(stored: &Stored, info: &AudioInfo) -> Result<Option<Self>> {
        let reader = match info.format {
            // As in `audio::mp4`: a box that is longer than the file is refused only in a file whose length is known.
            Format::M4a if info.truncated => audio::stream::open(info.format, ReadOnlySource::new(stored.source()))?,
            _ => audio::stream::open(info.format, stored.source())?,
        };
        let Some(reader) = reader else { return Ok(None) };
        let Some((track, time_base, codec)) = codec(&*reader) else { return Ok(None) };
        let empty = vec![Vec::new(); usize::from(info.channels)];
        let mut packets = Packets {
            reader,
            format: info.format,
            rate: info.sample_rate,
            track,
            time_base,
            codec,
            first: empty,
            planes: Vec::new(),
            expected: None,
            early: None,
            decoded: 0,
            damaged: 0,
        };
        // A codec may have profiles that its decoder does not know, which only its packets show.
        for _ in 0..TRIED {
            let mut block = std::mem::take(&mut packets.first);
            let is_more = packets.more(&mut block)?;
            packets.first = block;
            if packets.decoded > 0 {
                return Ok(Some(packets));
            }
            if !is_more {
                break;
            }
        }
        Ok(None)
    }

    /// The next packet of the sound; `None` at the end, and where the file breaks off.
    fn packet(&mut self) -> Option<Packet> {
        loop {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Some(packet),
                Ok(Some(_)) => {}
                // Another stream follows, as in a chain of Ogg streams.
                Err(ParseError::ResetRequired) => {
                    self.expected = None;
                    (self.track, self.time_base, self.codec) = codec(&*self.reader)?;
                }
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Adds the samples of a packet; false when it is damaged, or of another kind than the first.
    fn decode(&mut self, packet: &Packet, block: &mut Block) -> bool {
        match &mut self.codec {
            Codec::Opus(opus) => opus.decode(&packet.data, block),
            Codec::Symphonia(decoder) => {
                let Ok(decoded) = decoder.decode(packet) else { return false };
                if decoded.spec().rate() != self.rate || decoded.num_planes() == 0 {
                    return false;
                }
                decoded.copy_to_vecs_planar(&mut self.planes);
                let last = self.planes.len() - 1;
                for (index, channel) in block.iter_mut().enumerate() {
                    channel.extend_from_slice(&self.planes[index.min(last)]);
                }
                true
            }
        }
    }

    /// Silence for what was lost in front of a packet, as far as it goes into one block: a page of an Ogg file whose check sum
    /// is wrong is left out by the reader. False when nothing was lost. Other formats do not say where a packet belongs.
    fn fill(&mut self, packet: &Packet, block: &mut Block) -> bool {
        let begin = packet.pts.get();
        let expected = self.expected.filter(|_| self.format == Format::Ogg).unwrap_or(begin);
        let lost = begin.saturating_sub(expected);
        if lost <= i64::from(self.rate) * GAP / 1000 {
            self.expected = Some(begin.saturating_add_unsigned(packet.dur.get()));
            return false;
        }
        let filled = lost.min(i64::from(self.rate));
        self.expected = Some(expected + filled);
        // Ticks are samples in Ogg.
        silence(block, usize::try_from(filled).unwrap_or(0));
        true
    }

    /// Samples per channel that a packet should have had.
    fn length(&self, packet: &Packet) -> usize {
        let seconds =
            self.time_base.and_then(|base| base.calc_duration(packet.dur)).map_or(0.0, |time| time.as_secs_f64());
        (seconds * f64::from(self.rate)).round().clamp(0.0, (u64::from(self.rate) * LONGEST_PACKET) as f64) as usize
    }
}

impl Decode for Packets {
    fn more(&mut self, block: &mut Block) -> Result<bool> {
        if self.first.iter().any(|channel| !channel.is_empty()) {
            std::mem::swap(&mut self.first, block);
            return Ok(true);
        }
        let Some(packet) = self.early.take().or_else(|| self.packet()) else { return Ok(false) };
        if self.fill(&packet, block) {
            self.early = Some(packet);
            return Ok(true);
        }
        if self.decode(&packet, block) {
            self.decoded += 1;
            return Ok(true);
        }
        self.damaged += 1;
        if self.damaged > self.decoded + FEW {
            return Err(damaged(self.format));
        }
        let length = self.length(&packet);
        silence(block, length);
        Ok(true)
    }
}

fn silence(block: &mut Block, samples: usize) {
    block.iter_mut().for_each(|channel| channel.resize(channel.len() + samples, 0.0));
}

/// The track with the sound and its decoder.
fn codec(reader: &dyn FormatReader) -> Option<(u32, Option<TimeBase>, Codec)> {
    let track = reader.default_track(TrackType::Audio)?;
    let Some(CodecParameters::Audio(parameters)) = &track.codec_params else { return None };
    Some((track.id, track.time_base, decoder(parameters)?))
}

fn decoder(parameters: &AudioCodecParameters) -> Option<Codec> {
    if parameters.codec == CODEC_ID_OPUS && parameters.sample_rate == Some(opus::RATE) {
        return Opus::new(parameters.extra_data.as_deref()?).map(Codec::Opus);
    }
    get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default()).ok().map(Codec::Symphonia)
}
