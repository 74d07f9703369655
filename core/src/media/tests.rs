use super::*;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn found(name: &str) -> (&'static str, Option<f64>, Option<u16>) {
    let bytes = fixture(name);
    assert!(is_media(&bytes), "{name}");
    let media = probe(&bytes).unwrap();
    let tenths = media.duration.map(|duration| (duration.as_secs_f64() * 10.0).round() / 10.0);
    (media.mediatype, tenths, media.channels)
}

#[test]
fn pictures_and_sound_are_told_apart() {
    assert_eq!(found("video/video.mp4"), ("video/x-mp4", Some(3.0), Some(1)));
    assert_eq!(found("video/silent.mp4"), ("video/x-mp4", Some(3.0), None));
    assert_eq!(found("video/video.webm"), ("video/webm", Some(3.0), Some(1)));
    assert_eq!(found("video/video.mkv"), ("video/x-matroska", Some(3.1), Some(1)));
    assert_eq!(found("video/audio.webm"), ("audio/webm", Some(3.0), Some(1)));
    assert_eq!(found("audio/ab_call.m4a").0, "audio/x-mp4");
    assert_eq!(found("audio/ab_call_opus.ogg").0, "audio/ogg");
}

#[test]
fn a_browsers_recording_without_a_length_is_measured() {
    // The duration in the header (element 44 89 with eight bytes) made into a void element, as if never written.
    let mut bytes = fixture("video/video.webm");
    let place = bytes.windows(3).position(|window| window == [0x44, 0x89, 0x88]).unwrap();
    bytes[place..place + 2].copy_from_slice(&[0xec, 0x89]);
    bytes[place + 2] = 0;
    let duration = probe(&bytes).unwrap().duration.unwrap().as_secs_f64();
    assert!((2.4..3.2).contains(&duration), "{duration}");
}

#[test]
fn what_is_known_by_its_beginning_is_passed_on() {
    let mut transport = vec![0; 188 * 4];
    (0..4).for_each(|packet| transport[packet * 188] = 0x47);
    // Two frames of 8 bytes.
    let adts = [0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0, 0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0];
    for (bytes, mediatype) in [
        (&b"RIFF\x10\0\0\0AVI LIST"[..], "video/x-msvideo"),
        (b"#!AMR\n\x3c", "audio/AMR"),
        (b"FORM\0\0\0\x10AIFFCOMM", "audio/aiff"),
        (b"FLV\x01\x05\0\0\0\x09", "video/x-flv"),
        (&transport, "video/mp2t"),
        (&adts, "audio/aac"),
    ] {
        assert_eq!(probe(bytes).unwrap(), Media { mediatype, duration: None, channels: None });
        assert!(is_media(bytes));
    }
}

#[test]
fn what_is_neither_or_broken_is_refused() {
    for (bytes, why) in [(&b"GIF89a"[..], "GIF"), (b"", "empty"), (b"\xff\xf1 hello", "")] {
        assert!(!is_media(bytes));
        assert!(probe(bytes).unwrap_err().to_string().contains(why));
    }
    let webm = fixture("video/video.webm");
    assert!(probe(&webm[..40]).is_err());
    // At any length there is an answer.
    for length in (0..webm.len()).step_by(97) {
        drop(probe(&webm[..length]));
    }
    for name in ["video/video.mkv", "video/video.mp4"] {
        let mut bytes = fixture(name);
        for place in (0..bytes.len().min(1500)).step_by(7) {
            bytes[place] ^= 0xa5;
            drop(probe(&bytes));
            bytes[place] ^= 0xa5;
        }
    }
}
