//! Every format that we decode: the right sound, on the right channel, at the right time.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::Class;

/// Two channels of 3 s: a tone from 0.5 to 1.0 s on the first, from 1.5 to 2.0 s on the second (`SOURCES.md`).
const BEEPS: [&str; 9] = [
    "beeps.mp3",
    "beeps.m4a",
    "beeps.flac",
    "beeps_vorbis.ogg",
    "beeps_opus.ogg",
    "beeps_adpcm_ima.wav",
    "beeps_adpcm_ms.wav",
    "beeps_alac.m4a",
    "beeps_four_opus.ogg",
];

/// Cuts whatever it is, so that it must be decoded.
fn every_channel() -> Cut {
    Cut { max_duration: Duration::from_secs(2), channels: Channels::Separate, ..Cut::default() }
}

fn decoded(name: &str, cut: &Cut) -> Vec<Vec<i16>> {
    let recording = Recording::from_bytes(fixture(name)).unwrap();
    let channels = if cut.channels == Channels::Mixed { 1 } else { recording.info().unwrap().channels };
    joined(&all_parts(&recording, cut), channels.into())
}

/// The loudness of every 5 ms.
fn envelope(samples: &[i16]) -> Vec<f64> {
    let power = |frame: &[i16]| frame.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / frame.len() as f64;
    samples.chunks_exact(80).map(|frame| power(frame).sqrt()).collect()
}

#[test]
fn every_format_has_its_tones_on_their_channels_at_their_times() {
    for name in BEEPS {
        let channels = decoded(name, &every_channel());
        for (index, channel) in channels.iter().enumerate() {
            let seconds = channel.len() as f64 / 16_000.0;
            assert!((2.99..3.08).contains(&seconds), "{name}: {seconds} s");
            let envelope = envelope(channel);
            let start = if index % 2 == 0 { 0.5 } else { 1.5 };
            for (frame, loud) in envelope.iter().enumerate() {
                let time = frame as f64 * 0.005;
                // A tone of half of full scale; codecs smear its ends over some milliseconds.
                if (start + 0.03..start + 0.47).contains(&time) {
                    assert!((7_000.0..14_000.0).contains(loud), "{name}, channel {index}, {time} s: {loud}");
                } else if time < start - 0.03 || time > start + 0.53 {
                    assert!(*loud < 700.0, "{name}, channel {index}, {time} s: {loud}");
                }
            }
        }
    }
}

#[test]
fn real_speech_comes_out_of_every_codec_at_the_same_time() {
    let mixed = Cut { channels: Channels::Mixed, ..every_channel() };
    let reference = envelope(&decoded("ab_call.flac", &mixed)[0]);
    // A fragmented M4A has no edit list that says how much the encoder put in front: 1,024 samples.
    for (name, lag) in [
        ("ab_call.m4a", 0),
        ("ab_call_faststart.m4a", 0),
        ("ab_call_fragmented.m4a", 26),
        ("ab_call_vorbis.ogg", 0),
        ("ab_call_opus.ogg", 0),
    ] {
        let heard = envelope(&decoded(name, &mixed)[0]);
        let likeness = |lag: i64| {
            let pairs = reference.iter().enumerate().filter_map(|(at, level)| {
                let other = heard.get(usize::try_from(at as i64 + lag).ok()?)?;
                Some((level, other))
            });
            let sum = pairs.fold((0.0, 0.0, 0.0), |(ab, aa, bb), (a, b)| (ab + a * b, aa + a * a, bb + b * b));
            sum.0 / (sum.1 * sum.2).sqrt()
        };
        let best = (-60..=60).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        assert!((best - lag).abs() <= 1 && likeness(best) > 0.95, "{name}: {best} frames, {}", likeness(best));
    }
}

/// `ab_call.flac` is what ffmpeg decoded of `ab_call.wav`.
#[test]
fn gsm_is_decoded_to_the_bit() {
    let mixed = Cut { channels: Channels::Mixed, ..every_channel() };
    assert!(decoded("ab_call.wav", &mixed) == decoded("ab_call.flac", &mixed));
}

#[test]
fn wav_files_of_every_kind_hold_the_same_sound() {
    let wave: Vec<f64> = (0..48_000).map(|n| (f64::from(n) * 0.05).sin() * 0.6).collect();
    let linear = |bits: u32| {
        let scale = 2_f64.powi(bits as i32 - 1);
        move |sample: f64| ((sample * scale).round() as i32).to_le_bytes()[..bits as usize / 8].to_vec()
    };
    type Write = Box<dyn Fn(f64) -> Vec<u8>>;
    let kinds: [(u16, u16, f64, Write); 6] = [
        (1, 8, 1.0 / 128.0, Box::new(|sample| vec![(sample * 128.0 + 128.0).round() as u8])),
        (1, 16, 1e-4, Box::new(linear(16))),
        (1, 24, 1e-4, Box::new(linear(24))),
        (1, 32, 1e-4, Box::new(linear(32))),
        (3, 32, 1e-4, Box::new(|sample| (sample as f32).to_le_bytes().to_vec())),
        (3, 64, 1e-4, Box::new(|sample| sample.to_le_bytes().to_vec())),
    ];
    for (tag, bits, tolerance, write) in kinds {
        let block = bits / 8;
        let data: Vec<u8> = wave.iter().flat_map(|sample| write(*sample)).collect();
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(1_u16.to_le_bytes());
        file.extend(16_000_u32.to_le_bytes());
        file.extend((16_000 * u32::from(block)).to_le_bytes());
        file.extend(block.to_le_bytes());
        file.extend(bits.to_le_bytes());
        // A recorder that was killed never came to write the size.
        file.extend(b"data\0\0\0\0");
        file.extend(data);
        let recording = Recording::from_bytes(file).unwrap();
        let parts = all_parts(&recording, &Cut { max_duration: Duration::from_secs(2), ..Cut::default() });
        let heard = &joined(&parts, 1)[0];
        assert_eq!(heard.len(), wave.len(), "tag {tag}, {bits} bits");
        for (sample, expected) in heard.iter().zip(&wave) {
            let difference = (f64::from(*sample) / 32_768.0 - expected).abs();
            assert!(difference <= tolerance, "tag {tag}, {bits} bits: off by {difference}");
        }
    }
}

#[test]
fn what_is_no_number_is_silence() {
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x03\0\x01\0\x80\x3e\0\0\0\xfa\0\0\x04\0\x20\0data\0\0\0\0".to_vec();
    for sample in [f32::NAN, f32::INFINITY, f32::MAX, -0.25].iter().cycle().take(48_000) {
        file.extend(sample.to_le_bytes());
    }
    let recording = Recording::from_bytes(file).unwrap();
    let parts = all_parts(&recording, &Cut { max_duration: Duration::from_secs(2), ..Cut::default() });
    assert_eq!(samples(&parts[0])[..4], [0, 0, i16::MAX, -8192]);
}

#[test]
fn what_we_cannot_decode_is_passed_on_or_refused() {
    let cut = Cut { max_duration: Duration::from_secs(2), ..Cut::default() };
    // G.726, 4 bits per sample.
    let mut g726 =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x64\0\x01\0\x40\x1f\0\0\xa0\x0f\0\0\x01\0\x04\0data\0\0\0\0".to_vec();
    g726.extend([0x5a; 12_000]);
    for (bytes, mediatype, file_name) in
        [(Bytes::from(g726), "audio/x-wav", "recording.wav"), (fixture("beeps.webm"), "video/webm", "recording.webm")]
    {
        let recording = Recording::from_bytes(Bytes::clone(&bytes)).unwrap();
        let parts = all_parts(&recording, &cut);
        assert_eq!(parts.len(), 1, "{file_name}");
        assert_eq!((&parts[0].bytes, &*parts[0].mediatype), (&bytes, mediatype));
        assert_eq!((&*parts[0].file_name, parts[0].silent), (file_name, false));
        let error = recording.parts(&Cut { max_bytes: 4000, ..cut.clone() }).unwrap_err();
        assert_eq!(error.class(), Class::Permanent);
        assert!(error.message().contains("larger than 4000 bytes") && error.help_text().is_some(), "{error}");
    }
    assert!(Recording::from_bytes(fixture("beeps.webm")).unwrap().info().is_none());
}

#[test]
fn what_is_no_recording_is_refused_and_what_is_unknown_is_not() {
    for (bytes, part) in [
        (&b"<!doctype html><html>please log in</html>"[..], "HTML"),
        (b"{\"error\": \"expired\"}", "JSON"),
        (b"", "empty"),
        (b"RIFF\0\0\0\0WAVE", "broken WAV"),
    ] {
        let error = Recording::from_bytes(bytes).unwrap_err();
        assert!(error.class() == Class::Permanent && error.message().contains(part), "{error}");
    }
    let unknown = Recording::from_bytes(&b"\x80\x81\x82 some codec"[..]).unwrap();
    assert_eq!((unknown.mediatype(), unknown.file_name()), ("application/octet-stream", "recording.bin".to_owned()));
}

#[test]
fn what_is_lost_leaves_the_rest_at_its_time() {
    let mut bytes = fixture("beeps_opus.ogg").to_vec();
    // In the page that holds the second of three seconds; its check sum is wrong then.
    bytes[12_000..12_020].fill(0x5a);
    let recording = Recording::from_bytes(bytes).unwrap();
    let heard = joined(&all_parts(&recording, &every_channel()), 2);
    let whole = decoded("beeps_opus.ogg", &every_channel());
    assert_eq!((heard[0].len(), heard[1].len()), (whole[0].len(), whole[1].len()), "silence stands for what is lost");
    assert_eq!(heard[0][..15_000], whole[0][..15_000], "what comes before is untouched");
    let loud = |channel: &[i16]| envelope(channel).iter().filter(|level| **level > 7000.0).count();
    assert!(loud(&heard[1]) < 10 && loud(&whole[1]) > 90, "the second tone was in it");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Damage anywhere: parts or a permanent error, no panic, and not more than what was measured.
    #[test]
    fn damaged_recordings_are_cut_or_refused(
        file in 0..BEEPS.len(),
        damage in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(BEEPS[file]).to_vec();
        for (in_header, place, value) in damage {
            let end = if in_header { bytes.len().min(400) } else { bytes.len() };
            bytes[place.index(end)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let Ok(recording) = Recording::from_bytes(bytes) else { return Ok(()) };
        let longest = recording.info().map_or(Duration::ZERO, |info| info.duration) + Duration::from_millis(1);
        // What a header claims may be far longer than the file; nobody waits for that here.
        match recording.parts(&every_channel()) {
            Err(error) => prop_assert!(error.class() != Class::Retryable, "{}", error),
            Ok(parts) => for part in parts.take(40) {
                match part {
                    Ok(part) => prop_assert!(part.offset + part.duration <= longest || part.duration.is_zero()),
                    Err(error) => prop_assert_eq!(error.class(), Class::Permanent),
                }
            },
        }
    }
}
