//! Amazon: Contact Lens of Amazon Connect, and Amazon Transcribe.
//!
//! * Contact Lens files of calls and chats:
//!   <https://docs.aws.amazon.com/connect/latest/adminguide/contact-lens-example-output-files.html>, real time segments:
//!   <https://docs.aws.amazon.com/connect/latest/APIReference/API_connect-contact-lens_Transcript.html>. Offsets are in
//!   milliseconds; chats have `AbsoluteTime`. `ParticipantId` is a role or an id that `Participants` explains.
//! * Transcribe: <https://docs.aws.amazon.com/transcribe/latest/dg/how-input.html>: `results.items[]` with times and
//!   confidences as strings, punctuation without times, `speaker_label` and `channel_label`.

use serde_json::{Map, Value};

use super::super::assemble::{Piece, by_sentence, by_speaker};
use super::super::fields::{confidence, filled, list, milliseconds, object, others, owned, seconds, text};
use super::super::{Origin, Speaker, Transcript, Turn, Word, language};
use crate::vcon::Date;

/// Contact Lens: a file of a contact, or the segments of a real time analysis.
pub(in super::super) fn read_contact_lens(value: &Value) -> Option<Transcript> {
    let segments = list(value, "Segments").iter().filter_map(|segment| segment.get("Transcript"));
    let items: Vec<&Value> = list(value, "Transcript").iter().chain(segments).collect();
    let is_item = |item: &&&Value| item.get("ParticipantId").is_some() || item.get("ParticipantRole").is_some();
    items.iter().find(is_item)?;
    let participants = list(value, "Participants");
    let origin_time = items.iter().find_map(|item| absolute(item));
    let turns = items.iter().filter(|item| text(item, "Content").is_some());
    let turns: Vec<Turn> = turns.map(|item| contact_turn(item, origin_time)).collect();
    let mut labels = Vec::new();
    for (turn, item) in turns.iter().zip(items.iter().filter(|item| text(item, "Content").is_some())) {
        let Some(speaker) = &turn.speaker else { continue };
        if !labels.iter().any(|(known, _)| known == speaker)
            && let Some(label) = contact_label(item, participants)
        {
            labels.push((speaker.clone(), label));
        }
    }
    let characteristics = value.get("ConversationCharacteristics").unwrap_or(&Value::Null);
    Some(Transcript {
        language: filled(value, "LanguageCode").and_then(language::tag),
        duration: milliseconds(characteristics, "TotalConversationDurationMillis"),
        turns,
        labels,
        origin: Origin {
            provider: Some("amazon".into()),
            model: Some("contact-lens".into()),
            created_at: items.iter().find_map(|item| owned(item, "AbsoluteTime")),
            details: others(value, &["Transcript", "Segments", "LanguageCode"]),
            ..Origin::default()
        },
        ..Transcript::default()
    })
}

/// When an item was said by the clock, in seconds.
fn absolute(item: &Value) -> Option<f64> {
    Some(Date::parse(text(item, "AbsoluteTime")?)?.timestamp().as_millisecond() as f64 / 1000.0)
}

fn contact_turn(item: &Value, origin_time: Option<f64>) -> Turn {
    let relative = absolute(item).zip(origin_time).map(|(time, origin)| (time - origin).max(0.0));
    Turn {
        text: filled(item, "Content").unwrap_or_default().to_owned(),
        start: milliseconds(item, "BeginOffsetMillis").or(relative),
        end: milliseconds(item, "EndOffsetMillis"),
        speaker: filled(item, "ParticipantId")
            .or_else(|| filled(item, "ParticipantRole"))
            .map(|name| Speaker::Name(name.to_owned())),
        ..Turn::default()
    }
}

/// `AGENT` as `Agent`, or the name that is to be shown.
fn contact_label(item: &Value, participants: &[Value]) -> Option<String> {
    if let Some(name) = owned(item, "DisplayName") {
        return Some(name);
    }
    let id = filled(item, "ParticipantId");
    let role = filled(item, "ParticipantRole").or_else(|| {
        let own = participants.iter().find(|participant| filled(participant, "ParticipantId") == id);
        own.and_then(|participant| filled(participant, "ParticipantRole"))
    });
    let role = role.or(id)?.to_lowercase();
    let mut letters = role.chars();
    let first = letters.next()?;
    Some(first.to_uppercase().chain(letters).collect::<String>().replace('_', " "))
}

/// Amazon Transcribe.
pub(in super::super) fn read_transcribe(value: &Value) -> Option<Transcript> {
    let results = value.get("results")?;
    let whole = list(results, "transcripts").first()?;
    let items = results.get("items")?.as_array()?;
    let pieces: Vec<Piece> = items.iter().filter_map(transcribe_piece).collect();
    let is_diarised = pieces.iter().any(|piece| piece.word.speaker.is_some());
    let mut turns = if is_diarised { by_speaker(pieces, " ") } else { by_sentence(pieces, " ") };
    if turns.is_empty() {
        turns.push(Turn { text: text(whole, "transcript").unwrap_or_default().to_owned(), ..Turn::default() });
    }
    let mut details = Map::new();
    for name in ["jobName", "accountId", "status"] {
        if let Some(member) = value.get(name) {
            details.insert(name.to_owned(), member.clone());
        }
    }
    if let Some(labels) = object(results, "speaker_labels").and_then(|labels| labels.get("speakers")) {
        details.insert("speakers".into(), labels.clone());
    }
    Some(Transcript {
        text: text(whole, "transcript").unwrap_or_default().to_owned(),
        language: filled(results, "language_code").and_then(language::tag),
        turns,
        origin: Origin {
            provider: Some("amazon".into()),
            model: Some("transcribe".into()),
            details,
            ..Origin::default()
        },
        ..Transcript::default()
    })
}

fn transcribe_piece(item: &Value) -> Option<Piece> {
    let alternative = list(item, "alternatives").first()?;
    let is_punctuation = text(item, "type") == Some("punctuation");
    let speaker = filled(item, "speaker_label").or_else(|| filled(item, "channel_label"));
    Some(Piece::from(Word {
        text: filled(alternative, "content")?.to_owned(),
        start: seconds(item, "start_time"),
        end: seconds(item, "end_time"),
        // Punctuation has the confidence 0, which means that there is none.
        confidence: confidence(alternative, "confidence").filter(|_| !is_punctuation),
        speaker: speaker.map(|name| Speaker::Name(name.to_owned())),
        is_punctuation,
    }))
}
