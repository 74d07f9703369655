//! Transcripts of every provider in one model.
//!
//! Each speech-to-text service has a shape of its own, and a vCon keeps what the service answered. [`read`] recognises
//! the shape, not the name, and gives a [`Transcript`]: turns with speaker, time and words, times in seconds and
//! confidences from 0 to 1. [`wtf`] writes it as the World Transcription Format and reads that again.
//!
//! Everything here is read from strangers: a member of the wrong type is as absent, and nothing panics.

mod assemble;
mod attribute;
mod captions;
mod fields;
mod figures;
mod find;
mod language;
mod prose;
mod providers;
mod read;
#[cfg(test)]
mod tests;
mod write;
pub mod wtf;

use std::fmt;

use serde_json::{Map, Value};

pub use attribute::attribute;
pub use figures::figures;
pub use find::{Found, Place, find};
pub use read::{of_body, read, read_text};
pub use write::{sub_rip, text, web_vtt};

/// What was said, by whom and when.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// The whole text.
    pub text: String,
    /// The language as BCP 47 says it (`en`, `pt-BR`).
    pub language: Option<String>,
    /// Seconds of audio.
    pub duration: Option<f64>,
    /// How sure the provider is, from 0 to 1.
    pub confidence: Option<f64>,
    /// The turns in the order of their start.
    pub turns: Vec<Turn>,
    /// Names of speakers for people, where the provider gives any.
    pub labels: Vec<(Speaker, String)>,
    /// Where it comes from.
    pub origin: Origin,
}

/// What one speaker said without another one coming in between, or a segment that the provider made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Turn {
    /// The text, with punctuation.
    pub text: String,
    /// Seconds from the beginning of the dialog.
    pub start: Option<f64>,
    /// Seconds from the beginning of the dialog.
    pub end: Option<f64>,
    /// Whom the provider takes for the speaker.
    pub speaker: Option<Speaker>,
    /// The channel of the recording, from 0.
    pub channel: Option<usize>,
    /// The party of the vCon, where that is known.
    pub party: Option<usize>,
    /// How sure the provider is, from 0 to 1.
    pub confidence: Option<f64>,
    /// The single words, where the provider times them.
    pub words: Vec<Word>,
}

/// A word, or a punctuation mark that the provider lists as an item of its own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    /// The word as the provider heard it.
    pub text: String,
    /// Seconds from the beginning of the dialog.
    pub start: Option<f64>,
    /// Seconds from the beginning of the dialog.
    pub end: Option<f64>,
    /// How sure the provider is, from 0 to 1.
    pub confidence: Option<f64>,
    /// Whom the provider takes for the speaker.
    pub speaker: Option<Speaker>,
    /// Whether it is a punctuation mark.
    pub is_punctuation: bool,
}

/// A provider's mark of a speaker: a number or a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speaker {
    /// Counted, mostly from 0.
    Number(i64),
    /// Named: `A`, `spk_0`, `AGENT`, `Alice`.
    Name(String),
}

impl Speaker {
    pub(super) fn of(value: &Value) -> Option<Speaker> {
        match value {
            Value::Number(number) => number.as_i64().map(Speaker::Number),
            Value::String(name) if !name.trim().is_empty() => Some(Speaker::Name(name.trim().to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speaker::Number(number) => write!(f, "Speaker {number}"),
            Speaker::Name(name) => match mark(name) {
                Some(mark) => write!(f, "Speaker {mark}"),
                None => f.write_str(name),
            },
        }
    }
}

/// What counts in a mark such as `A`, `S1`, `spk_0`, `SPEAKER_00`, which is nobody's name.
fn mark(name: &str) -> Option<&str> {
    if name.chars().count() == 1 {
        return Some(name);
    }
    let digits = name.trim_start_matches(|character: char| !character.is_ascii_digit());
    let is_counted = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let before = &name[..name.len() - digits.len()];
    let is_prefix =
        ["s", "spk_", "speaker_", "speaker", "speaker "].iter().any(|prefix| before.eq_ignore_ascii_case(prefix));
    (is_counted && is_prefix).then_some(digits)
}

/// Where a transcript comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Origin {
    /// The shape that was recognised.
    pub format: Format,
    /// The provider's name in lower case, where the shape or the analysis tells it.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// When the transcript was made, as the provider wrote it.
    pub created_at: Option<String>,
    /// When it was brought into its present form.
    pub processed_at: Option<String>,
    /// Seconds that it took.
    pub processing_time: Option<f64>,
    /// What is known of the audio: `sample_rate`, `channels`, `format`, `bitrate`.
    pub audio: Map<String, Value>,
    /// The options of the request.
    pub options: Map<String, Value>,
    /// What the provider says beside the text, as it says it.
    pub details: Map<String, Value>,
    /// Members of a World Transcription Format body that have no place here: `alternatives`, `enrichments`,
    /// `extensions`, `quality`, `streaming`.
    pub extras: Map<String, Value>,
}

/// The shapes that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// Text without any structure.
    #[default]
    Text,
    /// Lines such as `Alice: hello`.
    LabelledText,
    /// SubRip captions.
    SubRip,
    /// WebVTT captions.
    WebVtt,
    /// Advanced SubStation captions.
    SubStation,
    /// A list of turns with speaker and text.
    TurnList,
    /// World Transcription Format.
    Wtf,
    /// A whole answer of Deepgram.
    Deepgram,
    /// One alternative out of Deepgram's answer, as vcon-server stores it.
    DeepgramAlternative,
    /// Whisper, and the services that answer like it: OpenAI, Groq.
    Whisper,
    /// Hugging Face pipelines: text and chunks.
    HuggingFace,
    /// NVIDIA Parakeet and Canary.
    Nvidia,
    /// AssemblyAI.
    AssemblyAi,
    /// Rev AI.
    RevAi,
    /// Speechmatics json-v2.
    Speechmatics,
    /// Amazon Connect Contact Lens.
    ContactLens,
    /// Amazon Transcribe.
    AmazonTranscribe,
    /// Twilio sentences.
    Twilio,
}

impl Format {
    /// The name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Text => "text",
            Format::LabelledText => "text with speakers",
            Format::SubRip => "SubRip",
            Format::WebVtt => "WebVTT",
            Format::SubStation => "SubStation",
            Format::TurnList => "list of turns",
            Format::Wtf => "WTF",
            Format::Deepgram => "Deepgram",
            Format::DeepgramAlternative => "Deepgram alternative",
            Format::Whisper => "Whisper",
            Format::HuggingFace => "Hugging Face",
            Format::Nvidia => "NVIDIA",
            Format::AssemblyAi => "AssemblyAI",
            Format::RevAi => "Rev AI",
            Format::Speechmatics => "Speechmatics",
            Format::ContactLens => "Contact Lens",
            Format::AmazonTranscribe => "Amazon Transcribe",
            Format::Twilio => "Twilio",
        }
    }
}

impl Transcript {
    /// The speakers in the order in which they first speak.
    pub fn speakers(&self) -> Vec<&Speaker> {
        let mut seen = std::collections::HashSet::new();
        self.turns.iter().filter_map(|turn| turn.speaker.as_ref()).filter(|speaker| seen.insert(*speaker)).collect()
    }

    /// The name of a speaker for people.
    pub fn label(&self, speaker: &Speaker) -> String {
        let given = self.labels.iter().find(|(found, _)| found == speaker);
        given.map_or_else(|| speaker.to_string(), |(_, label)| label.clone())
    }

    /// All words of all turns, in their order.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.turns.iter().flat_map(|turn| &turn.words)
    }
}
