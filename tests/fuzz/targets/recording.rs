//! Recordings: any bytes are cut into parts or refused, and parts lie end to end.
//!
//! Only WAV is cut here: other formats are decoded by libraries whose arithmetic is not checked in a release, and is in this
//! build; a panic that the code catches would end the run.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vconductor_core::audio::Format;
use vconductor_core::recording::{Channels, Cut, Recording};

fuzz_target!(|bytes: &[u8]| {
    let Ok(recording) = Recording::from_bytes(bytes.to_vec()) else { return };
    let Some(info) = recording.info().filter(|info| info.format == Format::Wav) else { return };
    let channels = info.channels;
    let cut = Cut {
        max_bytes: 70_000,
        max_duration: Duration::from_secs(2),
        silence: Duration::from_millis(100),
        channels: Channels::Separate,
        ..Cut::default()
    };
    let Ok(parts) = recording.parts(&cut) else { return };
    let mut ends = vec![Duration::ZERO; usize::from(channels)];
    for part in parts.take(256).map_while(Result::ok) {
        if let Some(end) = part.channel.and_then(|channel| ends.get_mut(usize::from(channel))) {
            assert_eq!(part.offset, *end, "parts lie end to end");
            *end += part.duration;
        }
        let is_whole = part.bytes.len() == bytes.len();
        assert!(is_whole || part.bytes.len() as u64 <= cut.max_bytes, "a part is too large");
    }
});
