//! Recordings against real files, hand-made ones and servers on the loopback interface.

mod cutting;
mod decoding;
mod fetching;

use std::path::PathBuf;

use super::*;

fn fixture(name: &str) -> Bytes {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tests", "fixtures", "audio", name].iter().collect();
    std::fs::read(path).unwrap().into()
}

/// The samples of a part, read by another library than the one that made it.
fn samples(part: &Part) -> Vec<i16> {
    let reader = hound::WavReader::new(&part.bytes[..]).unwrap();
    let spec = reader.spec();
    assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 16_000, 16));
    reader.into_samples().map(Result::unwrap).collect()
}

/// A WAV file of 16 bits; `frames` holds a sample per channel each.
fn wav(rate: u32, frames: &[Vec<i16>]) -> Vec<u8> {
    let channels = u16::try_from(frames[0].len()).unwrap();
    let spec =
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    frames.iter().flatten().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

/// The whole of each sequence: the samples of its parts one after the other.
fn joined(parts: &[Part], channels: usize) -> Vec<Vec<i16>> {
    let mut all = vec![Vec::new(); channels];
    for part in parts {
        all[usize::from(part.channel.unwrap_or(0))].extend(samples(part));
    }
    all
}

fn all_parts(recording: &Recording, cut: &Cut) -> Vec<Part> {
    recording.parts(cut).unwrap().map(Result::unwrap).collect()
}
