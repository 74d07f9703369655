//! Cutting holds a part of every channel, not the recording. A process of its own, since it measures that of the process.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::Duration;

use vconductor_core::recording::{Channels, Cut, Recording};

/// Half an hour of two channels at 16,000 samples per second: 115 MB.
const SECONDS: u64 = 1800;
const BYTES_PER_SECOND: u64 = 64_000;

/// A file with holes, which read as silence, and a second of sound in every minute.
fn half_an_hour(path: &std::path::Path) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    let size = u32::try_from(SECONDS * BYTES_PER_SECOND).expect("below 4 GB");
    file.write_all(b"RIFF")?;
    file.write_all(&(size + 36).to_le_bytes())?;
    file.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x80\x3e\0\0\0\xfa\0\0\x04\0\x10\0data")?;
    file.write_all(&size.to_le_bytes())?;
    file.set_len(44 + u64::from(size))?;
    let sound: Vec<u8> = (0..32_000_i32).flat_map(|n| ((n * 37 % 20_000 - 10_000) as i16).to_le_bytes()).collect();
    for minute in 0..SECONDS / 60 {
        file.seek(SeekFrom::Start(44 + minute * 60 * BYTES_PER_SECOND))?;
        file.write_all(&sound)?;
    }
    Ok(())
}

/// Kilobytes that the kernel counts for this process.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a Linux process");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("such a line");
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().expect("a number")
}

#[test]
fn memory_does_not_grow_with_the_recording() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("half-an-hour.wav");
    half_an_hour(&path).expect("a recording");
    let recording = Recording::from_file(&path).expect("a recording");
    let before = memory("VmRSS");
    let cut = Cut { channels: Channels::Separate, ..Cut::default() };
    let mut end = [Duration::ZERO; 2];
    let mut bytes = 0;
    for part in recording.parts(&cut).expect("parts") {
        let part = part.expect("a part");
        let end = &mut end[usize::from(part.channel.expect("a channel"))];
        assert_eq!(part.offset, *end);
        *end += part.duration;
        bytes += part.bytes.len();
        assert!(part.bytes.len() as u64 <= cut.max_bytes && part.duration <= cut.max_duration);
    }
    assert_eq!(end, [Duration::from_secs(SECONDS); 2]);
    assert!(bytes > 115_000_000, "all of it was given: {bytes}");
    let grown = memory("VmHWM") - before;
    assert!(grown < 64_000, "memory grew by {grown} kB");
}
