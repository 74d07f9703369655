//! A vCon around a transcript.

use bytes::Bytes;
use jiff::Timestamp;

use super::made::{Content, NewDialog, NewVcon, date};
use super::party::People;
use super::{Made, Options, Party};
use crate::document::{Document, Json, Kind, NewAnalysis};
use crate::transcript::{Format, Speaker, Transcript, read_text, wtf};
use crate::vcon::Date;
use crate::{Error, Result};

/// A transcript and the file that it was read from.
#[derive(Debug, Clone)]
pub struct Companion {
    transcript: Transcript,
    source: Bytes,
    filename: Option<String>,
}

impl Companion {
    /// Reads a transcript's file.
    ///
    /// # Errors
    /// Permanent: it is not text, or holds no transcript of a known shape.
    pub fn read(source: Bytes, filename: Option<&str>) -> Result<Companion> {
        let text = std::str::from_utf8(&source)
            .map_err(|error| Error::permanent("the transcript is not text in UTF-8").caused_by(error))?;
        let transcript = read_text(text, None).ok_or_else(|| {
            Error::permanent("there is no transcript of a known shape in it")
                .help("known are Deepgram, Whisper (OpenAI, Groq), Hugging Face, AssemblyAI, Rev AI, Speechmatics, Amazon, Twilio, NVIDIA, WTF, SRT, WebVTT, and lines such as `Alice: hello`")
        })?;
        Ok(Companion { transcript, source, filename: filename.map(str::to_owned) })
    }

    /// What was read.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    fn analysis(&self) -> NewAnalysis {
        let origin = &self.transcript.origin;
        let kind = if origin.format == Format::Wtf { wtf::NAME } else { "transcript" };
        let vendor = origin.provider.as_deref().unwrap_or("unknown");
        let mut analysis = NewAnalysis::new(kind, vendor).dialog(0);
        if let Some(model) = &origin.model {
            analysis = analysis.product(model);
        }
        if origin.format == Format::Wtf {
            analysis = analysis.schema(wtf::SCHEMA);
        }
        let analysis = match Document::parse(self.source.clone()) {
            Ok(document) if matches!(document.root().kind(), Kind::Object | Kind::Array) => {
                native(analysis, document.to_json())
            }
            Ok(document) => analysis.body(document.to_json()),
            Err(_) => analysis.body(serde_json::Value::from(String::from_utf8_lossy(&self.source).into_owned())),
        };
        let analysis = analysis.mediatype(self.mediatype());
        match &self.filename {
            Some(filename) => analysis.member("filename", serde_json::Value::from(filename.as_str())),
            None => analysis,
        }
    }

    fn mediatype(&self) -> &'static str {
        match self.transcript.origin.format {
            Format::WebVtt => "text/vtt",
            Format::SubRip => "application/x-subrip",
            Format::SubStation | Format::Text | Format::LabelledText => "text/plain",
            _ => "application/json",
        }
    }
}

/// Makes a vCon of a transcript alone: a dialog that says when and how long, and the transcript as its analysis.
/// Text with speakers is the conversation itself. Each speaker becomes a party.
///
/// # Errors
/// Permanent, when the time cannot be written.
pub fn transcript(companion: &Companion, modified: Option<Timestamp>, options: &Options) -> Result<Made> {
    let found = &companion.transcript;
    let made = found.origin.created_at.as_deref().and_then(Date::parse).map(Date::timestamp);
    let start = options.start.or(made).or(modified).unwrap_or_else(Timestamp::now);
    let mut parties = options.parties.clone();
    let heard = parties_of(found, &mut parties)?;
    let is_text = matches!(found.origin.format, Format::Text | Format::LabelledText);
    let dialog = NewDialog {
        r#type: if is_text { "text" } else { "recording" },
        start: date(start)?,
        duration: found.duration,
        parties: (!heard.is_empty()).then_some(heard),
        mediatype: is_text.then(|| "text/plain".to_owned()),
        filename: companion.filename.clone().filter(|_| is_text),
        content: is_text.then(|| Content::text(found.text.clone())),
        ..NewDialog::default()
    };
    let mut vcon = NewVcon { parties, dialog: vec![dialog], ..NewVcon::default() };
    if !is_text {
        add(&mut vcon, companion, options.wtf);
    } else if options.wtf {
        add_wtf(&mut vcon, found);
    }
    vcon.make()
}

/// Adds the transcript of the first dialog as an analysis, and in the World Transcription Format where that is wished.
pub(super) fn add(vcon: &mut NewVcon, companion: &Companion, wtf: bool) {
    vcon.analysis.push(companion.analysis());
    if companion.transcript.origin.format == Format::Wtf {
        add_extension(vcon);
    } else if wtf {
        add_wtf(vcon, &companion.transcript);
    }
}

fn add_wtf(vcon: &mut NewVcon, transcript: &Transcript) {
    // The time of the conversation, not of this moment: importing twice makes the same vCon.
    let start = vcon.dialog.first().and_then(|dialog| Date::parse(&dialog.start)).map(Date::timestamp);
    let start = start.unwrap_or_else(Timestamp::now);
    let body = serde_json::Value::Object(wtf::body(transcript, start));
    vcon.analysis.push(native(wtf::analysis(transcript, 0, start), body));
    add_extension(vcon);
}

/// With the JSON itself as its body, as drafts have it since core-03; links write it as text in a string, as vcon-server does.
fn native(analysis: NewAnalysis, body: impl Into<Json>) -> NewAnalysis {
    analysis.member("body", body).encoding("json")
}

fn add_extension(vcon: &mut NewVcon) {
    if !vcon.extensions.contains(&wtf::NAME) {
        vcon.extensions.push(wtf::NAME);
    }
}

/// The parties of the dialog: one per channel, or one per speaker.
fn parties_of(transcript: &Transcript, parties: &mut Vec<Party>) -> Result<Vec<usize>> {
    let channels = transcript.turns.iter().filter_map(|turn| turn.channel).max();
    if let Some(last) = channels.filter(|last| (1..64).contains(last)) {
        parties.resize(parties.len().max(last + 1), Party::default());
        return Ok((0..=last).collect());
    }
    let speakers: Vec<&Speaker> = transcript.speakers().into_iter().take(1000).collect();
    if speakers.is_empty() {
        return Ok((0..parties.len()).collect());
    }
    // Given parties are the speakers in their order, unless they have the speakers' names.
    let given = parties.len();
    let mut people = People::of(std::mem::take(parties));
    let mut heard = Vec::new();
    for (number, speaker) in speakers.iter().enumerate() {
        let party = speaker_party(&transcript.label(speaker));
        let named = people.all().iter().position(|known| known.is_same(&party));
        let index = match named {
            Some(index) => index,
            None if number < given => number,
            None => people.index(party)?,
        };
        if !heard.contains(&index) {
            heard.push(index);
        }
    }
    *parties = people.into_parties();
    Ok(heard)
}

/// `Agent` and `Customer` are roles as well as names.
fn speaker_party(label: &str) -> Party {
    let role = label.to_lowercase();
    let is_role = ["agent", "customer", "supervisor"].contains(&role.as_str());
    Party { role: is_role.then_some(role), ..Party::named(label) }
}
