//! Real recordings against the figures of ffprobe (`tests/fixtures/audio/SOURCES.md`), and everything that is not one.

use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::Class;

const FIXTURES: [&str; 10] = [
    "ab_call.wav",
    "ab_call.mp3",
    "ab_call_vbr_noxing.mp3",
    "ab_call.flac",
    "ab_call.m4a",
    "ab_call_fragmented.m4a",
    "ab_call_faststart.m4a",
    "ab_call_alac.m4a",
    "ab_call_vorbis.ogg",
    "ab_call_opus.ogg",
];

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "tests", "fixtures", "audio", name].iter().collect()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap()
}

fn milliseconds(info: &AudioInfo) -> i64 {
    i64::try_from(info.duration.as_millis()).unwrap()
}

/// A WAV file made by hand; `claimed` is the size in its data chunk's header.
fn wav(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8], claimed: u32) -> Vec<u8> {
    let block = channels * bits / 8;
    let mut file = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
    file.extend(tag.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(block)).to_le_bytes());
    file.extend(block.to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(b"data");
    file.extend(claimed.to_le_bytes());
    file.extend(data);
    file
}

#[test]
fn real_recordings_are_measured_as_ffprobe_does() {
    let expected: [(Format, &str, i64, u16, u32); 10] = [
        (Format::Wav, "gsm", 4720, 1, 8000),
        (Format::Mp3, "mp3", 33_120, 1, 8000),
        (Format::Mp3, "mp3", 68 * 72, 1, 8000),
        (Format::Flac, "flac", 4720, 1, 8000),
        (Format::M4a, "aac", 4720, 1, 8000),
        (Format::M4a, "aac", 4848, 1, 8000),
        (Format::M4a, "aac", 4720, 1, 8000),
        (Format::M4a, "alac", 1000, 1, 8000),
        (Format::Ogg, "vorbis", 4720, 2, 16_000),
        (Format::Ogg, "opus", 4720, 1, 48_000),
    ];
    for (name, (format, codec, length, channels, rate)) in FIXTURES.into_iter().zip(expected) {
        let bytes = fixture(name);
        let info = probe(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            (info.format, info.codec, info.channels, info.sample_rate),
            (format, codec, channels, rate),
            "{name}"
        );
        assert!((milliseconds(&info) - length).abs() <= 50, "{name}: {:?}, ffprobe says {length} ms", info.duration);
        assert!(!info.truncated, "{name}");
        let average = bytes.len() as f64 * 8.0 / info.duration.as_secs_f64();
        assert!((f64::from(info.bit_rate.unwrap()) - average).abs() < 1.0, "{name}");
        assert_eq!(probe_file(&path(name)).unwrap(), info, "{name} from the file");
    }
}

#[test]
fn hand_made_wav_files_of_every_kind() {
    let second = vec![0; 16_000];
    for (tag, channels, bits, codec, length) in [
        (1, 1, 16, "pcm", 1000),
        (1, 2, 16, "pcm", 500),
        (1, 2, 8, "pcm", 1000),
        (3, 1, 32, "pcm_float", 500),
        (6, 1, 8, "pcm_alaw", 2000),
        (7, 2, 8, "pcm_mulaw", 1000),
    ] {
        let info = probe(&wav(tag, channels, 8000, bits, &second, 16_000)).unwrap();
        assert_eq!((info.codec, milliseconds(&info), info.channels), (codec, length, channels), "tag {tag}");
        assert_eq!((info.mediatype(), info.truncated), ("audio/x-wav", false));
    }
    // A recorder that writes to a pipe or was killed does not know the size.
    for unknown in [0, u32::MAX] {
        let info = probe(&wav(1, 1, 8000, 16, &second, unknown)).unwrap();
        assert_eq!((milliseconds(&info), info.truncated), (1000, false));
    }
    let info = probe(&wav(1, 1, 8000, 16, &second, 160_000)).unwrap();
    assert_eq!((milliseconds(&info), info.truncated), (1000, true), "what is there counts, not what is claimed");
    let mut trailing = wav(1, 1, 8000, 16, &second, 16_000);
    trailing.extend(b"LIST\x04\0\0\0INFO");
    assert_eq!(milliseconds(&probe(&trailing).unwrap()), 1000, "chunks behind the data are not audio");
}

#[test]
fn an_mp3_behind_a_tag_or_half_a_frame_is_found() {
    let plain = fixture("ab_call_vbr_noxing.mp3");
    let length = milliseconds(&probe(&plain).unwrap());
    let mut tagged = b"ID3\x04\0\0\0\0\x47\x08".to_vec();
    tagged.extend(vec![0; 0x47 << 7 | 8]);
    tagged.extend(&plain);
    assert_eq!(milliseconds(&probe(&tagged).unwrap()), length);
    let info = probe(&plain[50..]).unwrap();
    assert!((milliseconds(&info) - length).abs() <= 150, "{info:?}");
    let twice: Vec<u8> = [plain.as_slice(), plain.as_slice()].concat();
    assert_eq!(milliseconds(&probe(&twice).unwrap()), 2 * length, "every frame counts");
}

#[test]
fn what_is_not_audio_is_named() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "it is empty"),
        (b"\n<!DOCTYPE html><html>", "HTML"),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied", "XML"),
        (b"{\"error\": \"expired\"}", "JSON"),
        (b"just words", "text"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04....", "ZIP"),
        (b"RIFF\0\0\0\0AVI LIST", "not WAVE"),
        (b"\xff\xf1\x50\x80\x02\x1f\xfc", "ADTS"),
        (b"#!AMR\n", "AMR"),
        (&[0; 5000], "zero bytes"),
        (b"\x80\x81\x82", "no format that we know"),
    ];
    for (bytes, part) in cases {
        let error = probe(bytes).unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.message().starts_with("not audio that we know: ") && error.message().contains(part), "{error}");
    }
}

#[test]
fn broken_headers_are_permanent_errors() {
    for (bytes, part) in [
        (b"RIFF\0\0\0\0WAVE".to_vec(), "no data chunk"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd".to_vec(), "before its format"),
        (wav(1, 0, 8000, 16, &[0; 100], 100), "impossible"),
        (wav(1, 1, 0, 16, &[0; 100], 100), "impossible"),
        (wav(1, 1, 8000, 16, &[], 0), "no audio"),
        (b"OggS".to_vec(), "holds no"),
        (b"fLaC".to_vec(), "FLAC"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42".to_vec(), "moov"),
        (b"ID3\x04\0\0\0\0\0\x05".to_vec(), "MP3"),
    ] {
        let error = probe(&bytes).unwrap_err();
        assert_eq!(error.class(), Class::Permanent, "{error}");
        assert!(error.message().starts_with("broken ") && error.message().contains(part), "{error}");
    }
}

#[test]
fn a_recording_that_was_cut_is_marked_and_shorter() {
    for name in [
        "ab_call.wav",
        "ab_call.flac",
        "ab_call_vorbis.ogg",
        "ab_call_opus.ogg",
        "ab_call_faststart.m4a",
        "ab_call_fragmented.m4a",
    ] {
        let bytes = fixture(name);
        let whole = probe(&bytes).unwrap();
        let info = probe(&bytes[..bytes.len() * 2 / 3]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(info.truncated, "{name}");
        assert!(info.duration < whole.duration, "{name}: {:?} of {:?}", info.duration, whole.duration);
    }
    let bytes = fixture("ab_call.m4a");
    let error = probe(&bytes[..bytes.len() / 2]).unwrap_err();
    assert!(error.message().contains("the end of the file is missing"), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = probe_file(&path("nothing.wav")).unwrap_err();
    assert!(error.message().contains("nothing.wav"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000), magic in 0..7_usize) {
        let magics: [&[u8]; 7] =
            [b"", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", b"OggS\0\x02", b"fLaC\0\0\0\x22", b"\0\0\0\x08ftyp\0\0", b"ID3\x04\0\0", b"\xff\xfb"];
        probe(&[magics[magic], &bytes].concat()).ok();
    }

    /// Damage in the header part is the most interesting, so half of it goes there.
    #[test]
    fn damaged_recordings_never_panic_and_never_grow_beyond_reason(
        file in 0..FIXTURES.len(),
        damage in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = fixture(FIXTURES[file]);
        for (in_header, place, value) in damage {
            let end = if in_header { bytes.len().min(200) } else { bytes.len() };
            bytes[place.index(end)] = value;
        }
        if cut.index(2) == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        match probe(&bytes) {
            Ok(info) => prop_assert!(info.duration.as_secs() < 366 * 86_400 && info.channels > 0),
            Err(error) => prop_assert_eq!(error.class(), Class::Permanent),
        }
    }
}
