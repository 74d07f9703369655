//! Finding out whose shape a body has.

use std::borrow::Cow;

use serde_json::Value;

use super::assemble::finish;
use super::providers::{
    amazon, assemblyai, deepgram, huggingface, nvidia, rev, speechmatics, turn_list, twilio, whisper,
};
use super::{Format, Transcript, captions, prose, wtf};
use crate::document::Document;
use crate::vcon::Body;

type Reader = fn(&Value) -> Option<Transcript>;

/// From the shapes that have the most marks to those that have the fewest.
const READERS: [(Format, Reader); 14] = [
    (Format::Wtf, wtf::read),
    (Format::Deepgram, deepgram::read),
    (Format::ContactLens, amazon::read_contact_lens),
    (Format::AmazonTranscribe, amazon::read_transcribe),
    (Format::Speechmatics, speechmatics::read),
    (Format::RevAi, rev::read),
    (Format::Twilio, twilio::read),
    (Format::DeepgramAlternative, deepgram::read_alternative),
    (Format::AssemblyAi, assemblyai::read),
    (Format::Nvidia, nvidia::read),
    (Format::HuggingFace, huggingface::read),
    (Format::Whisper, whisper::read),
    (Format::TurnList, turn_list::read),
    (Format::Text, of_string),
];

/// Reads a transcript of any known shape. `None` when there is no text in it that could be one.
///
/// `vendor` is what the vCon says about its maker: the provider's name where the shape alone does not tell it.
pub fn read(value: &Value, vendor: Option<&str>) -> Option<Transcript> {
    let (format, transcript) = READERS.iter().find_map(|(format, reader)| Some((*format, reader(value)?)))?;
    let format = if transcript.origin.format == Format::Text { format } else { transcript.origin.format };
    let mut transcript = finish(transcript, format);
    if transcript.origin.provider.is_none() {
        transcript.origin.provider = vendor.and_then(provider);
    }
    Some(transcript)
}

/// Reads a text: JSON of any known shape, captions, lines with speakers, or just what was said.
pub fn read_text(text: &str, vendor: Option<&str>) -> Option<Transcript> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '['])
        && let Ok(document) = Document::parse(text.to_owned())
    {
        return read(&document.root().to_value(), vendor);
    }
    read(&Value::String(text.to_owned()), vendor)
}

/// Reads the body of an analysis or an attachment.
pub fn of_body(body: &Body<'_>, vendor: Option<&str>) -> Option<Transcript> {
    match body {
        Body::None => None,
        Body::Text(text) => read_text(text, vendor),
        Body::Json(value) => read(value, vendor),
        Body::Bytes(bytes) => match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => read_text(text, vendor),
            // Not text at all.
            Cow::Owned(_) => None,
        },
    }
}

/// A string that is no JSON.
fn of_string(value: &Value) -> Option<Transcript> {
    let text = value.as_str()?.replace("\r\n", "\n");
    if text.trim().is_empty() {
        return None;
    }
    captions::read(&text).or_else(|| Some(prose::read(&text)))
}

/// The provider's name as the World Transcription Format spells it. vcon-server's links call themselves by the model.
fn provider(vendor: &str) -> Option<String> {
    let name = vendor.trim().to_lowercase();
    Some(match name.as_str() {
        "" => return None,
        "groq_whisper" => "groq".to_owned(),
        "hugging_face_whisper" | "huggingface" => "hugging_face".to_owned(),
        "rev" | "revai" | "rev_ai" => "rev.ai".to_owned(),
        _ => name,
    })
}
