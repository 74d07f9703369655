//! A long recording through `transcribe`: cut, sent in parts at the same time, put on one time line.
//!
//! Two parties hum on a channel each, and in every minute one of them, in turn, gives a tone whose pitch tells the minute. The
//! vendor's stand-in hears tones: it says when in its part one begins and ends, and which minute that is. So what the
//! transcript says can be compared with what the recording holds, tone by tone.

use std::error::Error;
use std::f64::consts::TAU;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vconductor_core::transcript::{self, Turn};
use vconductor_core::vcon::Vcon;

use crate::stage::{Stage, uuid};
use crate::vendors::openai_audio::OpenAiAudio;
use crate::vendors::{Answer, Api, Call, Refusal, Vendor};

const KEY: &str = "sk-long-recording";
/// Samples per second of the recording.
const RATE: u64 = 8000;
/// Seconds from one silence of both to the next, and how long it is.
const SILENCES: (u64, u64) = (300, 3);
/// The longest part in seconds: it is cut at every silence of both.
const LONGEST: u64 = 360;
/// Where in its minute a tone is, in seconds.
const TONE: Range<u64> = 20..21;
/// The hum is above what counts as silence, the tones above this.
const LOUD: i16 = 6000;
/// The pitch of the first minute in hertz, and by how much each next one is higher.
const PITCH: (f64, f64) = (400.0, 5.0);
/// How far a time may be off, in seconds.
const OFF: f64 = 0.05;

/// What came of it.
#[derive(Debug)]
pub struct Found {
    /// Parts that the vendor got.
    pub parts: usize,
    /// The largest, in bytes.
    pub largest: usize,
    /// The most that were with the vendor at the same time.
    pub at_once: usize,
    /// The most memory that the conductor had, in bytes.
    pub memory: u64,
    /// How long the conductor took.
    pub took: Duration,
    /// By how much a time was off at most, in seconds.
    pub off: f64,
    /// What is wrong with the transcript.
    pub breaches: Vec<String>,
}

/// Transcribes a recording of so many minutes by a conductor of its own.
///
/// # Errors
/// What could not be set up, or a conductor that fails.
pub async fn run(binary: &Path, minutes: u64) -> Result<Found, Box<dyn Error>> {
    let stage = Stage::new();
    let sound = stage.folder().join("recording.wav");
    write_recording(&sound, minutes)?;
    let vendor = Vendor::start(Listener(OpenAiAudio::new(&[KEY]))).await;
    // Long enough for several parts to meet.
    vendor.takes(Duration::from_millis(500));
    let config = stage.folder().join("chain.yml");
    std::fs::write(&config, configuration(&vendor, stage.folder()))?;
    let id = uuid(1);
    stage.give("in", &id, &vcon(&id, &sound, minutes)).await;
    let started = Instant::now();
    let memory = transcribe(binary, &config, &stage.folder().join("store")).await?;
    let took = started.elapsed();
    let document = stage.document(&id).await;
    let found = transcript::find(&Vcon::read(document.to_string())?);
    let [found] = found.as_slice() else { return Err(format!("{} transcripts", found.len()).into()) };
    let (off, breaches) = compare(&found.transcript.turns, minutes);
    let calls = vendor.calls();
    Ok(Found {
        parts: calls.len(),
        largest: calls.iter().map(|call| call.body.len()).max().unwrap_or(0),
        at_once: vendor.most_at_once(),
        memory,
        took,
        off,
        breaches,
    })
}

/// Runs a conductor until it is idle, and says how many bytes of memory it had at most.
async fn transcribe(binary: &Path, config: &Path, store: &Path) -> Result<u64, Box<dyn Error>> {
    let mut conductor = Command::new(binary);
    conductor.arg("run").arg(config).arg("--store").arg(format!("embedded:{}", store.display())).arg("--until-idle");
    let mut conductor = conductor.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let account = format!("/proc/{}/status", conductor.id());
    let mut most = 0;
    loop {
        if let Some(status) = conductor.try_wait()? {
            return if status.success() { Ok(most) } else { Err(format!("the conductor ended with {status}").into()) };
        }
        let text = std::fs::read_to_string(&account).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        most = line.and_then(|kilobytes| kilobytes.parse::<u64>().ok()).map_or(most, |kilobytes| kilobytes << 10);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn configuration(vendor: &Vendor, root: &Path) -> String {
    format!(
        "media: {{roots: [{}]}}\nlinks:\n  transcribe:\n    module: links.transcribe\n    options: {{vendor: openai, model: whisper-1, \
         max_chunk_duration: {LONGEST}, api_key: {KEY}, base_url: {}/v1}}\nchains:\n  c:\n    ingress_lists: [in]\n    links: [transcribe]\n",
        root.display(),
        vendor.url
    )
}

fn vcon(id: &str, sound: &Path, minutes: u64) -> String {
    json!({
        "uuid": id, "created_at": "2026-01-02T03:04:05Z", "analysis": [], "attachments": [],
        "parties": [{"tel": "+12025550123"}, {"tel": "+12025550124"}],
        "dialog": [{
            "type": "recording", "start": "2026-01-02T03:04:05Z", "duration": minutes * 60, "parties": [0, 1],
            "mediatype": "audio/x-wav", "url": format!("file://{}", sound.display()),
        }],
    })
    .to_string()
}

/// Whether this frame is in the tone of its minute.
fn is_tone(frame: u64) -> bool {
    TONE.contains(&(frame / RATE % 60))
}

/// The tone of a minute is on this channel.
fn channel(minute: u64) -> u64 {
    minute % 2
}

fn pitch(minute: u64) -> f64 {
    PITCH.0 + minute as f64 * PITCH.1
}

fn write_recording(path: &Path, minutes: u64) -> Result<(), Box<dyn Error>> {
    let frames = minutes * 60 * RATE;
    let size = u32::try_from(frames * 4)?;
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(b"RIFF")?;
    file.write_all(&(size + 36).to_le_bytes())?;
    file.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x02\0\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data")?;
    file.write_all(&size.to_le_bytes())?;
    for frame in 0..frames {
        let (second, minute) = (frame as f64 / RATE as f64, frame / RATE / 60);
        let in_period = frame % (SILENCES.0 * RATE);
        let is_silent = in_period.min(SILENCES.0 * RATE - in_period) < SILENCES.1 * RATE / 2;
        for own in 0..2 {
            let (volume, hertz) = match is_silent {
                true => (0.0, 1.0),
                false if is_tone(frame) && channel(minute) == own => (12_000.0, pitch(minute)),
                false => (2_000.0, 60.0),
            };
            let sample = (volume * (second * hertz * TAU).sin()) as i16;
            file.write_all(&sample.to_le_bytes())?;
        }
    }
    Ok(file.flush()?)
}

/// OpenAI's interface, with an ear for tones.
struct Listener(OpenAiAudio);

impl Api for Listener {
    fn answer(&self, call: &Call) -> Result<Answer, Refusal> {
        self.0.answer(call)?;
        let form = call.form()?;
        let file = form.file("file")?;
        let tones =
            heard(&file.bytes).ok_or_else(|| Refusal::bad_request("not WAV of 16 kHz, one channel, 16 bits"))?;
        let text: Vec<&str> = tones.iter().filter_map(|tone| tone["text"].as_str()).collect();
        let body = json!({"task": "transcribe", "language": "english", "text": text.join(" "), "segments": tones});
        Ok(Answer::json(200, &body))
    }

    fn refuse(&self, refusal: &Refusal) -> Answer {
        self.0.refuse(refusal)
    }
}

/// The tones of a part, as segments.
fn heard(wav: &[u8]) -> Option<Vec<Value>> {
    const PART_RATE: usize = 16_000;
    let format = wav.get(20..36)?;
    let at = wav.windows(4).position(|four| four == b"data")?;
    if format.get(..8)? != [1, 0, 1, 0, 0x80, 0x3e, 0, 0] || format.get(14..)? != [16, 0] {
        return None;
    }
    let samples: Vec<i16> =
        wav.get(at + 8..)?.chunks_exact(2).filter_map(|two| Some(i16::from_le_bytes(two.try_into().ok()?))).collect();
    let loud: Vec<usize> = samples
        .iter()
        .enumerate()
        .filter(|(_, sample)| sample.unsigned_abs() > LOUD.unsigned_abs())
        .map(|(at, _)| at)
        .collect();
    let tones = loud.chunk_by(|one, next| next - one < PART_RATE / 10).filter_map(|tone| {
        let (first, last) = (*tone.first()?, *tone.last()?);
        let seconds = |at: usize| at as f64 / PART_RATE as f64;
        let rises = samples.get(first..last)?.windows(2).filter(|two| two[0] < 0 && two[1] >= 0).count();
        let minute = ((rises as f64 / seconds(last - first) - PITCH.0) / PITCH.1).round() as i64;
        Some(json!({
            "id": 0, "seek": 0, "start": seconds(first), "end": seconds(last), "text": format!("minute {minute}"), "tokens": [1],
            "temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.1, "no_speech_prob": 0.01,
        }))
    });
    Some(tones.collect())
}

/// By how much a time is off at most, and what is not as it was recorded.
fn compare(turns: &[Turn], minutes: u64) -> (f64, Vec<String>) {
    let (mut off, mut breaches) = (0_f64, Vec::new());
    if turns.len() as u64 != minutes {
        breaches.push(format!("{} turns, but {minutes} tones were recorded", turns.len()));
    }
    for (minute, turn) in (0..).zip(turns) {
        let start = (minute * 60 + TONE.start) as f64;
        let end = (minute * 60 + TONE.end) as f64;
        let own =
            turn.start.map_or(f64::MAX, |at| (at - start).abs()).max(turn.end.map_or(f64::MAX, |at| (at - end).abs()));
        off = off.max(own);
        let party = usize::try_from(channel(minute)).ok();
        if turn.text != format!("minute {minute}") || turn.party != party || own > OFF {
            breaches.push(format!("in minute {minute}: {turn:?}"));
        }
    }
    (off, breaches)
}
