//! What cutting a recording costs: three hours of two channels, made here, into parts of at most 25 MB.
//!
//! `cargo run --release -p vconductor-core --example recording_bench`
//!
//! The recording is a tone at 8,000 samples per second with a silence of 3 s around every fifth minute. Every part must begin in
//! the middle of one, to the sample. Prints the time, and how much memory the process took at most. A path as argument:
//! that recording is cut instead, and its parts are counted.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use vconductor_core::recording::{Channels, Cut, Part, Recording};

const HOURS: u64 = 3;
const RATE: u64 = 8000;
const EVERY: u64 = 300;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(path) = std::env::args_os().nth(1) {
        measure(Path::new(&path))?;
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("three-hours.wav");
    make(&path)?;
    let parts = measure(&path)?;
    for channel in 0..2 {
        let own = parts.iter().filter(|part| part.channel == Some(channel));
        let offsets: Vec<Duration> = own.map(|part| part.offset).collect();
        let expected: Vec<Duration> = (0..HOURS * 3600 / EVERY).map(|part| Duration::from_secs(part * EVERY)).collect();
        assert_eq!(offsets, expected, "channel {channel}");
    }
    println!("every part begins exactly in the middle of a silence");
    Ok(())
}

/// Cuts and lets go of every part, as a vendor's client does.
fn measure(path: &Path) -> Result<Vec<Part>, Box<dyn std::error::Error>> {
    let started = Instant::now();
    let recording = Recording::from_file(path)?;
    let read = started.elapsed();
    let before = memory("VmRSS")?;
    let cut = Cut { channels: Channels::Separate, ..Cut::default() };
    let (mut parts, mut bytes, mut largest) = (Vec::new(), 0, 0);
    for part in recording.parts(&cut)? {
        let part = part?;
        (bytes, largest) = (bytes + part.bytes.len(), largest.max(part.bytes.len()));
        parts.push(Part { bytes: Vec::new().into(), ..part });
    }
    let (size, all, grown) = (recording.len(), started.elapsed(), memory("VmHWM")?.saturating_sub(before));
    println!("{:?}", recording.info());
    println!("read and hashed: {read:.2?} for {size} bytes; cut: {:.2?}", all.saturating_sub(read));
    println!("{} parts, {bytes} bytes, the largest {largest}; memory grew by at most {grown} kB", parts.len());
    Ok(parts)
}

fn make(path: &Path) -> std::io::Result<()> {
    let frames = HOURS * 3600 * RATE;
    let mut file = BufWriter::new(File::create(path)?);
    let size = u32::try_from(frames * 4).unwrap_or(u32::MAX);
    file.write_all(b"RIFF")?;
    file.write_all(&(size + 36).to_le_bytes())?;
    file.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data")?;
    file.write_all(&size.to_le_bytes())?;
    for frame in 0..frames {
        let to_silence = (frame % (EVERY * RATE)).min(EVERY * RATE - frame % (EVERY * RATE));
        let sample = if to_silence < RATE * 3 / 2 { 0 } else { ((frame as f64 * 0.3).sin() * 8000.0) as i16 };
        file.write_all(&sample.to_le_bytes())?;
        file.write_all(&(sample / 2).to_le_bytes())?;
    }
    file.flush()
}

/// A line of the kernel's account of this process, in kilobytes.
fn memory(name: &str) -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    Ok(line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap_or(0))
}
